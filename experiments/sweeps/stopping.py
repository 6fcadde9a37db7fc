"""When a point has been replicated enough, and how sure its figures are.

The mean of independent replications has a Student-t confidence interval; replicating until it is narrow is the sequential procedure of
Law, Simulation Modeling and Analysis, 5th ed., section 9.4.1. How wrong: figures that are far from normal need more replications than
it says, and looking at the interval after every run makes its coverage a little less than nominal.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan, sqrt
from statistics import fmean, stdev

from edgewright.experiments.sweeps.spec import Precision

__all__ = ["enough", "interval"]


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half-width of its confidence interval, over the values that are available; NaN where too few are."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return nan, nan
    if len(known) == 1:
        return known[0], nan
    from scipy.stats import t

    return fmean(known), float(t.ppf(0.5 + confidence / 2.0, len(known) - 1)) * stdev(known) / sqrt(len(known))


def enough(values: Sequence[float], least: int, precision: Precision | None) -> bool:
    """Whether replications with these figures suffice; a figure that is not available is NaN: it counts as a run, not as knowledge."""
    if precision is None:
        return len(values) >= least
    if len(values) >= precision.most:
        return True
    if len(values) < max(least, 2):
        return False
    mean, half = interval(values, precision.confidence)
    return half <= precision.relative * abs(mean)
