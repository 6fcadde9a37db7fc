"""What a controller remembers of what it commanded: nothing is said twice, and a command is pending until its target shows it."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.families import Actuation
from edgewright.policies.views import TargetView

__all__ = ["ClockCommands"]

SAME = 1e-9
"""Clock fractions this near are the same clock."""


@dataclass(frozen=True, slots=True)
class _Command:
    """A clock commanded at a time, to a target that ran at the clock `before`."""

    clock: float
    before: float
    time: float


class ClockCommands:
    """The clocks last commanded to the targets of one domain.

    A target that was never commanded counts as commanded to its `clock_set`. A command counts as carried out when the clock in force is
    nearer to the one commanded than to the one before (devices round to their own steps), or after `patience` seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._last: dict[str, _Command] = {}

    def clock(self, target: TargetView, value: float, now: float) -> tuple[Actuation, ...]:
        """The command that brings `target` to the clock fraction `value`, clamped to its range; none if that was the last one."""
        value = min(max(value, target.clock_min), 1.0)
        if abs(self._known(target) - value) <= SAME:
            return ()
        self._last[target.name] = _Command(value, target.clock, now)
        return (Actuation(target.name, "clock", value),)

    def brake(self, target: TargetView, now: float) -> tuple[Actuation, ...]:
        """The command of the fast path to the lowest clock; none if the last command was to that clock already and has been carried out."""
        if abs(self._known(target) - target.clock_min) <= SAME and not self.pending(target, now):
            return ()
        self._last[target.name] = _Command(target.clock_min, target.clock, now)
        return (Actuation(target.name, "brake"),)

    def pending(self, target: TargetView, now: float) -> bool:
        """Whether the last command to `target` neither shows nor has had `patience` seconds to."""
        last = self._last.get(target.name)
        if last is None or now >= last.time + self._patience:
            return False
        return abs(target.clock - last.clock) > abs(target.clock - last.before)

    def _known(self, target: TargetView) -> float:
        last = self._last.get(target.name)
        return target.clock_set if last is None else last.clock
