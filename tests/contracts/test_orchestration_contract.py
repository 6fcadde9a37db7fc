"""Every orchestration policy passes the suite; scripts broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest

from edgewright.policies.conformance import check_orchestration, check_policy
from edgewright.policies.families import Script
from edgewright.policies.orchestration import Cascade, Composition, Disaggregated, EarlyExit, Speculative, SplitDecoding, call, result_of
from edgewright.policies.plan import Call, Delay
from edgewright.policies.registry import policies_of
from edgewright.policies.views import JobView

TWO = Composition(router="a", expert="b", slots=2, model=1e9, source="store", target="gpu", tokens=3)

GIVEN = {
    "composition": [TWO, replace(TWO, prompts=1), replace(TWO, prompts=5, slots=0)],
    "cascade": [Cascade(small="a", big="b"), Cascade(small="a", big="b", threshold=1.0)],
    "disaggregated": [Disaggregated(prefill="a", decode="b")],
    "early_exit": [
        EarlyExit(first="a", second="b", cloud="c", edge="d", gateway="e", state=8.0),
        EarlyExit(first="a", second="b", edge="d", gateway="e", state=8.0),
    ],
    "split_decoding": [SplitDecoding(first="a", cloud="b", edge="d", gateway="e", state=8.0)],
    "speculative": [Speculative(draft="a", target="b"), Speculative(draft="a", target="b", tokens=1)],
}
"""Policies call services, which must be named: these stand for the registered ones."""


@pytest.mark.parametrize("name", policies_of("orchestration"))
def test_registered_policies_conform(name: str) -> None:
    for policy in GIVEN[name]:
        assert type(policy) is policies_of("orchestration")[name]
        check_policy(policy)


@dataclass(frozen=True)
class Scripted:
    """A policy from a script."""

    script: Callable[[JobView], Script]
    services: tuple[str, ...] = ("a", "b")

    def serve(self, job: JobView) -> Script:
        return self.script(job)


def passing_on(job: JobView) -> Script:
    yield call("a")


def giving_up(job: JobView) -> Script:
    yield call("a", output=1)


def never_ending(job: JobView) -> Script:
    while True:
        yield Delay(1.0)


def calling_a_stranger(job: JobView) -> Script:
    yield call("c")


def saying_what_nobody_knows(job: JobView) -> Script:
    yield Call("a", (("colour", 3),))


def owing_tokens(job: JobView) -> Script:
    yield call("a", output=-1)


def prefilled_beyond_the_prompt(job: JobView) -> Script:
    yield call("a", prefilled=job.prompt + 1)


def with_a_cache_from_nowhere(job: JobView) -> Script:
    yield call("a", prefilled=job.prompt, kv_from="b.replica")


CALLS = count()


def never_the_same(job: JobView) -> Script:
    yield Delay(float(next(CALLS)))
    yield call("a")


def knowing_the_length(job: JobView) -> Script:
    yield call("a", output=job.output)  # type: ignore[attr-defined]


BROKEN: list[tuple[Any, str]] = [
    (giving_up, "still lacks .* of its .* tokens"),
    (never_ending, "has not ended after"),
    (calling_a_stranger, "which is not in \\('a', 'b'\\)"),
    (saying_what_nobody_knows, "overrides \\['colour'\\]; accepted are"),
    (owing_tokens, "accepted are whole numbers from 0 up"),
    (prefilled_beyond_the_prompt, "prompt tokens prefilled"),
    (with_a_cache_from_nowhere, "none has served the job"),
    (never_the_same, "gives other plans"),
]


@pytest.mark.parametrize(("script", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_scripts_are_rejected(script: Callable[[JobView], Script], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_orchestration(Scripted(script))


def test_a_script_made_like_the_broken_ones_conforms() -> None:
    check_orchestration(Scripted(passing_on))


def test_the_length_of_an_answer_is_out_of_reach() -> None:
    with pytest.raises(AttributeError, match="output"):
        check_orchestration(Scripted(knowing_the_length))


def test_a_call_tells_when_the_job_is_done() -> None:
    """Token by token: every call but the last of a job says that it is not."""
    told: list[list[bool]] = []

    def one_by_one(job: JobView) -> Script:
        told.append([])
        while not any(told[-1]):
            outcome = yield call("a", output=1)
            told[-1].append(bool(result_of(outcome)["done"]))

    check_orchestration(Scripted(one_by_one))
    assert max(map(len, told)) > 1
    assert all(not any(each[:-1]) for each in told)
