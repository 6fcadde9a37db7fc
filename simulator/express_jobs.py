"""The jobs of all sources of a service as columns, in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate, count
from typing import TYPE_CHECKING

import numpy as np

from edgewright.workloads.jobs_columns import JobColumns, job_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.workloads import Source, Stream

__all__ = ["Jobs", "jobs_of"]


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs of several sources in the order in which they are sent.

    Attributes:
        columns: when they arrive, and how long they are.
        source: number of the source of each.
        number: of each job in the run. A source takes the next number for a job when it has sent the one before.
        prompted: when its source began to wait for it: the arrival of the one before it, 0 for the first.
    """

    columns: JobColumns
    source: NDArray[np.int64]
    number: NDArray[np.int64]
    prompted: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.columns)


def jobs_of(sources: Sequence[Source], stream: Stream, start: float, stop: float) -> Jobs:
    """What the sources send from start to stop, the same as one by one; `stream` is the run's."""
    parts = [job_columns(source, stream.child(f"workloads.{source.name}"), start, stop) for source in sources]
    together = JobColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in JobColumns.__slots__))
    source = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    before = np.concatenate([np.concatenate(([start], part.arrival[:-1]))[: len(part)] for part in parts])
    if len(parts) == 1:
        return Jobs(together, source, np.arange(len(source)), before)
    order, number = _sent([part.arrival.tolist() for part in parts], start)
    merged = JobColumns(*(getattr(together, name)[order] for name in JobColumns.__slots__))
    return Jobs(merged, source[order], number, before[order])


def _sent(arrivals: Sequence[Sequence[float]], start: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the jobs, source after source, in the order in which they are sent, and the number of each.

    Of those at one moment, the one comes first whose source has waited for longest; a source sends all that is due at once.
    """
    begins, places, pending = [0, *accumulate(map(len, arrivals))], [0] * len(arrivals), [0] * len(arrivals)
    order: list[int] = []
    numbers: list[int] = []
    waiting: list[tuple[float, int, int]] = []
    asked, turns = count(), count()

    def send(source: int, now: float) -> None:
        times, place = arrivals[source], places[source]
        while place < len(times) and times[place] <= now:
            order.append(begins[source] + place)
            numbers.append(pending[source])
            place += 1
            if place < len(times):
                pending[source] = next(asked)
        places[source] = place
        if place < len(times):
            heappush(waiting, (times[place], next(turns), source))

    for source, times in enumerate(arrivals):
        if times:
            pending[source] = next(asked)
            send(source, start)
    while waiting:
        now, _, source = heappop(waiting)
        send(source, now)
    return np.array(order, np.int64), np.array(numbers, np.int64)
