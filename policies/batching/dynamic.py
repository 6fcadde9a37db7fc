"""Dynamic batching with a timeout, as in Clipper (Crankshaw et al., NSDI 2017) and the model servers after it."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.batching.closing import ClosingAgent
from edgewright.policies.families import BatchingAgent
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaView
from edgewright.workloads import Stream

__all__ = ["Dynamic"]


@register("batching", "dynamic")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """Starts a batch when `size` jobs wait or the oldest has waited `timeout`, and runs it to its end.

    Attributes:
        size: jobs in the largest batch (at most the engine's `max_sequences`).
        timeout: seconds that the oldest job waits for company at most; 0 starts whatever waits at once.

    How wrong it can be: jobs are batched whatever their shapes; servers that batch only inputs of one shape form smaller batches.
    For models that generate, members leave as they end (see `static`).
    """

    size: int = 8
    timeout: Seconds = 0.005

    def __post_init__(self) -> None:
        at_least(self, size=1, timeout=0.0)

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        """The agent of one replica; it knows the members of the batch that runs."""
        return ClosingAgent(self.size, self._due)

    def _due(self, view: ReplicaView) -> float:
        return min(job.arrival for job in view.waiting) + self.timeout
