"""First fit: servers in order of preference, the next one when the one before is full."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import at_least
from edgewright.policies.families import RoutingAgent
from edgewright.policies.registry import register
from edgewright.policies.routing.candidates import best, candidates
from edgewright.policies.views import JobView, RoutingView
from edgewright.workloads import Stream

__all__ = ["FirstFit"]


@register("routing", "first_fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFit:
    """The first server, in the scenario's order, that is up, can hold the job and is not full; where all are full, the first of them.

    Attributes:
        limit: jobs queued and running at which a server counts as full; None: it never does, so that later servers only stand in for
            failed ones and for prompts that are too long.

    How wrong it can be: no model is involved; the counts are those of the moment of arrival.
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        at_least(self, limit=1)

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(self.limit)


class _Agent:
    def __init__(self, limit: int | None) -> None:
        self._limit = float("inf") if limit is None else limit

    def route(self, job: JobView, view: RoutingView) -> str | None:
        return best(candidates(job, view), lambda server: server.queued + server.running >= self._limit)
