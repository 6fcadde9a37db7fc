"""Heat of devices: one or two thermal masses between the chip and the air, and when a governor steps in.

    C1 dT1/dt = P - (T1 - T2) / R1                    die
    C2 dT2/dt = (T1 - T2) / R1 - (T2 - air) / R2      heat sink and board

With one mass, `C dT/dt = P - (T - air) / R`. Both are linear: under a constant power the step is exact for any length
(Skadron et al., Temperature-Aware Microarchitecture, ISCA 2003, use the same equivalence of heat and charge).

How wrong: R and C of boards are seldom published and depend on case, fan and mounting by a factor of two: measure them (a step of load, the
final rise over the watts, and the time to 63 % of it). A fan that turns faster when hot makes R fall, which is left out; hot spots within
the die are 5 to 15 K above its mean. Under power that varies within a step the end temperature is off by at most the step's share of the
die's time constant times the swing of `P R1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

__all__ = ["Thermal"]


@dataclass(frozen=True, slots=True)
class Thermal:
    """Thermal masses of a device, from the die outwards, and its limits. Temperatures are degrees Celsius.

    Attributes:
        resistances: kelvins per watt from each mass to the next, the last to the air; `capacities` joules per kelvin of each.
        trip: at which a governor slows the device down; `critical` at which it is switched off, None if it is not.

    Raises `ValueError` unless there are one or two masses, all figures above 0.
    """

    resistances: tuple[float, ...]
    capacities: tuple[float, ...]
    trip: float
    critical: float | None = None

    def __post_init__(self) -> None:
        if len(self.resistances) not in (1, 2) or len(self.resistances) != len(self.capacities):
            raise ValueError("resistances: accepted are one or two, with as many capacities")
        if min(*self.resistances, *self.capacities, 1.0) <= 0.0:
            raise ValueError("resistances: accepted are figures above 0, of capacities likewise")

    @property
    def resistance(self) -> float:
        """Kelvins per watt from the die to the air."""
        return sum(self.resistances)

    def steady(self, watts: float, air: float) -> tuple[float, ...]:
        """The temperatures at which it ends under a constant power."""
        return tuple(air + watts * sum(self.resistances[index:]) for index in range(len(self.resistances)))

    def after(self, temperatures: tuple[float, ...], watts: float, air: float, seconds: float) -> tuple[float, ...]:
        """The temperatures after some seconds under a constant power."""
        ends = self.steady(watts, air)
        off = [now - end for now, end in zip(temperatures, ends, strict=True)]
        if len(off) == 1:
            return (ends[0] + off[0] * exp(-seconds / (self.resistances[0] * self.capacities[0])),)
        first, second = self._decayed(off[0], off[1], seconds)
        return (ends[0] + first, ends[1] + second)

    def _decayed(self, first: float, second: float, seconds: float) -> tuple[float, float]:
        """Two deviations from the steady state after some seconds: exp(A t) by Sylvester's formula."""
        (r1, r2), (c1, c2) = self.resistances, self.capacities
        a, b, c = 1.0 / (r1 * c1), 1.0 / (r1 * c2), 1.0 / (r2 * c2)
        root = sqrt((a + b + c) ** 2 - 4.0 * a * c)
        slow, fast = (root - a - b - c) / 2.0, (-root - a - b - c) / 2.0
        still, moved = exp(slow * seconds), exp(fast * seconds)
        same, mixed = (slow * moved - fast * still) / root, (still - moved) / root
        return (
            same * first + mixed * (a * second - a * first),
            same * second + mixed * (b * first - (b + c) * second),
        )
