"""Hand the job to another service: a smaller model at hand, or one far away."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.failure.backoff import Backoff
from edgewright.policies.families import FailureAgent, Limits, Remedy
from edgewright.policies.registry import register
from edgewright.policies.routing.candidates import candidates
from edgewright.policies.views import Interruption
from edgewright.workloads import Stream

__all__ = ["Failover"]


@register("failure", "failover")
@dataclass(frozen=True, slots=True, kw_only=True)
class Failover(Backoff):
    """A replica of its own service that is up takes the job; where there is none, another service does, at once.

    Attributes:
        service: the other service.

    How wrong it can be: an answer that begins with one model and ends with another counts as one answer; its quality is not judged.
    """

    service: str

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it may turn to."""
        return (self.service,)

    def start(self, scope: str, stream: Stream) -> FailureAgent:
        """The agent of one service."""
        return _Agent(self, stream)


class _Agent:
    def __init__(self, policy: Failover, stream: Stream) -> None:
        self._policy = policy
        self._stream = stream
        self.limits: Limits = policy.limits()

    def decide(self, interruption: Interruption) -> Remedy:
        if candidates(interruption.job, interruption):
            after = self._policy.pause_after(interruption, self._stream)
            return self._policy.refusal(interruption, after) or Remedy("retry", after)
        return self._policy.refusal(interruption, 0.0) or Remedy("failover", to=self._policy.service)
