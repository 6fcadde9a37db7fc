"""Acid test of the shape: early exit whose upload outlives the token, and a cloud with a queue of its own (CE-CoLLM)."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edgewright.hwmodels import Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import compile_plan
from edgewright.policies.families import Script
from edgewright.policies.plan import Call, Compute, Detach, Mark, Signal, Transfer, Wait, seq
from edgewright.policies.pricing import demand_of
from edgewright.policies.timeline import makespan
from edgewright.simulator.interpreter import Execution, Scope
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step

CLUSTER = Cluster({"edge": ideal_device(10.0), "cloud": ideal_device(100.0)}, (), (Connection("wan", ("edge", "cloud"), ideal_link(10.0)),))
"""The hidden state, 50 B, takes 5 s up; the early layers 1 s, the later ones 2 s on the edge, the cloud's 3 s."""

EARLY, LATE, CLOUD = (Work.of("gemm", "fp32", flop) for flop in (10.0, 20.0, 300.0))


@dataclass
class EarlyExit:
    """Each token's state goes up in any case; the cloud is asked only if both exits are unsure, and needs all states up to then."""

    pending: int = 0

    def step(self, step: Step) -> Script:
        self.pending += 1
        upload = Detach(seq(Transfer("edge", "cloud", 50.0, name="upload"), Signal("uploaded")), "upload")
        outcome = yield seq(Compute("edge", EARLY, name="early", reveals="first exit"), upload)
        if not outcome.revealed["first exit"]:
            outcome = yield Compute("edge", LATE, name="late", reveals="second exit")
            if not outcome.revealed["second exit"]:
                waiting, self.pending = self.pending, 0
                yield seq(Wait("uploaded", waiting), Call("cloud"), Transfer("cloud", "edge", 1.0, name="answer"))
        yield Mark()


class Cloud:
    """A service: one device, first come, first served."""

    def __init__(self) -> None:
        self.served: list[float] = []

    def __call__(self, service, overrides, done) -> None:
        strand = compile_plan(Compute("cloud", CLOUD, name="cloud")).strands[0]
        scope = Scope(self.machine, service)

        def ended(_: Execution) -> None:
            self.served.append(self.machine.env.now)
            done({"token": 7})

        Execution(scope, strand, Step(), on_end=ended).begin()


def run(answers: Iterator[bool], steps: int, events=()):
    """Run with the exits answering in this order."""
    from edgewright.simulator.machine import Machine

    cloud, machine = Cloud(), Machine(CLUSTER)
    cloud.machine = machine
    trace = run_plan(EarlyExit(), CLUSTER, steps=steps, outcomes=lambda _: next(answers), call=cloud, events=events, machine=machine)
    return trace, cloud


def test_an_upload_outlives_its_token():
    """Both tokens leave at the first exit, at 1 and 2 s. Their uploads share the link: 1 to 2 s alone (10 B), then 5 B/s each;
    the first has 40 B left: until 10 s; then the second has 10 B left: until 11 s."""
    trace, _ = run(iter([True, True]), 2)
    assert trace.tokens == pytest.approx([1.0, 2.0])
    assert trace.times("upload") == [pytest.approx((1.0, 10.0)), pytest.approx((2.0, 11.0))]


def test_the_cloud_waits_for_every_state():
    """Token 1 exits at 1 s; token 2 is unsure twice, at 4 s. Both states are up at 11 s; cloud done: 14 s, answer: 14.1 s."""
    trace, cloud = run(iter([True, False, False]), 2)
    assert cloud.served == [pytest.approx(14.0)]
    assert trace.tokens == pytest.approx([1.0, 14.1])


def test_the_cloud_has_a_queue_of_its_own():
    """Unsure at 3 s; the state is up at 6 s. Another customer's 600 FLOP hold the cloud from 5 to 11 s: done at 14 s, answer at 14.1 s."""
    other = Compute("cloud", Work.of("gemm", "fp32", 600.0))
    events = [(5.0, lambda m: m.run(lambda: demand_of(other, m.cluster, Step(), m.clocks), lambda _: None))]
    trace, cloud = run(iter([False, False]), 1, events)
    assert cloud.served == [pytest.approx(14.0)]
    assert trace.tokens == pytest.approx([14.1])


def test_a_clock_change_halfway_delays_the_cloud():
    """The cloud computes from 6 to 9 s; at 7.5 s its clock halves: done at 10.5 s."""
    _, cloud = run(iter([False, False]), 1, [(7.5, lambda m: m.set_clock("cloud.cpu", 0.5))])
    assert cloud.served == [pytest.approx(10.5)]


def test_a_script_agrees_with_its_makespan():
    """Exits at the second: 1 + 2 s, with the same outcomes for both."""
    answers = {"first exit": False, "second exit": True}
    trace, _ = run(iter([False, True]), 1)
    assert trace.tokens == pytest.approx([makespan(EarlyExit(), CLUSTER, Step(), answers.__getitem__)], rel=1e-12)
