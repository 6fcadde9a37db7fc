"""The environment itself. Imports gymnasium (extra `gym`): `environment` does so when it is called."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

import gymnasium

from edgewright.experiments.learning.bridge import Bridge, Progress
from edgewright.experiments.learning.tasks import Task
from edgewright.policies.registry import registered
from edgewright.simulator.scenario import Scenario
from edgewright.simulator.simulation import Simulation
from edgewright.workloads import Stream

__all__ = ["Episodes"]

_NUMBERS = count()


class Episodes(gymnasium.Env[Any, Any]):
    """Runs of a scenario in which a learner takes over one decision; see `environment`."""

    def __init__(self, scenario: Scenario, task: Task, reward: Callable[[Progress], float]) -> None:
        self._named = ExitStack()
        self._bridge: Bridge | None = None
        self._reward = reward
        self._learner = _learner(task)
        name = f"learner_{next(_NUMBERS)}"
        self._named.enter_context(registered(task.family, name, self._learner))
        try:
            self._scenario = scenario.override(task.overrides(name))
            self.observation_space, self.action_space = task.spaces(Simulation(self._scenario))
        except ValueError:
            self._named.close()
            raise
        self._last = self.observation_space.sample() * 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a run, with the seed given, or the next one."""
        super().reset(seed=seed)
        self._stop()
        self._scenario = self._scenario.override({"seed": self._scenario.seed + 1 if seed is None else seed})
        self._bridge = Bridge(self._built)
        return self._seen(self._bridge.start()), {"progress": self._bridge.progress}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Decide, and go on to the next decision; raises what the run raises, and RuntimeError if there is none."""
        if self._bridge is None:
            raise RuntimeError("the run is over, or has not begun; call reset() first")
        observation, progress = self._bridge.answer(action), self._bridge.progress
        if observation is None:
            self._bridge = None
        return self._seen(observation), float(self._reward(progress)), observation is None, False, {"progress": progress}

    def close(self) -> None:
        """End the run, and take the learner's name back."""
        self._stop()
        self._named.close()

    def _built(self, bridge: Bridge) -> Simulation:
        self._learner.bridge = bridge
        return Simulation(self._scenario)

    def _stop(self) -> None:
        if self._bridge is not None:
            self._bridge.stop()
            self._bridge = None

    def _seen(self, observation: Any) -> Any:
        self._last = self._last if observation is None else observation
        return self._last


def _learner(task: Task) -> Any:
    """A policy class of the task's family whose agents ask the bridge of the run under way."""

    @dataclass(frozen=True)
    class Learner:
        """A learner."""

        bridge: ClassVar[Any] = None

        def start(self, scope: str, stream: Stream) -> Any:
            """An agent that asks."""
            return task.agent(scope, stream, Learner.bridge)

    return Learner
