"""Round robin: each job to the server after the one that the last job went to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from edgewright.policies.families import RoutingAgent
from edgewright.policies.registry import register
from edgewright.policies.views import JobView, RoutingView
from edgewright.workloads import Stream

__all__ = ["RoundRobin"]


@register("routing", "round_robin")
@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRobin:
    """Servers take turns; one that is not available, or cannot hold the job, is passed over.

    A decision looks at no more servers than it passes over, so that its cost does not grow with their number.

    How wrong it can be: not at all; it is blind to how fast servers are and to what they have to do.
    """

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        """The agent of one service; it remembers whose turn it is."""
        return _Agent()


class _Agent:
    def __init__(self) -> None:
        self._next = 0

    def route(self, job: JobView, view: RoutingView) -> str | None:
        servers = view.servers
        for turn in chain(range(self._next, len(servers)), range(min(self._next, len(servers)))):
            server = servers[turn]
            if server.available and server.can_hold(job):
                self._next = (turn + 1) % len(servers)
                return server.name
        return None
