"""The request timeline: how many were where over the run, the busiest moment in detail, and requests of each service side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import occupancy
from edgewright.simulator.report.figure import BINS, INK, PALETTE, Drawing, numbers, over_time, sampled
from edgewright.simulator.stored import rows_of
from edgewright.simulator.summary_text import readable
from edgewright.simulator.tables import rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Columns

    Rows = NDArray[np.intp]

__all__ = ["timelines"]

_DETAIL, _BESIDE, _SERVICES, _ALIGNED = 50, 20, 4, 30
_COLUMNS = ("job", "service", "status", "reason", "arrival_s", "scheduled_s", "first_token_s", "finished_s")
_PHASES = (
    ("in the queue", "arrival_s", "scheduled_s", PALETTE[5]),
    ("prefill, or computing", "scheduled_s", "first_token_s", PALETTE[0]),
    ("decode", "first_token_s", "finished_s", PALETTE[4]),
)


def timelines(run: Recorded) -> Iterator[Drawing]:
    """The three kinds of figure, if there were any jobs; services in the order of the time that their jobs took."""
    if not rows_of(run.tables["jobs"]):
        return
    jobs = {name: run.tables["jobs"][name] for name in _COLUMNS}
    phases = [_spans(jobs, run.meta["end_s"], begin, finish) for _, begin, finish, _ in _PHASES]
    yield _in_flight(run, phases)
    order = np.argsort(jobs["arrival_s"], kind="stable")
    taken = np.sum([np.nan_to_num(end - start) for start, end in phases], axis=0)
    services = {service: order[rows] for service, rows in rows_by(jobs["service"][order]).items()}
    ranked = sorted(services, key=lambda service: -float(taken[services[service]].sum()))
    yield _detail(jobs, phases, {service: services[service] for service in ranked[:_SERVICES]}, len(services))
    for number, service in enumerate(ranked[:_SERVICES]):
        yield _side_by_side(jobs, f"requests-{number}", service, phases, services[service])


def _spans(jobs: Columns, end_s: float, begin: str, finish: str) -> tuple[Floats, Floats]:
    """Start and end of one phase of every job, NaN where it never began; it ends at its mark, else with the job, else with the run."""
    start, own, last = jobs[begin], jobs[finish], jobs["finished_s"]
    ended = np.where(np.isfinite(last), last, np.where(jobs["status"] == "in_flight", end_s, np.nan))
    end = np.where(np.isfinite(own), own, ended)
    known = np.isfinite(start) & np.isfinite(end)
    return np.where(known, start, np.nan), np.where(known, np.maximum(end, start), np.nan)


def _in_flight(run: Recorded, phases: Sequence[tuple[Floats, Floats]]) -> Drawing:
    """Stacked areas: the mean number of requests in each phase, by bins of time."""
    edges = np.linspace(0.0, run.meta["end_s"], BINS + 1)
    traces = []
    for (name, *_, colour), (start, end) in zip(_PHASES, phases, strict=True):
        counts = occupancy(start[np.isfinite(start)], end[np.isfinite(start)], edges)
        shape = {"type": "scatter", "mode": "lines", "name": name, "stackgroup": "phases", "fillcolor": colour}
        x, y = np.append(edges[:-1], edges[-1]), np.append(counts, counts[-1])
        traces.append(shape | {"line": {"shape": "hv", "width": 0.5, "color": colour}, "x": numbers(x), "y": numbers(y)})
    caption = f"Mean number of requests in each phase, over {BINS} equal spans of the run. The shaded span is the measurement window."
    return Drawing("inflight", "Requests in flight", caption, traces, over_time(run, "requests"), wide=True)


def _detail(jobs: Columns, phases: Sequence[tuple[Floats, Floats]], services: dict[str, Rows], of: int) -> Drawing:
    """Consecutive requests of the first service around the longest wait, and what the others did meanwhile."""
    first = _around_longest_wait(jobs, next(iter(services.values())), _DETAIL)
    low, high = (
        float(jobs["arrival_s"][first[0]]),
        float(np.nanmax([np.nanmax(end[first], initial=jobs["arrival_s"][first[-1]]) for _, end in phases])),
    )
    bands = [first]
    for rows in list(services.values())[1:]:
        inside = rows[(jobs["arrival_s"][rows] >= low) & (jobs["arrival_s"][rows] <= high)]
        bands.append(inside[list(sampled(len(inside), _BESIDE))] if len(inside) else inside)
    shown = np.concatenate(bands)
    middles = np.cumsum([len(band) for band in bands]) - np.array([len(band) + 1 for band in bands]) / 2
    ticks = [(float(at), name) for at, name, band in zip(middles, services, bands, strict=True) if len(band)]
    margin = 0.02 * max(high - low, 1e-3)
    layout = _layout(ticks) | {"xaxis": {"title": {"text": "simulated time (s)"}, "range": numbers([low - margin, high + margin])}}
    caption = (
        f"Each line is a request, a tick its arrival: {len(first)} consecutive ones of {next(iter(services))} around the longest wait, "
    )
    caption += f"and at most {_BESIDE} of each other service meanwhile, evenly spread."
    caption += f" {len(services)} of {of} services." if of > len(services) else ""
    return Drawing("timeline", "Request timeline, at the longest wait", caption, _lines(jobs, phases, shown, None), layout, 420, wide=True)


def _side_by_side(jobs: Columns, key: str, service: str, phases: Sequence[tuple[Floats, Floats]], rows: Rows) -> Drawing:
    """Requests of one service, each from its own arrival."""
    shown = _around_longest_wait(jobs, rows, _ALIGNED)
    caption = f"{len(shown)} consecutive requests of {len(rows)}, around the one that waited longest, each from its own arrival."
    layout = _layout([]) | {"xaxis": {"title": {"text": "seconds since arrival"}, "rangemode": "tozero"}}
    return Drawing(key, f"Requests of {service}", caption, _lines(jobs, phases, shown, jobs["arrival_s"]), layout, 340)


def _around_longest_wait(jobs: Columns, rows: Rows, most: int) -> Rows:
    waits = np.nan_to_num(jobs["scheduled_s"][rows] - jobs["arrival_s"][rows], nan=-1.0)
    first = int(np.clip(waits.argmax() - most // 2, 0, max(0, len(rows) - most)))
    return rows[first : first + most]


def _lines(jobs: Columns, phases: Sequence[tuple[Floats, Floats]], shown: Rows, origin: Floats | None) -> list[dict[str, Any]]:
    """One trace per phase: horizontal segments with gaps between them; `origin` is subtracted from each job's times."""
    width = float(np.clip(220 / max(len(shown), 1), 2, 8))
    traces = []
    for (name, *_, colour), (start, end) in zip(_PHASES, phases, strict=True):
        level = np.flatnonzero(end[shown] > start[shown])
        rows = shown[level]
        shift = np.zeros(len(rows)) if origin is None else origin[rows]
        x = np.column_stack([start[rows] - shift, end[rows] - shift, np.full(len(rows), np.nan)]).ravel()
        y = np.column_stack([level, level, np.full(len(rows), np.nan)]).ravel()
        said = [f"{jobs['service'][row]} {jobs['job'][row]}: {name} {readable(float(end[row] - start[row]), 's')}" for row in rows]
        shape = {"type": "scatter", "mode": "lines", "name": name, "line": {"color": colour, "width": width}, "hoverinfo": "text"}
        traces.append(shape | {"x": numbers(x), "y": numbers(y), "text": [text for each in said for text in (each, each, "")]})
    return [*traces, *_arrivals(jobs, shown, origin), *_lost(jobs, shown, origin)]


def _arrivals(jobs: Columns, shown: Rows, origin: Floats | None) -> Iterator[dict[str, Any]]:
    """Ticks at arrivals, so that requests too short to be seen are; none where arrivals are the origin."""
    if origin is None:
        shape = {"type": "scatter", "mode": "markers", "name": "arrival", "hoverinfo": "skip"}
        marker = {"symbol": "line-ns-open", "size": 5, "color": INK, "line": {"width": 1}}
        yield shape | {"marker": marker, "x": numbers(jobs["arrival_s"][shown]), "y": list(range(len(shown)))}


def _lost(jobs: Columns, shown: Rows, origin: Floats | None) -> Iterator[dict[str, Any]]:
    """Marks where requests were rejected or failed, at their arrival."""
    for status, symbol in (("rejected", "x"), ("failed", "triangle-down")):
        level = np.flatnonzero(jobs["status"][shown] == status)
        rows = shown[level]
        if len(rows):
            x = jobs["arrival_s"][rows] - (0.0 if origin is None else origin[rows])
            text = [f"{jobs['service'][row]} {jobs['job'][row]} {status}: {jobs['reason'][row]}" for row in rows]
            marker = {"symbol": symbol, "size": 9, "color": PALETTE[1]}
            shape = {"type": "scatter", "mode": "markers", "name": status, "marker": marker, "text": text, "hoverinfo": "text"}
            yield shape | {"x": numbers(x), "y": numbers(level)}


def _layout(ticks: Sequence[tuple[float, str]]) -> dict[str, Any]:
    """Requests from the top down; `ticks` name the services at their place."""
    named = {"tickmode": "array", "tickvals": [at for at, _ in ticks], "ticktext": [name for _, name in ticks]}
    y = {"title": {"text": "" if ticks else "requests, in order of arrival"}, "autorange": "reversed", "zeroline": False, "showgrid": False}
    return {"yaxis": y | named, "hovermode": "closest"}
