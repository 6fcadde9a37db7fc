"""SimPy's environment, whose time is looked at without a call."""

from __future__ import annotations

import simpy

__all__ = ["Environment"]


class Environment(simpy.Environment):
    """What keeps the time of a run.

    SimPy's `now` is a property over the attribute in which its loop keeps the time: a Python call for each look, of which a request costs
    some twenty. Here that attribute is a slot, and `now` is the slot itself.
    """

    __slots__ = ("_now",)


Environment.now = Environment.__dict__["_now"]  # type: ignore[method-assign]
