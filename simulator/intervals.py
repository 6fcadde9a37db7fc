"""Arithmetic on intervals and step functions of time: overlaps, lanes, and honest thinning of long series. Times in seconds."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Envelope", "Floats", "StepBins", "envelope", "lanes", "occupancy", "overlap", "share", "step_bins"]

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


class Envelope:
    """The series of at most `4 * bins` points that `envelope` makes, of samples that come in groups."""

    def __init__(self, bins: int, count: int, first: float, last: float) -> None:
        """`count`: samples that will come, `first` and `last` of them at these times."""
        self._marks = np.linspace(first, last, bins + 1)[1:-1] if count > 4 * bins else None
        self._seen = 0
        self._all: list[tuple[Floats, Floats]] = []
        self._kept: dict[int, list[tuple[int, Any, Any]]] = {}

    def add(self, time: Floats, value: Floats) -> None:
        """The next samples."""
        if self._marks is None:
            self._all.append((time, value))
            return
        places = np.searchsorted(self._marks, time, side="right")
        begins = np.flatnonzero(np.diff(places, prepend=-1))
        for low, high in pairwise([*begins.tolist(), len(time)]):
            part = value[low:high]
            new = [(self._seen + at, time[at], value[at]) for at in (low, low + int(part.argmin()), low + int(part.argmax()), high - 1)]
            old = self._kept.setdefault(int(places[low]), new)
            least, greatest = new[1] if new[1][2] < old[1][2] else old[1], new[2] if new[2][2] > old[2][2] else old[2]
            self._kept[int(places[low])] = [old[0], least, greatest, new[3]]
        self._seen += len(time)

    def points(self) -> tuple[Floats, Floats]:
        """Times and values of the samples that stay, in their order."""
        if self._marks is None:
            none = np.empty(0)
            return np.concatenate([none, *(time for time, _ in self._all)]), np.concatenate([value for _, value in self._all] or [none])
        points = sorted({index: (time, value) for each in self._kept.values() for index, time, value in each}.items())
        return np.array([time for _, (time, _) in points]), np.array([value for _, (_, value) in points])


def envelope(time: Floats, value: Floats, bins: int) -> tuple[Floats, Floats]:
    """A series of at most `4 * bins` points that shows every extreme of the given one (times not falling).

    Time is cut into `bins` equal parts; of each, the first, least, greatest and last sample stay, in their order. A series of no more
    than `4 * bins` samples stays as it is.
    """
    if len(time) <= 4 * bins:
        return time, value
    found = Envelope(bins, len(time), float(time[0]), float(time[-1]))
    found.add(time, value)
    return found.points()


class StepBins:
    """What `step_bins` says, of a step function whose steps come in groups."""

    def __init__(self, edges: Floats) -> None:
        self._edges = edges
        self._integral = np.zeros(len(edges))
        self._greatest = np.full(len(edges) - 1, np.nan)
        self._began = np.inf
        self._held: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
        self._total = 0.0

    def add(self, time: Floats, value: Floats) -> None:
        """The next steps, times not falling. Bins that begin after the last step so far are made anew with each group."""
        edges, time, value = self._edges, np.concatenate((self._held[0], time)), np.concatenate((self._held[1], value))
        if not len(time):
            return
        self._began = min(self._began, float(time[0]))
        changes = np.searchsorted(time, edges, side="right")
        summed = self._total + np.concatenate([[0.0], np.cumsum(value[:-1] * np.diff(time))])
        reached = np.flatnonzero(changes)
        at = changes[reached] - 1
        self._integral[reached] = summed[at] + value[at] * (edges[reached] - time[at])
        first, after = int(np.searchsorted(changes[1:], 0, side="right")), int(np.searchsorted(changes[:-1], len(time)))
        for place, (low, high) in enumerate(pairwise(changes[first : after + 1].tolist()), first):
            here = value[max(low - 1, 0) : high].max()
            before = self._greatest[place] if not low else np.nan
            self._greatest[place] = np.fmax(here, before)
        self._greatest[after:] = value[-1]
        self._held, self._total = (time[-1:], value[-1:]), float(summed[-1])

    def bins(self) -> tuple[Floats, Floats]:
        """Mean and greatest value by bin."""
        known = self._edges[1:] - np.maximum(self._edges[:-1], self._began)
        mean = np.where(known > 0, np.diff(self._integral) / np.where(known > 0, known, 1.0), np.nan)
        return mean, self._greatest


def step_bins(time: Floats, value: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Mean over time and greatest value, by bins between the edges, of a step function that takes `value[i]` from `time[i]` on.

    A bin before the first step is NaN; the mean of the bin with the first step is over what follows it. The last value holds.
    """
    found = StepBins(edges)
    found.add(time, value)
    return found.bins()


def _elapsed(marks: Floats, times: Floats) -> Floats:
    """At each time, the seconds since all marks before it, summed (marks sorted)."""
    passed = np.searchsorted(marks, times)
    total: Floats = passed * times - np.concatenate([[0.0], np.cumsum(marks)])[passed]
    return total
