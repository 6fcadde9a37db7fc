"""Give up: the baseline, and what servers without a client's help do."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.families import FailureAgent, Limits, Remedy
from edgewright.policies.registry import register
from edgewright.policies.views import Interruption
from edgewright.workloads import Stream

__all__ = ["Drop"]


@register("failure", "drop")
@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Every interrupted job fails.

    Attributes:
        timeout: seconds that an attempt may take; None: as long as it likes.
        stall: seconds for which a dead link or storage may hold up a job; None: for ever.

    How wrong it can be: users of a real service ask again.
    """

    timeout: Seconds | None = None
    stall: Seconds | None = None

    def __post_init__(self) -> None:
        at_least(self, timeout=0, stall=0)

    def start(self, scope: str, stream: Stream) -> FailureAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(Limits(attempt=inf if self.timeout is None else self.timeout, stall=inf if self.stall is None else self.stall))


class _Agent:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def decide(self, interruption: Interruption) -> Remedy:
        return Remedy("drop")
