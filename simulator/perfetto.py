"""The timeline of a run as a trace for https://ui.perfetto.dev or chrome://tracing (Trace Event Format, JSON).

Requests are nested asynchronous events (one id per job: the request, and within it queue, prefill, decode); steps are slices on their
replica's track, operations on their resource's, faults on their target's, each on as many tracks as run side by side; power, budget,
queues and KV occupancy are counters. Times are rounded to 1/8 microsecond, which the format's decimal microseconds hold exactly, so
slices that touch never overlap.
Long runs are cut: `otherData` in the file says how much of each table it shows. Counters keep their extremes (`intervals.envelope`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgewright.simulator.intervals import Envelope, envelope, lanes
from edgewright.simulator.stored import KEPT, first_rows, groups, rows_at, rows_of
from edgewright.simulator.tables import Codes, rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Coded, Columns

__all__ = ["MOST_JOBS", "MOST_REPLICAS", "MOST_SLICES", "trace_events", "write_trace"]

MOST_JOBS = 10_000
"""Requests shown of each service, the first to arrive."""

MOST_SLICES = 200_000
"""Rows of `steps`, and of `operations`, shown: the first."""

MOST_REPLICAS = 256
"""Replicas whose queue and KV memory are shown as counters: the first to have any."""

_TIMES = ("arrival_s", "scheduled_s", "first_token_s", "finished_s")
_ABOUT = ("status", "reason", "replica", "prompt_tokens", "output_tokens", "preemptions")
_COUNTER_BINS = 5_000
_TICKS_PER_SECOND = 8e6

Event = dict[str, Any]


class _Tracks:
    """Numbers for processes and threads by name, and the events that name them."""

    def __init__(self) -> None:
        self._processes: dict[str, int] = {}
        self._threads: dict[tuple[str, str], int] = {}

    def of(self, process: str, thread: str = "") -> Event:
        """The keys `pid` and `tid` of a track."""
        pid = self._processes.setdefault(process, len(self._processes) + 1)
        return {"pid": pid, "tid": self._threads.setdefault((process, thread), len(self._threads) + 1)}

    def names(self) -> Iterator[Event]:
        """Metadata events: what the viewer calls each process and thread."""
        for process, pid in self._processes.items():
            yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": process}}
            yield {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}
        for (process, thread), tid in self._threads.items():
            yield {"ph": "M", "name": "thread_name", "pid": self._processes[process], "tid": tid, "args": {"name": thread or process}}


def write_trace(run: Recorded, path: Path) -> None:
    """Write the trace, one event per line."""
    shown, encode = json.dumps(_shown(run), ensure_ascii=False), json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"displayTimeUnit":"ms","otherData":{shown},"traceEvents":[')
        for number, event in enumerate(trace_events(run)):
            file.write((",\n" if number else "\n") + encode(event))
        file.write("\n]}\n")


def trace_events(run: Recorded) -> Iterator[Event]:
    """All events, those of one request or track in the order of time; names of tracks last."""
    tracks = _Tracks()
    yield from _requests(run, tracks)
    yield from _steps(first_rows(run.tables["steps"], MOST_SLICES), tracks)
    yield from _operations(first_rows(run.tables["operations"], MOST_SLICES), tracks)
    yield from _power(run.tables["power"], tracks)
    yield from _actuations(run.tables["actuations"], tracks)
    yield from _faults(run, tracks)
    yield from _counters(run.tables["queue"], "queue", ("waiting", "running"), tracks)
    yield from _counters(run.tables["kv"], "KV", ("blocks",), tracks)
    yield from tracks.names()


def _shown(run: Recorded) -> dict[str, str]:
    """What of the run is in the trace, in words."""
    services: Counter[str] = Counter()
    for group in groups(run.tables["jobs"], ["service"], KEPT):
        services.update({name: len(rows) for name, rows in rows_by(group["service"]).items()})
    parts = {f"jobs of {name}": (MOST_JOBS, count) for name, count in services.items()}
    parts |= {name: (MOST_SLICES, rows_of(run.tables[name])) for name in ("steps", "operations")}
    parts |= {"counters of replicas": (MOST_REPLICAS, len(run.tables["replicas"]["replica"]))}
    cut = {name: f"all {count}" if count <= most else f"the first {most} of {count}" for name, (most, count) in parts.items()}
    return {"scenario": run.meta["name"], "seed": str(run.meta["seed"]), **cut}


def _requests(run: Recorded, tracks: _Tracks) -> Iterator[Event]:
    jobs = run.tables["jobs"]
    for service, first in _first(jobs).items():
        shown = {column: values.tolist() for column, values in rows_at(jobs, ("job", *_TIMES, *_ABOUT), first).items()}
        track = tracks.of(f"requests: {service}")
        for cells in zip(*shown.values(), strict=True):
            job = dict(zip(shown, cells, strict=True))
            common = {"cat": service, "id": job["job"], **track}
            for name, start, end, arguments in _nested(job, f"{service} {job['job']}", run.meta["end_s"]):
                yield {"ph": "b", "name": name, "ts": start, "args": arguments, **common}
                yield from ({"ph": "e", "name": inner, "ts": at, **common} for inner, at in end)


def _first(jobs: Columns) -> dict[str, NDArray[np.intp]]:
    """The rows of each service that are shown, by arrival; the table is gone through, and never held."""
    found: dict[str, tuple[Floats, NDArray[np.intp]]] = {}
    begin = 0
    for group in groups(jobs, ("service", "arrival_s"), KEPT):
        for service, rows in rows_by(group["service"]).items():
            before = found.get(service, (np.empty(0), np.empty(0, np.intp)))
            arrival, row = np.append(before[0], group["arrival_s"][rows]), np.append(before[1], begin + rows)
            order = np.argsort(arrival, kind="stable")[:MOST_JOBS]
            found[service] = arrival[order], row[order]
        begin += len(group["service"])
    return {service: row for service, (_, row) in found.items()}


def _nested(job: Mapping[str, Any], title: str, end_s: float) -> Iterator[tuple[str, float, list[tuple[str, float]], Event]]:
    """What begins, when, what ends thereafter before the next begins, and arguments: the request, then its phases as far as it got."""
    last = job["finished_s"] if isfinite(job["finished_s"]) else (end_s if job["status"] == "in_flight" else job["arrival_s"])
    marks = [job[column] for column in _TIMES[:3]]
    reached = sum(map(isfinite, marks))
    edges = [_ts(min(mark, last)) for mark in marks[:reached]] + [_ts(last)]
    yield title, edges[0], [], {key: job[key] for key in _ABOUT}
    for index, phase in enumerate(("queue", "prefill", "decode")[:reached]):
        closing = [(title, edges[-1])] if index == reached - 1 else []
        yield phase, edges[index], [(phase, edges[index + 1]), *closing], {}


def _steps(shown: Columns, tracks: _Tracks) -> Iterator[Event]:
    counts = ("iterations", "decode", "prefill_tokens", "output_tokens", "context_tokens", "waiting", "kv_blocks")
    for replica, rows in rows_by(shown["replica"]).items():
        for lane, (row, start, length) in _laned(shown, rows):
            numbers = {column: int(shown[column][row]) for column in counts}
            track = tracks.of(f"replica: {replica}", f"steps {lane}" if lane else "steps")
            yield {"ph": "X", "cat": "step", "name": _step_name(numbers), "ts": start, "dur": length, "args": numbers, **track}


def _step_name(numbers: Mapping[str, int]) -> str:
    parts = [f"prefill {numbers['prefill_tokens']}"] if numbers["prefill_tokens"] else []
    parts += [f"decode {numbers['decode']}"] if numbers["decode"] else []
    return " + ".join(parts) + (f" × {numbers['iterations']}" if numbers["iterations"] > 1 else "")


def _operations(shown: Columns, tracks: _Tracks) -> Iterator[Event]:
    for resource, rows in rows_by(shown["resource"]).items():
        for lane, (row, start, length) in _laned(shown, rows):
            track = tracks.of("resources", f"{resource} {lane}" if lane else resource)
            about = {"replica": shown["replica"][row]}
            yield {"ph": "X", "cat": shown["kind"][row], "name": shown["name"][row], "ts": start, "dur": length, "args": about, **track}


def _laned(table: Columns, rows: Any) -> Iterator[tuple[int, tuple[int, float, float]]]:
    """Lane, and (row, start, length) in microseconds, by start; no two slices of a lane overlap after rounding."""
    start, end = _ticks(table["start_s"][rows]), _ticks(table["end_s"][rows])
    lane = lanes(start, end)
    for index in np.lexsort((end, start)):
        yield int(lane[index]), (int(rows[index]), float(start[index] / 8), float((end[index] - start[index]) / 8))


def _power(power: Columns, tracks: _Tracks) -> Iterator[Event]:
    for domain, rows in rows_by(power["domain"]).items():
        track = tracks.of("power", domain)
        for label, column in (("mean", "mean_W"), ("peak", "peak_W"), ("budget", "budget_W")):
            known = rows[np.isfinite(power[column][rows])]
            shown = envelope(power["start_s"][known], power[column][known], _COUNTER_BINS)
            yield from _counter(f"{domain} {label} [W]", "W", *shown, track)


def _actuations(actuations: Columns, tracks: _Tracks) -> Iterator[Event]:
    for index in np.flatnonzero(np.isfinite(actuations["effective_s"])):
        target, kind, value = (actuations[column][index] for column in ("target", "kind", "value"))
        name = f"{target}: {kind}" + (f" {value:g}" if np.isfinite(value) else "")
        yield {"ph": "i", "s": "t", "name": name, "ts": _ts(actuations["effective_s"][index]), **tracks.of("power", "actuations")}


def _faults(run: Recorded, tracks: _Tracks) -> Iterator[Event]:
    """Faults as slices on their target's track; those that were not over end with the run."""
    table = run.tables["faults"]
    spans = {"start_s": table["start_s"], "end_s": np.where(np.isnan(table["end_s"]), run.meta["end_s"], table["end_s"])}
    for target, rows in rows_by(table["target"]).items():
        for lane, (row, start, length) in _laned(spans, rows):
            track = tracks.of("faults", f"{target} {lane}" if lane else target)
            about = {"fault": table["fault"][row]}
            yield {"ph": "X", "cat": "fault", "name": table["kind"][row], "ts": start, "dur": length, "args": about, **track}


def _counters(table: Columns, label: str, series: Sequence[str], tracks: _Tracks) -> Iterator[Event]:
    """Of each replica shown, its series; the table is gone through twice, and never held."""
    for replica, envelopes in _envelopes(table, series).items():
        for column, found in zip(series, envelopes, strict=True):
            track = tracks.of(f"replica: {replica}", f"{label}: {column}")
            yield from _counter(f"{label}: {column}", column, *found.points(), track)


def _envelopes(table: Columns, series: Sequence[str]) -> dict[str, list[Envelope]]:
    """By replica, the first `MOST_REPLICAS` that appear, the extremes of each series."""
    spans: dict[str, _Span] = {}
    shown = Codes()
    for group in groups(table, ("replica", "time_s"), KEPT, coded=True):
        for replica, rows in _shown_rows(group["replica"], shown):
            first, last = float(group["time_s"][rows[0]]), float(group["time_s"][rows[-1]])
            before = spans.get(replica, _Span(0, first, last))
            spans[replica] = _Span(before.samples + len(rows), before.first, last)
    found = {replica: [Envelope(_COUNTER_BINS, *span) for _ in series] for replica, span in spans.items()}
    for group in groups(table, ("replica", "time_s", *series), KEPT, coded=True):
        for replica, rows in _shown_rows(group["replica"], shown):
            for column, each in zip(series, found[replica], strict=True):
                each.add(group["time_s"][rows], group[column][rows])
    return found


class _Span(NamedTuple):
    samples: int
    first: float
    last: float


def _shown_rows(names: NDArray[Any] | Coded, codes: Codes) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Rows by name, of the names that are shown."""
    coded, known = codes.of(names), codes.names
    rows = np.flatnonzero(coded < MOST_REPLICAS)
    rows = rows[np.argsort(coded[rows], kind="stable")]
    for mine in np.split(rows, np.flatnonzero(np.diff(coded[rows])) + 1):
        if len(mine):
            yield known[coded[mine[0]]], mine


def _counter(name: str, key: str, time: Floats, values: Floats, track: Event) -> Iterator[Event]:
    for at, value in zip(time, values, strict=True):
        yield {"ph": "C", "name": name, "ts": _ts(at), "args": {key: value.item()}, **track}


def _ticks(seconds: Floats) -> Floats:
    rounded: Floats = np.round(seconds * _TICKS_PER_SECOND)
    return rounded


def _ts(seconds: float) -> float:
    """Microseconds, on the grid of 1/8."""
    return round(seconds * _TICKS_PER_SECOND) / 8
