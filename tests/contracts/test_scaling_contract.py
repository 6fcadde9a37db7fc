"""Every scaling policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from edgewright.policies.conformance import check_policy, check_scaling
from edgewright.policies.families import Scale, Scaling, ScalingAgent
from edgewright.policies.registry import policies_of
from edgewright.policies.scaling import Fixed, KeepAlive, Scheduled, TargetUtilisation, Threshold
from edgewright.policies.views import ScalingView
from edgewright.workloads import Stream

VARIANTS = [
    Fixed(replicas=2),
    Threshold(low=0.0, high=0.0, least=0, hold=0.0),
    Threshold(most=2, rest="sleep", period=0.5),
    TargetUtilisation(target=0.2, stabilisation=0.0, period=1.0),
    Scheduled(plan=((0.0, 0), (10.0, 3), (35.0, 1)), repeat=60.0),
    KeepAlive(idle=5.0, jobs=1.0, least=1),
    KeepAlive(idle=0.1, jobs=0.0, rest="sleep"),
]


@pytest.mark.parametrize("name", policies_of("scaling"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("scaling")[name]())


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: Fixed(replicas=-1), "replicas"),
        (lambda: Threshold(low=5.0, high=1.0), "low"),
        (lambda: Scheduled(plan=((1.0, 2),)), "plan"),
        (lambda: Scheduled(plan=((0.0, 2), (9.0, 1)), repeat=9.0), "repeat"),
        (lambda: KeepAlive(rest="away"), "rest"),  # type: ignore[arg-type]
        (lambda: TargetUtilisation(target=0.0), "target"),
    ],
)
def test_nonsense_is_refused_by_name(build: Callable[[], Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        build()


@dataclass(frozen=True)
class Scaled:
    """A policy from a function of the view and the number of calls."""

    rule: Callable[[ScalingView, int], Scaling]

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        return _Agent(self.rule)


class _Agent:
    def __init__(self, rule: Callable[[ScalingView, int], Scaling]) -> None:
        self.rule, self.calls = rule, count()

    def act(self, view: ScalingView) -> Scaling:
        return self.rule(view, next(self.calls))


SHARED = count()


def writing_into_the_view(view: ScalingView, call: int) -> Scaling:
    view.replicas[0].queued = 99  # type: ignore[misc]
    return Scaling()


def one(action: Any, view: ScalingView) -> Scaling:
    return Scaling((Scale(view.replicas[0].name, action),))


BROKEN = [
    (lambda view, call: Scaling((Scale("elsewhere", "start"),)), "which is none of"),
    (lambda view, call: one("start", view), "has no effect"),
    (lambda view, call: one("explode", view), "commands 'explode'"),
    (lambda view, call: Scaling((Scale(view.replicas[0].name, "drain"),) * 2), "twice"),
    (lambda view, call: Scaling(wake_at=view.now), "asks to be woken"),
    (writing_into_the_view, "changed the view"),
    (lambda view, call: Scaling(arrival=next(SHARED) % 7 == 0), "decides differently"),
]


@pytest.mark.parametrize(("rule", "message"), BROKEN)
def test_broken_policies_are_rejected(rule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_scaling(Scaled(rule))
