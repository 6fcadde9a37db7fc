"""Capacities that change in a run: a transfer over a link that slows, stops and recovers, and the same through a jumped-over stretch."""

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Transfer
from edgewright.policies.pricing import demand_of
from edgewright.simulator.availability import Availability, Cause
from edgewright.simulator.machine import Machine
from edgewright.simulator.signals import Signals
from edgewright.workloads import Step


def machine_of():
    link = ideal_link(bandwidth=100.0, latency=0.0)
    return Machine(Cluster({"a": ideal_device(), "b": ideal_device()}, connections=(Connection("lan", ("a", "b"), link),)))


def send(machine, nbytes, done):
    operation = Transfer("a", "b", nbytes)
    return machine.run(lambda: demand_of(operation, machine.cluster, Step(), machine.clocks), lambda _: done.append(machine.env.now))


def test_a_flow_follows_its_links_capacity():
    """1 s at 100 B/s, 2 s at half of it, 1 s at nothing, then the remaining 300 B at 100 B/s."""
    machine, done = machine_of(), []
    send(machine, 500.0, done)
    machine.at(1.0, lambda: machine.derate("lan>", "rain", 0.5))
    machine.at(3.0, lambda: machine.derate("lan>", "cut", 0.0))
    machine.at(4.0, lambda: machine.derate("lan>", "cut", 1.0))
    machine.at(4.0, lambda: machine.derate("lan>", "rain", 1.0))
    machine.env.run()
    assert done == [pytest.approx(7.0)]
    assert machine.resources["lan>"].moved == pytest.approx(500.0)
    assert machine.resources["lan>"].offered == pytest.approx(100.0 + 100.0 + 0.0 + 300.0)


def test_causes_multiply_and_leave_one_by_one():
    machine = machine_of()
    machine.derate("lan>", "rain", 0.5)
    machine.derate("lan>", "fog", 0.5)
    assert machine.capacities["lan>"] == 25.0
    machine.derate("lan>", "rain", 1.0)
    assert machine.capacities["lan>"] == 50.0
    with pytest.raises(ValueError, match="cannot be derated to -1"):
        machine.derate("lan>", "rain", -1.0)


def test_a_device_is_up_when_no_cause_holds_it_down():
    signals = Signals()
    up, heard = Availability(signals), []
    signals.availability.subscribe(lambda *args: heard.append(args))
    crash, dark = Cause("crashed", "fault3"), Cause("unpowered", "rack")
    up.hold("orin", crash)
    up.hold("orin", dark)
    up.release("orin", crash)
    assert not up("orin")
    assert up.causes("orin") == (dark,)
    up.release("orin", dark)
    assert up("orin")
    assert heard == [("orin", False, "crashed"), ("orin", True, "unpowered")]
