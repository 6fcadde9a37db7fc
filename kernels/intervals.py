"""Confidence intervals of a median, from order statistics: no assumption about the distribution of the times.

The median lies between the l-th and the (n + 1 - l)-th smallest of n independent values with probability 1 - 2 P(B < l), where B is
binomial(n, 1/2) (David & Nagaraja, Order Statistics, 3rd ed., section 7.1). Timings of neighbouring repeats are not quite
independent, so that the true coverage is somewhat below the stated one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, comb, log2

__all__ = ["least_samples", "median_interval"]


def least_samples(confidence: float) -> int:
    """The fewest values whose smallest and largest enclose the median with that probability; raises `ValueError` outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, both excluded, not {confidence}")
    return max(2, ceil(log2(2 / (1 - confidence))))


def median_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """The narrowest symmetric interval of order statistics that encloses the median with at least `confidence`.

    Raises `ValueError` for fewer values than `least_samples(confidence)`.
    """
    count = len(values)
    if count < least_samples(confidence):
        raise ValueError(f"{count} values cannot enclose a median with confidence {confidence}: {least_samples(confidence)} can")
    ordered = sorted(values)
    outside = _tail_rank(count, (1 - confidence) / 2)
    return ordered[outside - 1], ordered[count - outside]


def _tail_rank(count: int, tail: float) -> int:
    """The largest rank l >= 1 with P(B < l) <= tail, B binomial(count, 1/2), in exact integers."""
    bound, below = int(tail * 2**62) * 2**count >> 62, 1
    rank = 1
    while below + comb(count, rank) <= bound:
        below += comb(count, rank)
        rank += 1
    return rank
