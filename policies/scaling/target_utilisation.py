"""In proportion to utilisation: `wanted = ceil(on * utilisation / target)`, the rule of Kubernetes' Horizontal Pod Autoscaler.

Source: Kubernetes documentation, Horizontal Pod Autoscaling, "Algorithm details" (tolerance 0.1, sync period 15 s, downscale
stabilisation 300 s by default).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import Literal

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Scaling, ScalingAgent
from edgewright.policies.registry import register
from edgewright.policies.scaling.fleet import commands, running
from edgewright.policies.views import ScalingView
from edgewright.workloads import Stream

__all__ = ["TargetUtilisation"]


@register("scaling", "target_utilisation")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUtilisation:
    """Utilisation: the share of the last period in which a replica that is on had something in its batch, the mean over all.

    Attributes:
        target: utilisation to aim at.
        tolerance: relative deviation that changes nothing.
        period: seconds between looks.
        stabilisation: seconds over which the largest wish counts when replicas are let go.
        least, most: replicas; `most` None: all there are.
        rest: what becomes of replicas that are let go.

    How wrong it can be: a batch of one counts as busy as a full one, so replicas that batch well are scaled up too early.
    """

    target: float = 0.7
    tolerance: float = 0.1
    period: Seconds = 15.0
    stabilisation: Seconds = 300.0
    least: int = 1
    most: int | None = None
    rest: Literal["stop", "sleep"] = "stop"

    def __post_init__(self) -> None:
        at_least(self, period=1e-3, stabilisation=0, least=1, most=1, tolerance=0)
        within(self, 0.01, 1.0, "target")
        if self.rest not in ("stop", "sleep"):
            raise ValueError(f"rest: {self.rest!r} is not accepted; accepted are 'stop', 'sleep'")

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        """A new agent, which remembers busy seconds and its own wishes."""
        return _Agent(self)


class _Agent:
    def __init__(self, policy: TargetUtilisation) -> None:
        self._policy = policy
        self._before: dict[str, float] = {}
        self._wishes: deque[tuple[float, int]] = deque()

    def act(self, view: ScalingView) -> Scaling:
        policy = self._policy
        on, wanted = running(view), self._wish(view)
        self._before = {replica.name: replica.busy_s for replica in view.replicas}
        self._wishes.append((view.now, wanted))
        while self._wishes[0][0] < view.now - policy.stabilisation:
            self._wishes.popleft()
        if wanted < len(on):
            wanted = min(len(on), max(wish for _, wish in self._wishes))
        return Scaling(commands(view, wanted, policy.rest), view.now + policy.period)

    def _wish(self, view: ScalingView) -> int:
        policy, on = self._policy, running(view)
        most = len(view.replicas) if policy.most is None else min(policy.most, len(view.replicas))
        if view.now == 0.0:
            return min(policy.least, most)
        used = sum(replica.busy_s - self._before.get(replica.name, 0.0) for replica in on) / policy.period / max(len(on), 1)
        ratio = used / policy.target
        wanted = len(on) if abs(ratio - 1.0) <= policy.tolerance else ceil(len(on) * ratio)
        return min(max(wanted, policy.least), most)
