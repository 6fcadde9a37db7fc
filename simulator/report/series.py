"""What replicas held over time: queue, batch, KV cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import step_bins
from edgewright.simulator.report.figure import BINS, Drawing, line, numbers, over_time
from edgewright.simulator.tables import rows_by

if TYPE_CHECKING:
    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded

__all__ = ["queues"]

_MOST = 8


def queues(run: Recorded) -> Iterator[Drawing]:
    """Waiting jobs, running jobs and KV occupancy by replica."""
    queue, kv = run.tables["queue"], run.tables["kv"]
    share = 100 * kv["blocks"] / np.maximum(kv["capacity_blocks"], 1)
    yield from _series(run, "queue", "Queue length", "jobs waiting", queue["replica"], queue["time_s"], queue["waiting"])
    yield from _series(run, "batch", "Batch", "jobs running", queue["replica"], queue["time_s"], queue["running"])
    yield from _series(run, "kv", "KV cache occupancy", "% of KV blocks", kv["replica"], kv["time_s"], share)


def _series(run: Recorded, key: str, title: str, unit: str, names: Floats, time: Floats, value: Floats) -> Iterator[Drawing]:
    """Steps by replica, those with the highest peaks if there are many; nothing if there are no samples."""
    rows = sorted(rows_by(names).items(), key=lambda item: -value[item[1]].max())
    drawn = [_drawn(index, name, time[mine], value[mine], run.meta["end_s"]) for index, (name, mine) in enumerate(rows[:_MOST])]
    if drawn:
        caption = "By replica." if len(rows) <= _MOST else f"The {_MOST} replicas with the highest peaks, of {len(rows)}."
        caption += f" Of long series, mean and (faint) greatest value in each {BINS}th of the run." if max(map(len, drawn)) > 1 else ""
        yield Drawing(key, title, caption, [trace for traces in drawn for trace in traces], over_time(run, unit), wide=True)


def _drawn(index: int, name: str, time: Floats, value: Floats, end: float) -> list[dict[str, Any]]:
    """Every step of a short series; of a long one a line of means, and a faint one of greatest values."""
    shape = {"type": "scatter", "mode": "lines", "name": name, "legendgroup": name, "line": line(index, 1.5) | {"shape": "hv"}}
    if len(time) <= 2 * BINS:
        return [shape | {"x": numbers([*time, end]), "y": numbers([*value, value[-1]])}]
    edges = np.linspace(0.0, end, BINS + 1)
    mean, greatest = step_bins(time, value, edges)
    faint = {"opacity": 0.4, "showlegend": False, "name": f"{name}, greatest"}
    x = numbers(edges)
    return [shape | {"x": x, "y": numbers([*mean, mean[-1]])}, shape | faint | {"x": x, "y": numbers([*greatest, greatest[-1]])}]
