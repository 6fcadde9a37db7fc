"""Hysteresis on the load per replica: the rule of most autoscalers (Lorido-Botrán et al., J. Grid Computing 12, 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least, ordered
from edgewright.policies.families import Scaling, ScalingAgent
from edgewright.policies.registry import register
from edgewright.policies.scaling.fleet import commands, running
from edgewright.policies.views import ScalingView
from edgewright.workloads import Stream

__all__ = ["Threshold"]


@register("scaling", "threshold")
@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One replica more where jobs (queued, running, and at the door) per replica exceed `high`, one less where they are below `low`.

    Attributes:
        low, high: jobs per replica that is on.
        period: seconds between looks.
        hold: seconds after a change for which nothing is let go.
        least, most: replicas; `most` None: all there are.
        rest: what becomes of replicas that are let go.

    How wrong it can be: it looks at what is there, not at what is to come; one step per period follows a burst late, and a cold start
    later still.
    """

    low: float = 1.0
    high: float = 4.0
    period: Seconds = 5.0
    hold: Seconds = 30.0
    least: int = 1
    most: int | None = None
    rest: Literal["stop", "sleep"] = "stop"

    def __post_init__(self) -> None:
        at_least(self, low=0, high=0, period=1e-3, hold=0, least=0, most=1)
        ordered(self, "low", "high")
        if self.rest not in ("stop", "sleep"):
            raise ValueError(f"rest: {self.rest!r} is not accepted; accepted are 'stop', 'sleep'")

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        """A new agent, which remembers when it last changed something."""
        return _Agent(self)


class _Agent:
    def __init__(self, policy: Threshold) -> None:
        self._policy = policy
        self._changed = -float("inf")

    def act(self, view: ScalingView) -> Scaling:
        policy = self._policy
        wake_at = view.now + policy.period
        on = running(view)
        most = len(view.replicas) if policy.most is None else min(policy.most, len(view.replicas))
        least = min(policy.least, most)
        if view.now == 0.0:
            return Scaling(commands(view, max(least, 1) if most else 0, policy.rest), wake_at)
        load = (sum(replica.queued + replica.running for replica in on) + view.pending) / max(len(on), 1)
        wanted = len(on)
        if load > policy.high:
            wanted += 1
        elif load < policy.low and view.now - self._changed >= policy.hold:
            wanted -= 1
        wanted = min(max(wanted, least, 1 if view.pending else 0), most)
        if wanted != len(on):
            self._changed = view.now
        return Scaling(commands(view, wanted, policy.rest), wake_at)
