"""Arithmetic on intervals and step functions of time: overlaps, lanes, and honest thinning of long series. Times in seconds."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "envelope", "lanes", "occupancy", "overlap", "share", "step_bins"]

Floats: TypeAlias = NDArray[np.float64]
"""A one-dimensional array of floats."""


def overlap(start: Floats, end: Floats, low: float, high: float) -> Floats:
    """Seconds that each interval `[start, end)` has in common with `[low, high)`."""
    common: Floats = np.maximum(np.minimum(end, high) - np.maximum(start, low), 0.0)
    return common


def share(start: Floats, end: Floats, low: float, high: float) -> Floats:
    """The fraction of each interval that lies within `[low, high)`; an interval of no length lies there whole or not at all."""
    length = end - start
    inside = ((start >= low) & (start < high)).astype(np.float64)
    return np.where(length > 0, overlap(start, end, low, high) / np.where(length > 0, length, 1.0), inside)


def occupancy(start: Floats, end: Floats, edges: Floats) -> Floats:
    """The mean number of intervals that are open in each of the bins between the edges: seconds of overlap per second of bin."""
    covered: Floats = np.diff(_elapsed(np.sort(start), edges) - _elapsed(np.sort(end), edges)) / np.diff(edges)
    return covered


def lanes(start: Floats, end: Floats) -> NDArray[np.int64]:
    """A lane for each interval so that no two in one lane overlap, as few lanes as possible, the lowest free one first.

    Greedy over intervals by start, which is optimal for interval graphs. Touching intervals may share a lane.
    """
    assigned = np.zeros(len(start), np.int64)
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    for index in np.lexsort((end, start)):
        while busy and busy[0][0] <= start[index]:
            heappush(free, heappop(busy)[1])
        lane = heappop(free) if free else len(busy)
        heappush(busy, (float(end[index]), lane))
        assigned[index] = lane
    return assigned


def envelope(time: Floats, value: Floats, bins: int) -> tuple[Floats, Floats]:
    """A series of at most `4 * bins` points that shows every extreme of the given one (times not falling).

    Time is cut into `bins` equal parts; of each, the first, least, greatest and last sample stay, in their order. A series of no more
    than `4 * bins` samples stays as it is.
    """
    if len(time) <= 4 * bins:
        return time, value
    edges = np.searchsorted(time, np.linspace(time[0], time[-1], bins + 1)[1:-1])
    kept: list[int] = []
    for low, high in zip([0, *edges], [*edges, len(time)], strict=True):
        if high > low:
            part = value[low:high]
            kept += sorted({int(low), int(low + part.argmin()), int(low + part.argmax()), int(high - 1)})
    return time[kept], value[kept]


def step_bins(time: Floats, value: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Mean over time and greatest value, by bins between the edges, of a step function that takes `value[i]` from `time[i]` on.

    A bin before the first step is NaN; the mean of the bin with the first step is over what follows it. The last value holds.
    """
    changes = np.searchsorted(time, edges, side="right")
    summed = np.concatenate([[0.0], np.cumsum(value[:-1] * np.diff(time))])
    held = np.maximum(changes - 1, 0)
    integral = np.where(changes > 0, summed[held] + value[held] * (edges - time[held]), 0.0)
    known = edges[1:] - np.maximum(edges[:-1], time[0])
    mean = np.where(known > 0, np.diff(integral) / np.where(known > 0, known, 1.0), np.nan)
    greatest = [value[max(low - 1, 0) : high].max() if high else np.nan for low, high in pairwise(changes)]
    return mean, np.array(greatest, np.float64)


def _elapsed(marks: Floats, times: Floats) -> Floats:
    """At each time, the seconds since all marks before it, summed (marks sorted)."""
    passed = np.searchsorted(marks, times)
    total: Floats = passed * times - np.concatenate([[0.0], np.cumsum(marks)])[passed]
    return total
