"""Meters: power of every domain and utilisation of every resource, in bins of a sampling period.

The peak of a bin is the highest mean over its sub-periods (`record.peak`, or the period if that is shorter): what a meter of that speed
sees. What is left of a sub-period when the run ends counts if it is more than half of one; a bin as short as that has no peak but its mean.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from edgewright.simulator.heat import Heat
from edgewright.simulator.machine import Machine
from edgewright.simulator.power_domain import Domain, Rail
from edgewright.simulator.power_feed import Feed
from edgewright.simulator.recorder import Recorder

__all__ = ["Meter", "amounts"]


class Meter:
    """Reads energies and amounts, never powers: nothing is lost between two readings."""

    def __init__(
        self,
        machine: Machine,
        domains: Sequence[Domain | Rail],
        recorder: Recorder,
        period: float,
        peak: float,
        heats: Sequence[Heat] = (),
    ) -> None:
        self.machine = machine
        self.domains = domains
        self.recorder = recorder
        self.heats = heats
        self.subperiods = max(1, round(period / peak))
        self.tick = period / self.subperiods
        self._bin_start = 0.0
        self._last_tick = 0.0
        self._joules = [0.0] * len(domains)
        self._bin_joules = [0.0] * len(domains)
        self._own_joules = [0.0] * len(domains)
        self._peaks = [0.0] * len(domains)
        self._amounts: dict[str, float] = {}
        self._flows: dict[str, tuple[float, ...]] = {}

    def run(self) -> Generator[Any, Any, None]:
        """The meter's SimPy process."""
        while True:
            for _ in range(self.subperiods):
                yield self.machine.env.timeout(self.tick)
                self._sample()
            self._close_bin()

    def _sample(self) -> None:
        now = float(self.machine.env.now)
        if now <= self._last_tick:
            return
        self.machine.settle_energy()
        for index, domain in enumerate(self.domains):
            joules = domain.load_joules()
            if now - self._last_tick > 0.5 * self.tick:
                self._peaks[index] = max(self._peaks[index], (joules - self._joules[index]) / (now - self._last_tick))
            self._joules[index] = joules
        self._last_tick = now

    def _close_bin(self) -> None:
        start, end = self._bin_start, self._last_tick
        if end <= start:
            return
        self.machine.settle()
        for index, domain in enumerate(self.domains):
            own = domain.own_joules()
            budget = float("nan") if domain.budget is None else domain.budget
            mean = (self._joules[index] - self._bin_joules[index]) / (end - start)
            self.recorder.add("power", domain.name, start, end, own - self._own_joules[index], mean, max(self._peaks[index], mean), budget)
            self._own_joules[index] = own
            if isinstance(domain, Domain) and domain.feed is not None:
                self._sources(domain.feed, start, end)
        self._bin_joules, self._peaks = list(self._joules), [0.0] * len(self.domains)
        self._usage(start, end)
        for heat in self.heats:
            die, sink = heat.temperatures[0], heat.temperatures[-1]
            self.recorder.add("thermal", heat.device, start, end, die, heat.hottest, sink, heat.limit)
            heat.hottest = die
        self._bin_start = end

    def _sources(self, feed: Feed, start: float, end: float) -> None:
        """What the sources of a domain gave up to their last balance in the bin."""
        plan, charge = feed.plan, feed.charge
        now = (*feed.flows(), feed.stored, feed.sums.grams, feed.sums.cost)
        before = self._flows.get(feed.domain.name, (*[0.0] * len(feed.flows()), feed.initial, 0.0, 0.0))
        *rest, grams, cost = [a - b for a, b in zip(now, before, strict=True)]
        known = (grams if plan.carbon is not None else float("nan"), cost if plan.price is not None else float("nan"))
        self.recorder.add("sources", feed.domain.name, start, end, float("nan") if charge is None else charge, *rest, *known)
        self._flows[feed.domain.name] = now

    def _usage(self, start: float, end: float) -> None:
        for name, amount, capacity in amounts(self.machine):
            used = (amount - self._amounts.get(name, 0.0)) / (capacity * (end - start))
            self.recorder.add("usage", name, start, end, used)
            self._amounts[name] = amount

    def close(self) -> None:
        """Close the last bin, however short."""
        self._sample()
        self._close_bin()


def amounts(machine: Machine) -> list[tuple[str, float, float]]:
    """`(name, amount so far, nominal capacity)` of every engine (seconds) and resource; the machine is settled."""
    engines = [(name, engine.busy_s, 1.0) for name, engine in machine.engines.items()]
    return engines + [(name, resource.moved, resource.nominal) for name, resource in machine.resources.items()]
