"""The request timeline: how many were where over the run, the busiest moment in detail, and requests of each service side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import occupancy
from edgewright.simulator.report.figure import BINS, INK, PALETTE, Drawing, numbers, over_time, sampled
from edgewright.simulator.stored import KEPT, groups, rows_at, rows_of
from edgewright.simulator.summary_text import readable
from edgewright.simulator.tables import Codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Columns

    Rows = NDArray[np.intp]

__all__ = ["timelines"]

_DETAIL, _BESIDE, _SERVICES, _ALIGNED = 50, 20, 4, 30
_TIMES = ("arrival_s", "scheduled_s", "first_token_s", "finished_s")
_COLUMNS = ("job", "service", "status", "reason", *_TIMES)
_PHASES = (
    ("in the queue", "arrival_s", "scheduled_s", PALETTE[5]),
    ("prefill, or computing", "scheduled_s", "first_token_s", PALETTE[0]),
    ("decode", "first_token_s", "finished_s", PALETTE[4]),
)


def timelines(run: Recorded) -> Iterator[Drawing]:
    """The three kinds of figure, if there were any jobs; services in the order of the time that their jobs took."""
    if not rows_of(run.tables["jobs"]):
        return
    asked = _Asked(run)
    yield _in_flight(run, asked)
    ranked = sorted(asked.services, key=lambda service: -asked.services[service])
    rows = {service: asked.rows(service) for service in ranked[:_SERVICES]}
    yield _detail(run, asked, rows)
    for number, service in enumerate(rows):
        yield _side_by_side(run, f"requests-{number}", service, asked.around_longest_wait(rows[service], _ALIGNED), len(rows[service]))


class _Asked:
    """What is drawn of all jobs, and which of them are shown, by one pass over the groups of their table.

    Attributes:
        edges, in_flight: mean number of jobs in each phase, by bins of time between the edges.
        arrival: of every row.
        services: seconds that the jobs of each took; services in order of appearance.
    """

    def __init__(self, run: Recorded) -> None:
        end, codes, table = run.meta["end_s"], Codes(), run.tables["jobs"]
        self.edges = np.linspace(0.0, end, BINS + 1)
        self.in_flight = np.zeros((len(_PHASES), BINS))
        self.arrival, self._wait, self._owner = np.empty(rows_of(table)), np.empty(rows_of(table)), np.empty(rows_of(table), np.int32)
        taken, begin = np.empty(0), 0
        for jobs in groups(table, ("service", "status", *_TIMES), KEPT):
            coded, lasted = codes.of(jobs["service"]), np.zeros(len(jobs["service"]))
            for place, (start, stop) in enumerate(_spans(jobs, end)):
                known = np.isfinite(start)
                self.in_flight[place] += occupancy(start[known], stop[known], self.edges)
                lasted += np.nan_to_num(stop - start)
            taken = np.append(taken, np.zeros(len(codes.names) - len(taken))) + np.bincount(coded, lasted, len(codes.names))
            here = slice(begin, begin := begin + len(coded))
            self.arrival[here], self._owner[here] = jobs["arrival_s"], coded
            self._wait[here] = np.nan_to_num(jobs["scheduled_s"] - jobs["arrival_s"], nan=-1.0)
        self.services = dict(zip(codes.names, taken.tolist(), strict=True))

    def rows(self, service: str) -> Rows:
        """Those of a service, by arrival."""
        mine = np.flatnonzero(self._owner == list(self.services).index(service))
        return mine[np.argsort(self.arrival[mine], kind="stable")]

    def around_longest_wait(self, rows: Rows, most: int) -> Rows:
        """So many of these rows, the one that waited longest in their middle if that may be."""
        first = int(np.clip(self._wait[rows].argmax() - most // 2, 0, max(0, len(rows) - most)))
        return rows[first : first + most]


def _spans(jobs: Columns, end_s: float) -> Iterator[tuple[Floats, Floats]]:
    """Start and end of each phase of every job, NaN where it never began; it ends at its mark, else with the job, else with the run."""
    last = jobs["finished_s"]
    ended = np.where(np.isfinite(last), last, np.where(jobs["status"] == "in_flight", end_s, np.nan))
    for _, begin, finish, _ in _PHASES:
        start, own = jobs[begin], jobs[finish]
        end = np.where(np.isfinite(own), own, ended)
        known = np.isfinite(start) & np.isfinite(end)
        yield np.where(known, start, np.nan), np.where(known, np.maximum(end, start), np.nan)


def _in_flight(run: Recorded, asked: _Asked) -> Drawing:
    """Stacked areas: the mean number of requests in each phase, by bins of time."""
    traces = []
    for (name, *_, colour), counts in zip(_PHASES, asked.in_flight, strict=True):
        shape = {"type": "scatter", "mode": "lines", "name": name, "stackgroup": "phases", "fillcolor": colour}
        y = np.append(counts, counts[-1])
        traces.append(shape | {"line": {"shape": "hv", "width": 0.5, "color": colour}, "x": numbers(asked.edges), "y": numbers(y)})
    caption = f"Mean number of requests in each phase, over {BINS} equal spans of the run. The shaded span is the measurement window."
    return Drawing("inflight", "Requests in flight", caption, traces, over_time(run, "requests"), wide=True)


def _detail(run: Recorded, asked: _Asked, services: dict[str, Rows]) -> Drawing:
    """Consecutive requests of the first service around the longest wait, and what the others did meanwhile."""
    first = asked.around_longest_wait(next(iter(services.values())), _DETAIL)
    low, high = _extent(run, asked.arrival, first)
    bands = [first]
    for rows in list(services.values())[1:]:
        inside = rows[(asked.arrival[rows] >= low) & (asked.arrival[rows] <= high)]
        bands.append(inside[list(sampled(len(inside), _BESIDE))] if len(inside) else inside)
    middles = np.cumsum([len(band) for band in bands]) - np.array([len(band) + 1 for band in bands]) / 2
    ticks = [(float(at), name) for at, name, band in zip(middles, services, bands, strict=True) if len(band)]
    margin = 0.02 * max(high - low, 1e-3)
    layout = _layout(ticks) | {"xaxis": {"title": {"text": "simulated time (s)"}, "range": numbers([low - margin, high + margin])}}
    caption = (
        f"Each line is a request, a tick its arrival: {len(first)} consecutive ones of {next(iter(services))} around the longest wait, "
    )
    caption += f"and at most {_BESIDE} of each other service meanwhile, evenly spread."
    caption += f" {len(services)} of {len(asked.services)} services." if len(asked.services) > len(services) else ""
    lines = _lines(run, np.concatenate(bands), aligned=False)
    return Drawing("timeline", "Request timeline, at the longest wait", caption, lines, layout, 420, wide=True)


def _extent(run: Recorded, arrival: Floats, rows: Rows) -> tuple[float, float]:
    """From the first arrival of these rows to the last end of a phase; if there is none, to the last arrival."""
    jobs = rows_at(run.tables["jobs"], ("status", *_TIMES), rows)
    ends = [np.nanmax(end, initial=arrival[rows[-1]]) for _, end in _spans(jobs, run.meta["end_s"])]
    return float(arrival[rows[0]]), float(np.nanmax(ends))


def _side_by_side(run: Recorded, key: str, service: str, shown: Rows, of: int) -> Drawing:
    """Requests of one service, each from its own arrival."""
    caption = f"{len(shown)} consecutive requests of {of}, around the one that waited longest, each from its own arrival."
    layout = _layout([]) | {"xaxis": {"title": {"text": "seconds since arrival"}, "rangemode": "tozero"}}
    return Drawing(key, f"Requests of {service}", caption, _lines(run, shown, aligned=True), layout, 340)


def _lines(run: Recorded, rows: Rows, aligned: bool) -> list[dict[str, Any]]:
    """One trace per phase: horizontal segments with gaps between them; `aligned`: times count from each job's arrival."""
    jobs = rows_at(run.tables["jobs"], _COLUMNS, rows)
    origin = jobs["arrival_s"] if aligned else np.zeros(len(rows))
    width = float(np.clip(220 / max(len(rows), 1), 2, 8))
    traces = []
    for (name, *_, colour), (start, end) in zip(_PHASES, _spans(jobs, run.meta["end_s"]), strict=True):
        level = np.flatnonzero(end > start)
        gap = np.full(len(level), np.nan)
        x = np.column_stack([(start - origin)[level], (end - origin)[level], gap]).ravel()
        y = np.column_stack([level, level, gap]).ravel()
        said = [f"{jobs['service'][row]} {jobs['job'][row]}: {name} {readable(float(end[row] - start[row]), 's')}" for row in level]
        shape = {"type": "scatter", "mode": "lines", "name": name, "line": {"color": colour, "width": width}, "hoverinfo": "text"}
        traces.append(shape | {"x": numbers(x), "y": numbers(y), "text": [text for each in said for text in (each, each, "")]})
    return [*traces, *(() if aligned else _arrivals(jobs)), *_lost(jobs, origin)]


def _arrivals(jobs: Columns) -> Iterator[dict[str, Any]]:
    """Ticks at arrivals, so that requests too short to be seen are."""
    shape = {"type": "scatter", "mode": "markers", "name": "arrival", "hoverinfo": "skip"}
    marker = {"symbol": "line-ns-open", "size": 5, "color": INK, "line": {"width": 1}}
    yield shape | {"marker": marker, "x": numbers(jobs["arrival_s"]), "y": list(range(len(jobs["arrival_s"])))}


def _lost(jobs: Columns, origin: Floats) -> Iterator[dict[str, Any]]:
    """Marks where requests were rejected or failed, at their arrival."""
    for status, symbol in (("rejected", "x"), ("failed", "triangle-down")):
        level = np.flatnonzero(jobs["status"] == status)
        if len(level):
            text = [f"{jobs['service'][row]} {jobs['job'][row]} {status}: {jobs['reason'][row]}" for row in level]
            marker = {"symbol": symbol, "size": 9, "color": PALETTE[1]}
            shape = {"type": "scatter", "mode": "markers", "name": status, "marker": marker, "text": text, "hoverinfo": "text"}
            yield shape | {"x": numbers((jobs["arrival_s"] - origin)[level]), "y": numbers(level)}


def _layout(ticks: Sequence[tuple[float, str]]) -> dict[str, Any]:
    """Requests from the top down; `ticks` name the services at their place."""
    named = {"tickmode": "array", "tickvals": [at for at, _ in ticks], "ticktext": [name for _, name in ticks]}
    y = {"title": {"text": "" if ticks else "requests, in order of arrival"}, "autorange": "reversed", "zeroline": False, "showgrid": False}
    return {"yaxis": y | named, "hovermode": "closest"}
