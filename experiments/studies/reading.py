"""Answers read off rows: per replicate first, then over all of them, so that an answer's range holds what is uncertain about it.

A replicate has the same seed and the same devices at every point. A threshold, a crossing or a count is found within each replicate,
where luck and the devices' errors are common to what is compared; its range reaches from the least to the greatest over n replicates,
between which a further one lies with probability (n - 1) / (n + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, isinf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Span", "by_replicate", "crossing", "least", "said"]


@dataclass(frozen=True, slots=True)
class Span:
    """The median over replicates, and the least and greatest; infinite or NaN where replicates are."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Any) -> Span:
        """Over the replicates that have a figure; NaN if none has."""
        known = [float(value) for value in values if not isnan(float(value))]
        if not known:
            return cls(np.nan, np.nan, np.nan)
        ordered = sorted(known)
        return cls(ordered[len(ordered) // 2], ordered[0], ordered[-1])

    def __str__(self) -> str:
        if isnan(self.middle):
            return "–"
        middle, low, high = (said(each) for each in (self.middle, self.low, self.high))
        return middle if low == high else f"{middle} ({low} to {high})"


def said(value: float) -> str:
    """A number as people read it: three significant figures, no exponent up to a million."""
    if not isfinite(value):
        return "–" if isnan(value) else "never" if value > 0 else "always"
    if abs(value) >= 1000:
        return f"{round(value, 2 - int(np.floor(np.log10(abs(value))))):,.0f}"
    return f"{value:.3g}"


def by_replicate(rows: pd.DataFrame, figure: str, factor: str, **at: Any) -> pd.DataFrame:
    """A figure at some levels of the other factors: a row per replicate, a column per level of `factor`, in the order of the rows."""
    for name, level in at.items():
        rows = rows[rows[name] == level]
    return rows.pivot(index="replicate", columns=factor, values=figure)[list(dict.fromkeys(rows[factor]))]


def crossing(places: Sequence[float], first: Any, second: Any) -> NDArray[np.float64]:
    """Per replicate, from where on `second` is the lower one (or, if it is everywhere, `-inf`; nowhere, `inf`).

    Args:
        places: increasing and positive.
        first, second: a row per replicate, a column per place. NaN counts as higher than anything.

    Between the last place where `first` is lower and the next one both are taken as powers of the place.
    """
    found = []
    for one, other in zip(_filled(first), _filled(second), strict=True):
        behind = np.flatnonzero(~(other < one))
        if not len(behind):
            found.append(-inf)
        elif behind[-1] == len(places) - 1:
            found.append(inf)
        else:
            found.append(_between(places, one, other, int(behind[-1])))
    return np.array(found, dtype=float)


def least(places: Sequence[float], holds: Any) -> NDArray[np.float64]:
    """Per replicate, the first place from which on it holds everywhere; `inf` where it does not at the last."""
    found = []
    for row in np.asarray(holds, dtype=bool):
        failing = np.flatnonzero(~row)
        place = 0 if not len(failing) else int(failing[-1]) + 1
        found.append(float(places[place]) if place < len(places) else inf)
    return np.array(found, dtype=float)


def _filled(values: Any) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=float)
    return np.where(np.isnan(found), inf, found)


def _between(places: Sequence[float], one: NDArray[np.float64], other: NDArray[np.float64], before: int) -> float:
    """Where two power laws through two places meet; halfway where one of them has no figure at one."""
    low, high = float(places[before]), float(places[before + 1])
    ends = (one[before], one[before + 1], other[before], other[before + 1])
    if any(isinf(end) for end in ends):
        return float(np.sqrt(low * high))
    behind, ahead = np.log(other[before] / one[before]), np.log(one[before + 1] / other[before + 1])
    return float(low * (high / low) ** (behind / (behind + ahead)))
