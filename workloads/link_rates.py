"""How the rate of a link changes over time: recorded, two-state, wandering, or with the hour. Each starts as a `RateProfile`.

A process is a frozen set of hyper-parameters. What it starts is a function of (stream, time) alone: any moment can be asked for, in any
order, at a cost that does not grow with the time that has passed (wandering: with its logarithm, where the time asked for jumps), so that
links nobody uses cost nothing.

How wrong: a link's rate is one number. That a radio which slows down also loses more, and takes more of its neighbours' airtime per byte,
is not in it: what a slow station leaves of a medium is free for the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from edgewright.hwmodels.rates import Rate, RateProfile
from edgewright.workloads.jobs_bounds import Duration, NonNegative, Portion, Positive, Share
from edgewright.workloads.link_rates_file import RecordedRate
from edgewright.workloads.streams import Stream

__all__ = ["RATES", "Diurnal", "GaussMarkov", "GilbertElliott", "LinkRate"]


class LinkRate(Protocol):
    """A course of a link's rate, not yet drawn."""

    def start(self, stream: Stream, nominal: float) -> RateProfile:
        """The profile of a link of `nominal` bytes of payload per second, drawn from the link's own stream."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GilbertElliott:
    """Two states with exponential durations: a link that is now good, now bad (Gilbert 1960, Elliott 1963, in continuous time).

    Attributes:
        mean_good, mean_bad: mean seconds of a stay in each state.
        good, bad: share of the link's rate in each.

    How wrong: real stays have heavier tails than exponential ones.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mean_good: Duration
    mean_bad: Duration
    good: NonNegative = 1.0
    bad: Share = 0.0

    def start(self, stream: Stream, nominal: float) -> RateProfile:
        """A stationary course."""
        return _TwoState(self, stream)


@dataclass(frozen=True, slots=True)
class _TwoState:
    """At the points of a Poisson process of rate 1/good + 1/bad a state is drawn anew, bad with its share of time: exactly the two-state
    chain, and the state at any moment is that of the last point before it. Points are drawn cell by cell, one a cell on average."""

    process: GilbertElliott
    stream: Stream

    _AHEAD: ClassVar[int] = 16

    def at(self, time: float) -> Rate:
        """What holds at `time`: it looks back over 1.6 cells on average, and ahead to the next change, if it comes soon."""
        width = 1.0 / (1.0 / self.process.mean_good + 1.0 / self.process.mean_bad)
        here = math.floor(time / width)
        cell = here + 1
        while not (past := [point for point in self._points(cell, width) if point[0] <= time]):
            cell -= 1
        bad = past[-1][1]
        for cell in range(here, here + self._AHEAD):
            for until, state in self._points(cell, width):
                if until > time and state != bad:
                    return Rate(self._factor(bad), until)
        return Rate(self._factor(bad), (here + self._AHEAD) * width)

    def _factor(self, bad: bool) -> float:
        return self.process.bad if bad else self.process.good

    def _points(self, cell: int, width: float) -> list[tuple[float, bool]]:
        """Times and states (whether bad) of a cell's points, in order."""
        share = self.process.mean_bad / (self.process.mean_good + self.process.mean_bad)
        left, count, chance = self.stream.uniform(cell, 0), 0, math.exp(-1.0)
        while left >= chance:
            left -= chance
            count += 1
            chance /= count
        return sorted(((cell + self.stream.uniform(cell, 1, i)) * width, self.stream.uniform(cell, 2, i) < share) for i in range(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussMarkov:
    """A rate that wanders: its logarithm is a first-order autoregressive (Gauss-Markov) process, constant over each step.

    Attributes:
        sigma: standard deviation of the natural logarithm of the rate; 0.3 is about 30 %.
        memory: seconds after which the correlation has fallen to 1/e.
        step: seconds between changes.
        median: of the share of the link's rate; the mean is `exp(sigma^2 / 2)` of it.
        most: the share is cut off here; None: it is not.

    How wrong: no rate comes in steps of modulation, nor drops to 0.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sigma: NonNegative
    memory: Duration
    step: Duration = 1.0
    median: Positive = 1.0
    most: Positive | None = None

    def start(self, stream: Stream, nominal: float) -> RateProfile:
        """A stationary course."""
        return _Wandering(self, stream)


class _Bracket(NamedTuple):
    """Two steps and the process at both; all between them follows from these and draws of its own."""

    low: int
    before: float
    high: int
    after: float


class _Wandering:
    """Steps 0, 1, 2, 4, 8, ... are drawn one after another, each given the one before; any other step given its neighbours on both sides of
    twice the distance (a bridge: Lévy's construction). Exactly the autoregressive process, at 2 log2(step) draws for any step.

    The way to the last step that was asked for is kept, of which the next one has most in common: going on costs two draws on average.
    """

    __slots__ = ("_doublings", "_way", "process", "stream")

    def __init__(self, process: GaussMarkov, stream: Stream) -> None:
        self.process = process
        self.stream = stream
        self._doublings: list[float] = []
        self._way: list[_Bracket] = []

    def at(self, time: float) -> Rate:
        """What holds at `time`."""
        index, until = _piece(time, self.process.step)
        factor = self.process.median * math.exp(self.process.sigma * self.normal(index))
        return Rate(factor if self.process.most is None else min(factor, self.process.most), until)

    def normal(self, index: int) -> float:
        """The process at a step, with mean 0 and deviation 1."""
        if index == 0:
            return self._draw(0)
        way = self._way
        while way and not way[-1].low <= index < way[-1].high:
            way.pop()
        low, before, high, after = way[-1] if way else self._doubling(index.bit_length() - 1)
        while low != index:
            middle = (low + high) // 2
            between = self._between(before, after, middle - low, middle)
            if middle <= index:
                low, before = middle, between
            else:
                high, after = middle, between
            way.append(_Bracket(low, before, high, after))
        return before

    def _doubling(self, power: int) -> _Bracket:
        """From the step of that power of two to the next."""
        known = self._doublings or [self._after(self._draw(0), 1, 1)]
        while len(known) < power + 2:
            low = 1 << (len(known) - 1)
            known.append(self._after(known[-1], low, 2 * low))
        self._doublings = known
        return _Bracket(1 << power, known[power], 2 << power, known[power + 1])

    def _draw(self, index: int) -> float:
        return self.stream.normal(0.0, 1.0, index)

    def _correlation(self, steps: int) -> float:
        return math.exp(-steps * self.process.step / self.process.memory)

    def _after(self, value: float, steps: int, index: int) -> float:
        kept = self._correlation(steps)
        return kept * value + math.sqrt(1.0 - kept * kept) * self._draw(index)

    def _between(self, before: float, after: float, steps: int, index: int) -> float:
        kept = self._correlation(steps)
        whole = 1.0 + kept * kept
        return kept / whole * (before + after) + math.sqrt((1.0 - kept * kept) / whole) * self._draw(index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diurnal:
    """A rate that is lowest at the busiest hour: `1 - depth (1 + cos(2 pi (t - busiest) / period)) / 2` of the link's own.

    Attributes:
        depth: share of the rate that the busiest hour takes away.
        busiest: seconds from the start of the run to the busiest moment; `period` from one to the next.
        step: seconds between changes.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    depth: Portion
    busiest: Duration = 20.0 * 3600.0
    period: Duration = 24.0 * 3600.0
    step: Duration = 900.0

    def start(self, stream: Stream, nominal: float) -> RateProfile:
        """The course, the same for every stream."""
        return self

    def at(self, time: float) -> Rate:
        """What holds at `time`: the course in the middle of the step."""
        index, until = _piece(time, self.step)
        angle = 2.0 * math.pi * ((index + 0.5) * self.step - self.busiest) / self.period
        return Rate(1.0 - self.depth * (1.0 + math.cos(angle)) / 2.0, until)


def _piece(time: float, step: float) -> tuple[int, float]:
    """Which step a moment is in, and when that ends, which is later than the moment."""
    index = math.floor(time / step)
    while (index + 1) * step <= time:
        index += 1
    return index, (index + 1) * step


RATES: dict[str, type[RecordedRate] | type[GilbertElliott] | type[GaussMarkov] | type[Diurnal]] = {
    "file": RecordedRate,
    "gilbert_elliott": GilbertElliott,
    "gauss_markov": GaussMarkov,
    "diurnal": Diurnal,
}
"""Courses of rates by the name that a scenario gives them."""
