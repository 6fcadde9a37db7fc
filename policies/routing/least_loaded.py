"""Join the shortest queue (Winston, Optimality of the shortest line discipline, J. Appl. Prob. 14, 1977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.policies.families import RoutingAgent
from edgewright.policies.registry import register
from edgewright.policies.routing.candidates import best, candidates
from edgewright.policies.views import JobView, RoutingView, ServerView
from edgewright.workloads import Stream

__all__ = ["LeastLoaded"]


@register("routing", "least_loaded")
@dataclass(frozen=True, slots=True, kw_only=True)
class LeastLoaded:
    """The server with the least in front of the job; ties go to the first in the scenario's order.

    Attributes:
        by: `jobs` counts jobs queued and running; `tokens` counts prompt tokens queued, then jobs.

    How wrong it can be: blind to speed. Of a fast and a slow server with equal counts it takes the first listed, and it loads uneven
    servers evenly: `predicted_latency` knows better there.
    """

    by: Literal["jobs", "tokens"] = "jobs"

    def __post_init__(self) -> None:
        if self.by not in ("jobs", "tokens"):
            raise ValueError(f"by: {self.by!r} is not accepted; accepted are 'jobs', 'tokens'")

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(by_tokens=self.by == "tokens")


class _Agent:
    def __init__(self, *, by_tokens: bool) -> None:
        self._by_tokens = by_tokens

    def route(self, job: JobView, view: RoutingView) -> str | None:
        return best(candidates(job, view), self._load)

    def _load(self, server: ServerView) -> tuple[int, int]:
        return (server.queued_tokens if self._by_tokens else 0, server.queued + server.running)
