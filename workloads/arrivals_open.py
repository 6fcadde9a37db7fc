"""Open arrival processes: Poisson, gamma bursts, Markov-modulated, diurnal, periodic, replayed.

Rates are arrivals per second, durations seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgewright.hwmodels.units import Seconds
from edgewright.workloads.arrivals_process import OpenProcess
from edgewright.workloads.jobs_bounds import Duration, Positive, Rate, RateOrNone, Share
from edgewright.workloads.streams import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Diurnal", "GammaBurst", "MarkovModulated", "Periodic", "Poisson", "Replay", "gamma_gaps", "unit_gaps"]

_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson(OpenProcess):
    """Independent arrivals: exponential gaps of mean `1 / rate`. The same stream at another rate is the same draws, rescaled."""

    rate: Rate
    process: Literal["poisson"] = "poisson"

    @property
    def unthinned_rate(self) -> float:
        return self.rate

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        time = start
        for gap in unit_gaps(stream):
            time += gap / self.rate
            yield time


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaBurst(OpenProcess):
    """A renewal process with gamma gaps of mean `1 / rate` and coefficient of variation `cv`: 1 is Poisson, above 1 is bursty.

    As in the burstiness experiments of serving papers (e.g. AlpaServe, OSDI 2023). The count over a long window has an index of
    dispersion that tends to `cv ** 2`. The process starts with a whole gap at `start`, so a window from there holds about
    `(cv ** 2 - 1) / 2` more arrivals than its length times the rate (Cox, Renewal Theory, 1962).
    """

    rate: Rate
    cv: Positive
    process: Literal["gamma"] = "gamma"

    @property
    def unthinned_rate(self) -> float:
        return self.rate

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        time = start
        for gap in gamma_gaps(stream, self.cv):
            time += gap / self.rate
            yield time


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovModulated(OpenProcess):
    """Poisson arrivals whose rate is that of a hidden state; states follow one another in a cycle, each for an exponential time.

    With two states this is the MMPP(2) (Fischer & Meier-Hellstern, Performance Evaluation 18, 1993). It starts stationary: in a state
    drawn in proportion to its dwell time.

    Attributes:
        rates: arrivals per second in each state, at least one above zero.
        dwell: mean seconds in each state.
    """

    rates: tuple[RateOrNone, ...]
    dwell: tuple[Duration, ...]
    process: Literal["markov"] = "markov"

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.dwell) or len(self.rates) < 2:
            raise ValueError(f"rates and dwell need one figure per state, two states or more: got {len(self.rates)} and {len(self.dwell)}")
        if not any(self.rates):
            raise ValueError("rates are all 0: nothing would ever arrive")

    @property
    def unthinned_rate(self) -> float:
        return sum(rate * dwell for rate, dwell in zip(self.rates, self.dwell, strict=True)) / sum(self.dwell)

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        gaps = unit_gaps(stream)
        time, owed = start, next(gaps)
        for rate, seconds in self._visits(stream.child("states")):
            end = time + seconds
            while owed < rate * (end - time):
                time += owed / rate
                yield time
                owed = next(gaps)
            owed -= rate * (end - time)
            time = end

    def _visits(self, stream: Stream) -> Iterator[tuple[float, float]]:
        """Rate and duration of each visit to a state. (`owed` above is unit-rate time to the next arrival, used up at the state's rate.)"""
        state = stream.choice(self.dwell)
        for visit in count():
            yield self.rates[state], stream.exponential(self.dwell[state], visit)
            state = (state + 1) % len(self.rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diurnal(OpenProcess):
    """Poisson arrivals at `rate * (1 + amplitude * sin(2 pi (t - phase) / period))`, by thinning (Lewis & Shedler, 1979).

    Attributes:
        rate: the mean over a period.
        amplitude: swing as a fraction of the mean, in [0, 1].
        period: seconds; a day by default.
        phase: a time at which the rate rises through its mean.
    """

    rate: Rate
    amplitude: Share
    period: Duration = 86400.0
    phase: Seconds = 0.0
    process: Literal["diurnal"] = "diurnal"

    @property
    def unthinned_rate(self) -> float:
        return self.rate

    def rate_at(self, time: float) -> float:
        """Arrivals per second at that time, before `thin`."""
        return self.rate * (1.0 + self.amplitude * math.sin(2.0 * math.pi * (time - self.phase) / self.period))

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        peak = self.rate * (1.0 + self.amplitude)
        accept = stream.child("accept")
        for ordinal, time in enumerate(Poisson(rate=peak).raw_times(stream, start)):
            if accept.uniform(ordinal) * peak < self.rate_at(time):
                yield time


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic(OpenProcess):
    """One arrival each `period`, late by a uniform part of `jitter`: cameras, sensors, control loops.

    Attributes:
        period: seconds between nominal times, which are `offset`, `offset + period`, and so on; deadlines count from the arrival.
        offset: seconds, the first nominal time.
        jitter: seconds, the most an arrival can be late; at most one period, so that order is kept.
    """

    period: Duration
    offset: Seconds = 0.0
    jitter: Seconds = 0.0
    process: Literal["periodic"] = "periodic"

    def __post_init__(self) -> None:
        if self.jitter > self.period:
            raise ValueError(f"jitter of {self.jitter} s exceeds the period of {self.period} s")

    @property
    def unthinned_rate(self) -> float:
        return 1.0 / self.period

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        for number in count():
            nominal = self.offset + number * self.period
            yield nominal + self.jitter * stream.uniform(number) if self.jitter else nominal


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(OpenProcess):
    """Arrivals at given times, in seconds, sorted."""

    at: tuple[Seconds, ...]
    process: Literal["replay"] = "replay"

    def __post_init__(self) -> None:
        for number, (before, after) in enumerate(zip(self.at, self.at[1:], strict=False)):
            if after < before:
                raise ValueError(f"times must not fall: number {number + 1} is {after} s, after {before} s")

    @property
    def unthinned_rate(self) -> float | None:
        span = self.at[-1] - self.at[0] if self.at else 0.0
        return (len(self.at) - 1) / span if span > 0.0 else None

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        return iter(self.at)


def unit_gaps(stream: Stream) -> Iterator[float]:
    """Exponential gaps of mean 1, without end."""
    return _blocks(lambda block: -np.log1p(-stream.uniforms(_BLOCK, block)))


def gamma_gaps(stream: Stream, cv: float) -> Iterator[float]:
    """Gamma gaps of mean 1 and coefficient of variation `cv`, without end."""
    return _blocks(lambda block: stream.generator(block).gamma(cv**-2, cv**2, _BLOCK))


def _blocks(draw: Callable[[int], NDArray[np.float64]]) -> Iterator[float]:
    for block in count():
        yield from draw(block).tolist()
