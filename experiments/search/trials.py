"""Runs of candidates: in parallel, with common random numbers, remembered, and no more of them than an answer needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgewright.experiments.search.costs import with_costs
from edgewright.experiments.search.question import Question
from edgewright.experiments.sweeps.pools import Pool, open_pool
from edgewright.experiments.sweeps.runs import Outcome, Run, identified
from edgewright.experiments.sweeps.spec import SweepError
from edgewright.simulator.errors import choices
from edgewright.simulator.scenario import Scenario

__all__ = ["Trials", "open_trials"]


class Trials:
    """Figures of candidates, replicate by replicate.

    A candidate is what it changes in the scenario. What ran once, in this call or, where a `journal` is kept, in an earlier one that
    was stopped, is not run again.
    """

    def __init__(self, question: Question, scenario: Scenario, pool: Pool, journal: Path | None) -> None:
        self.question, self.scenario = question, scenario
        self.count = 0
        self._pool = pool
        self._journal = journal
        self._known: dict[str, Outcome] = dict(_read(journal)) if journal is not None else {}

    def replicate(self, candidates: Sequence[Mapping[str, object]], replications: int) -> list[list[Mapping[str, float]]]:
        """Figures of that many replicates of each candidate, in order; of one whose runs fail, none: see `failure`."""
        runs = [[self._run(index, change, number) for number in range(replications)] for index, change in enumerate(candidates)]
        waiting = [run for each in runs for run in each if run.id not in self._known]
        started = 0
        ended = 0
        while ended < len(waiting):
            while started < len(waiting) and started - ended < self._pool.width:
                self._pool.submit(waiting[started])
                started += 1
            self._keep(*self._pool.finished())
            ended += 1
        return [[self._figures(run) for run in each if not self._known[run.id].reason] for each in runs]

    def failure(self, candidate: Mapping[str, object]) -> str:
        """Why runs of a candidate fail; empty where they do not."""
        return self._known[self._run(0, candidate, 0).id].reason

    def require(self, figures: Mapping[str, float], wanted: Sequence[str]) -> None:
        """Raises `SweepError`, naming the nearest, for a figure that runs do not have."""
        for name in wanted:
            if name not in figures:
                known = choices(name, list(figures))
                raise SweepError(f"{self.question.name}: runs have no figure {name!r}; accepted: {known}")

    def _run(self, point: int, change: Mapping[str, object], number: int) -> Run:
        scenario = self.scenario.override({**change, "seed": self.scenario.seed + number})
        return Run(identified(scenario), point, number, change, scenario)

    def _keep(self, run: Run, outcome: Outcome) -> None:
        self.count += 1
        self._known[run.id] = outcome
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"run": run.id, "figures": dict(outcome.figures), "reason": outcome.reason}) + "\n")

    def _figures(self, run: Run) -> Mapping[str, float]:
        return with_costs(self._known[run.id].figures, self.question, run.scenario, run.factors)


@contextmanager
def open_trials(question: Question, scenario: Scenario, jobs: int, journal: Path | None) -> Iterator[Trials]:
    """The trials of a question, on that many processes."""
    based = scenario.override(question.base) if question.base else scenario
    with open_pool(jobs) as pool:
        yield Trials(question, based, pool, journal)


def _read(journal: Path) -> Iterator[tuple[str, Outcome]]:
    """What a journal holds; its last line may be cut short, where the writing was."""
    if not journal.exists():
        return
    text = journal.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        journal.write_text(whole, encoding="utf-8")
    for line in whole.splitlines():
        entry = json.loads(line)
        yield entry["run"], Outcome(entry["figures"], entry["reason"])
