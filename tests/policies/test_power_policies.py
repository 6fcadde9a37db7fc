"""Power control on one or two devices of 10 W idle and 40 W dynamic at full clock, so that peak_W(clock) = 10 + 40 clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from edgewright.policies.conformance.fakes import FakePower, FakeTarget
from edgewright.policies.families import Actuation
from edgewright.policies.power import StaticCap, TwoThresholds, Uncontrolled
from edgewright.policies.power.static_cap import shares
from edgewright.workloads import Stream

LOW, HIGH = FakeTarget("low", priority=0), FakeTarget("high", priority=1)
POLCA = TwoThresholds(low_clock=0.9, lower_clock=0.8, high_clock=0.95, patience=60.0)


class Domain:
    """A controller and its targets; `obey` carries out everything commanded so far, at once."""

    def __init__(self, policy: TwoThresholds | StaticCap, *targets: FakeTarget) -> None:
        self.agent = policy.start("domain", Stream(1, "test"))
        self.targets = list(targets)
        self.now = 0.0
        self.commanded: list[Actuation] = []

    def read(self, watts: float, *, seconds: float = 2.0) -> Sequence[Actuation]:
        """The commands that a reading, with a budget of 100 W, gives rise to; then time passes."""
        commands = self.agent.act(FakePower(self.now, watts, 100.0, 0.0, self.targets))
        self.commanded += commands
        self.now += seconds
        return list(commands)

    def obey(self) -> None:
        for command in self.commanded:
            clock = command.value if command.kind == "clock" else 0.2
            self.targets = [replace(each, clock=clock, clock_set=clock) if each.name == command.target else each for each in self.targets]


def clock(target: str, value: float) -> Actuation:
    return Actuation(target, "clock", value)


def test_no_control_commands_nothing() -> None:
    agent = Uncontrolled().start("domain", Stream(1, "test"))
    assert agent.act(FakePower(watts=1e6, targets=[LOW])) == ()


# -- two thresholds ------------------------------------------------------------------------------------------------------------------


def test_the_ladder_up() -> None:
    rack = Domain(POLCA, LOW, HIGH)
    assert rack.read(79.0) == []
    assert rack.read(81.0) == [clock("low", 0.9)]
    assert rack.read(85.0) == []  # nothing is said twice
    assert rack.read(90.0) == [clock("low", 0.8)]
    assert rack.read(95.0) == []  # the command is under way: high priority is spared until it has shown
    rack.obey()
    assert rack.read(95.0) == [clock("high", 0.95)]
    assert rack.read(101.0) == [Actuation("low", "brake"), Actuation("high", "brake")]
    assert rack.read(150.0) == []


def test_the_ladder_down_has_hysteresis() -> None:
    rack = Domain(POLCA, LOW, HIGH)
    rack.read(90.0)
    rack.obey()
    assert rack.read(85.0) == []  # below 89, not below 84
    assert rack.read(83.0) == [clock("low", 0.9)]
    rack.obey()
    assert rack.read(76.0) == []  # below 80, not below 75
    assert rack.read(74.0) == [clock("low", 1.0)]


def test_a_brake_gives_way_to_the_locks_and_those_take_effect_before_more_is_undone() -> None:
    rack = Domain(POLCA, LOW, HIGH)
    assert rack.read(101.0) == [Actuation("low", "brake"), Actuation("high", "brake")]
    rack.obey()
    assert rack.read(86.0) == []
    assert rack.read(30.0) == [clock("low", 0.8), clock("high", 0.95)]
    assert rack.read(30.0) == []  # still braked: the locks are under way
    rack.obey()
    assert rack.read(70.0) == [clock("low", 1.0), clock("high", 1.0)]


def test_a_command_that_never_shows_counts_as_carried_out_after_patience() -> None:
    rack = Domain(POLCA, LOW, HIGH)
    rack.read(95.0, seconds=58.0)
    assert rack.read(95.0) == []
    assert rack.read(95.0) == [clock("high", 0.95)]  # 60 s after the first command


def test_a_device_that_rounds_to_its_own_clocks_has_carried_the_command_out() -> None:
    rack = Domain(POLCA, LOW, HIGH)
    rack.read(95.0)
    rack.targets[0] = replace(LOW, clock=0.75, clock_set=0.75)  # commanded 0.8, nearer to that than to 1.0
    assert rack.read(95.0) == [clock("high", 0.95)]


def test_locks_stay_in_the_range_of_a_device() -> None:
    rack = Domain(POLCA, FakeTarget("stiff", clock_min=0.97))
    assert rack.read(81.0) == [clock("stiff", 0.97)]
    assert rack.read(90.0) == []  # already as low as it goes


def test_a_reading_that_is_not_there_changes_nothing() -> None:
    rack = Domain(POLCA, LOW, HIGH)
    rack.read(81.0)
    assert rack.read(float("nan")) == []


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"t1: 0.95 is not accepted; accepted are numbers up to t2 = 0.89"):
        TwoThresholds(t1=0.95)


# -- static cap ----------------------------------------------------------------------------------------------------------------------


def test_shares_fill_the_higher_priority_first() -> None:
    # floors are 10 + 0.2 * 40 = 18 W each; 80 - 36 = 44 W remain; `high` takes its span of 32 W, `low` the other 12 W
    assert shares([LOW, HIGH], 80.0) == pytest.approx({"low": 30.0, "high": 50.0})


def test_equal_priorities_share_in_proportion_to_their_span() -> None:
    wide = FakeTarget("wide", dynamic_W=80.0)  # from 10 + 16 = 26 to 90 W: span 64
    assert shares([LOW, wide], 18 + 26 + 48.0) == pytest.approx({"low": 18 + 16.0, "wide": 26 + 32.0})  # half of each span


def test_a_budget_below_the_floors_caps_to_the_floors() -> None:
    assert shares([LOW, HIGH], 20.0) == {"low": 18.0, "high": 18.0}


def test_caps_are_commanded_once_and_again_when_the_budget_changes() -> None:
    agent = StaticCap().start("domain", Stream(1, "test"))
    view = FakePower(budget_W=100.0, overhead_W=20.0, targets=[LOW, HIGH])
    assert list(agent.act(view)) == [Actuation("low", "watts", pytest.approx(30.0))]  # `high` may draw its peak: nothing to say
    assert list(agent.act(view)) == []
    assert list(agent.act(replace(view, budget_W=88.0))) == [Actuation("low", "watts", 18.0)]


def test_an_ample_budget_caps_nobody() -> None:
    assert list(StaticCap().start("domain", Stream(1, "test")).act(FakePower(budget_W=500.0, targets=[LOW, HIGH]))) == []


def test_a_cap_in_watts_is_brought_into_range() -> None:
    view = FakePower(targets=[LOW, HIGH])
    assert [each.value for each in StaticCap(watts=25.0).start("domain", Stream(1, "test")).act(view)] == [25.0, 25.0]
    assert [each.value for each in StaticCap(watts=5.0).start("domain", Stream(1, "test")).act(view)] == [18.0, 18.0]
