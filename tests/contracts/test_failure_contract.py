"""Every failure policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from edgewright.policies.conformance import check_failure, check_policy
from edgewright.policies.failure import Drop, Failover, Resume, Retry
from edgewright.policies.families import FailureAgent, Limits, Remedy
from edgewright.policies.registry import policies_of
from edgewright.policies.views import Interruption
from edgewright.workloads import Stream

DEFAULTS = {"failover": {"service": "other"}}
VARIANTS = [
    Drop(timeout=1.0, stall=2.0),
    Retry(attempts=1),
    Retry(attempts=30, pause=0.0, keep=False, late=True),
    Resume(least=100, checkpoint=64, stall=5.0),
    Failover(service="cloud", jitter=0.0),
]


@pytest.mark.parametrize("name", policies_of("failure"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("failure")[name](**DEFAULTS.get(name, {})))


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@pytest.mark.parametrize(("bad", "name"), [({"attempts": 0}, "attempts"), ({"growth": 0.5}, "growth"), ({"jitter": 1.5}, "jitter")])
def test_nonsense_is_refused_by_name(bad: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Retry(**bad)
    with pytest.raises(ValueError, match=r"^checkpoint: "):
        Resume(checkpoint=0)


def test_pauses_grow_up_to_the_longest() -> None:
    """1, 2, 4, 8 and then 10 s, without jitter; with jitter of a half, between a half of that and all of it."""
    plain, shaky = Retry(longest=10.0, jitter=0.0), Retry(longest=10.0, jitter=0.5)
    told = [Interruption(0.0, _job(), "crashed", attempt=attempt) for attempt in range(1, 6)]
    stream = Stream(1, "test")
    assert [plain.pause_after(each, stream) for each in told] == [1.0, 2.0, 4.0, 8.0, 10.0]
    for each, whole in zip(told, (1.0, 2.0, 4.0, 8.0, 10.0), strict=True):
        assert whole / 2.0 <= shaky.pause_after(each, stream) <= whole


@pytest.mark.parametrize(("pause", "longest", "whole"), [(1.0, 60.0, 60.0), (0.5, 0.1, 0.1), (0.0, 60.0, 0.0)])
def test_a_pause_is_known_after_any_number_of_attempts(pause: float, longest: float, whole: float) -> None:
    """2 ** 5000 is no float."""
    told = Interruption(0.0, _job(), "crashed", attempt=5001)
    attempts = 10_000 if pause else 100
    assert Retry(pause=pause, longest=longest, attempts=attempts, jitter=0.0).pause_after(told, Stream(1, "test")) == whole


def _job() -> Any:
    from edgewright.policies.conformance.fakes import FakeJob

    return FakeJob(id=7)


@dataclass(frozen=True)
class Failing:
    """A policy from a function of the interruption and the number of calls."""

    rule: Callable[[Interruption, int], Remedy]
    limits: Limits = field(default_factory=Limits)

    def start(self, scope: str, stream: Stream) -> FailureAgent:
        return _Agent(self.rule, self.limits)


class _Agent:
    def __init__(self, rule: Callable[[Interruption, int], Remedy], limits: Limits) -> None:
        self.rule, self.limits, self.calls = rule, limits, count()

    def decide(self, interruption: Interruption) -> Remedy:
        return self.rule(interruption, next(self.calls))


SHARED = count()


def twice_over_all_services(told: Interruption, call: int) -> Remedy:
    return Remedy("drop" if next(SHARED) % 3 else "retry")


BROKEN = [
    (lambda told, call: Remedy("retry"), "tries a job 10000 times"),
    (lambda told, call: Remedy("drop", after=-1.0), "waits -1.0 s"),
    (lambda told, call: Remedy("retry", to="elsewhere"), "retries at 'elsewhere'"),
    (lambda told, call: Remedy("failover"), "fails over to nowhere"),
    (lambda told, call: Remedy("resume"), "at no replica"),
    (lambda told, call: Remedy("give up"), "does 'give up'"),  # type: ignore[arg-type]
    (twice_over_all_services, "a second agent decides"),
]


def test_a_policy_made_like_the_broken_ones_conforms() -> None:
    check_failure(Failing(lambda told, call: Remedy("retry" if told.attempt < 3 else "drop")))


@pytest.mark.parametrize(("rule", "message"), BROKEN)
def test_broken_policies_are_rejected(rule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_failure(Failing(rule))


def test_limits_of_nothing_are_rejected() -> None:
    with pytest.raises(AssertionError, match="limits are"):
        check_failure(Failing(lambda told, call: Remedy("drop"), Limits(stall=0.0)))
