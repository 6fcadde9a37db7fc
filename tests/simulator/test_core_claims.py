"""Stretches claim what they use: they begin only where all of it is free, and go back to operation by operation once anybody comes."""

from dataclasses import dataclass

import numpy as np
import pytest

from edgewright.hwmodels import Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Compute, Mark, Transfer, loop, par, seq
from edgewright.simulator.machine import Machine
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Attended, Step


def pair(latency=0.0, mtu=0.0, joules_per_byte=0.0):
    """Two devices of 1 FLOP/s, the link between them 10 B/s each way."""
    link = ideal_link(10.0, latency, mtu=mtu, joules_per_byte=joules_per_byte)
    return Cluster({"a": ideal_device(1.0), "b": ideal_device(1.0)}, (), (Connection("l", ("a", "b"), link),))


def flop(count):
    return Work.of("gemm", "fp32", count)


@dataclass(frozen=True)
class Contexts:
    """So many FLOP as there are cached tokens."""

    def __call__(self, step):
        return flop(step.full.context)


def foreign(machine, nbytes):
    """Somebody else sends from a to b; returns where its end will be noted."""
    ends = []
    machine.run(lambda: machine.cluster.transfer("a", "b", nbytes), lambda _: ends.append(machine.env.now))
    return ends


def test_a_link_that_is_in_use_cannot_be_claimed(jump):
    """Messages up to 100 B are latency alone and leave the link to others; 200 B flow over it, and must share."""
    machine = Machine(pair(mtu=100.0))
    foreign(machine, 1000.0)
    machine.env.run(until=1.0)
    assert jump(machine, seq(Transfer("a", "b", 50.0)))[0].possible()
    assert not jump(machine, seq(Transfer("a", "b", 200.0)))[0].possible()


def test_no_link_of_a_tensor_parallel_ring_carries_more_than_it_can(boards):
    """Four jobs over three boards, and from 1 ms on a foreign flow of 5 GB over one of their links. With two jobs and more in the batch
    the all-reduces are flows: they share the link, which is full at last but not more. Jumped over or not, the run is the same."""
    runs = []
    for jumping in (True, False):
        simulation = boards(3, {"partitioning": {"policy": "tensor_parallel"}}, {"process": "closed", "users": 4}, output=100)
        replica, machine = simulation.replicas["chat.only"], simulation.machine
        replica.strand = replica.strand if jumping else None
        machine.at(0.001, lambda machine=machine: machine.run(lambda: machine.cluster.transfer("pi0", "switch", 5e9), lambda _: None))
        simulation.run_until(4.0)
        lan0 = machine.resources["lan0>"]
        assert 0.9 * lan0.capacity * 4.0 < lan0.moved <= lan0.capacity * 4.0
        jobs = simulation.recorder.tables(simulation.now)["jobs"]
        runs.append([lan0.moved, *zip(jobs["output_tokens"], jobs["first_token_s"], strict=True)])
    assert runs[0][1:] == [(generated, pytest.approx(first, rel=1e-9, nan_ok=True)) for generated, first in runs[1][1:]]
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-9)


def test_a_flow_that_ends_its_latency_cuts_a_claim(jump):
    """100 B after 1 s of latency, begun at 0 and, jumped over, at 0.5 s. The first has moved 5 B when the second starts to flow at 1.5 s;
    from then on 5 B/s each: 95 B last until 20.5 s, and the 5 B that the second then lacks until 21 s."""
    machine = Machine(pair(latency=1.0))
    ends = foreign(machine, 100.0)
    machine.env.run(until=0.5)
    stretch, tokens = jump(machine, seq(Transfer("a", "b", 100.0)))
    assert stretch.possible()
    stretch.begin()
    machine.env.run()
    machine.settle()
    assert (ends, tokens) == (pytest.approx([20.5]), pytest.approx([21.0]))
    assert machine.resources["l>"].moved == pytest.approx(200.0)
    assert machine.resources["l>"].busy_s == pytest.approx(20.0)


@pytest.mark.parametrize("cut", [1.5, 2.0, 2.5])
def test_a_message_cut_at_its_very_end_is_accounted_once(jump, cut):
    """10 B at 1 J/B, all latency: 1 + 10/10 = 2 s; then 2 s of computing, which the foreign 1 s at its cut, on the same engine, follows:
    or, before 2 s, precedes."""
    machine = Machine(pair(latency=1.0, mtu=100.0, joules_per_byte=1.0))
    stretch, tokens = jump(machine, seq(Transfer("a", "b", 10.0), Compute("a", flop(2.0))))
    stretch.begin()
    machine.at(cut, lambda: machine.run(lambda: machine.cluster.compute("a", flop(1.0)), lambda _: None))
    machine.env.run()
    assert machine.traffic_of("l>").sent == machine.traffic_of("l>").received == pytest.approx(10.0)
    assert machine.joules()["l", "dynamic"] == pytest.approx(10.0)
    assert tokens == pytest.approx([4.5 if cut == 1.5 else 4.0])
    assert machine.engines["a.cpu"].busy_s == pytest.approx(3.0)


def test_a_stretch_ends_with_the_first_iteration_that_ends_at_its_time_or_later(jump):
    """1, 2, 3 and 4 s, to end by 2.5 s: two of them, at 1 and 3 s; read in the middle of the second, 2 s of the engine are accounted."""
    step = Step(decode=1, full=Attended(context=np.array([1.0, 2.0, 3.0, 4.0])))
    machine = Machine(pair())
    stretch, tokens = jump(machine, Compute("a", Contexts()), 4, step)
    stretch.stop_by(2.5)
    stretch.begin()
    machine.env.run(until=2.0)
    machine.settle()
    assert machine.engines["a.cpu"].busy_s == pytest.approx(2.0)
    machine.env.run()
    assert (machine.env.now, tokens, machine.engines["a.cpu"].busy_s) == (3.0, [1.0, 3.0], 3.0)
    assert machine.engines["a.cpu"].idle


def test_a_cut_iteration_keeps_its_strand_busy(jump):
    """Alone, a step is 2 s of computing beside 1.9 s of sending 19 B. From 0.5 s on a foreign flow takes half of the link: the first
    transfer, 14 B left, ends at 0.5 + 2.8 = 3.3 s, when the second step begins: its token at 5.3 s, its 19 B at 3.3 + 3.8 = 7.1 s; the
    third token at 9.1 s."""
    plan = loop(par(seq(Compute("a", flop(2.0)), Mark()), Transfer("a", "b", 19.0)))
    tokens = [2.0, 5.3, 9.1]
    assert run_plan(plan, pair(), steps=3, events=[(0.5, lambda machine: foreign(machine, 1000.0))]).tokens == pytest.approx(tokens)
    machine = Machine(pair())
    stretch, jumped = jump(machine, plan, 3)
    assert stretch.possible()
    stretch.begin()
    machine.at(0.5, lambda: foreign(machine, 1000.0))
    machine.env.run()
    assert jumped == pytest.approx(tokens)
