"""Acid test of the shape: a scratchpad with alloc and free on a microcontroller."""

import pytest

from edgewright.hwmodels import Attachment, Cluster, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_storage
from edgewright.policies.plan import Alloc, Compute, Free, Load, Mark, par, seq
from edgewright.policies.pricing import demand_of
from edgewright.simulator.engines import PoolOverflow
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step

MCU = Cluster({"mcu": ideal_device(10.0, memory=100.0)}, (), (), (Attachment("flash", "mcu", ideal_storage(10.0)),))
"""100 B of scratchpad; 10 operations and 10 B of flash per second."""

SRAM = "mcu.ram"
LAYER = Work.of("conv", "int8", 10.0)


def layer(index: int, output: float, weights: float):
    """Output buffer, weights from flash, 1 s of computing, weights freed."""
    return seq(
        Alloc(SRAM, output),
        Alloc(SRAM, weights, name=f"weights {index}"),
        Load("mcu", weights, name=f"load {index}"),
        Compute("mcu", LAYER, name=f"layer {index}"),
        Free(SRAM, weights),
    )


def network():
    """Input 40 B; layers of 40 and 20 B output, 20 and 40 B weights; each input is freed when its layer is done."""
    return seq(Alloc(SRAM, 40.0), layer(1, 40.0, 20.0), Free(SRAM, 40.0), layer(2, 20.0, 40.0), Free(SRAM, 40.0), Free(SRAM, 20.0), Mark())


def test_the_peak_is_input_output_and_weights_of_the_largest_layer():
    """Layer 1: 40 + 40 + 20; layer 2: 40 + 20 + 40: the peak is 100 B. 2 + 1 + 4 + 1 = 8 s."""
    trace = run_plan(network(), MCU)
    assert trace.tokens == pytest.approx([8.0])
    assert (trace.machine.pools[SRAM].peak, trace.machine.pools[SRAM].level) == (100.0, 0.0)


def test_a_second_inference_waits_for_memory():
    """Two at once: the second's input (40 B) does not fit beside the first's layers until 40 B are free for it; it ends later than 8 s."""
    first_gone = run_plan(par(network_without_mark(), seq(Alloc(SRAM, 60.0, name="big"), Free(SRAM, 60.0))), MCU)
    assert first_gone.machine.pools[SRAM].peak <= 100.0
    assert first_gone.machine.pools[SRAM].level == 0.0


def network_without_mark():
    return seq(*network().children[:-1])


def test_what_never_fits_is_refused():
    with pytest.raises(PoolOverflow, match=r"mcu\.ram: 101 asked, capacity is 100"):
        run_plan(Alloc(SRAM, 101.0), MCU)


def test_giving_back_more_than_was_taken_is_refused():
    with pytest.raises(PoolOverflow, match="given back"):
        run_plan(seq(Alloc(SRAM, 10.0), Free(SRAM, 11.0)), MCU)


def test_a_competing_read_slows_the_weights():
    """30 B of another reader from the start: layer 1's 20 B get half of the flash and take 4 s, which leaves the rival 10 B more:
    it is done at 5 s. Layer 2's read starts at 5 s: 4 + 1 + 4 + 1 = 10 s."""
    rival = Load("mcu", 30.0)
    trace = run_plan(network(), MCU, events=[(0.0, lambda m: m.run(lambda: demand_of(rival, m.cluster, Step(), m.clocks), lambda _: None))])
    assert trace.times("load 1") == [pytest.approx((0.0, 4.0))]
    assert trace.tokens == pytest.approx([10.0])


def test_a_clock_change_halfway_keeps_the_fraction_done():
    """Layer 1 computes from 2 to 3 s; at 2.5 s the clock halves: it ends at 3.5 s, layer 2 takes 4 + 2 s more."""
    trace = run_plan(network(), MCU, events=[(2.5, lambda m: m.set_clock("mcu.cpu", 0.5))])
    assert trace.tokens == pytest.approx([9.5])
