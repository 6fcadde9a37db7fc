"""Acid test of the shape: routed experts with predicted prefetch, cancelled when the router disagrees (EdgeMoE)."""

from dataclasses import dataclass

import pytest

from edgewright.hwmodels import Attachment, Cluster, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_storage
from edgewright.policies.families import Script
from edgewright.policies.plan import Cancel, Compute, Detach, Join, Load, Mark, par, race, seq
from edgewright.policies.pricing import demand_of
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step

CLUSTER = Cluster({"phone": ideal_device(10.0)}, (), (), (Attachment("flash", "phone", ideal_storage(10.0)),))
"""Attention and router 2 s, an expert 1 s; an expert's 40 B are read in 4 s."""

ATTENTION, EXPERT = Work.of("gemm", "fp32", 20.0), Work.of("gemm", "fp32", 10.0)


@dataclass(frozen=True)
class Prefetch:
    """Reads the predicted expert while attention runs; keeps reading if the router agrees, else cancels and reads the right one."""

    predicted: int

    def step(self, step: Step) -> Script:
        outcome = yield par(
            Compute("phone", ATTENTION, name="attention", reveals="route"),
            Detach(Load("phone", 40.0, name="prefetch"), "prefetch"),
        )
        if outcome.revealed["route"] == self.predicted:
            yield Join("prefetch")
        else:
            yield seq(Cancel("prefetch"), Load("phone", 40.0, name="on demand"))
        yield seq(Compute("phone", EXPERT, name="expert"), Mark())


def run(predicted: int, events=()):
    return run_plan(Prefetch(predicted), CLUSTER, outcomes=lambda _: 3, events=events)


def test_a_right_guess_hides_half_of_the_read():
    """Read 0 to 4 s beside attention 0 to 2 s, then the expert: 5 s."""
    assert run(3).tokens == pytest.approx([5.0])


def test_a_wrong_guess_is_cancelled_and_costs_nothing_more():
    """At 2 s half of the guess is read and dropped; the right expert is read from 2 to 6 s: 7 s."""
    trace = run(5)
    assert trace.tokens == pytest.approx([7.0])
    assert trace.cancelled == [("prefetch", pytest.approx(0.5))]
    assert trace.machine.resources["phone.flash.read"].moved == pytest.approx(20.0 + 40.0)


def test_a_competing_read_slows_the_prefetch():
    """Another 30 B from the start: 5 B/s each until 6 s; the guess's last 10 B are read by 7 s; the expert ends at 8 s."""
    rival = Load("phone", 30.0)
    trace = run(3, [(0.0, lambda m: m.run(lambda: demand_of(rival, m.cluster, Step(), m.clocks), lambda _: None))])
    assert trace.times("prefetch") == [pytest.approx((0.0, 7.0))]
    assert trace.tokens == pytest.approx([8.0])


def test_a_clock_change_halfway_moves_the_router_and_with_it_the_cancellation():
    """At 1 s the clock halves: attention ends at 3 s; three quarters of the guess are read by then. Right expert: 7 s, computed: 9 s."""
    trace = run(5, [(1.0, lambda m: m.set_clock("phone.cpu", 0.5))])
    assert trace.cancelled == [("prefetch", pytest.approx(0.75))]
    assert trace.tokens == pytest.approx([9.0])


def test_a_race_cancels_its_losers():
    """A read of 4 s against a computation of 2 s: the computation wins, half of the read is dropped."""
    trace = run_plan(seq(race(Load("phone", 40.0, name="read"), Compute("phone", ATTENTION)), Mark()), CLUSTER)
    assert trace.tokens == pytest.approx([2.0])
    assert trace.cancelled == [("read", pytest.approx(0.5))]
