"""Capacities that follow a profile: what is under way goes along, runs of steps are cut by it, and what nobody uses costs nothing."""

from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from simpy import Environment

from edgewright.hwmodels import Cluster, Connection, Rate, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import compile_plan
from edgewright.policies.plan import Compute, Mark, Transfer, seq
from edgewright.policies.pricing import demand_of
from edgewright.simulator.components import MANY
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.machine import Machine
from edgewright.simulator.plan_runner import PlanRunner
from edgewright.simulator.stretch import Stretch
from edgewright.workloads import Step

PAIR = Cluster({"a": ideal_device(10.0, 100.0), "b": ideal_device()}, (), (Connection("lan", ("a", "b"), ideal_link(100.0)),))


class Cycle:
    """The factors one after another, each for a second, again and again; counts how often it is asked."""

    def __init__(self, *factors):
        self.factors = factors
        self.asked = 0

    def at(self, time):
        self.asked += 1
        return Rate(self.factors[int(time) % len(self.factors)], int(time) + 1.0)


class Steady:
    def at(self, time):
        return Rate(0.25, float("inf"))


def send(machine, nbytes, done):
    operation = Transfer("a", "b", nbytes)
    return machine.run(lambda: demand_of(operation, machine.cluster, Step(), machine.clocks), lambda _: done.append(machine.env.now))


def following(profile, start=0.0):
    machine = Machine(PAIR, Environment(start))
    machine.follow("lan>", profile)
    return machine


def test_a_flow_follows_the_profile_of_its_link():
    """100, 50 and 0 B in the seconds of a cycle: from 0.5 s on 50, 50, 0, 100 B, and the last 30 B in 0.6 s at half the rate."""
    machine, done = following(Cycle(1.0, 0.5, 0.0)), []
    machine.at(0.5, lambda: send(machine, 230.0, done))
    machine.env.run()
    assert done == [pytest.approx(4.6)]
    machine.settle()
    assert machine.resources["lan>"].offered == pytest.approx(230.0)


def test_faults_and_profiles_multiply():
    machine, done = following(Steady()), []
    machine.derate("lan>", "rain", 0.5)
    send(machine, 25.0, done)
    machine.env.run()
    assert done == [pytest.approx(25.0 / (100.0 * 0.25 * 0.5))]


def test_what_nobody_uses_costs_nothing():
    """One question when it is set up, one when the flow begins, one at each of two changes while it lasts; none in the hours around it."""
    profile = Cycle(1.0, 0.5)
    machine, done = following(profile), []
    machine.at(7200.5, lambda: send(machine, 125.0, done))
    machine.env.run(until=1e6)
    assert done == [pytest.approx(7202.25)]
    assert profile.asked <= 5


def test_capacities_are_those_of_the_moment():
    machine = following(Cycle(1.0, 0.5))
    machine.env.run(until=3.25)
    assert machine.capacities["lan>"] == 50.0
    assert dict(machine.capacities) == {**PAIR.capacities, "lan>": 50.0}


@pytest.mark.parametrize(("rate", "says"), [(Rate(-0.5, 9.0), "factor of -0.5"), (Rate(1.0, 0.0), "until 0 s")])
def test_a_profile_that_breaks_its_contract_is_refused(rate, says):
    profile = Steady()
    profile.at = lambda time: rate
    with pytest.raises(ValueError, match=rf"lan>: its profile says .*{says}"):
        following(profile)


def test_a_resource_follows_one_profile():
    with pytest.raises(ValueError, match="lan> follows a profile already"):
        following(Steady()).follow("lan>", Steady())


@pytest.mark.parametrize("begin", [0.0, 0.1, 0.7, 10_000.1])
@pytest.mark.parametrize("flows", [1, 2, MANY + 8])
def test_what_ends_as_its_link_goes_dead_has_ended(begin, flows):
    """Equal shares of 100 B/s: all but the last have sent their `30 / flows` bytes 0.3 s later, when the link dies, but for a rounding.

    The last has as much again to send; alone, once the link is back a second later. The link's change comes before any end in the order
    of events: it was planned first.
    """
    sizes = [30.0 / flows] * max(flows - 1, 1) + [60.0 / flows] * (flows > 1)
    machine, done, dies = Machine(PAIR), [], begin + 0.3
    machine.at(dies, lambda: machine.derate("lan>", "cut", 0.0))
    machine.at(dies + 1.0, lambda: machine.derate("lan>", "cut", 1.0))
    machine.at(begin, lambda: [send(machine, nbytes, done) for nbytes in sizes])
    machine.env.run()
    last = [dies + 1.0 + 0.3 / flows] if flows > 1 else []
    assert done == pytest.approx([dies] * max(flows - 1, 1) + last, rel=1e-14)


PLAN = seq(Compute("a", Work.of("gemm", "fp32", 3.0)), Transfer("a", "b", 40.0), Mark())
"""0.3 s of work, then 0.4 s of a link that nobody derates."""


def jumped(machine, steps):
    (strand,) = compile_plan(PLAN).strands
    runner, ends = PlanRunner(Scope(machine, "alone"), compile_plan(PLAN)), []

    def go_on():
        if len(ends) < steps:
            stretch = Stretch(runner, strand, Step(), steps - len(ends), over, one_more, lambda *_: Step())
            if stretch.possible():
                stretch.begin()
            else:
                runner.step(Step(), one_more)

    def over(stretch, whole, partial):
        ends.extend(map(float, stretch.ends[:whole]))
        if not partial:
            go_on()

    def one_more():
        ends.append(float(machine.env.now))
        go_on()

    machine.after(0.0, go_on)
    machine.env.run()
    machine.settle()
    return ends


def stepped(machine, steps):
    runner, ends = PlanRunner(Scope(machine, "alone"), compile_plan(PLAN)), []

    def token():
        ends.append(float(machine.env.now))
        if len(ends) < steps:
            runner.step(Step(), token)

    machine.after(0.0, lambda: runner.step(Step(), token))
    machine.env.run()
    machine.settle()
    return ends


@pytest.mark.parametrize("start", [0.0, 1e4, 1e5])
@pytest.mark.parametrize("step", range(1, 7))
def test_messages_that_arrive_as_their_link_dies_have_arrived(start, step):
    """A step is 0.3 s of work and 0.2 + 0.4 s of a message: nothing waits if the link is dead for the first 0.7 s of the next step."""
    link = Connection("lan", ("a", "b"), ideal_link(100.0, 0.2, mtu=1500.0))
    for ends in (jumped, stepped):
        machine = Machine(Cluster(PAIR.devices, (), (link,)), Environment(start))
        machine.at(start + 0.9 * step, partial(machine.derate, "lan>", "cut", 0.0))
        machine.at(start + 0.9 * step + 0.7, partial(machine.derate, "lan>", "cut", 1.0))
        assert ends(machine, 8) == pytest.approx([start + 0.9 * (number + 1) for number in range(8)], rel=1e-12)


cycles = st.lists(st.sampled_from([0.0, 0.3, 1.0, 1.7]), min_size=1, max_size=5).filter(any)


@settings(max_examples=40)
@given(factors=cycles, steps=st.integers(1, 15), start=st.sampled_from([0.0, 1e4, 1e5]))
@example([0.0, 1.0, 1.0, 1.0], 9, 0.0)  # the ninth step ends as the link goes dead
@example([0.0, 1.0, 1.0, 1.0], 9, 1e4)  # after hours the clock's roundings are larger; here what the jump hands over is a rounding
@example([2.0, 0.0], 2, 1e5)
def test_a_stretch_over_a_changing_link_equals_its_steps(factors, steps, start):
    """Also where a change comes at the very end of a step, and where the link stands still for a while."""
    one, other = following(Cycle(*factors), start), following(Cycle(*factors), start)
    assert jumped(one, steps) == pytest.approx(stepped(other, steps), rel=1e-12)
    for name in ("moved", "busy_s"):
        assert getattr(one.resources["lan>"], name) == pytest.approx(getattr(other.resources["lan>"], name), rel=1e-9), name
