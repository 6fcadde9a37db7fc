"""The sweep as one HTML file that needs nothing else: pictures of each figure over the factors, and the table of means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.plots import axis_label, short_keys
from edgewright.simulator.report import Drawing, framed
from edgewright.simulator.report.figure import line, numbers

if TYPE_CHECKING:
    import pandas as pd

    from edgewright.experiments.sweeps.driver import SweepResult

__all__ = ["said", "write_report"]

_LINES = 24


def write_report(result: SweepResult, figures: Sequence[str], path: Path) -> None:
    """Write the page. Each figure is drawn over the first factor, a line for each combination of the others, with 95 % intervals; of two
    factors or more, as a map of the first two besides.

    Raises KeyError, naming the nearest, for a figure that no run has.
    """
    summary = result.summary(figures)
    drawn = [each for name in figures for each in _pictures(summary[summary["figure"] == name], result, name)]
    failed = result.frame[result.frame["status"] == "failed"]
    names = short_keys(result.factors)
    page = framed(
        Path(__file__).parent / "report.html",
        drawn,
        pictures=drawn,
        name=result.directory.name,
        runs=len(result.frame),
        points=result.frame["point"].nunique(),
        factors=", ".join(result.factors) or "none",
        failed=[(int(row["point"]), str(row["reason"])) for _, row in failed.iterrows()],
        head=[*(names[key] for key in result.factors), *map(axis_label, figures)],
        rows=[*_rows(summary, result, figures)],
        drawn=result.drawn,
    )
    path.write_text(page, encoding="utf-8")


def _pictures(rows: pd.DataFrame, result: SweepResult, figure: str) -> Iterator[Drawing]:
    if not np.isfinite(rows["mean"]).any():
        return
    yield _lines(rows, result, figure)
    if len(result.factors) > 1:
        yield _map(rows, result.factors, figure)


def _lines(rows: pd.DataFrame, result: SweepResult, figure: str) -> Drawing:
    factors = result.factors
    over, others = (factors[0], list(factors[1:])) if factors else ("point", [])
    groups: list[Any] = list(rows.groupby([rows[key].astype(str) for key in others], sort=False)) if others else [("", rows)]
    traces = []
    for index, (label, own) in enumerate(groups[:_LINES]):
        named = ", ".join(label) if isinstance(label, tuple) else str(label)
        numeric = own[over].map(lambda value: isinstance(value, int | float) and not isinstance(value, bool)).all()
        below, above = result.whiskers(own)
        bars = {"type": "data", "array": numbers(above), "arrayminus": numbers(below), "symmetric": False, "thickness": 1}
        trace = {"type": "scatter", "mode": "lines+markers", "name": named, "line": line(index), "error_y": bars}
        traces.append(trace | {"x": own[over].tolist() if numeric else own[over].astype(str).tolist(), "y": numbers(own["mean"])})
    names = short_keys(factors)
    layout = {"xaxis": {"title": {"text": names.get(over, over)}}, "yaxis": {"title": {"text": axis_label(figure)}}}
    caption = f"A line for each value of {', '.join(names[key] for key in others)}." if others else ""
    caption += f" The first {_LINES} of {len(groups)} lines." if len(groups) > _LINES else ""
    legend = {"showlegend": bool(others), "hovermode": "closest"}
    return Drawing(f"lines-{figure}", axis_label(figure), caption.strip(), traces, layout | legend, 340, wide=len(factors) < 2)


def _map(rows: pd.DataFrame, factors: Sequence[str], figure: str) -> Drawing:
    """Means over the factors that are not shown, if there are more than two."""
    x, y, *rest = factors
    table = rows.assign(x=rows[x].astype(str), y=rows[y].astype(str)).pivot_table(values="mean", index="y", columns="x", sort=False)
    values = [numbers(line) for line in table.to_numpy(dtype=float)]
    texts = [["" if value is None else f"{value:.3g}" for value in line] for line in values]
    trace: dict[str, Any] = {"type": "heatmap", "z": values, "x": list(table.columns), "y": list(table.index), "colorscale": "Cividis"}
    trace |= {"text": texts, "texttemplate": "%{text}", "colorbar": {"thickness": 12}}
    names = short_keys(factors)
    axes = {axis: {"type": "category", "title": {"text": names[key]}} for axis, key in (("xaxis", x), ("yaxis", y))}
    caption = f"Means over {', '.join(names[key] for key in rest)}." if rest else ""
    return Drawing(f"map-{figure}", f"{axis_label(figure)}, as a map", caption, [trace], axes | {"hovermode": "closest"}, 340)


def _rows(summary: pd.DataFrame, result: SweepResult, figures: Sequence[str]) -> Iterator[list[str]]:
    for _, rows in summary.groupby("point", sort=True):
        found = rows.set_index("figure")
        yield [*(str(rows[key].iloc[0]) for key in result.factors), *(said(found.loc[name], result.drawn) for name in figures)]


def said(row: Any, drawn: bool) -> str:
    """A mean with its half-width, which is 0 where replications differ by rounding only; over draws, with the extremes."""
    mean, half, low, high = (float(row[name]) for name in ("mean", "half_width", "low", "high"))
    if not isfinite(mean):
        return "-"
    if drawn:
        return f"{mean:.4g} ({low:.4g} to {high:.4g})"
    return f"{mean:.4g}" if not isfinite(half) else f"{mean:.4g} ± {half if half > 1e-9 * abs(mean) else 0:.2g}"
