"""The sweep as one HTML file that needs nothing else: a picture per figure over the factors, and the table of means."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.plots import PALETTE

if TYPE_CHECKING:
    import pandas as pd

    from edgewright.experiments.sweeps.driver import SweepResult

__all__ = ["write_report"]

_STYLE = "body{font:15px system-ui;margin:2em auto;max-width:72em}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right}"


def write_report(result: SweepResult, figures: Sequence[str], path: Path) -> None:
    """Write the page. Each figure is drawn over the first factor, a line for each combination of the others, with 95 % intervals.

    Raises KeyError, naming the nearest, for a figure that no run has.
    """
    summary = result.summary(figures)
    failed = result.frame[result.frame["status"] == "failed"]
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(result.directory.name)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(result.directory.name)}</h1>",
        f"<p>{len(result.frame)} runs at {result.frame['point'].nunique()} points; factors: {escape(', '.join(result.factors) or 'none')}; "
        f"{len(failed)} runs failed. Means with 95 % confidence intervals over replications.</p>",
    ]
    for number, figure in enumerate(figures):
        parts += [f"<h2>{escape(figure)}</h2>", _drawn(summary[summary["figure"] == figure], result.factors, figure, number == 0)]
    parts += ["<h2>All points</h2>", _table(summary, result.factors, figures)]
    if len(failed):
        parts += [
            "<h2>Failed</h2>",
            "<ul>",
            *(f"<li>point {row.point}: {escape(str(row.reason))}</li>" for row in failed.itertuples()),
            "</ul>",
        ]
    path.write_text("\n".join([*parts, "</html>"]) + "\n", encoding="utf-8")


def _drawn(rows: pd.DataFrame, factors: Sequence[str], figure: str, first: bool) -> str:
    import plotly.graph_objects as graph

    drawing = graph.Figure()
    over, others = (factors[0], list(factors[1:])) if factors else ("point", [])
    groups: Any = rows.groupby([rows[key].astype(str) for key in others], sort=False) if others else [("", rows)]
    for index, (label, own) in enumerate(groups):
        named = ", ".join(label) if isinstance(label, tuple) else str(label)
        bars = {"type": "data", "array": np.nan_to_num(own["half_width"]).tolist()}
        places = own[over].tolist() if own[over].map(lambda value: isinstance(value, int | float)).all() else own[over].astype(str).tolist()
        colour = PALETTE[index % len(PALETTE)]
        drawing.add_scatter(x=places, y=own["mean"].tolist(), error_y=bars, mode="lines+markers", name=named, line={"color": colour})
    drawing.update_layout(xaxis_title=over, yaxis_title=figure, template="plotly_white", height=380, showlegend=bool(others))
    return str(drawing.to_html(full_html=False, include_plotlyjs=first, div_id=f"figure-{figure}"))


def _table(summary: pd.DataFrame, factors: Sequence[str], figures: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in (*factors, *figures))
    lines = []
    for _, rows in summary.groupby("point", sort=True):
        means, halves = (dict(zip(rows["figure"], rows[column], strict=True)) for column in ("mean", "half_width"))
        cells = [str(rows[key].iloc[0]) for key in factors]
        cells += [f"{float(means[name]):.4g} ± {float(halves[name]):.2g}" for name in figures]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return "<table><tr>" + head + "</tr>" + "".join(lines) + "</table>"
