"""Quantiles as the summary means them.

The quantile `q` of weighted values is the smallest value at which the cumulated weight reaches `q` times the total: the inverse of the
empirical distribution function (Hyndman and Fan, The American Statistician 50(4), 1996, definition 1). It is always one of the values,
and a value of weight w counts as w equal values. With n equal weights, p99 of fewer than 100 values is their maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgewright.simulator.intervals import Floats

__all__ = ["distribution", "quantiles"]


def distribution(values: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The sorted values and the share of weight at or below each; NaN values and values of no weight are left out."""
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    kept = ~np.isnan(values) & (weight > 0)
    order = np.argsort(values[kept], kind="stable")
    cumulated = np.cumsum(weight[kept][order])
    return values[kept][order], cumulated / cumulated[-1] if len(cumulated) else cumulated


def quantiles(values: Floats, levels: Sequence[float], weights: Floats | None = None) -> list[float]:
    """The quantiles of the values that are not NaN, one per level in (0, 1]; NaN if there are none."""
    ordered, shares = distribution(values, weights)
    if not len(ordered):
        return [float("nan")] * len(levels)
    reached = np.searchsorted(shares, np.asarray(levels) * (1 - 1e-12))
    return [float(ordered[min(index, len(ordered) - 1)]) for index in reached]
