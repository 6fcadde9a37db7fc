"""Quantiles as the summary means them.

The quantile `q` of weighted values is the smallest value at which the cumulated weight reaches `q` times the total: the inverse of the
empirical distribution function (Hyndman and Fan, The American Statistician 50(4), 1996, definition 1). It is always one of the values,
and a value of weight w counts as w equal values. With n equal weights, p99 of fewer than 100 values is their maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgewright.simulator.intervals import Floats

__all__ = ["coarse_distribution", "distribution", "quantiles", "quantiles_in_groups"]

BITS = 16
"""Bits of a float that one pass of the radix selection looks at."""


COARSE = 42
"""Bits of a float that a coarse distribution leaves out: all but the exponent and ten digits."""


def distribution(values: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The sorted values and the share of weight at or below each; NaN values and values of no weight are left out."""
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    kept = ~np.isnan(values) & (weight > 0)
    order = np.argsort(values[kept], kind="stable")
    cumulated = np.cumsum(weight[kept][order])
    return values[kept][order], cumulated / cumulated[-1] if len(cumulated) else cumulated


def coarse_distribution(groups: Iterator[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """The same of values, none negative, and weights that come in groups; each value stands for those less than 1 part in 1024 above."""
    counts = np.zeros(1 << (64 - COARSE))
    for values, weights in groups:
        kept = ~np.isnan(values) & (weights > 0)
        bits = (values[kept] + 0.0).view(np.uint64) >> np.uint64(COARSE)
        counts += np.bincount(bits.astype(np.int64), weights[kept], len(counts))
    found = np.flatnonzero(counts)
    cumulated = np.cumsum(counts[found])
    return (found.astype(np.uint64) << np.uint64(COARSE)).view(np.float64), cumulated / cumulated[-1] if len(cumulated) else cumulated


def quantiles(values: Floats, levels: Sequence[float], weights: Floats | None = None) -> list[float]:
    """The quantiles of the values that are not NaN, one per level in (0, 1]; NaN if there are none."""
    if weights is None:
        return _of_equals(values, levels)
    ordered, shares = distribution(values, weights)
    if not len(ordered):
        return [float("nan")] * len(levels)
    reached = np.searchsorted(shares, np.asarray(levels) * (1 - 1e-12))
    return [float(ordered[min(index, len(ordered) - 1)]) for index in reached]


def _of_equals(values: Floats, levels: Sequence[float]) -> list[float]:
    """Quantiles of values of equal weight: those of certain ranks, so that nothing is sorted."""
    known = values[~np.isnan(values)]
    known += 0.0  # of the two zeros, which are equal, one
    if not len(known):
        return [float("nan")] * len(levels)
    ranks = [_rank(len(known), level * (1 - 1e-12)) for level in levels]
    known.partition(sorted(set(ranks)))
    return [float(known[rank]) for rank in ranks]


def _rank(count: int, share: float) -> int:
    """The first of so many values in order with at least that share of them at or below it; looked for near where it must be."""
    first = max(int(share * count) - 2, 0)
    shares = np.arange(first + 1, first + 6) / count
    return min(first + int(np.searchsorted(shares, share)), count - 1)


def quantiles_in_groups(groups: Callable[[], Iterator[tuple[Floats, Floats]]], levels: Sequence[float]) -> list[float]:
    """The same of values that come in groups, with their weights, and need not be held at once; none is negative.

    Floats that are not negative stand in the order of their bits, so a radix selection finds each quantile exactly: it goes through
    all groups once per digit, and knows after each in which of the digit's values the quantile lies. Raises `ValueError` for a negative
    value.
    """
    prefixes, below, total = [0] * len(levels), [0.0] * len(levels), 0.0
    for shift in range(64 - BITS, -1, -BITS):
        wanted = sorted(set(prefixes))
        counts = _digits(groups(), shift, wanted)
        total = total or float(counts[0].sum())
        if not total:
            return [float("nan")] * len(levels)
        for index, level in enumerate(levels):
            reached = below[index] + np.cumsum(counts[wanted.index(prefixes[index])])
            digit = int(np.searchsorted(reached / total, level * (1 - 1e-12)))
            below[index] = float(reached[digit - 1]) if digit else below[index]
            prefixes[index] = prefixes[index] << BITS | digit
    return [float(value) for value in np.array(prefixes, np.uint64).view(np.float64)]


def _digits(groups: Iterator[tuple[Floats, Floats]], shift: int, prefixes: Sequence[int]) -> list[Floats]:
    """For each prefix the weight of values that begin with it, by their next digit."""
    counts = [np.zeros(1 << BITS) for _ in prefixes]
    for values, weights in groups:
        kept = ~np.isnan(values) & (weights > 0)
        if np.any(values[kept] < 0.0):
            raise ValueError("values below 0 do not stand in the order of their bits")
        bits = (values[kept] + 0.0).view(np.uint64) >> np.uint64(shift)
        digits, above = (bits & np.uint64((1 << BITS) - 1)).astype(np.int64), bits >> np.uint64(BITS)
        for count, prefix in zip(counts, prefixes, strict=True):
            mine = above == prefix
            count += np.bincount(digits[mine], weights[kept][mine], 1 << BITS)
    return counts
