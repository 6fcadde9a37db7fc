"""Rates of links over time that were recorded, from a file."""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from edgewright.hwmodels.rates import Rate
from edgewright.hwmodels.units import parse
from edgewright.workloads.streams import Stream

__all__ = ["RateTrace", "RecordedRate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRate:
    """A file of rates over time.

    Attributes:
        file: CSV with a header and columns `time_s` (rising) and `rate`: each rate holds from its time on, the first also before.
        unit: of the rates, such as `Mbit/s`; or `share`, of the link's own rate.
        end: after the last row, `hold` its rate, or `repeat` from the first: the last row then lasts as long as the one before it.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    file: Path
    unit: str = "byte/s"
    end: Literal["hold", "repeat"] = "hold"

    def __post_init__(self) -> None:
        if self.unit != "share":
            try:
                parse(f"1 {self.unit}", "byte/second")
            except ValueError as error:
                raise ValueError(f"unit: {error}, or `share`") from None

    def start(self, stream: Stream, nominal: float) -> RateTrace:
        """The recorded course, the same for every stream; raises `ValueError` (naming file, line and column), `OSError`."""
        scale = 1.0 if self.unit == "share" else parse(f"1 {self.unit}", "byte/second") / nominal
        times, rates = _columns(self.file)
        if self.end == "repeat" and len(times) < 2:
            raise ValueError(f"{self.file}: has one row, and is to repeat; accepted are two or more, or `end: hold`")
        return RateTrace(tuple(times), tuple(rate * scale for rate in rates), self.end == "repeat")


@dataclass(frozen=True, slots=True)
class RateTrace:
    """Factors, each from its time on (seconds, rising); the first also before, the last for ever or until it all begins again."""

    times: tuple[float, ...]
    factors: tuple[float, ...]
    repeats: bool = False

    def at(self, time: float) -> Rate:
        """What holds at `time`; O(log n)."""
        base = 0.0
        if self.repeats:
            first, last = self.times[0], self.times[-1]
            period = last + (last - self.times[-2]) - first
            base = math.floor((time - first) / period) * period if time >= first else 0.0
            if base + first + period <= time:  # by a rounding
                base += period
        place = bisect_right(self.times, time - base)
        factor = self.factors[max(place - 1, 0)]
        while place < len(self.times) and base + self.times[place] <= time:  # by a rounding
            factor, place = self.factors[place], place + 1
        if place < len(self.times):
            return Rate(factor, base + self.times[place])
        return Rate(factor, base + self.times[0] + period if self.repeats else math.inf)


def _columns(path: Path) -> tuple[list[float], list[float]]:
    """Times and rates of a file; raises `ValueError` for the first that is not as it must be."""
    times: list[float] = []
    rates: list[float] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = {"time_s", "rate"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: has no column {min(missing)}; accepted is a header with time_s and rate")
        for row in reader:
            time, rate = (_number(path, reader.line_num, name, row[name]) for name in ("time_s", "rate"))
            if times and time <= times[-1]:
                raise ValueError(f"{path}:{reader.line_num}: time_s {time:g} follows {times[-1]:g}; accepted are rising times")
            times.append(time)
            rates.append(rate)
    if not times:
        raise ValueError(f"{path}: holds no rows; accepted are one or more")
    return times, rates


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"{path}:{line}: {column} is {text!r}; accepted is a finite number of 0 or more")
    return number
