"""Go on from keys and values that survive: in memory, or in a checkpoint on storage.

Periodic checkpoints of the KV cache: Strati et al., DéjàVu: KV-cache Streaming for Fast, Fault-tolerant Generative LLM Serving, ICML 2024
(there replicated to a neighbour's memory; here written to the device's own storage).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import at_least
from edgewright.policies.failure.backoff import Backoff
from edgewright.policies.families import FailureAgent, Limits, Remedy
from edgewright.policies.registry import register
from edgewright.policies.views import Interruption
from edgewright.workloads import Stream

__all__ = ["Resume"]


@register("failure", "resume")
@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Backoff):
    """Where at least `least` cached tokens survive, the job waits for its replica and goes on from there; else it is tried again.

    Attributes:
        least: cached tokens for which waiting is worth it.
        checkpoint: tokens of context between checkpoints; None: none are written.

    How wrong it can be: it does not ask how long the replica will be gone; a short context is recomputed elsewhere sooner.
    """

    least: int = 1
    checkpoint: int | None = None

    def __post_init__(self) -> None:
        super(Resume, self).__post_init__()
        at_least(self, least=1, checkpoint=1)

    def start(self, scope: str, stream: Stream) -> FailureAgent:
        """The agent of one service."""
        return _Agent(self, stream)


class _Agent:
    def __init__(self, policy: Resume, stream: Stream) -> None:
        self._policy = policy
        self._stream = stream
        self.limits: Limits = policy.limits(policy.checkpoint)

    def decide(self, interruption: Interruption) -> Remedy:
        after = self._policy.pause_after(interruption, self._stream)
        refused = self._policy.refusal(interruption, after)
        if refused is not None:
            return refused
        return Remedy("resume" if interruption.cached >= self._policy.least else "retry", after)
