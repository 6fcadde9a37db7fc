"""By the clock: so many replicas from so many seconds on, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.families import Scaling, ScalingAgent
from edgewright.policies.registry import register
from edgewright.policies.scaling.fleet import commands
from edgewright.policies.views import ScalingView
from edgewright.workloads import Stream

__all__ = ["Scheduled"]


@register("scaling", "scheduled")
@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """The plan's last entry that has begun says how many replicas run.

    Attributes:
        plan: `(second, replicas)` in order of time, the first at second 0.
        repeat: seconds after which the plan begins anew; None: never.
        rest: what becomes of replicas that are let go.

    How wrong it can be: it starts replicas when they are wanted, not a cold start earlier; put that into the plan.
    """

    plan: tuple[tuple[Seconds, int], ...] = ((0.0, 1),)
    repeat: Seconds | None = None
    rest: Literal["stop", "sleep"] = "stop"

    def __post_init__(self) -> None:
        times = [time for time, _ in self.plan]
        if not times or times[0] != 0.0 or sorted(set(times)) != times or any(wanted < 0 for _, wanted in self.plan):
            raise ValueError(f"plan: {self.plan!r} is not accepted; accepted are (second, replicas) in order, the first at second 0")
        at_least(self, repeat=1e-3)
        if self.repeat is not None and times[-1] >= self.repeat:
            raise ValueError(f"repeat: {self.repeat!r} is not accepted; accepted are seconds after the plan's last, {times[-1]:g}")
        if self.rest not in ("stop", "sleep"):
            raise ValueError(f"rest: {self.rest!r} is not accepted; accepted are 'stop', 'sleep'")

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(self)


class _Agent:
    def __init__(self, policy: Scheduled) -> None:
        self._policy = policy

    def act(self, view: ScalingView) -> Scaling:
        plan, repeat = self._policy.plan, self._policy.repeat
        rounds = 0 if repeat is None else round(view.now // repeat)
        begun = 0.0 if repeat is None else rounds * repeat
        times = [begun + time for time, _ in plan] + ([] if repeat is None else [begun + repeat])
        place = max(index for index, time in enumerate(times) if time <= view.now or index == 0)
        wanted = plan[place % len(plan)][1]
        return Scaling(commands(view, min(wanted, len(view.replicas)), self._policy.rest), next((t for t in times if t > view.now), None))
