"""Rates that change: what share of its nominal capacity a link, a storage or a bus has at a moment.

The Protocol of profiles; the simulator follows one lazily (`Machine.follow`): it asks when something begins to use the resource, and then
once per change for as long as something does.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Rate", "RateProfile"]


class Rate(NamedTuple):
    """A share of a nominal capacity, and how long it holds.

    Attributes:
        factor: 0 or more; 1 is the nominal capacity, 0 stops what uses it.
        until: simulated time in seconds at which it may change, later than the moment asked for; infinity: it holds for ever.
    """

    factor: float
    until: float


class RateProfile(Protocol):
    """A piecewise constant course of a capacity over simulated time.

    A function of time alone: any moment may be asked for, in any order and any number of times, at a cost that does not grow with the
    time that has passed. Times that nobody asks for cost nothing.
    """

    def at(self, time: float) -> Rate:
        """What holds at `time` (seconds, 0 or more): the pieces are closed at their beginning and open at their end."""
        ...
