"""What may enter the next step, in arrival order: prefixes of the queue that respect batch slots, tokens per step and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from edgewright.policies.families import Batch
from edgewright.policies.views import Horizon, ReplicaView, WaitingView

__all__ = ["entries", "fitting", "free_slots", "prompts_step", "standing_decode", "whole_prompts", "within_limits"]


def free_slots(view: ReplicaView) -> int:
    """Sequences that may join the batch now."""
    return max(view.max_sequences - len(view.running), 0)


def fitting(view: ReplicaView, jobs: Sequence[WaitingView]) -> Sequence[WaitingView]:
    """The longest prefix of `jobs` whose KV fits together. Bisected: fewer jobs fit where more do."""
    if not jobs or view.fits(jobs):
        return jobs
    fits, fails = 0, len(jobs)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if view.fits(jobs[:middle]) else (fits, middle)
    return jobs[:fits]


def whole_prompts(view: ReplicaView, candidates: Iterable[WaitingView]) -> Sequence[WaitingView]:
    """The longest prefix of `candidates` that one step may prefill whole: `within_limits` and memory."""
    return fitting(view, within_limits(view, candidates))


def within_limits(view: ReplicaView, candidates: Iterable[WaitingView]) -> Sequence[WaitingView]:
    """The longest prefix of `candidates` that batch slots and `max_tokens` allow one step to prefill whole.

    A prompt longer than `max_tokens` runs alone in a step of its own.
    """
    chosen: list[WaitingView] = []
    room = view.max_tokens
    for job in islice(candidates, free_slots(view)):
        room -= job.tokens
        if room < 0 and chosen:
            break
        chosen.append(job)
    return chosen


def entries(jobs: Iterable[WaitingView]) -> tuple[tuple[int, int], ...]:
    """The `Batch.prefill` that computes these prompts whole."""
    return tuple([(job.id, job.tokens) for job in jobs])


def prompts_step(jobs: Iterable[WaitingView]) -> Batch:
    """A step that computes these prompts whole while nobody decodes; if there is nothing of them to compute, all decode."""
    prefill = entries(jobs)
    return Batch(decode=not sum([tokens for _, tokens in prefill]), prefill=prefill)


def standing_decode(view: ReplicaView) -> Batch:
    """All running jobs decode until a job could be admitted, supposing that none can be now.

    With jobs waiting, or every slot taken, only a completion can let one in (arrivals queue behind the first); else only an arrival can.
    """
    if not view.running:
        return Batch()
    blocked = bool(view.waiting) or not free_slots(view)
    return Batch(decode=True, until=Horizon(steps=float("inf"), arrival=not blocked, completion=blocked))
