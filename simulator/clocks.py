"""Limits on clocks: whoever limits an engine's clock names itself, and the lowest of all limits holds, rounded down to a settable step."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from edgewright.hwmodels import settable_clock

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine

__all__ = ["ClockLimits"]


class ClockLimits:
    """The limits on the clocks of a machine's engines: controllers' locks and caps, governors' throttling."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._limits: dict[str, dict[Hashable, float]] = {}

    def clock(self, engine: str) -> float:
        """The clock in force, as a fraction of the engine's highest."""
        return self.machine.clocks.get(engine, 1.0)

    def limit(self, engine: str, by: Hashable, fraction: float) -> None:
        """From now on `by` allows no more than that fraction of the engine's highest clock (1: it no longer limits it)."""
        limits = self._limits.setdefault(engine, {})
        limits[by] = fraction
        clock = settable_clock(self.machine.engines[engine].spec, min(limits.values()))
        if clock != self.clock(engine):
            self.machine.set_clock(engine, clock)
