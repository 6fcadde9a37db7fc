"""The cluster: its topology, the busiest resources, and the memory pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.report.figure import INK, Drawing, colour, numbers
from edgewright.simulator.report.topology import Utilisation, topology
from edgewright.simulator.summary_text import readable

if TYPE_CHECKING:
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.summary import Metric

__all__ = ["machine"]

_BUSIEST, _POOLS = 16, 16


def machine(run: Recorded, metrics: Sequence[Metric]) -> Iterator[Drawing]:
    """Topology, utilisation and memory; a figure without data is left out."""
    by = {
        name: {each.name: each.value for each in metrics if each.metric == name}
        for name in ("utilisation", "peak_utilisation", "run_utilisation")
    }
    mean = {name: value if np.isfinite(value) else by["run_utilisation"][name] for name, value in by["utilisation"].items()}
    if run.meta["topology"]["nodes"]:
        yield topology(run, mean)
    if mean:
        yield _busiest(mean, by["peak_utilisation"])
    yield from _memory(run)


def _busiest(mean: Utilisation, peak: Utilisation) -> Drawing:
    """Bars of mean utilisation, a mark at the busiest sampling period."""
    names = sorted(mean, key=lambda name: -mean[name])[:_BUSIEST][::-1]
    bars: dict[str, Any] = {"type": "bar", "orientation": "h", "name": "mean", "y": names, "x": numbers(100 * mean[name] for name in names)}
    marks: dict[str, Any] = {"type": "scatter", "mode": "markers", "name": "busiest sampling period", "y": names}
    marks |= {
        "x": numbers(100 * peak[name] for name in names),
        "marker": {"symbol": "line-ns-open", "size": 12, "color": colour(1), "line": {"width": 2}},
    }
    left_out = "" if len(mean) == len(names) else f" The {len(names)} busiest of {len(mean)}."
    caption = f"Engines, buses, links and storage channels in the measurement window.{left_out}"
    layout = {"xaxis": {"title": {"text": "% of capacity"}, "range": [0, 101]}, "yaxis": {"type": "category"}, "hovermode": "y"}
    return Drawing("utilisation", "Utilisation", caption, [bars | {"marker": {"color": colour(0)}}, marks], layout, 440, wide=True)


def _memory(run: Recorded) -> Iterator[Drawing]:
    """Bars of the peaks by kind (weights, KV, ...), one after another, and a mark at the pool's own peak."""
    memory = run.tables["memory"]
    capacity = dict(zip(memory["pool"], memory["capacity_bytes"], strict=True))
    held: dict[str, dict[str, float]] = {}
    for pool, allocation, peak in zip(memory["pool"], memory["allocation"], memory["peak_bytes"], strict=True):
        kinds = held.setdefault(pool, {})
        kind = allocation.rpartition(" ")[2]
        kinds[kind] = kinds.get(kind, 0.0) + float(peak)
    shown = sorted(held, key=lambda pool: -held[pool].get("total", 0.0) / capacity[pool])[:_POOLS][::-1]
    if shown:
        left_out = "" if len(shown) == len(held) else f" The {len(shown)} fullest of {len(held)} pools."
        caption = f"Peaks by kind, as a share of the pool; they need not coincide, the mark is the pool's own peak.{left_out}"
        order = {"type": "category", "categoryorder": "array", "categoryarray": [_pool(pool, capacity) for pool in shown]}
        layout = {
            "xaxis": {"title": {"text": "% of the pool"}, "rangemode": "tozero"},
            "yaxis": order,
            "barmode": "stack",
            "hovermode": "closest",
        }
        traces = [*_held(shown, held, capacity)]
        yield Drawing("memory", "Memory, peaks", caption, traces, layout, max(240, 90 + 34 * len(shown)), wide=True)


def _held(shown: Sequence[str], held: Mapping[str, Mapping[str, float]], capacity: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """One trace per kind; the totals are marks."""
    kinds = sorted(dict.fromkeys(kind for pool in shown for kind in held[pool]), key=lambda kind: (kind == "total", kind))
    for index, kind in enumerate(kinds):
        pools = [pool for pool in shown if kind in held[pool]]
        where = {"x": numbers(100 * held[pool][kind] / capacity[pool] for pool in pools), "name": kind}
        where |= {"y": [_pool(pool, capacity) for pool in pools]}
        where |= {"hovertext": [readable(held[pool][kind], "B") for pool in pools], "hoverinfo": "text+name"}
        mark = {"symbol": "line-ns-open", "size": 16, "color": INK, "line": {"width": 2}}
        bar = {"type": "bar", "orientation": "h", "marker": {"color": colour(index)}}
        yield where | ({"type": "scatter", "mode": "markers", "marker": mark} if kind == "total" else bar)


def _pool(name: str, capacity: Mapping[str, float]) -> str:
    return f"{name} ({readable(capacity[name], 'B')})"
