"""Try again from the beginning, with back-off (see `backoff.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.failure.backoff import Backoff
from edgewright.policies.families import FailureAgent, Limits, Remedy
from edgewright.policies.registry import register
from edgewright.policies.views import Interruption
from edgewright.workloads import Stream

__all__ = ["Retry"]


@register("failure", "retry")
@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(Backoff):
    """The router finds the job another replica, or the same when it is up again; keys and values are computed again.

    Attributes:
        keep: whether tokens that the user has seen stand, so that only their keys and values are lost (a server that remembers them);
            else the answer begins anew (a client that asks again).

    How wrong it can be: whoever tries again knows at once that an attempt has failed, where no `timeout` or `stall` makes it wait.
    """

    keep: bool = True

    def start(self, scope: str, stream: Stream) -> FailureAgent:
        """The agent of one service."""
        return _Agent(self, stream)


class _Agent:
    def __init__(self, policy: Retry, stream: Stream) -> None:
        self._policy = policy
        self._stream = stream
        self.limits: Limits = policy.limits()

    def decide(self, interruption: Interruption) -> Remedy:
        after = self._policy.pause_after(interruption, self._stream)
        return self._policy.refusal(interruption, after) or Remedy("retry", after, keep=self._policy.keep)
