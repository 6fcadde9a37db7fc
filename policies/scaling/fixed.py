"""As many replicas as were given, always: the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.families import Scaling, ScalingAgent
from edgewright.policies.registry import register
from edgewright.policies.scaling.fleet import commands
from edgewright.policies.views import ScalingView
from edgewright.workloads import Stream

__all__ = ["Fixed"]


@register("scaling", "fixed")
@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The first `replicas` of the service run, the others never.

    Attributes:
        replicas: how many; None: all.

    How wrong it can be: not at all; it wastes what idle replicas draw.
    """

    replicas: int | None = None

    def __post_init__(self) -> None:
        if self.replicas is not None and self.replicas < 0:
            raise ValueError(f"replicas: {self.replicas!r} is not accepted; accepted are numbers from 0 up")

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(self.replicas)


class _Agent:
    def __init__(self, replicas: int | None) -> None:
        self._replicas = replicas

    def act(self, view: ScalingView) -> Scaling:
        wanted = len(view.replicas) if self._replicas is None else min(self._replicas, len(view.replicas))
        return Scaling(commands(view, wanted))
