"""Least predicted latency: the serving analogue of minimum completion time (Maheswaran et al., J. Parallel Distrib. Comput. 59, 1999)."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import at_least
from edgewright.policies.families import RoutingAgent
from edgewright.policies.registry import register
from edgewright.policies.routing.candidates import best, candidates
from edgewright.policies.views import JobView, RoutingView
from edgewright.workloads import Stream

__all__ = ["PredictedLatency"]


@register("routing", "predicted_latency")
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedLatency:
    """The server that is predicted to deliver the last token first; ties go to the first in the scenario's order.

    Attributes:
        expected_output: tokens that the router supposes every answer to have, as it cannot know (an assumption; of the order of the
            mean of the Azure 2023 conversation trace).

    How wrong it can be: the prediction knows neither later arrivals nor true lengths; it is short where answers are longer than supposed.
    """

    expected_output: int = 256

    def __post_init__(self) -> None:
        at_least(self, expected_output=0)

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(self.expected_output)


class _Agent:
    def __init__(self, expected_output: int) -> None:
        self._expected = expected_output

    def route(self, job: JobView, view: RoutingView) -> str | None:
        return best(candidates(job, view), lambda server: server.predict_seconds(job, self._expected))
