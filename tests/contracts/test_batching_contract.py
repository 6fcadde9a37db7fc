"""Every batching policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import Any, ClassVar

import pytest

from edgewright.policies.batching import ChunkedPrefill, Continuous, Dynamic, Static
from edgewright.policies.conformance import check_batching, check_policy
from edgewright.policies.families import Batch, BatchingAgent
from edgewright.policies.registry import policies_of
from edgewright.policies.views import Horizon, ReplicaView
from edgewright.workloads import Stream

VARIANTS = [
    Static(size=1),
    Static(size=5, timeout=0.0),
    Dynamic(size=3, timeout=2.5),
    Dynamic(size=100, timeout=60.0),
    ChunkedPrefill(budget=1),
    ChunkedPrefill(budget=7),
]


@pytest.mark.parametrize("name", policies_of("batching"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("batching")[name]())


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@dataclass(frozen=True)
class Broken:
    """`Continuous` (or another), whose decisions are spoilt by a function of the view, the decision and the number of calls."""

    spoil: Callable[[ReplicaView, Batch, int], Batch]
    sound: Any = Continuous()  # noqa: RUF009

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        return _Spoilt(self.sound.start(scope, stream), self.spoil)


class _Spoilt:
    def __init__(self, sound: BatchingAgent, spoil: Callable[[ReplicaView, Batch, int], Batch]) -> None:
        self.sound, self.spoil, self.calls = sound, spoil, count()

    def next_batch(self, view: ReplicaView) -> Batch:
        return self.spoil(view, self.sound.next_batch(view), next(self.calls))


def blind_to_memory(view: ReplicaView, batch: Batch, call: int) -> Batch:
    admits = view.waiting and len(view.running) < view.max_sequences
    return Batch(prefill=((view.waiting[0].id, view.waiting[0].tokens),)) if admits else batch


def blind_to_slots(view: ReplicaView, batch: Batch, call: int) -> Batch:
    admits = view.waiting and view.fits([view.waiting[0]])
    return Batch(prefill=((view.waiting[0].id, view.waiting[0].tokens),)) if admits else batch


def nobody(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return Batch()


def one_token_too_many(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, prefill=tuple((job, tokens + 1) for job, tokens in batch.prefill))


def twice(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, prefill=batch.prefill * 2)


def prompts_beside_decodes(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, decode=True)


def deaf_to_arrivals(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, until=replace(batch.until, arrival=False))


def deaf_to_completions(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, until=replace(batch.until, completion=False))


def one_chunk_longer(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, until=replace(batch.until, steps=batch.until.steps + 1))


def counting_calls(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return batch if call % 5 or batch.prefill else Batch(decode=True, until=Horizon(steps=inf))


def waking_in_the_past(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return batch if batch.decode or batch.prefill else Batch(wake_at=view.now)


def writing_into_the_view(view: ReplicaView, batch: Batch, call: int) -> Batch:
    if view.waiting:
        view.waiting.pop()  # type: ignore[attr-defined]
    return batch


def ending_before_it_begins(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return replace(batch, until=Horizon(steps=0))


def skipping_every_fourth_admission(view: ReplicaView, batch: Batch, call: int) -> Batch:
    return batch if call % 4 or not (batch.prefill and view.running) else Batch(decode=True)


BROKEN = [
    (Broken(blind_to_memory), "KV does not fit"),
    (Broken(blind_to_slots), "makes a batch of"),
    (Broken(nobody), "are left for ever"),
    (Broken(one_token_too_many), "of job .*'s prompt, of .* left"),
    (Broken(twice), "names a job twice"),
    (Broken(prompts_beside_decodes), "above max_tokens"),
    (Broken(deaf_to_arrivals), "keeping decisions for their horizon changes what runs"),
    (Broken(deaf_to_completions), "keeping decisions for their horizon changes what runs"),
    (Broken(deaf_to_completions, ChunkedPrefill(budget=16)), "horizon"),
    (Broken(one_chunk_longer, ChunkedPrefill(budget=16)), "horizon"),
    (Broken(skipping_every_fourth_admission), "keeping decisions for their horizon changes what runs"),
    (Broken(waking_in_the_past, Dynamic(size=3, timeout=2.5)), "is not in the future"),
    (Broken(writing_into_the_view), "changed the view"),
    (Broken(ending_before_it_begins), "ends before its first step"),
]


@pytest.mark.parametrize(("policy", "message"), BROKEN, ids=lambda value: getattr(getattr(value, "spoil", None), "__name__", ""))
def test_broken_policies_are_rejected(policy: Broken, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_batching(policy)


def test_state_shared_between_agents_is_found_out() -> None:
    class Sharing:
        calls: ClassVar[Any] = count()

        def start(self, scope: str, stream: Stream) -> BatchingAgent:
            return _Spoilt(Continuous().start(scope, stream), lambda view, batch, call: Batch() if self._skip(view) else batch)

        def _skip(self, view: ReplicaView) -> bool:
            return next(self.calls) % 3 == 0 and not view.running and len(view.waiting) == 1 and view.now < 40

    with pytest.raises(AssertionError, match=r"a second agent decides otherwise|left for ever"):
        check_batching(Sharing())


def test_the_length_of_an_answer_is_out_of_reach() -> None:
    def peek(view: ReplicaView, batch: Batch, call: int) -> Batch:
        return batch if not view.waiting or view.waiting[0].output else Batch()  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="output"):
        check_batching(Broken(peek))
