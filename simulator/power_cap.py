"""Running-average power caps, after RAPL (David et al., RAPL: Memory Power Estimation and Capping, ISLPED 2010).

A target's mean power over a window is held at or below the cap. Ten times per window the limiter looks what the target has drawn, and
sets the highest clock at which it would draw no more than what is left of the window's energy; what it draws above idle is taken to go
with f V squared. Bursts may exceed the cap until the window has seen them, as they may on real hardware.

How wrong: memory power does not go with the clock, so the first step down is too small, and the next looks put it right; real limiters run
in firmware, every millisecond or so, over windows of one to some tens of seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import dynamic_scale, largest_clock

if TYPE_CHECKING:
    from edgewright.simulator.power_target import Target

__all__ = ["RunningCap"]

LOOKS = 10
"""Looks per window."""

DEADBAND = 0.02
"""Clocks that differ by less are left alone: each change costs the engine a cut of what it is doing."""


class RunningCap:
    """Holds one target's running mean at or below `watts`, which the controller sets; infinity: no cap."""

    def __init__(self, target: Target, by: str, window: float) -> None:
        self.target = target
        self.by = (by, "running cap")
        self.slice = window / LOOKS
        self.watts = float("inf")
        self._spent: deque[float] = deque(maxlen=LOOKS - 1)

    def run(self) -> Generator[Any, Any, None]:
        """The limiter's SimPy process."""
        machine, before = self.target.machine, 0.0
        while True:
            yield machine.env.timeout(self.slice)
            machine.settle_energy()
            joules = self.target.joules()
            spent, before = joules - before, joules
            self._spent.append(spent)
            self._steer(spent / self.slice)

    def _steer(self, drawn: float) -> None:
        left = (self.watts * self.slice * (len(self._spent) + 1) - sum(self._spent)) / self.slice
        wanted, now = self._clock_within(drawn, left), self.target.clock
        if abs(wanted - now) > DEADBAND * now:
            self.target.limit(self.by, wanted)

    def _clock_within(self, drawn: float, watts: float) -> float:
        """The highest clock at which the load of the last slice would stay within some watts."""
        unit, idle = self.target.unit, self.target.idle_W
        clock = self.target.clock
        active = max(0.0, drawn - idle) / (clock * dynamic_scale(unit, clock))
        return largest_clock(unit, lambda clock: idle + active * clock * dynamic_scale(unit, clock) <= watts)
