"""Tables of the pages: medians over replicates, with the least and the greatest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.experiments.studies.reading import Span
from edgewright.experiments.studies.study import Part, Source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["crossed", "grid", "table"]


def table(part: Part | Source, rows: pd.DataFrame) -> str:
    """A row per point, a column per figure; a point that does not run says why."""
    factors = list(part.factors)
    lines = []
    for levels, runs in rows.groupby(factors, sort=False):
        reasons = [reason for reason in runs["reason"] if reason]
        spans = [str(Span.of(runs[name])) for name in part.figures]
        if len(reasons) == len(runs):
            spans = [f"does not run: {_short(reasons[0])}", *[""] * (len(spans) - 1)]
        elif reasons:
            spans[-1] += f"; {len(reasons)} of {len(runs)} do not run: {_short(reasons[0])}"
        lines.append([*(str(level) for level in levels), *spans])
    return grid([*factors, *part.figures.values()], lines, len(factors))


def crossed(rows: pd.DataFrame, figure: str, down: str, across: str, **at: Any) -> str:
    """One figure at some levels of the other factors: a row per level of `down`, a column per level of `across`."""
    for name, level in at.items():
        rows = rows[rows[name] == level]
    columns = list(dict.fromkeys(rows[across]))
    lines = [
        [str(level), *(str(Span.of(own[figure][own[across] == column])) for column in columns)]
        for level, own in rows.groupby(down, sort=False)
    ]
    return grid([down, *(str(column) for column in columns)], lines, 1)


def grid(header: list[str], lines: list[list[str]], labels: int) -> str:
    """Markdown; the first `labels` columns are names, the others figures."""
    ruler = "|" + "---|" * labels + "---:|" * (len(header) - labels)
    return "\n".join(["| " + " | ".join(header) + " |", ruler, *("| " + " | ".join(line) + " |" for line in lines)])


def _short(reason: str) -> str:
    return " ".join(reason.rpartition(".yaml: ")[2].split()).replace("|", "/")[:160]
