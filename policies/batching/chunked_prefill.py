"""Chunked prefill: Agrawal et al., Taming Throughput-Latency Tradeoff in LLM Inference with Sarathi-Serve, OSDI 2024."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import at_least
from edgewright.policies.batching.admission import fitting, free_slots, standing_decode
from edgewright.policies.families import Batch, BatchingAgent
from edgewright.policies.registry import register
from edgewright.policies.views import Horizon, ReplicaView, WaitingView
from edgewright.workloads import Stream

__all__ = ["ChunkedPrefill"]


@register("batching", "chunked_prefill")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedPrefill:
    """Stall-free batching under a token budget: every step decodes all running jobs, and the rest of the budget computes prompts in chunks.

    Prompts already begun come first, then waiting ones in arrival order while they fit. The engine's `max_tokens` bounds the budget.

    Attributes:
        budget: tokens per step, decodes included. Sarathi-Serve uses 512 where the bound on gaps between tokens is tight, 2048 where
            it is loose.

    How wrong it can be: chunks are not rounded to the tile size of a kernel, which costs real engines up to a tile per step; a real
    engine sets aside memory chunk by chunk, this one for the whole prompt when it is admitted.
    """

    budget: int = 512

    def __post_init__(self) -> None:
        at_least(self, budget=1)

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        """The agent of one replica; it keeps no state."""
        return _Agent(self.budget)


class _Agent:
    def __init__(self, budget: int) -> None:
        self._budget = budget

    def next_batch(self, view: ReplicaView) -> Batch:
        begun = [(job.id, job.prompt_left) for job in view.running if job.prompt_left]
        room = min(self._budget, view.max_tokens) - (len(view.running) - len(begun))
        resumed, left = _cut(begun, room)
        admitted, _ = _cut([(job.id, job.tokens) for job in _admissible(view, left)], left)
        if not resumed and not admitted:
            return standing_decode(view)
        return Batch(decode=True, prefill=(*resumed, *admitted), until=_horizon(view, (*resumed, *admitted), room))


def _cut(prompts: list[tuple[int, int]], room: int) -> tuple[list[tuple[int, int]], int]:
    """Chunks of `prompts`, in order, that fill `room` tokens; and the room left. A prompt with nothing to compute decodes: one token."""
    chunks: list[tuple[int, int]] = []
    for job, tokens in prompts:
        if room <= 0:
            break
        chunks.append((job, min(tokens, room)))
        room -= max(min(tokens, room), 1)
    return chunks, room


def _admissible(view: ReplicaView, room: int) -> list[WaitingView]:
    """Waiting jobs that may begin with `room` tokens, within batch slots and memory."""
    chosen: list[WaitingView] = []
    for job in view.waiting:
        if room <= 0 or len(chosen) >= free_slots(view):
            break
        chosen.append(job)
        room -= max(job.tokens, 1)
    return list(fitting(view, chosen))


def _horizon(view: ReplicaView, chunks: tuple[tuple[int, int], ...], room: int) -> Horizon:
    """A prompt that takes the whole room does so for as many steps as it has whole chunks, unless a job that decodes completes."""
    (job, tokens), *others = chunks
    if others or tokens < room:
        return Horizon()
    left = next((member.prompt_left for member in view.running if member.id == job), 0)
    left = left or next(waiting.tokens for waiting in view.waiting if waiting.id == job)
    return Horizon(steps=left // tokens, arrival=False, completion=True)
