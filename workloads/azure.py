"""Requests shaped like the Azure LLM inference traces 2023: two production services, one hour each.

Source of the numbers: AzurePublicDataset, "Azure LLM inference traces 2023" (Microsoft, CC-BY 4.0), published with Patel et al.,
"Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024. The package holds quantiles and rates only
(`azure_2023.json`, computed by `azure_fit.py`); the files themselves are fetched by `traces_download.download` or given by path.

How wrong can it be? The tests compare it with the files: quantiles of both lengths within 6 % (or 5 tokens) from 10 to 95 %, means within
10 %, rank correlation within 0.05, index of dispersion of the counts in 1 to 60 s within 25 % (`conversation`) and 40 % (`code`, below
the file in short windows). Left out: the weak likeness of successive requests (rank correlation 0.11 of successive outputs), and point
masses between tabulated quantiles. One hour was published: that longer runs repeat it is an assumption.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, count
from math import sqrt
from typing import ClassVar, Literal

from edgewright.workloads.arrivals_open import gamma_gaps
from edgewright.workloads.arrivals_process import OpenProcess
from edgewright.workloads.azure_shape import CONTEXT_LEVELS, GAP_LEVELS, OUTPUT_LEVELS, AzureTrace, shape_of
from edgewright.workloads.lengths_joint import Conditional, Lengths
from edgewright.workloads.lengths_marginals import Empirical
from edgewright.workloads.streams import Stream

__all__ = ["AzureArrivals", "AzureLengths", "AzureTrace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureLengths:
    """Context and generated tokens of a request, by quantiles of context and, within ranges of it, of generated tokens.

    Attributes:
        trace: `conversation` (median 1020 in, 129 out; they depend on each other, not monotonically) or `code` (median 1469 in, 13 out;
            independent).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    trace: AzureTrace = "conversation"
    lengths: Literal["azure"] = "azure"

    def draw(self, stream: Stream, *index: int) -> Lengths:
        """See `LengthProcess`."""
        return self.table.draw(stream, *index)

    @property
    def table(self) -> Conditional:
        """The distribution as quantiles."""
        return _table(self.trace)


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureArrivals(OpenProcess):
    """Arrivals as bursty as the trace.

    `conversation`: 5.53 requests per second on average over the hour, from 4.3 up to 7.8 and down to 3.7; gamma gaps of coefficient of
    variation 1.04 in time stretched by that rate. `code`: 2.57 per second; gaps drawn from the measured quantiles, with a coefficient of
    variation near 13 (silence up to minutes, then bursts). `thin` scales the rate down and brings the counts in short windows closer to
    Poisson: an index of dispersion I becomes `1 + thin * (I - 1)`.
    """

    trace: AzureTrace = "conversation"
    process: Literal["azure"] = "azure"

    @property
    def unthinned_rate(self) -> float:
        shape = shape_of(self.trace)
        return shape.requests / shape.seconds

    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        return _modulated(stream, start) if self.trace == "conversation" else _renewed(stream, start)


@cache
def _table(trace: AzureTrace) -> Conditional:
    shape = shape_of(trace)
    return Conditional(
        prompt=Empirical(levels=CONTEXT_LEVELS, values=shape.context),
        edges=shape.edges,
        output=tuple(Empirical(levels=OUTPUT_LEVELS, values=values) for values in shape.generated),
    )


@dataclass(frozen=True, slots=True)
class _Profile:
    """A rate joined by straight lines between knots: seconds, requests per second there, and requests expected up to there."""

    seconds: tuple[float, ...]
    rates: tuple[float, ...]
    expected: tuple[float, ...]

    def when(self, expected: float) -> float:
        """The time up to which so many requests are expected; the profile repeats."""
        rounds, rest = divmod(expected, self.expected[-1])
        piece = min(bisect_right(self.expected, rest), len(self.seconds) - 1) - 1
        width, rate = self.seconds[piece + 1] - self.seconds[piece], self.rates[piece]
        slope = (self.rates[piece + 1] - rate) / width
        left = rest - self.expected[piece]
        into = 2.0 * left / (rate + sqrt(rate * rate + 2.0 * slope * left))
        return rounds * self.seconds[-1] + self.seconds[piece] + into


@cache
def _profile(trace: AzureTrace) -> _Profile:
    """The rates of the parts stand at their middles; the first and the last hold to the ends."""
    shape = shape_of(trace)
    width = shape.seconds / len(shape.rates)
    seconds = (0.0, *((part + 0.5) * width for part in range(len(shape.rates))), shape.seconds)
    rates = (shape.rates[0], *shape.rates, shape.rates[-1])
    areas = ((rates[k] + rates[k + 1]) / 2.0 * (seconds[k + 1] - seconds[k]) for k in range(len(rates) - 1))
    return _Profile(seconds, rates, tuple(accumulate(areas, initial=0.0)))


def _modulated(stream: Stream, start: float) -> Iterator[float]:
    """The hour begins at `start`."""
    profile, expected = _profile("conversation"), 0.0
    for gap in gamma_gaps(stream, shape_of("conversation").gap_cv):
        expected += gap
        yield start + profile.when(expected)


def _renewed(stream: Stream, start: float) -> Iterator[float]:
    """Gaps of the measured quantiles, scaled by the little that straight lines between them add to the mean."""
    shape = shape_of("code")
    gaps = Empirical(levels=GAP_LEVELS, values=shape.gaps)
    scale = shape.seconds / shape.requests / gaps.mean
    time = start
    for ordinal in count():
        time += scale * gaps.interpolate(stream.uniform(ordinal))
        yield time
