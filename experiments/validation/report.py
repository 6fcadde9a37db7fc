"""The errors of predictions by group, and files of rows with their predictions.

An error is log(predicted / measured): 0.1 is 10 % too much, and twice too much weighs as half too little.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any

from edgewright.experiments.validation.answering import Answer, answer
from edgewright.experiments.validation.asking import Unpredictable, ask
from edgewright.experiments.validation.rows import Row

__all__ = ["Group", "Judged", "groups_of", "judge", "quantile", "write_rows"]

_ADDED = ("predicted", "predicted_low", "predicted_high", "reason")


@dataclass(frozen=True, slots=True)
class Judged:
    """A row and its prediction, or the reason why there is none."""

    row: Row
    answer: Answer | None
    reason: str = ""

    @property
    def error(self) -> float | None:
        """log(predicted / measured); None without a prediction."""
        return None if self.answer is None else log(self.answer.value / self.row.value)

    @property
    def inside(self) -> bool:
        """Whether the measured value lies in the interval."""
        return self.answer is not None and self.answer.low <= self.row.value <= self.answer.high


@dataclass(slots=True)
class Group:
    """The rows of one file, phase and metric.

    Attributes:
        key: file, phase, metric.
        errors: of the rows that were predicted.
        inside: rows whose measured value lies in the interval.
        reasons: why the others were not predicted, and how many.
    """

    key: tuple[str, str, str]
    errors: list[float] = field(default_factory=list)
    inside: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def median(self) -> float | None:
        """Median of the errors' sizes; None without predictions."""
        return quantile([abs(each) for each in self.errors], 0.5)

    @property
    def p90(self) -> float | None:
        """90th percentile of the errors' sizes."""
        return quantile([abs(each) for each in self.errors], 0.9)

    @property
    def bias(self) -> float | None:
        """Median error, with its sign."""
        return quantile(self.errors, 0.5)

    @property
    def coverage(self) -> float | None:
        """Fraction of the predicted rows whose measured value lies in the interval."""
        return self.inside / len(self.errors) if self.errors else None

    def as_table(self) -> dict[str, Any]:
        """The group as JSON has it; figures that do not exist are null."""
        file, phase, metric = self.key
        return {
            "file": file,
            "phase": phase,
            "metric": metric,
            "n": len(self.errors),
            "median": self.median,
            "p90": self.p90,
            "bias": self.bias,
            "coverage": self.coverage,
            "unpredictable": sum(self.reasons.values()),
            "reasons": dict(self.reasons.most_common()),
        }


def quantile(values: Sequence[float], share: float) -> float | None:
    """The quantile of values, linear between them; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def judge(rows: Iterable[Row]) -> Iterator[Judged]:
    """Every row with its prediction or the reason for none, in order."""
    for row in rows:
        try:
            yield Judged(row, answer(ask(row)))
        except Unpredictable as error:
            yield Judged(row, None, str(error))


def groups_of(judged: Iterable[Judged]) -> list[Group]:
    """The groups, in the order of their first rows."""
    found: dict[tuple[str, str, str], Group] = {}
    for each in judged:
        group = found.setdefault(each.row.group, Group(each.row.group))
        if each.error is None:
            group.reasons[each.reason] += 1
        else:
            group.errors.append(each.error)
            group.inside += each.inside
    return list(found.values())


def write_rows(judged: Iterable[Judged], path: Path) -> Iterator[Judged]:
    """Pass the rows on, and write each with the columns predicted, predicted_low, predicted_high and reason; atomically."""
    partial = path.with_name(f".{path.name}.partial")
    header: list[str] | None = None
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for each in judged:
            if header is None:
                header = [name for name in each.row.cells if name not in _ADDED]
                writer.writerow([*header, *_ADDED])
            found = each.answer
            figures = ["", "", ""] if found is None else [f"{value:.6g}" for value in (found.value, found.low, found.high)]
            writer.writerow([*(each.row.cells.get(name, "") for name in header), *figures, each.reason])
            yield each
    partial.replace(path)
