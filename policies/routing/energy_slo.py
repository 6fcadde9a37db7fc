"""Least energy within a latency objective."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.families import RoutingAgent
from edgewright.policies.registry import register
from edgewright.policies.routing.candidates import best, candidates
from edgewright.policies.views import JobView, RoutingView
from edgewright.workloads import Stream

__all__ = ["EnergySlo"]


@register("routing", "energy_slo")
@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySlo:
    """Of the servers predicted to deliver the last token within `slo`, the one that spends the least; where none does, the fastest.

    Ties go to the first in the scenario's order.

    Attributes:
        slo: seconds from routing to the last token.
        expected_output: tokens that the router supposes every answer to have, as it cannot know (see `predicted_latency`).

    How wrong it can be: dynamic energy only. Idle and static power are spent whichever server works, so that the saving at the plug
    is smaller unless servers that get nothing to do are put to sleep.
    """

    slo: Seconds = 10.0
    expected_output: int = 256

    def __post_init__(self) -> None:
        at_least(self, slo=0.0, expected_output=0)

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(self.slo, self.expected_output)


class _Agent:
    def __init__(self, slo: float, expected_output: int) -> None:
        self._slo = slo
        self._expected = expected_output

    def route(self, job: JobView, view: RoutingView) -> str | None:
        servers = candidates(job, view)
        seconds = {server.name: server.predict_seconds(job, self._expected) for server in servers}
        timely = [server for server in servers if seconds[server.name] <= self._slo]
        if timely:
            return best(timely, lambda server: server.predict_joules(job, self._expected))
        return best(servers, lambda server: seconds[server.name])
