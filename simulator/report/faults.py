"""Faults: what was down or slow, and when; what that cost the jobs; how long everything was up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.report.figure import BINS, Drawing, bars, colour, numbers, over_time, panels
from edgewright.simulator.stored import groups
from edgewright.simulator.summary_text import readable
from edgewright.simulator.tables import rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded

__all__ = ["failures"]

_ROWS, _LEAST = 24, 16
_COSTS = (
    ("failed", "y", "failed or rejected"),
    ("troubled", "y", "interrupted, yet completed"),
    ("lost_tokens", "y2", "context tokens lost"),
    ("wasted_tokens", "y2", "answer tokens taken back"),
)
"""What is counted of the jobs, its axis, and its name."""


def failures(run: Recorded) -> Iterator[Drawing]:
    """Figures of what failed, of what that cost, and of availability; each only if there is something to show."""
    yield from _what_failed(run)
    yield from _cost(run)
    yield from _availability(run)


def _what_failed(run: Recorded) -> Iterator[Drawing]:
    """Bars over time, a row per target, a colour per kind, short kinds over long ones; targets in the order of the time they were hit."""
    faults = run.tables["faults"]
    end = np.where(np.isfinite(faults["end_s"]), faults["end_s"], run.meta["end_s"])
    hit = {name: rows[np.argsort(faults["start_s"][rows], kind="stable")] for name, rows in rows_by(faults["target"]).items()}
    shown = sorted(hit, key=lambda name: -float((end - faults["start_s"])[hit[name]].sum()))[:_ROWS]
    if not shown:
        return
    traces = []
    kinds = rows_by(faults["kind"])
    lasts = {kind: float((end - faults["start_s"])[mine].mean()) for kind, mine in kinds.items()}
    for index, kind in enumerate(sorted(kinds, key=lambda each: -lasts[each])):
        rows = {name: hit[name][np.isin(hit[name], kinds[kind])] for name in shown}
        found = [(name, own) for name, own in rows.items() if len(own)]
        for place, (name, own) in enumerate(found):
            trace = bars(name, faults["start_s"][own], end[own], colour(index), [_told(run, row, end[row]) for row in own])
            traces.append(trace | {"name": kind.replace("_", " "), "legendgroup": kind, "showlegend": place == 0})
    axis = {"type": "category", "categoryorder": "array", "categoryarray": shown[::-1], "range": [-0.6, len(shown) - 0.4]}
    layout = over_time(run, "") | {"yaxis": axis, "barmode": "overlay", "hovermode": "closest"}
    left_out = f" The {_ROWS} of {len(hit)} targets that were hit for the longest time." if len(hit) > _ROWS else ""
    caption = f"A bar from when it began to when it was over, or to the end of the run.{left_out}"
    yield Drawing("faults", "What was down or slow, and when", caption, traces, layout, 120 + 30 * len(shown), wide=True)


def _told(run: Recorded, row: int, end: float) -> str:
    faults = run.tables["faults"]
    lasted = readable(float(end - faults["start_s"][row]), "s")
    over = "" if np.isfinite(faults["end_s"][row]) else ", not over when the run ended"
    return f"{faults['target'][row]}: {faults['kind'][row]} ({faults['fault'][row]}), {lasted}{over}"


def _cost(run: Recorded) -> Iterator[Drawing]:
    """Counts per span of the run: of jobs by when they arrived, of tokens likewise."""
    edges = np.linspace(0.0, run.meta["end_s"], BINS + 1)
    counts = _counted(run, edges)
    found = [(index, *cost) for index, cost in enumerate(_COSTS) if counts[cost[0]].any()]
    if not found or not (len(run.tables["faults"]["fault"]) or counts["troubled"].any()):
        return
    titles = {axis: {"y": "jobs", "y2": "tokens"}[axis] for _, _, axis, _ in found}
    wide = float(edges[1])
    traces = [
        {"type": "bar", "name": said, "x": numbers(edges[:-1] + wide / 2), "y": numbers(counts[name]), "width": wide, "yaxis": axis}
        | {"marker": {"color": colour(index + 1), "line": {"width": 0}}}
        for index, name, axis, said in found
    ]
    layout = panels(run, dict(sorted(titles.items()))) | {"barmode": "stack"}
    totals = ", ".join(f"{readable(float(counts[name].sum()), '')} {said}" for _, name, _, said in found)
    caption = f"By the time at which the job arrived, in {BINS} equal spans of the run. In all: {totals}."
    yield Drawing("cost", "What it cost the jobs", caption, traces, layout, 400 if len(titles) > 1 else 300, wide=True)


def _counted(run: Recorded, edges: Floats) -> Mapping[str, Floats]:
    """By span of arrival, the jobs or tokens of each cost; jobs are gone through group by group."""
    counts = {name: np.zeros(len(edges) - 1) for name, *_ in _COSTS}
    for group in groups(run.tables["jobs"], ("arrival_s", "status", "interruptions", "lost_tokens", "wasted_tokens")):
        ended = np.isin(group["status"], ("failed", "rejected"))
        each: dict[str, NDArray[Any]] = {"failed": ended, "troubled": (group["interruptions"] > 0) & ~ended}
        for name in counts:
            weights = np.asarray(each.get(name, group.get(name)), np.float64)
            counts[name] += np.histogram(group["arrival_s"], edges, weights=weights)[0]
    return counts


def _availability(run: Recorded) -> Iterator[Drawing]:
    """Bars of the time up of what was down at all, the worst on top."""
    table = run.tables["availability"]
    down = np.flatnonzero(table["outages"] > 0)
    shown = _worst(table["up"], down)
    if not len(shown):
        return
    rows = [f"{table['name'][row]} ({table['what'][row]})" for row in shown]
    said = [
        f"{row}: {table['outages'][at]} outages, mean repair {readable(float(table['repair_s'][at]), 's')}"
        for row, at in zip(rows, shown, strict=True)
    ]
    up = 100 * table["up"][shown]
    trace: dict[str, Any] = {"type": "bar", "orientation": "h", "name": "up", "showlegend": False, "y": rows, "x": numbers(up)}
    trace |= {"marker": {"color": colour(0)}, "hovertext": said, "hoverinfo": "text", "text": [f"{share:.4g} %" for share in up]}
    trace |= {"textposition": "auto"}
    layout = {"xaxis": {"title": {"text": "% of the run"}, "range": [0, 101]}, "yaxis": {"type": "category"}, "hovermode": "closest"}
    left_out = f" The {len(shown)} worst of {len(down)}." if len(down) > len(shown) else ""
    caption = f"Share of the run during which each was up, of what was down at all.{left_out}"
    yield Drawing("availability", "Availability", caption, [trace], layout, 90 + 30 * len(shown), wide=True)


def _worst(up: Floats, rows: NDArray[np.intp]) -> Sequence[int]:
    """The least available, the worst last: plotly draws from the bottom up."""
    order = np.argsort(up[rows], kind="stable")[:_LEAST][::-1]
    return [int(row) for row in rows[order]]
