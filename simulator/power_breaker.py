"""Breakers in time: how far a domain's power has driven them towards tripping, and what happens when they do.

A breaker looks at mean power over its period, and sooner if at that power it would trip before: under constant power it trips on time.
It sits between sources and load: what a battery loses does not pass through it.

How wrong: what swings within a period is averaged; a trip is late by a period at most. The curve itself: see `hwmodels.breakers`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.breakers import TripCurve
from edgewright.simulator.availability import Cause

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.power_domain import Domain
    from edgewright.simulator.recorder import Recorder
    from edgewright.simulator.schema_power import BreakerTable

__all__ = ["Breaker"]

SOONEST = 1e-3
"""Seconds that pass at least between two looks."""


class Breaker:
    """The breaker of a domain; `heat` is the part of the way to tripping that has been gone."""

    def __init__(self, machine: Machine, domain: Domain, table: BreakerTable, recorder: Recorder) -> None:
        self.machine = machine
        self.domain = domain
        self.table = table
        self.recorder = recorder
        self.curve = TripCurve(table.points)
        self.heat = 0.0
        self.trips = 0

    def run(self) -> Generator[Any, Any, None]:
        """The breaker's SimPy process."""
        env, wait = self.machine.env, self.table.period
        joules = self._joules()
        while True:
            yield env.timeout(wait)
            before, joules = joules, self._joules()
            multiple = (joules - before) / wait / self.table.rated
            self.heat = self.curve.heated(self.heat, multiple, wait, self.table.fading)
            if self.heat >= 1.0 - 1e-9:
                yield from self._tripped(multiple)
                joules = self._joules()
            wait = min(self.table.period, max(SOONEST, (1.0 - self.heat) * self.curve.seconds(multiple)))

    def _tripped(self, multiple: float) -> Generator[Any, Any, None]:
        cause = Cause("unpowered", f"breaker of {self.domain.name}")
        self.trips += 1
        self._note("breaker_tripped", multiple)
        self.domain.cut(cause)
        self.heat = 0.0
        yield self.machine.env.timeout(self.table.restore) if self.table.restore is not None else self.machine.env.event()
        self._note("breaker_closed", float("nan"))
        self.domain.restore(cause)

    def _joules(self) -> float:
        self.machine.settle_energy()
        return self.domain.load_joules()

    def _note(self, event: str, value: float) -> None:
        self.recorder.add("power_events", float(self.machine.env.now), self.domain.name, event, value)
