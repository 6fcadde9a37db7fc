"""What replicas held over time: queue, batch, KV cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import StepBins
from edgewright.simulator.report.figure import BINS, Drawing, line, numbers, over_time
from edgewright.simulator.stored import groups
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
    yield from _series(run, "queue", "Queue length", "jobs waiting", _Series(run.tables["queue"], "waiting"))
    yield from _series(run, "batch", "Batch", "jobs running", _Series(run.tables["queue"], "running"))
    yield from _series(run, "kv", "KV cache occupancy", "% of KV blocks", _Series(run.tables["kv"], "blocks", "capacity_blocks"))


@dataclass(frozen=True, slots=True)
class _Series:
    """A figure that replicas had over time, in % of a capacity if there is one; its table is gone through, and never held."""

    table: Columns
    column: str
    capacity: str | None = None

    def groups(self) -> Iterator[tuple[NDArray[Any], Floats, Floats]]:
        """Replicas, times and values, some rows at a time."""
        names = ("replica", "time_s", self.column, *([self.capacity] if self.capacity else []))
        for group in groups(self.table, names):
            value = group[self.column]
            of = 100 * value / np.maximum(group[self.capacity], 1) if self.capacity else value.astype(np.float64)
            yield group["replica"], group["time_s"], of

    def peaks(self) -> tuple[dict[str, float], dict[str, int]]:
        """Greatest value and number of samples by replica."""
        codes, most, counts = Codes(), np.empty(0), np.empty(0, np.int64)
        for replica, _, value in self.groups():
            coded = codes.of(replica)
            fresh = len(codes.names) - len(most)
            most, counts = np.append(most, np.full(fresh, -np.inf)), np.append(counts, np.zeros(fresh, np.int64))
            np.maximum.at(most, coded, value)
            counts += np.bincount(coded, minlength=len(counts))
        return dict(zip(codes.names, most.tolist(), strict=True)), dict(zip(codes.names, counts.tolist(), strict=True))


def _series(run: Recorded, key: str, title: str, unit: str, series: _Series) -> Iterator[Drawing]:
    """Steps by replica, those with the highest peaks if there are many; nothing if there are no samples."""
    peaks, counts = series.peaks()
    shown = sorted(peaks, key=lambda name: -peaks[name])[:_MOST]
    drawn = _drawn(series, {name: counts[name] for name in shown}, run.meta["end_s"])
    if drawn:
        caption = "By replica." if len(peaks) <= _MOST else f"The {_MOST} replicas with the highest peaks, of {len(peaks)}."
        caption += f" Of long series, mean and (faint) greatest value in each {BINS}th of the run." if max(map(len, drawn)) > 1 else ""
        yield Drawing(key, title, caption, [trace for traces in drawn for trace in traces], over_time(run, unit), wide=True)


def _drawn(series: _Series, counts: Mapping[str, int], end: float) -> list[list[dict[str, Any]]]:
    """Every step of a short series; of a long one a line of means, and a faint one of greatest values."""
    edges = np.linspace(0.0, end, BINS + 1)
    short: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name, count in counts.items() if count <= 2 * BINS}
    long = {name: StepBins(edges) for name in counts if name not in short}
    for replica, time, value in series.groups():
        for name in counts:
            mine = replica == name
            if name in long:
                long[name].add(time[mine], value[mine])
            else:
                short[name].append((time[mine], value[mine]))
    return [
        _thinned(index, name, edges, long[name]) if name in long else _whole(index, name, end, short[name])
        for index, name in enumerate(counts)
    ]


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
