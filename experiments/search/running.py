"""From a question to its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.experiments.search.answers import Answer
from edgewright.experiments.search.best import best
from edgewright.experiments.search.capacity import capacity
from edgewright.experiments.search.front import front
from edgewright.experiments.search.question import Question
from edgewright.experiments.search.trials import open_trials
from edgewright.experiments.sweeps.spec import parsed
from edgewright.simulator.scenario import Scenario

__all__ = ["answer", "search"]

_KINDS = {"capacity": capacity, "best": best, "front": front}


def answer(question: Question, scenario: Scenario, jobs: int = 1, out: Path | None = None) -> Answer:
    """Answer a question that has been read. With `out`, runs are remembered there (`runs.jsonl`): a stopped search goes on."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with open_trials(question, scenario, jobs, None if out is None else out / "runs.jsonl") as trials:
        return _KINDS[question.find](trials)


def search(scenario: Scenario | str | Path, find: str, *, out: str | Path | None = None, jobs: int = 1, **asked: Any) -> Answer:
    """Ask in Python what a file asks for `edgewright search`; see `Question` for what else may be given.

        search("hello", "capacity", load="workloads.questions.arrivals.rate", between=(1, 50), meets={"ttft_p99_s": {"at_most": 2.0}})

    Raises `SweepError` or `ScenarioError` before the first run, and `SweepError` where a run fails.
    """
    chosen = Scenario.load(scenario) if isinstance(scenario, str | Path) else scenario
    question = parsed({"scenario": chosen.name, "find": find, **asked}, Question)
    return answer(question, chosen, jobs, None if out is None else Path(out))
