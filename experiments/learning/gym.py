"""A scenario as a gymnasium environment, with a learner as one of its policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.experiments.learning.bridge import Progress
from edgewright.experiments.learning.tasks import Task
from edgewright.simulator.scenario import Scenario

if TYPE_CHECKING:
    import gymnasium

__all__ = ["environment", "met_less_missed"]


def met_less_missed(progress: Progress) -> float:
    """The default reward: jobs that met their objectives, less those that missed them."""
    return float(progress.met - progress.missed)


def environment(
    scenario: Scenario | str | Path, task: Task, reward: Callable[[Progress], float] = met_less_missed
) -> gymnasium.Env[Any, Any]:
    """An environment in which the learner takes over one decision of a scenario, from its start to its end.

    A step goes from one decision to the next; `terminated` is the end of the run. `reset(seed=...)` sets the scenario's seed, and without
    one counts it up, so that episodes differ. `info` holds what happened since the last decision as `progress`.

    Raises ModuleNotFoundError, saying what to install, without gymnasium; ValueError where the scenario has no place for the task.
    """
    try:
        from edgewright.experiments.learning.episodes import Episodes
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("an environment needs the extra `gym`: pip install 'edgewright[gym]'") from error
    return Episodes(Scenario.load(scenario) if isinstance(scenario, str | Path) else scenario, task, reward)
