"""Acid test of the shape: tensor parallelism with a weight loader that runs ahead across tokens through a bounded window (TPI-LLM)."""

import pytest

from edgewright.hwmodels import Attachment, Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link, ideal_storage
from edgewright.policies.plan import Alloc, Collective, Compute, Free, Load, Mark, Signal, Transfer, Wait, loop, par, seq
from edgewright.policies.pricing import demand_of
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step

BLOCKS = ("attention", "ffn")


def cluster(read: float) -> Cluster:
    """Two devices of 10 FLOP/s on a 10 B/s link without latency, each with a disk."""
    device = ideal_device(flops=10.0)
    return Cluster(
        {"a": device, "b": device},
        (),
        (Connection("lan", ("a", "b"), ideal_link(10.0)),),
        tuple(Attachment("disk", name, ideal_storage(read)) for name in "ab"),
    )


def plan(window: bool = True):
    """Per block: read 10 B, compute 10 FLOP (1 s), all-reduce 10 B (star: 1 s there, 1 s back = 2 s)."""
    work = Work.of("gemm", "fp32", 10.0)
    loaders = [
        seq(*(seq(Alloc(f"window.{d}", 1), Load(d, 10.0, name=f"load {d} {b}"), Signal(f"ready.{d}")) for b in BLOCKS)) for d in "ab"
    ]
    steps = [
        seq(
            par(*(seq(Wait(f"ready.{d}"), Compute(d, work, name=f"compute {d} {b}")) for d in "ab")),
            Collective("allreduce", ("a", "b"), 10.0, "star", name=f"allreduce {b}"),
            *(Free(f"window.{d}", 1) for d in "ab"),
        )
        for b in BLOCKS
    ]
    return loop(par(*loaders, seq(*steps, Mark())), overlap=True)


POOLS = {"window.a": 2, "window.b": 2}


def test_fast_disks_hide_behind_compute_and_all_reduce():
    """Reads of 0.1 s: only the first is seen. Token n ends at 0.1 + n * 2 * (1 + 2) seconds."""
    trace = run_plan(plan(), cluster(read=100.0), steps=3, pools=POOLS)
    assert trace.tokens == pytest.approx([6.1, 12.1, 18.1], rel=1e-12)


def test_the_loader_runs_ahead_across_the_token():
    """The first block of token 2 is read as soon as a slot is free, at 3.1 s, before token 1 ends at 6.1 s."""
    trace = run_plan(plan(), cluster(read=100.0), steps=2, pools=POOLS)
    assert trace.times("load a attention")[1] == pytest.approx((3.1, 3.2))


def test_slow_disks_bind():
    """Reads of 10 s, one after another on each disk: block k is there at 10 k s; the last block's compute and all-reduce follow."""
    trace = run_plan(plan(), cluster(read=1.0), steps=2, pools=POOLS)
    assert trace.tokens == pytest.approx([23.0, 43.0], rel=1e-12)


def test_the_window_bounds_what_is_in_memory():
    """A window of one block: read (0.1 s), compute and all-reduce (3 s) strictly alternate."""
    trace = run_plan(plan(), cluster(read=100.0), steps=2, pools=dict.fromkeys(POOLS, 1))
    assert trace.tokens == pytest.approx([6.2, 12.4], rel=1e-12)


def test_a_competing_flow_stretches_the_phase_it_meets():
    """30 B from a to b start at 1.1 s. The all-reduce is on its way from b to a until 2.1 s, and undisturbed.

    Back from a to b it shares: 10 B at 5 B/s take 2 s instead of 1. The rival has moved 10 B by then and 10 B more by 4.1 s; its
    last 10 B meet nobody until the next all-reduce comes back, from 6.1 s on: they are through at 5.1 s.
    """
    rival = Transfer("a", "b", 30.0)
    ended = []

    def compete(machine):
        machine.run(lambda: demand_of(rival, machine.cluster, Step(), machine.clocks), lambda _: ended.append(machine.env.now))

    trace = run_plan(plan(), cluster(read=100.0), steps=1, pools=POOLS, events=[(1.1, compete)])
    assert trace.times("allreduce attention:0") == [pytest.approx((1.1, 2.1))]
    assert trace.times("allreduce attention") == [pytest.approx((2.1, 4.1))]
    assert ended == [pytest.approx(5.1)]
    assert trace.tokens == pytest.approx([4.1 + 1.0 + 2.0])
    assert sum(t.sent for t in trace.machine.traffic.values()) == pytest.approx(30.0 + 2 * 20.0)


def test_a_clock_change_halfway_keeps_the_fraction_done():
    """At 0.6 s device a is half through its first block's 1 s; at half the clock the rest takes 1 s instead of 0.5 s: 1.6 s."""
    trace = run_plan(plan(), cluster(read=100.0), steps=1, pools=POOLS, events=[(0.6, lambda m: m.set_clock("a.cpu", 0.5))])
    assert trace.times("compute a attention") == [pytest.approx((0.1, 1.6))]
    assert trace.times("compute b attention") == [pytest.approx((0.1, 1.1))]
    assert trace.tokens == pytest.approx([0.1 + 1.5 + 2.0 + 2.0 + 2.0])
