"""Batches of tokens that want the same experts.

Cai et al., "Read-ME: Refactorizing LLMs as Router-Decoupled Mixture of Experts with System Co-Design", NeurIPS 2024.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from edgewright.policies.base import at_least
from edgewright.policies.batching.admission import entries, fitting, free_slots, standing_decode
from edgewright.policies.families import Batch, BatchingAgent
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaView, RunningView, WaitingView
from edgewright.workloads import Stream

__all__ = ["ExpertAware"]


@register("batching", "expert_aware")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertAware:
    """Where a router stands before the model, running jobs queue by the experts of their next tokens, and the longest queues decode.

    A step takes jobs from the longest queue on until `budget` tokens are full, the longest running wait first in each; the others wait, so
    a step reads few experts. Waiting prompts are computed whole beside them as they fit the engine's
    `max_tokens`; one that is longer waits until nothing decodes. Without such a router all running jobs decode.

    Attributes:
        budget: tokens that decode in one step.

    How wrong it can be: prompts are not queued by expert (they touch most of them); a job whose expert nobody else wants waits until its
    queue is among the longest, and nothing bounds that wait, as the paper does not.
    """

    budget: int = 32

    def __post_init__(self) -> None:
        at_least(self, budget=1)

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        """The agent of one replica; it keeps no state."""
        return _Agent(self.budget)


class _Agent:
    def __init__(self, budget: int) -> None:
        self._budget = budget

    def next_batch(self, view: ReplicaView) -> Batch:
        ready = [job for job in view.running if not job.prompt_left]
        experts = view.next_experts(ready) if len(ready) > self._budget else None
        chosen = ready if experts is None else _drained(ready, experts)[: self._budget]
        admitted = self._beside(view, len(chosen))
        if experts is None and not admitted:
            return standing_decode(view)
        return Batch(decode=frozenset(job.id for job in chosen) if experts is not None else bool(chosen), prefill=entries(admitted))

    def _beside(self, view: ReplicaView, decoding: int) -> Sequence[WaitingView]:
        """Waiting prompts that a step computes whole beside that many decodes."""
        room = view.max_tokens - decoding
        found: list[WaitingView] = []
        for job in islice(view.waiting, free_slots(view)):
            room -= job.tokens
            if room < 0 and (found or decoding):
                break
            found.append(job)
        return fitting(view, found)


def _drained(ready: Sequence[RunningView], experts: Sequence[tuple[int, ...]]) -> list[RunningView]:
    """Jobs of the longest queue first; of queues as long, the lower experts first; within one, who has generated least."""
    lengths = Counter(experts)
    order = sorted(zip(ready, experts, strict=True), key=lambda each: (-lengths[each[1]], each[1], each[0].generated, each[0].id))
    return [job for job, _ in order]
