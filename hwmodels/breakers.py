"""When protection gives way: inverse-time trip curves of breakers, and the watts that Ethernet ports may give.

A breaker at a multiple m of its rating trips after `seconds(m)`: between the points of the curve log seconds is linear in log multiple,
beyond the last the last's time holds, below the first (and never at or below 1) it does not trip. Under changing power the part of the
way to tripping that has been gone, `heat`, grows with `dt / seconds(m)` and fades with a time constant below the curve: the accumulating
form of inverse-time relays (IEC 60255-151, which integrates 1 / t(I)).

How wrong: the named curves B, C, D are the latest that IEC 60898-1 allows (1.45 within an hour, 2.55 within a minute, 5, 10 or 20 times
within a tenth of a second): a breaker may trip up to ten times sooner. Ambient temperature, which moves a thermal release by some per
cent per 10 K, is left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log
from types import MappingProxyType

__all__ = ["BREAKER_CURVES", "PORT_CLASSES", "TripCurve"]

_LATEST = ((1.45, 3600.0), (2.55, 60.0))

BREAKER_CURVES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {"B": (*_LATEST, (5.0, 0.1)), "C": (*_LATEST, (10.0, 0.1)), "D": (*_LATEST, (20.0, 0.1))}
)
"""Latest trip times of miniature breakers by type, `(multiple of the rating, seconds)`: IEC 60898-1, table 7."""

PORT_CLASSES: Mapping[int, float] = MappingProxyType({0: 15.4, 1: 4.0, 2: 7.0, 3: 15.4, 4: 30.0, 5: 45.0, 6: 60.0, 7: 75.0, 8: 90.0})
"""Watts that a port gives at most, by class: IEEE 802.3af (0 to 3), 802.3at (4), 802.3bt (5 to 8), at the switch."""


@dataclass(frozen=True, slots=True)
class TripCurve:
    """`points`: `(multiple of the rating, seconds)`, multiples ascending from 1 on, seconds not rising. Raises `ValueError` otherwise."""

    points: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        falling = all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(self.points))
        if not self.points or self.points[0][0] < 1.0 or not falling or self.points[-1][1] <= 0.0:
            raise ValueError("curve: accepted are pairs of a multiple, ascending from 1 on, and of seconds above 0 that do not rise")

    def seconds(self, multiple: float) -> float:
        """How long a breaker stands a multiple of its rating; infinity if for ever."""
        if multiple <= 1.0 or multiple < self.points[0][0]:
            return inf
        place = bisect_right(self.points, (multiple, inf))
        if place == len(self.points):
            return self.points[-1][1]
        (m0, t0), (m1, t1) = self.points[place - 1 : place + 1]
        part = log(multiple / m0) / log(m1 / m0)
        return float(t0 * (t1 / t0) ** part)

    def heated(self, heat: float, multiple: float, seconds: float, fading: float) -> float:
        """The part of the way to tripping (1: it trips) that has been gone after some seconds at a multiple of the rating.

        `fading`: time constant in seconds with which it is forgotten below the curve; 0: at once.
        """
        stands = self.seconds(multiple)
        if stands < inf:
            return heat + seconds / stands
        return heat * exp(-seconds / fading) if fading > 0.0 else 0.0
