"""Static batching: the baseline that Orca (Yu et al., OSDI 2022) calls request-level scheduling."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.batching.closing import ClosingAgent
from edgewright.policies.families import BatchingAgent
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaView
from edgewright.workloads import Stream

__all__ = ["Static"]


@register("batching", "static")
@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """Waits for a full batch, and runs it to the end of its longest member before it looks at the queue again.

    Attributes:
        size: jobs in a full batch (at most the engine's `max_sequences`).
        timeout: seconds without an arrival after which a partial batch starts, so that the last jobs of a workload are served too.

    How wrong it can be: a member that has ended leaves the batch and its answer is delivered, whereas many real servers go on
    computing padding for it and deliver all answers together; against those, latency and energy here are lower bounds.
    """

    size: int = 8
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        at_least(self, size=1, timeout=0.0)

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        """The agent of one replica; it knows the members of the batch that runs."""
        return ClosingAgent(self.size, self._due)

    def _due(self, view: ReplicaView) -> float:
        return view.waiting[-1].arrival + self.timeout
