"""Acid test of the shape: a pipeline of uneven stages over micro-batches, the token fed back to the first stage."""

import pytest

from edgewright.hwmodels import Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Compute, Mark, Prev, Transfer, loop, par, seq
from edgewright.policies.pricing import demand_of
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step

CLUSTER = Cluster(
    {"a": ideal_device(10.0), "b": ideal_device(10.0), "c": ideal_device(10.0)},
    (),
    (
        Connection("ab", ("a", "b"), ideal_link(10.0)),
        Connection("bc", ("b", "c"), ideal_link(10.0)),
        Connection("ca", ("c", "a"), ideal_link(10.0)),
    ),
)
"""Stages a, b, c; the token returns over a link of its own."""

STAGES = {"a": 10.0, "b": 30.0, "c": 20.0}
"""FLOP per micro-batch: 1 s, 3 s, 2 s. Activations of 5 B take 0.5 s on a link, a token of 1 B 0.1 s."""


def micro_batch(number: int):
    """One micro-batch through the stages and back; as a strand of its own it waits for its own token before it starts again."""
    a, b, c = (Compute(d, Work.of("gemm", "fp32", flop), name=f"{d}{number}") for d, flop in STAGES.items())
    return seq(a, Transfer("a", "b", 5.0), b, Transfer("b", "c", 5.0), c, Transfer("c", "a", 1.0), Mark())


def pipeline(count: int):
    """A loop of so many micro-batches in flight."""
    return loop(par(*(micro_batch(number) for number in range(count))), overlap=True)


def test_one_micro_batch_takes_the_sum():
    """1 + 0.5 + 3 + 0.5 + 2 + 0.1 = 7.1 s for each token."""
    assert run_plan(pipeline(1), CLUSTER, steps=2).tokens == pytest.approx([7.1, 14.2])


def test_micro_batches_fill_the_pipeline_and_the_slowest_stage_binds():
    """Stage b (3 s) serves micro-batches at 1.5, 4.5, 7.5 s; the last one's token is back at 7.5 + 3 + 0.5 + 2 + 0.1 = 13.1 s."""
    trace = run_plan(pipeline(3), CLUSTER, steps=1)
    assert [trace.times(f"b{number}")[0][0] for number in range(3)] == pytest.approx([1.5, 4.5, 7.5])
    assert trace.tokens == pytest.approx([13.1])


def test_iterations_overlap_where_lags_allow():
    """The feedback edge as a lag: stage a of iteration n waits for the token of n - 1, so each takes 7.1 s; nothing else holds it."""
    a, b, c = (Compute(d, Work.of("gemm", "fp32", flop), name=d) for d, flop in STAGES.items())
    a = Compute("a", a.work, name="a", after=(Prev("back", lag=1),))
    plan = loop(seq(a, Mark(), Transfer("a", "b", 5.0), b, Transfer("b", "c", 5.0), c, Transfer("c", "a", 1.0, name="back")))
    trace = run_plan(plan, CLUSTER, steps=3)
    assert [start for start, _ in trace.times("a")] == pytest.approx([0.0, 7.1, 14.2])


def test_a_lag_of_two_keeps_two_iterations_in_flight():
    """Stage a of iteration n waits for the token of n - 2. Iterations 0 and 1 start at 0 and 1 s; b is
    0's until 4.5 s, then 1's until 7.5 s.

    Token 0 is back at 7.1 s: iteration 2 starts then. Token 1 is back at 7.5 + 0.5 + 2 + 0.1 = 10.1 s: iteration 3 starts then.
    """
    a, b, c = (Compute(d, Work.of("gemm", "fp32", flop), name=d) for d, flop in STAGES.items())
    a = Compute("a", a.work, name="a", after=(Prev("back", lag=2),))
    plan = loop(seq(a, Mark(), Transfer("a", "b", 5.0), b, Transfer("b", "c", 5.0), c, Transfer("c", "a", 1.0, name="back")))
    trace = run_plan(plan, CLUSTER, steps=4)
    assert [start for start, _ in trace.times("a")] == pytest.approx([0.0, 1.0, 7.1, 10.1])


def test_a_competing_flow_delays_only_the_link_it_shares():
    """20 B from a to b from the start: the activation of 5 B at 1 s gets 5 B/s and takes 1 s. Token: 7.1 + 0.5 s."""
    rival = Transfer("a", "b", 20.0)
    events = [(0.0, lambda m: m.run(lambda: demand_of(rival, m.cluster, Step(), m.clocks), lambda _: None))]
    assert run_plan(pipeline(1), CLUSTER, steps=1, events=events).tokens == pytest.approx([7.6])


def test_a_clock_change_halfway_stretches_the_stage_it_meets():
    """Stage b runs from 1.5 to 4.5 s; at 3.0 s its clock halves: the second half of its work takes 3 s. Token: 7.1 + 1.5 s."""
    trace = run_plan(pipeline(1), CLUSTER, steps=1, events=[(3.0, lambda m: m.set_clock("b.cpu", 0.5))])
    assert trace.tokens == pytest.approx([8.6])
