"""Power domains inside one another, controllers over the same devices, and peaks of sub-periods that the run's end cuts short."""

from math import isnan

import pytest

from edgewright.hwmodels import Cluster, Work
from edgewright.hwmodels.ideal import ideal_device
from edgewright.policies.families import Actuation
from edgewright.simulator.machine import Machine
from edgewright.simulator.meter import Meter
from edgewright.simulator.power import Controller
from edgewright.simulator.power_domain import Domain
from edgewright.simulator.power_target import Target
from edgewright.simulator.recorder import Recorder
from edgewright.simulator.schema_power import PowerDomain
from edgewright.workloads import Stream


def machine_of(*names, joules_per_flop=0.0):
    """Devices of 10 W idle and 1 FLOP/s."""
    return Machine(Cluster(dict.fromkeys(names, ideal_device(1.0, idle_W=10.0, joules_per_flop=joules_per_flop))))


# -- nested domains ------------------------------------------------------------------------------------------------------------------


def test_the_outer_supply_loses_energy_of_the_inner_domain_too():
    """2 s. Shelf: 20 J at 80 %: 25 J. Rack: a device's 20 J, 5 W of overhead and the shelf's 25 J are 55 J at 50 %: 110 J at the plug."""
    machine = machine_of("a", "b")
    rack, shelf = Domain(machine, "rack", ["b"], efficiency=0.5, overhead=5.0), Domain(machine, "shelf", ["a"], efficiency=0.8)
    rack.children.append(shelf)
    machine.env.run(until=2.0)
    machine.settle()
    assert (shelf.joules(), rack.joules(), rack.own_joules()) == pytest.approx((25.0, 110.0, 85.0))
    assert shelf.energy_rows() == [("a", "idle", pytest.approx(20.0)), ("shelf", "supply", pytest.approx(5.0))]
    rack_rows = [("b", "idle", pytest.approx(20.0)), ("rack", "board", pytest.approx(10.0)), ("rack", "supply", pytest.approx(55.0))]
    assert rack.energy_rows() == rack_rows


def test_tables_add_up_to_the_outermost_plugs(boards):
    """The rack holds nothing but the shelf and loses half; `other` has the links."""
    power = {
        "rack": {"devices": [], "supply_efficiency": 0.5},
        "shelf": {"devices": ["pi0"], "parent": "rack", "supply_efficiency": 0.8},
    }
    simulation = boards(1, arrivals={"process": "closed", "users": 1}, power=power)
    simulation.run_until(20.0)
    result = simulation.result()
    plugs = simulation.domains["rack"].joules() + simulation.domains["other"].joules()
    assert simulation.domains["rack"].joules() == pytest.approx(2.0 * simulation.domains["shelf"].joules())
    assert sum(result.tables["energy"]["joules"]) == pytest.approx(plugs, rel=1e-9)
    assert sum(result.tables["power"]["joules"]) == pytest.approx(plugs, rel=1e-9)


# -- controllers ---------------------------------------------------------------------------------------------------------------------


def test_of_two_controllers_the_lower_limit_holds():
    """The rack asks for half; the shelf's 0.9 changes nothing until the rack lifts its own."""
    target = Target(machine_of("a"), "a", 0)
    clocks = []
    for controller, clock in (("rack", 0.5), ("shelf", 0.9), ("rack", 1.0), ("shelf", 1.0)):
        assert target.command(controller, "cap", clock)()
        clocks.append((target.clock, target.clock_set))
    assert clocks == [(0.5, 0.5), (0.5, 0.5), (0.9, 0.9), (1.0, 1.0)]


def test_a_lock_and_a_cap_of_one_controller_hold_both():
    target = Target(machine_of("a"), "a", 0)
    target.command("rack", "lock", 0.6)()
    target.command("rack", "cap", 0.8)()
    assert target.clock == 0.6


class Timetable:
    """What to command at which second."""

    def __init__(self, command):
        self.command = command

    def act(self, view):
        return [Actuation("a", *each) for each in self.command(view.now)]


def controlled(command, **actuator):
    """A device under a controller that decides every second, from 0 on."""
    machine, recorder = machine_of("a"), Recorder((0.0, 1e9))
    table = PowerDomain.model_validate({"devices": ["a"], "telemetry": {"period": 1.0}, "actuator": actuator})
    target = Target(machine, "a", 0)
    controller = Controller(machine, Domain(machine, "desk", ["a"]), table, Timetable(command), [target], Stream(1), recorder)
    machine.env.process(controller.run())
    return machine, target, recorder.rows["actuations"]


def test_commands_given_faster_than_they_arrive_all_arrive():
    """One per second, each 5 s late: at 12.5 s that of the 7th second is in force, and that of the 12th is the last."""
    machine, target, rows = controlled(lambda now: [("clock", 0.5 + 0.01 * now)], delay=5.0)
    machine.env.run(until=12.5)
    assert list(rows["time_s"]) == [float(second) for second in range(13)]
    assert list(rows["effective_s"][:8]) == [second + 5.0 for second in range(8)]
    assert all(map(isnan, rows["effective_s"][8:]))
    assert (target.clock, target.clock_set) == (pytest.approx(0.57), pytest.approx(0.62))


def test_a_command_that_a_later_one_has_overtaken_does_nothing():
    """A clock of 0.8, commanded at 0 s, would arrive at 40 s; the brake of 2 s is there at 3 s, and holds."""
    commands = {0.0: [("clock", 0.8)], 2.0: [("brake", None)]}
    machine, target, rows = controlled(lambda now: commands.get(now, []), delay=40.0, brake=1.0)
    machine.env.run(until=50.0)
    assert list(rows["effective_s"]) == [pytest.approx(float("nan"), nan_ok=True), 3.0]
    assert target.clock == target.clock_min


# -- peaks ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "mean", "peak"),
    [
        (12.25, (20.0 + 0.25 * 50.0) / 2.25, (20.0 + 0.25 * 50.0) / 2.25),
        (12.75, (20.0 + 0.75 * 50.0) / 2.75, 50.0),
        (10.25, 10.0, 10.0),
    ],
)
def test_the_peak_of_a_last_sub_period_that_is_cut_short(end, mean, peak):
    """10 W, from 12 s on 50 W, read every second and written every 10 s. A quarter of a second is no peak that a meter of 1 s sees, three
    quarters are; but no peak is below its bin's mean."""
    machine, recorder = machine_of("a", joules_per_flop=40.0), Recorder((0.0, 1e9))
    meter = Meter(machine, [Domain(machine, "desk", ["a"])], recorder, 10.0, 1.0)
    machine.env.process(meter.run())
    machine.at(12.0, lambda: machine.run(lambda: machine.cluster.compute("a", Work.of("gemm", "fp32", 100.0)), lambda _: None))
    machine.env.run(until=end)
    meter.close()
    rows = {name: list(column) for name, column in recorder.rows["power"].items()}
    assert rows["end_s"] == [10.0, end]
    assert (rows["mean_W"], rows["peak_W"]) == (pytest.approx([10.0, mean]), pytest.approx([10.0, peak]))


@pytest.mark.parametrize(
    ("slowest", "peak"), [(1.0, 50.0), (5.0, (3.0 * 10.0 + 2.0 * 50.0) / 5.0), (60.0, (8.0 * 10.0 + 2.0 * 50.0) / 10.0)]
)
def test_a_peak_is_the_highest_mean_over_as_long_as_is_asked(slowest, peak):
    """10 W, from 8 to 10 s 50 W: a meter of 1 s sees 50, one of 5 s the mean of its second half, one slower than the bin the bin's."""
    machine, recorder = machine_of("a", joules_per_flop=40.0), Recorder((0.0, 1e9))
    meter = Meter(machine, [Domain(machine, "desk", ["a"])], recorder, 10.0, slowest)
    machine.env.process(meter.run())
    machine.at(8.0, lambda: machine.run(lambda: machine.cluster.compute("a", Work.of("gemm", "fp32", 2.0)), lambda _: None))
    machine.env.run(until=10.5)
    assert recorder.rows["power"]["peak_W"][0] == pytest.approx(peak)
