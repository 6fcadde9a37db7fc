"""A scenario as a gymnasium environment, with a learner as one of its policies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgewright.experiments.learning.bridge import Bridge, Progress
from edgewright.experiments.learning.tasks import Task
from edgewright.policies.registry import registered
from edgewright.simulator.scenario import Scenario
from edgewright.simulator.simulation import Simulation
from edgewright.workloads import Stream

if TYPE_CHECKING:
    import gymnasium

__all__ = ["environment"]

_NUMBERS = count()


def met_less_missed(progress: Progress) -> float:
    """The default reward: jobs that met their objectives, less those that missed them."""
    return float(progress.met - progress.missed)


def environment(
    scenario: Scenario | str | Path, task: Task, reward: Callable[[Progress], float] = met_less_missed
) -> gymnasium.Env[Any, Any]:
    """An environment in which the learner takes over one decision of a scenario, from its start to its end.

    A step goes from one decision to the next; `terminated` is the end of the run. `reset(seed=...)` sets the scenario's seed, and without
    one counts it up, so that episodes differ. `info` holds what happened since the last decision as
    `progress`.

    Raises ModuleNotFoundError, saying what to install, without gymnasium; ValueError where the scenario has no place for the task.
    """
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("an environment needs the extra `gym`: pip install 'edgewright[gym]'") from error

    class Environment(gymnasium.Env[Any, Any]):
        """See `environment`."""

        def __init__(self) -> None:
            base = Scenario.load(scenario) if isinstance(scenario, str | Path) else scenario
            self._named = ExitStack()
            self._bridge: Bridge | None = None
            self._learner = _learner(task)
            name = f"learner_{next(_NUMBERS)}"
            self._named.enter_context(registered(task.family, name, self._learner))
            self._scenario = base.override(task.overrides(name))
            self.observation_space, self.action_space = task.spaces(Simulation(self._scenario))
            self._last = self.observation_space.sample() * 0

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
            """Begin a run."""
            super().reset(seed=seed)
            self._stop()
            following = self._scenario.seed + 1 if seed is None else seed
            self._scenario = self._scenario.override({"seed": following})
            self._bridge = Bridge(self._built)
            return self._seen(self._bridge.start()), self._info()

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            """Decide, and go on to the next decision."""
            if self._bridge is None:
                raise RuntimeError("the run is over, or has not begun; call reset() first")
            observation = self._bridge.answer(action)
            seen, info, earned = self._seen(observation), self._info(), reward(self._bridge.progress)
            if observation is None:
                self._bridge = None
            return seen, float(earned), observation is None, False, info

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

        def _info(self) -> dict[str, Any]:
            assert self._bridge is not None
            return {"progress": self._bridge.progress}

    return Environment()


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
