"""Supplies: from energy behind them to energy at their plug.

A supply of constant efficiency draws `inside / efficiency`. One with a curve loses watts that depend on its load: between the points of
the curve `loss = watts (1 / efficiency - 1)` is linear in the watts given, below the first point it stays what it is there (what a
supply loses without load), above the last the efficiency does.

How wrong: a curve is applied to mean power over its period; loss is convex in load, so what is lost to swings within a period is missed
(with 90 % at half and 87 % at full load, swings between none and full are lost by less than 2 % of the energy given). Efficiency falls with
temperature and input voltage, too; that is left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["CurveSupply", "FixedSupply", "Supply"]


class FixedSupply:
    """A supply of one efficiency at all loads."""

    def __init__(self, efficiency: float) -> None:
        self.efficiency = efficiency

    @property
    def gain(self) -> float:
        """The most watts at the plug per further watt behind it."""
        return 1.0 / self.efficiency

    @property
    def no_load_W(self) -> float:
        """Watts at the plug with nothing behind it."""
        return 0.0

    def drawn(self, inside: float, now: float) -> float:
        """Joules at the plug, given the joules behind it up to now."""
        return inside / self.efficiency

    def sample(self, inside: float, now: float) -> None:
        """Nothing to remember."""

    def switch(self, lit: bool, inside: float, now: float) -> None:
        """Without power it draws nothing, nor does what is behind it."""


class CurveSupply:
    """A supply whose efficiency depends on load. `sample` is called once per period, and whenever it is switched.

    Args:
        rated: watts that it gives at full load.
        curve: `(fraction of the rated load, efficiency)`, loads ascending and above 0.
    """

    def __init__(self, rated: float, curve: Sequence[tuple[float, float]]) -> None:
        self._loads = [load * rated for load, _ in curve]
        self._losses = [load * rated * (1.0 / efficiency - 1.0) for load, efficiency in curve]
        self._lit = True
        self._committed = self._inside = self._since = 0.0

    @property
    def gain(self) -> float:
        """The most watts at the plug per further watt behind it."""
        ends = zip(self._loads, self._losses, strict=True)
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(ends)]
        return 1.0 + max(0.0, *slopes, self._losses[-1] / self._loads[-1])

    @property
    def no_load_W(self) -> float:
        """Watts at the plug with nothing behind it."""
        return self._losses[0]

    def loss_W(self, watts: float) -> float:
        """Watts lost at a load."""
        if not self._lit:
            return 0.0
        place = bisect_left(self._loads, watts)
        if place == 0:
            return self._losses[0]
        if place == len(self._loads):
            return watts * self._losses[-1] / self._loads[-1]
        low, high = self._loads[place - 1 : place + 1]
        part = (watts - low) / (high - low)
        return self._losses[place - 1] * (1.0 - part) + self._losses[place] * part

    def drawn(self, inside: float, now: float) -> float:
        """Joules at the plug, given the joules behind it up to now; since the last sample at the mean load."""
        elapsed, given = now - self._since, inside - self._inside
        return self._committed + (given + elapsed * self.loss_W(given / elapsed) if elapsed > 0.0 else given)

    def sample(self, inside: float, now: float) -> None:
        """A period is over: what it has lost is settled."""
        self._committed, self._inside, self._since = self.drawn(inside, now), inside, now

    def switch(self, lit: bool, inside: float, now: float) -> None:
        """It gets or loses power: without, it loses nothing."""
        self.sample(inside, now)
        self._lit = lit


Supply = FixedSupply | CurveSupply
"""A supply of either kind."""
