"""Continuous batching: Yu et al., Orca: A Distributed Serving System for Transformer-Based Generative Models, OSDI 2022."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.batching.admission import prompts_step, standing_decode, whole_prompts
from edgewright.policies.families import Batch, BatchingAgent
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaView
from edgewright.workloads import Stream

__all__ = ["Continuous"]


@register("batching", "continuous")
@dataclass(frozen=True, slots=True, kw_only=True)
class Continuous:
    """Iteration-level scheduling: jobs join the batch between two steps, in arrival order, as soon as they fit, and leave when they end.

    Waiting prompts come first: a step prefills whole prompts, up to the engine's `max_tokens` (a longer one alone), and only a step
    without any decodes. That is the order of vLLM's first scheduler; running jobs pause while prompts are computed.

    How wrong it can be: Orca itself runs prompts and decodes in one step, so it stalls running jobs less; engines that chunk prompts
    (`chunked_prefill`) stall them least. Against either, this order gives earlier first tokens and longer worst gaps between tokens.
    """

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        """The agent of one replica; it keeps no state."""
        return _Agent()


class _Agent:
    def next_batch(self, view: ReplicaView) -> Batch:
        admitted = whole_prompts(view, view.waiting)
        if not admitted:
            return standing_decode(view)
        return prompts_step(admitted)
