"""What a search finds: candidates with figures and intervals, and a sentence that says how sure the answer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any

from edgewright.experiments.search.question import Limit, Question
from edgewright.experiments.sweeps.stopping import interval

__all__ = ["Answer", "Candidate", "failed", "judged"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration, and what its runs said.

    Attributes:
        changes: what it changes in the scenario, by dotted key.
        figures: mean and half-width of the confidence interval, of the goals and limits.
        runs: replications.
        verdict: `meets` or `misses` the limits with confidence, or `unsure`; `fails: ...` for one that does not run.
    """

    changes: Mapping[str, object]
    figures: Mapping[str, tuple[float, float]]
    runs: int
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """As plain tables."""
        shown = {name: {"mean": mean, "half_width": half} for name, (mean, half) in self.figures.items()}
        return {"changes": dict(self.changes), "figures": shown, "runs": self.runs, "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question.

    Attributes:
        question: what was asked.
        found: capacity: the greatest load that meets the limits with confidence; best: the winner and all that cannot be told from it;
            front: the candidates that no other one beats.
        tried: every candidate.
        sentence: the answer in words, with how sure it is.
        runs: simulations that were made for it.
        bounds: capacity only: the factors that surely meet and that surely miss the limits; None where there is none between the ends.
    """

    question: Question
    found: Sequence[Candidate]
    tried: Sequence[Candidate]
    sentence: str
    runs: int
    bounds: tuple[float | None, float | None] | None = field(default=None)

    def as_dict(self) -> dict[str, Any]:
        """As plain tables."""
        return {
            "find": self.question.find,
            "answer": self.sentence,
            "bounds": self.bounds,
            "found": [each.as_dict() for each in self.found],
            "tried": [each.as_dict() for each in self.tried],
            "runs": self.runs,
        }


def judged(question: Question, changes: Mapping[str, object], runs: Sequence[Mapping[str, float]], wanted: Sequence[str]) -> Candidate:
    """A candidate by its runs; a figure that a run could not have (no job completed) keeps no limit."""
    figures = {name: interval([run[name] for run in runs], question.confidence) for name in (*wanted, *question.limits)}
    verdicts = {_kept(limit, [run[name] for run in runs], figures[name]) for name, limit in question.limits.items()}
    verdict = "misses" if "misses" in verdicts else "unsure" if "unsure" in verdicts else "meets"
    return Candidate(changes, figures, len(runs), verdict)


def failed(question: Question, changes: Mapping[str, object], wanted: Sequence[str], reason: str) -> Candidate:
    """A candidate that does not run, as one whose model fits no memory: no figures, and the reason as its verdict."""
    return Candidate(changes, dict.fromkeys((*wanted, *question.limits), (nan, nan)), 0, f"fails: {reason}")


def _kept(limit: Limit, values: Sequence[float], figure: tuple[float, float]) -> str:
    mean, half = figure
    if not all(isfinite(value) for value in values):
        return "misses"
    low, high = mean - half, mean + half
    if limit.at_most is not None:
        return "meets" if high <= limit.at_most else "misses" if low > limit.at_most else "unsure"
    assert limit.at_least is not None
    return "meets" if low >= limit.at_least else "misses" if high < limit.at_least else "unsure"
