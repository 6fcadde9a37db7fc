"""A quantity over time as a trace gives it: piecewise constant, integrated exactly."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path

__all__ = ["Series", "read_series"]


class Series:
    """Values that hold from their times on.

    Args:
        times: seconds, ascending, the first 0.
        values: one for each time.
        repeat: seconds after which it begins anew, more than the last time; None: the last value holds for ever.

    Raises `ValueError` if that is not so.
    """

    def __init__(self, times: Sequence[float], values: Sequence[float], repeat: float | None = None) -> None:
        if not times or times[0] != 0.0 or len(times) != len(values) or any(b <= a for a, b in pairwise(times)):
            raise ValueError("a series needs as many values as times, which begin at 0 and ascend")
        if repeat is not None and repeat <= times[-1]:
            raise ValueError(f"repeat: {repeat:g} s is not accepted; accepted are seconds after the last time, {times[-1]:g} s")
        self.times, self.values, self.repeat = tuple(times), tuple(values), repeat
        self._sums = [0.0]
        for (a, b), value in zip(pairwise(times), values, strict=False):
            self._sums.append(self._sums[-1] + (b - a) * value)
        self._whole = self._sum(repeat) if repeat is not None else 0.0

    def at(self, time: float) -> float:
        """The value at a time, seconds from 0 on."""
        inside = time if self.repeat is None else time % self.repeat
        return self.values[bisect_right(self.times, inside) - 1]

    def integral(self, start: float, stop: float) -> float:
        """Of the values over `[start, stop]`."""
        if len(self.values) == 1:
            return self.values[0] * (stop - start)  # which may be infinite
        return self._upto(stop) - self._upto(start)

    def _upto(self, time: float) -> float:
        if self.repeat is None:
            return self._sum(time)
        rounds, inside = divmod(time, self.repeat)
        return rounds * self._whole + self._sum(inside)

    def _sum(self, time: float) -> float:
        place = bisect_right(self.times, time) - 1
        return self._sums[place] + (time - self.times[place]) * self.values[place]


def read_series(path: Path, repeat: float | None = None, *, negative: bool = True) -> Series:
    """The series of a CSV file: two columns, seconds and the value that holds from then on, after one line of headings.

    `negative`: whether values may be below 0. Raises `ValueError`, naming the file, if it holds anything else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(float(time), float(value)) for time, value in list(csv.reader(file))[1:]]
        if not all(isfinite(cell) and (cell >= 0.0 or negative) for _, cell in rows):
            raise ValueError("holds a value that is not finite" + ("" if negative else " or below 0"))
        return Series([time for time, _ in rows], [value for _, value in rows], repeat)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; accepted are a line of headings, then lines `seconds,value` from 0 s on") from None
