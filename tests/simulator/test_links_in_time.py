"""Links and collectives in a run: stations of a medium, half duplex, and stages that meet other traffic."""

from dataclasses import replace

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import PlanError, compile_plan
from edgewright.policies.plan import Collective, Mark, Transfer, par, seq
from edgewright.policies.timeline import makespan
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step


def wireless(*rates):
    """Stations of these rates, in bytes per second, on one access point."""
    names = [f"s{index}" for index in range(len(rates))]
    links = (
        Connection(f"w{index}", (name, "ap"), ideal_link(rate, duplex="shared"), "air")
        for index, (name, rate) in enumerate(zip(names, rates, strict=True))
    )
    return Cluster(dict.fromkeys(names, ideal_device()), ("ap",), tuple(links))


def ends(trace, *names):
    return [trace.times(name)[0][1] for name in names]


def test_a_slow_station_slows_the_fast_ones_to_its_pace():
    """The performance anomaly of 802.11b: stations of 11 and 1 units of rate get 1 / (1/11 + 1/1) = 11/12 of a unit each."""
    trace = run_plan(par(Transfer("s0", "ap", 11.0, name="fast"), Transfer("s1", "ap", 11.0, name="slow")), wireless(11.0, 1.0))
    assert ends(trace, "fast", "slow") == pytest.approx([12.0, 12.0])


def test_one_station_fails_or_slows_without_the_others():
    """Alone, 10 bytes/s each; one gets a tenth of its airtime, then none at all, and the other has what it leaves."""
    cluster = wireless(10.0, 10.0)
    plan = par(Transfer("s0", "ap", 10.0, name="weak"), Transfer("s1", "ap", 90.0, name="well"))
    weak = run_plan(plan, cluster, events=[(0.0, lambda machine: machine.derate("w0", "fault", 0.1))])
    assert ends(weak, "weak", "well") == pytest.approx([10.0, 10.0])
    dead = run_plan(plan, cluster, events=[(0.0, lambda machine: machine.derate("w0", "fault", 0.0))], until=100.0)
    assert (dead.times("weak"), ends(dead, "well")) == ([], pytest.approx([9.0]))


def test_half_duplex_is_shared_by_both_ways():
    cluster = Cluster(dict.fromkeys("ab", ideal_device()), (), (Connection("usb", ("a", "b"), ideal_link(10.0, duplex="half")),))
    trace = run_plan(par(Transfer("a", "b", 10.0, name="there"), Transfer("b", "a", 10.0, name="back")), cluster)
    assert ends(trace, "there", "back") == pytest.approx([2.0, 2.0])


def test_a_flow_that_loss_bounds_leaves_the_rest_to_others():
    """A window of 1 byte on a round trip of 0.25 s is 4 bytes/s, 10 s for 40; the other flow has 6 bytes/s of the 10."""
    narrow = Connection("x", ("a", "sw"), replace(ideal_link(10.0, 0.125), window=1.0))
    cluster = Cluster(
        dict.fromkeys("abc", ideal_device()),
        ("sw",),
        (narrow, Connection("y", ("b", "sw"), ideal_link(10.0, 0.125)), Connection("z", ("sw", "c"), ideal_link(10.0))),
    )
    trace = run_plan(par(Transfer("a", "c", 40.0, name="bound"), Transfer("b", "c", 60.0, name="free")), cluster)
    assert ends(trace, "bound", "free") == pytest.approx([10.125, 10.125])


def switched(ranks, rate=10.0):
    names = [f"d{rank}" for rank in range(ranks)]
    links = tuple(Connection(f"e{name}", (name, "sw"), ideal_link(rate)) for name in names)
    return Cluster(dict.fromkeys(names, ideal_device(flops=5.0, bandwidth=1e9)), ("sw",), links)


def test_a_tree_meets_a_rival_in_the_stage_that_shares_its_link_and_in_no_other():
    """Broadcast of 10 bytes over four: 0 to 1 takes 1 s, then 0 to 2 and 1 to 3 one more. A rival on the port of 1 (10 bytes, from 1 s on)
    shares it in the second stage only: both take 2 s. One coupled demand would have used half of the port for 2 s."""
    cluster = switched(4)
    tree = Collective("broadcast", ("d0", "d1", "d2", "d3"), 10.0, "tree", name="tree")
    alone = run_plan(tree, cluster)
    assert alone.times("tree:0") + alone.times("tree") == [pytest.approx((0.0, 1.0)), pytest.approx((1.0, 2.0))]
    ended = []
    rival = cluster.transfer("d1", "sw", 10.0)
    met = run_plan(tree, cluster, events=[(1.0, lambda machine: machine.run(lambda: rival, lambda _: ended.append(machine.env.now)))])
    assert met.times("tree") == [pytest.approx((1.0, 3.0))]
    assert ended == pytest.approx([3.0])


def test_a_derated_link_slows_the_stage_that_uses_it():
    cluster = switched(4)
    tree = Collective("broadcast", ("d0", "d1", "d2", "d3"), 10.0, "tree", name="tree")
    trace = run_plan(tree, cluster, events=[(0.0, lambda machine: machine.derate("ed1>", "fault", 0.5))])
    assert trace.times("tree") == [pytest.approx((1.0, 3.0))]


@pytest.mark.parametrize(
    ("kind", "algorithm", "added"),
    [
        ("allreduce", "ring", 10.0 * 3 / 4),
        ("allreduce", "star", 30.0),
        ("allreduce", "recursive_doubling", 20.0),
        ("broadcast", "ring", 0.0),
    ],
)
def test_additions_are_work_of_the_devices(kind, algorithm, added):
    """Buffers of 10 bytes, 4 bytes an element, 5 additions per second: a device that receives and adds x bytes computes x / 20 s.

    Recursive doubling adds after each of its two exchanges; a star's root adds all.
    """
    cluster, devices = switched(4), ("d0", "d1", "d2", "d3")
    free, priced = (Collective(kind, devices, 10.0, algorithm, arithmetic=dtype) for dtype in (None, "fp32"))
    assert makespan(priced, cluster, Step()) == pytest.approx(makespan(free, cluster, Step()) + added / 20.0)
    trace = run_plan(priced, cluster)
    assert trace.machine.engines["d0.cpu"].busy_s == pytest.approx(added / 20.0)


def test_amounts_that_depend_on_the_step_reach_the_additions():
    plan = Collective("reduce", ("d0", "d1"), lambda step: 10.0 * step.items, "star", arithmetic="fp32")
    assert makespan(plan, switched(2), Step(items=2)) == pytest.approx(2.0 + 1.0)


def test_a_collective_of_one_device_takes_no_time():
    assert makespan(seq(Collective("allreduce", ("d0",), 10.0, "tree"), Mark()), switched(2), Step()) == 0.0


def test_only_the_last_stage_keeps_the_name_and_reveals():
    plan = Collective("allreduce", ("d0", "d1", "d2"), 8.0, "star", name="sum", reveals="done")
    (strand,) = compile_plan(plan).strands
    assert [(op.name, op.reveals) for op in strand.ops if isinstance(op, Collective)] == [("sum:0", None), ("sum", "done")]


@pytest.mark.parametrize(
    ("match", "figures"),
    [
        ("unknown algorithm 'mesh'", {"algorithm": "mesh"}),
        ("needs groups", {"algorithm": "hierarchical"}),
        ("unknown number format 'fp7'", {"arithmetic": "fp7"}),
    ],
)
def test_collectives_that_there_are_not_are_refused_with_the_plan(match, figures):
    with pytest.raises(PlanError, match=f"Collective 'sum'.*{match}"):
        compile_plan(Collective("allreduce", ("a", "b"), 1.0, name="sum", **figures))
