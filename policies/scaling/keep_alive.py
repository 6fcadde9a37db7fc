"""Serverless: a replica is started when a job finds none, and stopped when it has been idle for a while.

Fixed keep-alive is what public clouds did when Shahrad et al. measured them (Serverless in the Wild, USENIX ATC 2020: 10 to 20 min).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.hwmodels.units import Seconds
from edgewright.policies.base import at_least
from edgewright.policies.families import Scale, Scaling, ScalingAgent
from edgewright.policies.registry import register
from edgewright.policies.scaling.fleet import commands, running
from edgewright.policies.views import ScalingView
from edgewright.workloads import Stream

__all__ = ["KeepAlive"]


@register("scaling", "keep_alive")
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """A replica more when jobs per replica exceed `jobs`, at once; each that has been idle for `idle` seconds goes.

    Attributes:
        idle: seconds.
        jobs: queued, running and at the door, per replica that is on, beyond which another is started.
        least: replicas that are always on.
        rest: what becomes of idle replicas.

    How wrong it can be: every start is cold; real platforms keep some warm before they are asked.
    """

    idle: Seconds = 600.0
    jobs: float = 8.0
    least: int = 0
    rest: Literal["stop", "sleep"] = "stop"

    def __post_init__(self) -> None:
        at_least(self, idle=1e-3, jobs=0, least=0)
        if self.rest not in ("stop", "sleep"):
            raise ValueError(f"rest: {self.rest!r} is not accepted; accepted are 'stop', 'sleep'")

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        """The agent of one service; it keeps no state."""
        return _Agent(self)


class _Agent:
    def __init__(self, policy: KeepAlive) -> None:
        self._policy = policy

    def act(self, view: ScalingView) -> Scaling:
        policy, on = self._policy, running(view)
        if view.now == 0.0 and not view.arrivals:
            return Scaling(commands(view, min(policy.least, len(on)), policy.rest), arrival=True, change=True)
        load = sum(replica.queued + replica.running for replica in on) + view.pending
        if load > policy.jobs * len(on) or (view.pending and not on):
            more = commands(view, min(len(on) + 1, len(view.replicas)), policy.rest)
            return Scaling(more, view.now + policy.idle, arrival=True, change=True)
        done = [replica for replica in on if replica.state == "ready" and replica.idle_s >= policy.idle]
        leaving = done[: max(0, len(on) - policy.least)]
        verb: Literal["drain", "sleep"] = "drain" if policy.rest == "stop" else "sleep"
        gone = {replica.name for replica in leaving}
        return Scaling(tuple(Scale(name, verb) for name in sorted(gone)), self._next(view, gone), arrival=True, change=True)

    def _next(self, view: ScalingView, gone: set[str] | frozenset[str] = frozenset()) -> float | None:
        """When the next idle replica will have been idle for long enough; None while none is idle."""
        due = [
            max(view.now - replica.idle_s + self._policy.idle, view.now * (1 + 1e-12) + 1e-9)
            for replica in running(view)
            if replica.state == "ready" and not replica.queued + replica.running and replica.name not in gone
        ]
        return min(due, default=None) if len(running(view)) - len(gone) > self._policy.least else None
