"""Every power policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from edgewright.policies.conformance import check_policy, check_power
from edgewright.policies.families import Actuation, PowerAgent
from edgewright.policies.power import StaticCap, TwoThresholds
from edgewright.policies.registry import policies_of
from edgewright.policies.views import PowerView
from edgewright.workloads import Stream

VARIANTS = [
    StaticCap(watts=30.0),
    TwoThresholds(t1=0.5, t2=0.5, brake=0.6),
    TwoThresholds(hysteresis=0.02, patience=0.0),
    TwoThresholds(low_clock=0.3, lower_clock=0.1, high_clock=0.05, high_priority=2),
]


@pytest.mark.parametrize("name", policies_of("power"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("power")[name]())


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@dataclass(frozen=True)
class Acting:
    """A policy from a function of the view, its last commands and the number of calls."""

    rule: Callable[[PowerView, Sequence[Actuation], int], Sequence[Actuation]]

    def start(self, scope: str, stream: Stream) -> PowerAgent:
        return _Agent(self.rule)


class _Agent:
    def __init__(self, rule: Callable[[PowerView, Sequence[Actuation], int], Sequence[Actuation]]) -> None:
        self.rule, self.calls, self.last = rule, count(), ()

    def act(self, view: PowerView) -> Sequence[Actuation]:
        commands = tuple(self.rule(view, self.last, next(self.calls)))
        self.last = commands or self.last
        return commands


def all_to(view: PowerView, clock: float) -> Sequence[Actuation]:
    return [Actuation(target.name, "clock", max(clock, target.clock_min)) for target in view.targets]


def quiet(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return all_to(view, 0.9) if call == 0 else ()


def above_the_maximum(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [Actuation(target.name, "clock", 1.1) for target in view.targets]


def below_the_minimum(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [Actuation(target.name, "clock", target.clock_min / 2) for target in view.targets]


def a_cap_out_of_reach(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [Actuation(target.name, "watts", target.idle_W / 2) for target in view.targets]


def a_stranger(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [Actuation("elsewhere", "brake")]


def an_unknown_kind(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [Actuation(view.targets[0].name, "explode")]  # type: ignore[arg-type]


def a_brake_with_a_value(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [Actuation(view.targets[0].name, "brake", 0.5)]


def the_same_again(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return all_to(view, 0.9) if view.watts > 0.8 * view.budget_W else ()


def two_at_once(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return [*all_to(view, 0.99), *all_to(view, 0.98)]


def back_and_forth(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return all_to(view, 0.99 if call % 2 else 1.0)


def without_hysteresis(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    commands = all_to(view, 0.96 if view.watts > 0.8 * view.budget_W else 1.0)
    return () if tuple(commands) == tuple(last) else commands


def writing_into_the_view(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    view.targets.clear()  # type: ignore[attr-defined]
    return ()


SHARED = count()


def sharing_state(view: PowerView, last: Sequence[Actuation], call: int) -> Sequence[Actuation]:
    return all_to(view, 0.96 + 1e-6 * next(SHARED)) if call == 0 else ()


BROKEN = [
    (above_the_maximum, "outside the target's range"),
    (below_the_minimum, "outside the target's range"),
    (a_cap_out_of_reach, "outside the target's range"),
    (a_stranger, "no target of the domain"),
    (an_unknown_kind, "unknown kind"),
    (a_brake_with_a_value, "carries a value"),
    (the_same_again, "repeats the last command"),
    (two_at_once, "commands a target twice"),
    (back_and_forth, "constant reading .* still commands"),
    (without_hysteresis, "wavering reading .* still commands"),
    (writing_into_the_view, "changed the view"),
    (sharing_state, "a second agent commands otherwise"),
]


def test_a_policy_made_like_the_broken_ones_conforms() -> None:
    check_power(Acting(quiet))


@pytest.mark.parametrize(("rule", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_policies_are_rejected(rule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_power(Acting(rule), situations=60)
