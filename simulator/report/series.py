"""What replicas held over time: queue, batch, KV cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import StepBins
from edgewright.simulator.report.figure import BINS, Drawing, line, numbers, over_time
from edgewright.simulator.stored import KEPT, groups
from edgewright.simulator.tables import Codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Columns

__all__ = ["queues"]

_MOST = 8


def queues(run: Recorded) -> Iterator[Drawing]:
    """Waiting jobs, running jobs and KV occupancy by replica."""
    length, batch = _Figure("queue", "Queue length", "jobs waiting", "waiting"), _Figure("batch", "Batch", "jobs running", "running")
    yield from _drawings(run, "queue", [length, batch])
    yield from _drawings(run, "kv", [_Figure("kv", "KV cache occupancy", "% of KV blocks", "blocks", "capacity_blocks")])


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure that replicas had over time, in % of a capacity if there is one."""

    key: str
    title: str
    unit: str
    column: str
    capacity: str | None = None

    def of(self, rows: Columns) -> Floats:
        """Its values in some rows."""
        value = rows[self.column]
        return 100 * value / np.maximum(rows[self.capacity], 1) if self.capacity else value.astype(np.float64)


def _groups(table: Columns, figures: Sequence[_Figure]) -> Iterator[dict[str, Any]]:
    """What the figures of a table are made of, some rows at a time."""
    needed = [each for figure in figures for each in (figure.column, figure.capacity) if each is not None]
    return groups(table, ("replica", "time_s", *needed), KEPT, coded=True)


def _drawings(run: Recorded, name: str, figures: Sequence[_Figure]) -> Iterator[Drawing]:
    """Steps by replica, those with the highest peaks if there are many; nothing if there are no samples.

    The table is gone through twice for all its figures, and never held.
    """
    table, codes = run.tables[name], Codes()
    counts, peaks = _peaks(table, figures, codes)
    shown = [np.argsort(-peak, kind="stable")[:_MOST].tolist() for peak in peaks]
    for figure, drawn in zip(figures, _drawn(table, figures, codes, counts, shown, run.meta["end_s"]), strict=True):
        if drawn:
            caption = "By replica." if len(counts) <= _MOST else f"The {_MOST} replicas with the highest peaks, of {len(counts)}."
            caption += f" Of long series, mean and (faint) greatest value in each {BINS}th of the run." if max(map(len, drawn)) > 1 else ""
            traces = [trace for traces in drawn for trace in traces]
            yield Drawing(figure.key, figure.title, caption, traces, over_time(run, figure.unit), wide=True)


def _peaks(table: Columns, figures: Sequence[_Figure], codes: Codes) -> tuple[NDArray[np.int64], list[Floats]]:
    """Number of samples, and of each figure the greatest value, by replica."""
    counts, most = np.empty(0, np.int64), [np.empty(0) for _ in figures]
    for group in _groups(table, figures):
        coded = codes.of(group["replica"])
        fresh = len(codes.names) - len(counts)
        counts = np.append(counts, np.zeros(fresh, np.int64)) + np.bincount(coded, minlength=len(codes.names))
        most = [np.append(each, np.full(fresh, -np.inf)) for each in most]
        for figure, greatest in zip(figures, most, strict=True):
            np.maximum.at(greatest, coded, figure.of(group))
    return counts, most


def _drawn(
    table: Columns, figures: Sequence[_Figure], codes: Codes, counts: NDArray[np.int64], shown: Sequence[Sequence[int]], end: float
) -> list[list[list[dict[str, Any]]]]:
    """By figure and replica shown: every step of a short series; of a long one a line of means, and a faint one of greatest values."""
    edges, names = np.linspace(0.0, end, BINS + 1), codes.names
    series = [{number: _Series(edges, bool(counts[number] > 2 * BINS)) for number in numbers} for numbers in shown]
    anywhere = sorted({number for numbers in shown for number in numbers})
    for group in _groups(table, figures):
        coded = codes.of(group["replica"])
        mine = {number: np.flatnonzero(coded == number) for number in anywhere}
        for figure, own in zip(figures, series, strict=True):
            value = figure.of(group)
            for number, each in own.items():
                each.add(group["time_s"][mine[number]], value[mine[number]])
    return [[each.traces(index, names[number], end) for index, (number, each) in enumerate(own.items())] for own in series]


class _Series:
    """A figure of one replica over time: all its steps, or what is drawn of so many."""

    def __init__(self, edges: Floats, long: bool) -> None:
        self._edges = edges
        self._bins = StepBins(edges) if long else None
        self._steps: list[tuple[Floats, Floats]] = []

    def add(self, time: Floats, value: Floats) -> None:
        """Values more, in order of time."""
        if self._bins is not None:
            self._bins.add(time, value)
        else:
            self._steps.append((time, value))

    def traces(self, index: int, name: str, end: float) -> list[dict[str, Any]]:
        """What is drawn."""
        return _whole(index, name, end, self._steps) if self._bins is None else _thinned(index, name, self._edges, self._bins)


def _shape(index: int, name: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "legendgroup": name, "line": line(index, 1.5) | {"shape": "hv"}}


def _whole(index: int, name: str, end: float, parts: list[tuple[Floats, Floats]]) -> list[dict[str, Any]]:
    time, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return [_shape(index, name) | {"x": numbers([*time, end]), "y": numbers([*value, value[-1]])}]


def _thinned(index: int, name: str, edges: Floats, found: StepBins) -> list[dict[str, Any]]:
    mean, greatest = found.bins()
    shape, faint = _shape(index, name), {"opacity": 0.4, "showlegend": False, "name": f"{name}, greatest"}
    x = numbers(edges)
    return [shape | {"x": x, "y": numbers([*mean, mean[-1]])}, shape | faint | {"x": x, "y": numbers([*greatest, greatest[-1]])}]
