"""Where the power of a site comes from: the sun, a battery, the grid; and what happens when they do not suffice.

Once per period, and sooner if at the power of the last one the battery would be empty before, energies of the period are balanced:

    sun used + grid + unmet = load + what the battery stores + what it loses

The sun feeds the load first, what is left charges the battery, and what is left of that is curtailed. What the load still lacks comes
from the battery, then from the grid, or (`backup`) from the grid, then from the battery, which the grid keeps charged. A battery at its
cut-off gives nothing until it has charged to `recover`. A load beyond all that is left is a loss of power for everything behind the plug;
it is back when the battery has charged to `recover` (where there is a grid, or no battery: also when sun and grid give what was last
asked), and not before `restore` seconds.
`unmet` is what was drawn within the period in which sources failed: late by a period at most, and counted.

How wrong: energies are exact, but charging and discharging within one period cancel out, so the losses of a ripple faster than it are
missed; converters between sources have no losses but those of the battery's ways; the grid's carbon and price count at mid-period.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from edgewright.hwmodels.battery import BatterySpec
from edgewright.simulator.availability import Cause

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.power_domain import Domain
    from edgewright.simulator.recorder import Recorder

__all__ = ["Feed", "FeedPlan", "Sums", "Yield"]

SOONEST = 1e-3
"""Seconds that pass at least between two balances."""

KWH = 3.6e6
"""Joules of a kilowatt hour."""


class Yield(Protocol):
    """Power over time that a source can give: watts, and joules over a span."""

    def at(self, time: float) -> float:
        """At a time."""
        ...

    def integral(self, start: float, stop: float) -> float:
        """Over a span of time."""
        ...


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What a site is fed from.

    Attributes:
        sun, grid: what they can give; None: there is none. A grid without limit gives infinitely many watts.
        battery: None if there is none; it begins with `charge` (of its capacity), gives nothing from `cutoff` on, and again at `recover`.
        backup: whether the grid goes before the battery.
        carbon, price: of the grid, grams and money per kWh; None if unknown.
        period: seconds between balances; `restore`: the least seconds of a loss of power.
    """

    sun: Yield | None = None
    grid: Yield | None = None
    battery: BatterySpec | None = None
    charge: float = 1.0
    cutoff: float = 0.0
    recover: float = 0.1
    backup: bool = False
    carbon: Yield | None = None
    price: Yield | None = None
    period: float = 1.0
    restore: float = 60.0


@dataclass(slots=True)
class Sums:
    """Joules so far: `load`, what came from `sun`, `grid` and nowhere (`unmet`), what was `curtailed` of the sun, what the battery
    `lost`; grams and money for what came from the grid."""

    load: float = 0.0
    sun: float = 0.0
    curtailed: float = 0.0
    grid: float = 0.0
    unmet: float = 0.0
    lost: float = 0.0
    grams: float = 0.0
    cost: float = 0.0


class Feed:
    """The sources of an outermost domain.

    Attributes:
        stored: joules in the battery; `drained`: whether it has been at its cut-off, and not yet at `recover` again.
        sums: energies so far, as of the last balance.
        losses: how often power was lost.
    """

    def __init__(self, machine: Machine, domain: Domain, plan: FeedPlan, recorder: Recorder) -> None:
        self.machine = machine
        self.domain = domain
        self.plan = plan
        self.recorder = recorder
        self.capacity = plan.battery.capacity if plan.battery is not None else 0.0
        self.stored = self.initial = plan.charge * self.capacity
        self.drained = self.capacity > 0.0 and plan.charge <= plan.cutoff
        self.sums = Sums()
        self.losses = 0
        self._since = float(machine.env.now)
        self._dark_since = inf
        self._asked_W = 0.0
        self._cause = Cause("unpowered", f"sources of {domain.name}")

    @property
    def charge(self) -> float | None:
        """State of charge, from 0 to 1; None without a battery."""
        return self.stored / self.capacity if self.capacity else None

    @property
    def lost_J(self) -> float:
        """What the battery has lost."""
        return self.sums.lost

    def flows(self) -> tuple[float, ...]:
        """Joules so far: load, sun, curtailed, grid, unmet, lost."""
        sums = self.sums
        return (sums.load, sums.sun, sums.curtailed, sums.grid, sums.unmet, sums.lost)

    def run(self) -> Generator[Any, Any, None]:
        """The SimPy process."""
        wait = self.plan.period
        while True:
            yield self.machine.env.timeout(wait)
            before = self.stored
            self.balance()
            wait = min(self.plan.period, max(SOONEST, self._seconds_left(before - self.stored, wait)))

    def _seconds_left(self, fallen: float, seconds: float) -> float:
        """Until the battery is at its cut-off, if it goes on to fall like that."""
        return self._above * seconds / fallen if fallen > 0.0 and self._above > 0.0 else inf

    @property
    def _above(self) -> float:
        """Joules in the battery that it may give."""
        return max(0.0, self.stored - self.plan.cutoff * self.capacity)

    def balance(self) -> None:
        """Settle all energies up to now, and lose or regain power if that is due; nothing happens twice at one moment."""
        now = float(self.machine.env.now)
        if now <= self._since:
            return
        self.machine.settle_energy()
        seconds = now - self._since
        load = self.domain.load_joules() - self.sums.load
        self.sums.load += load
        unmet = self._flow(load, self._since, now)
        self._since = now
        self._drain()
        if self.domain_dark:
            self._regain(now)
            return
        self._asked_W = load / seconds
        if unmet > 1e-9 * load or (self.drained and not self._given_suffice(now)):
            self._lose(now)

    def _drain(self) -> None:
        """Switch the battery off at its cut-off, and on again where it has recovered."""
        if self._above <= 1e-9 * self.capacity:
            self.drained = self.capacity > 0.0
        elif self.stored >= self.plan.recover * self.capacity:
            self.drained = False

    @property
    def domain_dark(self) -> bool:
        """Whether the site is without power for lack of sources."""
        return self._dark_since < inf

    def _flow(self, load: float, start: float, stop: float) -> float:
        """Serve a load of some joules over a span; returns what could not be served."""
        seconds = stop - start
        sun = self.plan.sun.integral(start, stop) if self.plan.sun is not None else 0.0
        grid = self.plan.grid.integral(start, stop) if self.plan.grid is not None else 0.0
        direct = min(load, sun)
        need, left = load - direct, sun - direct
        bought = min(need, grid) if self.plan.backup else 0.0
        need -= bought
        need -= self._discharge(need, seconds) if need > 0.0 else 0.0
        late = min(need, grid - bought)
        bought, need = bought + late, need - late
        spare = grid - bought if self.plan.backup and need == 0.0 else 0.0
        charged = self._charge(left + spare, seconds)
        stored = min(left, charged)
        self.sums.sun += direct + stored
        self.sums.curtailed += left - stored
        self._buy(bought + charged - stored, (start + stop) / 2.0)
        self.sums.unmet += need
        return need

    def _charge(self, joules: float, seconds: float) -> float:
        if self.plan.battery is None or joules <= 0.0:
            return 0.0
        passage = self.plan.battery.charge(self.stored, joules, seconds)
        self.stored += passage.stored
        self.sums.lost += passage.lost
        return passage.moved

    def _discharge(self, joules: float, seconds: float) -> float:
        if self.plan.battery is None or self.drained:
            return 0.0
        passage = self.plan.battery.discharge(self._above, joules, seconds)
        self.stored = max(0.0, self.stored + passage.stored)
        self.sums.lost += passage.lost
        return passage.moved

    def _buy(self, joules: float, time: float) -> None:
        self.sums.grid += joules
        self.sums.grams += joules / KWH * self.plan.carbon.at(time) if self.plan.carbon is not None else 0.0
        self.sums.cost += joules / KWH * self.plan.price.at(time) if self.plan.price is not None else 0.0

    def _lose(self, now: float) -> None:
        self.losses += 1
        self._dark_since = now
        charge = self.charge
        self.recorder.add("power_events", now, self.domain.name, "power_lost", float("nan") if charge is None else charge)
        self.domain.cut(self._cause)

    def _regain(self, now: float) -> None:
        if now < self._dark_since + self.plan.restore or not self._suffices(now):
            return
        self._dark_since = inf
        charge = self.charge
        self.recorder.add("power_events", now, self.domain.name, "power_back", float("nan") if charge is None else charge)
        self.domain.restore(self._cause)

    def _suffices(self, now: float) -> bool:
        charged = self.capacity > 0.0 and not self.drained and self.stored >= self.plan.recover * self.capacity
        steady = self.plan.battery is None or self.plan.grid is not None
        return charged or (steady and self._given_suffice(now))

    def _given_suffice(self, now: float) -> bool:
        """Whether sun and grid give by themselves what was last asked."""
        given = sum(source.at(now) for source in (self.plan.sun, self.plan.grid) if source is not None)
        return given >= self._asked_W * (1.0 - 1e-9)
