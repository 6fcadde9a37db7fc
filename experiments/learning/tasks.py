"""What a learner decides, and what it sees: the views of the policy families as arrays, and actions as decisions.

A learner sees no more than any policy: no output lengths, no future arrivals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.policies.batching import Continuous
from edgewright.policies.families import Actuation, Batch
from edgewright.policies.views import JobView, PowerView, ReplicaView, RoutingView
from edgewright.workloads import Stream

if TYPE_CHECKING:
    import gymnasium
    from numpy.typing import NDArray

    from edgewright.experiments.learning.bridge import Bridge
    from edgewright.simulator.simulation import Simulation

__all__ = ["BatchingTask", "PowerTask", "RoutingTask", "Task"]


_MOST = 64.0
"""The most that an observation says: of no budget, and of what exceeds 10^27."""


class Task(ABC):
    """A decision that a learner takes over in a scenario, the same one all through a run.

    Attributes:
        family: the family of policies that it stands in for.
    """

    family: str

    @abstractmethod
    def overrides(self, name: str) -> dict[str, object]:
        """What makes a scenario use the policy of that name here."""

    @abstractmethod
    def spaces(self, simulation: Simulation) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """Spaces of observations and actions; raises `ValueError`, naming what there is, where the scenario has no such place."""

    @abstractmethod
    def agent(self, scope: str, stream: Stream, bridge: Bridge) -> Any:
        """An agent of the family that asks through the bridge."""


@dataclass(frozen=True)
class RoutingTask(Task):
    """Which replica of a service gets a job. Action: the number of the replica, in the scenario's order; one that cannot take the job is as
    a rejection.

    Observation, log(1 + x) of: the prompt's tokens, then for each replica its queued jobs, running jobs and queued tokens, and whether it
    can take the job.
    """

    service: str
    family = "routing"

    def overrides(self, name: str) -> dict[str, object]:
        """See `Task`."""
        return {f"services.{self.service}.routing": name}

    def spaces(self, simulation: Simulation) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """See `Task`."""
        from gymnasium.spaces import Discrete

        servers = len(_found(simulation.services, self.service, "service").servers)
        return _numbers(1 + 4 * servers), Discrete(servers)

    def agent(self, scope: str, stream: Stream, bridge: Bridge) -> Any:
        """See `Task`."""
        return _Router(bridge)


@dataclass(frozen=True)
class PowerTask(Task):
    """The clock of all devices of a power domain, once per telemetry period. Action: the number of a level.

    Observation, log(1 + x) of: reading and budget in watts, then for each device the watts it draws at most at its clock, and its clock.
    """

    domain: str
    levels: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0)
    family = "power"

    def overrides(self, name: str) -> dict[str, object]:
        """See `Task`."""
        return {f"power.{self.domain}.policy": name}

    def spaces(self, simulation: Simulation) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """See `Task`."""
        from gymnasium.spaces import Discrete

        controller = _found(simulation.controllers, self.domain, "power domain with a policy")
        return _numbers(2 + 2 * len(controller.targets)), Discrete(len(self.levels))

    def agent(self, scope: str, stream: Stream, bridge: Bridge) -> Any:
        """See `Task`."""
        return _Controller(bridge, self.levels)


@dataclass(frozen=True)
class BatchingTask(Task):
    """How many sequences a replica's batch may hold, decided before every step that could admit one; jobs join as in `continuous`.

    Observation, log(1 + x) of: waiting jobs, their prompt tokens, running jobs, their tokens in cache. Action: the limit less one, up to
    `most`.
    """

    service: str
    replica: str
    most: int = 16
    family = "batching"

    def overrides(self, name: str) -> dict[str, object]:
        """See `Task`."""
        return {f"services.{self.service}.batching": name}

    def spaces(self, simulation: Simulation) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """See `Task`."""
        from gymnasium.spaces import Discrete

        _found(simulation.replicas, f"{self.service}.{self.replica}", "replica")
        return _numbers(4), Discrete(self.most)

    def agent(self, scope: str, stream: Stream, bridge: Bridge) -> Any:
        """See `Task`; other replicas of the service batch as in `continuous`."""
        standing = Continuous().start(scope, stream)
        return _Batcher(bridge, standing) if scope.startswith(f"{self.service}.{self.replica}.lane") else standing


class _Router:
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def route(self, job: JobView, view: RoutingView) -> str | None:
        able = [server.available and server.can_hold(job) for server in view.servers]
        seen = [[server.queued, server.running, server.queued_tokens, float(can)] for server, can in zip(view.servers, able, strict=True)]
        chosen = int(self._bridge.ask(_observed([job.prompt, *(figure for each in seen for figure in each)])))
        return view.servers[chosen].name if able[chosen] else None


class _Controller:
    def __init__(self, bridge: Bridge, levels: Sequence[float]) -> None:
        self._bridge, self._levels = bridge, levels

    def act(self, view: PowerView) -> Sequence[Actuation]:
        seen = [figure for target in view.targets for figure in (target.peak_W(target.clock), target.clock)]
        level = self._levels[int(self._bridge.ask(_observed([view.watts, view.budget_W, *seen])))]
        able = [target for target in view.targets if target.up and target.clock_set != max(level, target.clock_min)]
        return [Actuation(target.name, "clock", max(level, target.clock_min)) for target in able]


class _Batcher:
    def __init__(self, bridge: Bridge, standing: Any) -> None:
        self._bridge, self._standing = bridge, standing

    def next_batch(self, view: ReplicaView) -> Batch:
        if not view.waiting:
            batch: Batch = self._standing.next_batch(view)
            return batch
        waiting, running = view.waiting, view.running
        seen = [len(waiting), sum(job.tokens for job in waiting), len(running), sum(job.context for job in running)]
        limit = 1 + int(self._bridge.ask(_observed(seen)))
        limited: Batch = self._standing.next_batch(_Limited(view, limit))
        return limited


class _Limited:
    """A replica whose batch is limited further."""

    def __init__(self, view: ReplicaView, limit: int) -> None:
        self._view = view
        self.max_sequences = min(view.max_sequences, max(limit, len(view.running)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def _numbers(count: int) -> gymnasium.Space[Any]:
    from gymnasium.spaces import Box

    return Box(0.0, _MOST, (count,), np.float32)


def _observed(figures: Sequence[float]) -> NDArray[np.float32]:
    return np.array([min(_MOST, log1p(max(0.0, figure))) for figure in figures], np.float32)


def _found(places: Any, name: str, what: str) -> Any:
    from edgewright.simulator.errors import choices

    if name not in places:
        raise ValueError(f"{name!r} is no {what}; accepted: {choices(name, list(places))}")
    return places[name]
