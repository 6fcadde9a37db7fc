"""The roofline on engines whose arithmetic fits in the head."""

from dataclasses import replace

import numpy as np
import pytest

from edgewright.hwmodels import Bus, Device, Efficiency, Engine, Pool, UnknownFigure, Work, price
from edgewright.hwmodels.efficiency import DEFAULTS, default_efficiency
from edgewright.hwmodels.energy import with_envelope
from edgewright.hwmodels.roofline import FALLBACKS, peak_of
from edgewright.hwmodels.work import KERNELS

FLAT = {kernel: Efficiency(0.5, 0.8) for kernel in KERNELS}


def board(**changes: object) -> Device:
    """10 TFLOP/s fp16 and 100 GB/s; reaches half of the one and 80 % of the other."""
    figures = {"kind": "gpu", "peaks": {"fp32": 1e12, "fp16": 10e12}, "bus": "dram", "efficiency": FLAT, "launch_overhead": 1e-5}
    engine = Engine(name="gpu", **(figures | changes))
    memory = ({"dram": Bus("dram", 100e9)}, {"ram": Pool("ram", 8e9, "dram")})
    return with_envelope(Device("b", "B", "gpu_integrated", {"gpu": engine}, *memory, 5, 30))


def test_memory_bound() -> None:
    cost = price(Work.of("gemv", "fp16", 1e9, weights=80e6), board())
    assert cost.compute_seconds == pytest.approx(1e9 / 5e12)  # 0.2 ms
    assert cost.memory_seconds == pytest.approx(80e6 / 80e9)  # 1 ms
    assert cost.overhead_seconds == pytest.approx(1e-5)
    assert cost.seconds == pytest.approx(1e-3 + 1e-5)
    assert cost.bus_bytes == 80e6
    assert cost.bound() == "memory"


def test_compute_bound_and_terms_add() -> None:
    slow = Work.of("gemm", "fp16", 50e9, weights=8e6)  # 10 ms against 0.1 ms
    fast = Work.of("gemv", "fp16", 1e9, weights=80e6)  # 0.2 ms against 1 ms
    cost = price(slow + fast, board(launch_overhead=0.0))
    assert cost.seconds == pytest.approx(11e-3)
    assert cost.bound() == "compute"


def test_overhead_bound() -> None:
    assert price(Work.of("copy", "fp16", 0.0, activations=8.0, launches=100), board()).bound() == "overhead"


def test_small_launches_are_less_efficient() -> None:
    ramp = {"gemm": Efficiency(0.5, 0.8, ramp=1e-4)}
    device = board(efficiency=ramp, launch_overhead=0.0)
    one = price(Work.of("gemm", "fp16", 1e9), device)  # 0.2 ms and one ramp
    hundred = price(Work.of("gemm", "fp16", 1e9, launches=100), device)
    assert one.seconds == pytest.approx(0.2e-3 + 0.1e-3)
    assert hundred.seconds == pytest.approx(0.2e-3 + 100 * 0.1e-3)


def test_activations_that_fit_are_served_by_the_cache() -> None:
    device = board(cache_bytes=1e6, cache_bandwidth=400e9, launch_overhead=0.0)
    fits = price(Work.of("elementwise", "fp16", 0.0, activations=1e6), device)
    spills = price(Work.of("elementwise", "fp16", 0.0, activations=1.1e6), device)
    split = price(Work.of("elementwise", "fp16", 0.0, activations=1.1e6, launches=2), device)
    assert (fits.bus_bytes, fits.seconds) == (0.0, pytest.approx(1e6 / 400e9))
    assert (spills.bus_bytes, spills.seconds) == (1.1e6, pytest.approx(1.1e6 / 80e9))
    assert split.bus_bytes == 0.0


def test_weights_and_kv_always_cross_the_bus() -> None:
    device = board(cache_bytes=1e9, cache_bandwidth=400e9)
    assert price(Work.of("gemv", "fp16", 0.0, weights=10.0, kv=5.0, activations=3.0), device).bus_bytes == 15.0


def test_a_cache_of_unknown_bandwidth_serves_nothing() -> None:
    cost = price(Work.of("elementwise", "fp16", 0.0, activations=10.0), board(cache_bytes=1e6))
    assert cost.bus_bytes == 10.0
    assert cost.cache_seconds == 0.0


def test_clock_slows_compute_and_not_memory() -> None:
    device = board(launch_overhead=1e-5)
    compute, memory = Work.of("gemm", "fp16", 50e9), Work.of("gemv", "fp16", 0.0, weights=80e6)
    assert price(compute, device, clock=0.5).fluid_seconds == pytest.approx(2 * price(compute, device).fluid_seconds)
    assert price(memory, device, clock=0.5).seconds == price(memory, device).seconds


def test_launch_overhead_goes_with_the_clock_of_a_cpu() -> None:
    work = Work.of("gemm", "fp16", 0.0)
    assert price(work, board(kind="cpu"), clock=0.5).overhead_seconds == pytest.approx(2e-5)
    assert price(work, board(kind="gpu"), clock=0.5).overhead_seconds == pytest.approx(1e-5)


def test_dynamic_energy_by_part() -> None:
    device = board(
        joules_per_flop={"fp16": 1e-12},
        joules_per_byte=1e-10,
        joules_per_cache_byte=1e-11,
        cache_bytes=1e6,
        cache_bandwidth=1e12,
        clock_max=1e9,
        clock_min=0.5e9,
        voltage_floor=0.8,
    )
    work = Work.of("gemm", "fp16", 1e9, weights=1e6, activations=1e3)
    assert price(work, device).joules == pytest.approx({"compute": 1e-3, "dram": 1e-4, "cache": 1.001e6 * 1e-11})
    at_floor = price(work, device, clock=0.5)  # V = 0.8: energy per operation falls to 0.64
    assert at_floor.joules == pytest.approx({"compute": 0.64e-3, "dram": 1e-4, "cache": 0.64 * 1.001e6 * 1e-11})
    assert at_floor.total_joules == pytest.approx(sum(at_floor.joules.values()))


@pytest.mark.parametrize(
    ("dtype", "peaks", "used"),
    [
        ("fp8", {"fp16": 2.0, "fp32": 1.0}, "fp16"),
        ("fp8", {"bf16": 2.0, "fp32": 1.0}, "bf16"),
        ("bf16", {"fp16": 2.0, "fp32": 1.0}, "fp32"),
        ("int4", {"int8": 4.0, "fp16": 2.0}, "int8"),
        ("int4", {"fp16": 2.0}, "fp16"),
        ("int8", {"fp32": 1.0}, "fp32"),
        ("int8", {"int8": 3.0, "fp32": 1.0}, "int8"),
    ],
)
def test_a_format_without_peak_is_computed_in_a_wider_one(dtype: str, peaks: dict[str, float], used: str) -> None:
    assert peak_of(Engine("e", "gpu", peaks, "dram"), dtype) == (used, peaks[used])


def test_fallbacks_lead_to_formats_that_are_known() -> None:
    assert all(wider in FALLBACKS for chain in FALLBACKS.values() for wider in chain)


def test_what_cannot_be_computed_is_refused() -> None:
    npu = board(peaks={"int8": 1e12})
    with pytest.raises(ValueError, match="computes neither 'fp16' nor a wider format: it has int8"):
        price(Work.of("gemm", "fp16", 1.0), npu)
    with pytest.raises(ValueError, match="has no engine 'dla': it has gpu"):
        price(Work(), board(), "dla")
    with pytest.raises(ValueError, match="unknown kernel class 'gem'"):
        price(Work.of("gem", "fp16", 1.0), board(efficiency={}))
    for clock in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="not in"):
            price(Work(), board(), clock=clock)


def test_arrays_price_elementwise() -> None:
    device = board(cache_bytes=1e6, cache_bandwidth=400e9)
    activations = np.array([1e3, 1e6, 1e7])
    flops = np.array([0.0, 1e12, 1e3])
    together = price(Work.of("gemm", "fp16", flops, weights=1e6, activations=activations), device)
    for index in range(3):
        alone = price(Work.of("gemm", "fp16", float(flops[index]), weights=1e6, activations=float(activations[index])), device)
        assert together.seconds[index] == alone.seconds
        assert together.bus_bytes[index] == alone.bus_bytes
        assert together.bound()[index] == alone.bound()


def test_nothing_costs_nothing() -> None:
    assert price(Work(), board()).seconds == 0.0


STATED = {"joules_per_flop": {"fp16": 1e-12}, "joules_per_byte": 1e-10, "joules_per_cache_byte": 1e-11, "cache_bandwidth": 1e12}


@pytest.mark.parametrize(
    ("unknown", "figure"),
    [
        ({"joules_per_flop": {"fp32": 1e-12}}, "joules_per_flop.fp16"),
        ({"joules_per_byte": None}, "joules_per_byte"),
        ({"joules_per_cache_byte": None}, "joules_per_cache_byte"),
    ],
)
def test_energy_that_nobody_stated_is_not_zero(unknown: dict[str, object], figure: str) -> None:
    device = board()
    bare = Engine(name="gpu", kind="gpu", peaks={"fp16": 1e13}, bus="dram", **(STATED | unknown))  # type: ignore[arg-type]
    with pytest.raises(UnknownFigure, match=f"^{figure} of engine 'gpu' is unknown: state it, or derive it with"):
        price(Work.of("gemm", "fp16", 1.0), replace(device, engines={"gpu": bare}))
    known = with_envelope(replace(device, engines={"gpu": bare}))
    assert price(Work.of("gemm", "fp16", 1.0, weights=1.0), known).total_joules > 0


def test_zeros_that_are_stated_are_zeros() -> None:
    free = {"joules_per_flop": {"fp16": 0.0, "fp32": 0.0}, "joules_per_byte": 0.0, "joules_per_cache_byte": 0.0, "cache_bandwidth": 1e12}
    assert price(Work.of("gemm", "fp16", 1e9, weights=1e6), board(**free)).total_joules == 0.0


def test_every_kind_knows_every_kernel_class() -> None:
    for kind, table in DEFAULTS.items():
        assert set(table) == set(KERNELS), kind
        assert all(0 < each.compute <= 1 and 0 < each.memory <= 1 and each.ramp >= 0 for each in table.values())
    assert default_efficiency("abacus", "gemm") == default_efficiency("cpu", "gemm")
