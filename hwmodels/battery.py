"""Batteries, and supercapacitors, which are small ones: what goes in, what comes out, and what is lost on the way.

Charging at the terminals by E stores `charge_efficiency E`; giving E takes `E / discharge_efficiency` out of the store, times
`(watts / rated watts)^(peukert - 1)` above the rated power (Peukert's law in its energy form; the rated power empties the battery in
`rated_hours`). What is lost on either way is heat: terminals, store and losses add up exactly.

How wrong: real batteries recover part of what Peukert's law calls lost when they rest; voltage, and with it the greatest power, falls with
charge and temperature; capacity ages. Lithium cells at up to 1 C are within some 3 % of constant efficiencies (Peukert 1.02 to 1.06), lead
(1.1 to 1.3) is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

__all__ = ["BatterySpec", "Passage"]


class Passage(NamedTuple):
    """Energy in joules that passed the terminals, by how much the store changed, and what was lost: `moved = |stored| ± lost`."""

    moved: float
    stored: float
    lost: float


@dataclass(frozen=True, slots=True)
class BatterySpec:
    """A battery.

    Attributes:
        capacity: joules that it stores when full.
        charge_efficiency, discharge_efficiency: of either way, in (0, 1].
        max_charge, max_discharge: watts at the terminals.
        peukert: exponent, 1 for none; `rated_hours`: in which the rated power empties it.
    """

    capacity: float
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    max_charge: float = inf
    max_discharge: float = inf
    peukert: float = 1.0
    rated_hours: float = 20.0

    def charge(self, stored: float, joules: float, seconds: float) -> Passage:
        """Take in as much of some joules offered over some seconds as its power and its capacity allow."""
        room = (self.capacity - stored) / self.charge_efficiency
        moved = max(0.0, min(joules, self.max_charge * seconds, room))
        return Passage(moved, moved * self.charge_efficiency, moved * (1.0 - self.charge_efficiency))

    def discharge(self, stored: float, joules: float, seconds: float) -> Passage:
        """Give as much of some joules asked over some seconds as its power and its store allow."""
        moved = max(0.0, min(joules, self.max_discharge * seconds))
        cost = self.drain(moved / seconds)
        moved = min(moved, stored / cost)
        return Passage(moved, -moved * cost, moved * (cost - 1.0))

    def drain(self, watts: float) -> float:
        """Joules that leave the store per joule given at a power."""
        rated = self.capacity / (self.rated_hours * 3600.0)
        return float(max(1.0, watts / rated) ** (self.peukert - 1.0)) / self.discharge_efficiency
