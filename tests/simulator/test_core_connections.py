"""Messages over one connection arrive in turn, their latencies overlapping; over connections of their own they share the link."""

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import compile_plan
from edgewright.policies.plan import Delay, Transfer, par, race, seq
from edgewright.simulator.interpreter import Execution, Scope
from edgewright.simulator.machine import Machine
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Step


def cluster_of(latency=1.0):
    link = ideal_link(bandwidth=100.0, latency=latency)
    return Cluster({"a": ideal_device(), "b": ideal_device()}, connections=(Connection("lan", ("a", "b"), link),))


def sent(name, nbytes, connection, src="a", dst="b"):
    return Transfer(src, dst, nbytes, connection, name=name)


def ends(plan):
    return {row.name: row.end for row in run_plan(plan, cluster_of()).operations if row.name}


def test_one_connection_keeps_the_order():
    """300 B and 100 B at 100 B/s after 1 s of latency each: 4 s and 5 s in turn; side by side the small one is there at 3 s."""
    assert ends(par(sent("large", 300.0, "tcp"), sent("small", 100.0, "tcp"))) == {"large": pytest.approx(4.0), "small": pytest.approx(5.0)}
    assert ends(par(sent("large", 300.0, None), sent("small", 100.0, None))) == {"small": pytest.approx(3.0), "large": pytest.approx(5.0)}


def test_latencies_overlap():
    """Ten messages of 10 B: one latency, then ten times 0.1 s."""
    assert max(ends(par(*(sent(f"m{index}", 10.0, "tcp") for index in range(10)))).values()) == pytest.approx(2.0)


def test_other_connections_and_the_way_back_do_not_wait():
    found = ends(par(sent("there", 100.0, "tcp"), sent("back", 100.0, "tcp", "b", "a"), sent("other", 100.0, "quic")))
    assert found == {"there": pytest.approx(3.0), "back": pytest.approx(2.0), "other": pytest.approx(3.0)}


def test_a_cancelled_message_makes_way():
    """The first loses a race after 2 s, with 100 of its 300 B sent: the second goes on from there, and its 100 B arrive at 3 s."""
    assert ends(par(race(sent("first", 300.0, "tcp"), Delay(2.0)), sent("second", 100.0, "tcp")))["second"] == pytest.approx(3.0)


def test_scopes_have_connections_of_their_own():
    machine, done = Machine(cluster_of()), []
    (strand,) = compile_plan(seq(sent("m", 100.0, "tcp"))).strands

    for name in ("one", "two"):
        Execution(Scope(machine, name), strand, Step(), None, lambda _: done.append(machine.env.now)).begin()
    machine.env.run()
    assert done == [pytest.approx(3.0), pytest.approx(3.0)]
