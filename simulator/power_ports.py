"""A switch that feeds its devices over Ethernet: every port within its class, all together within the switch's budget.

Once per period: a port above the watts of its class is cut off. While the others together are above the domain's budget, the port of
lowest priority (the last of those) is shed. A port without power is tried again `restore` seconds later, and gets it when what the
others draw and the watts of its class fit the budget, the highest priority first.

How wrong: real switches cut an overloaded port within 50 to 75 ms (IEEE 802.3, T_CUT), here by the mean over a period; those that allocate
by class instead of by draw feed fewer ports than this. What cables lose belongs to the devices' supplies.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.breakers import PORT_CLASSES
from edgewright.simulator.availability import Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgewright.simulator.machine import Machine
    from edgewright.simulator.power_domain import Domain
    from edgewright.simulator.recorder import Recorder
    from edgewright.simulator.schema_power import PortsTable

__all__ = ["Ports"]


class Ports:
    """The ports of a domain, one for each of its own devices; `dark`: those without power, and since when."""

    def __init__(self, machine: Machine, domain: Domain, table: PortsTable, priorities: Mapping[str, int], recorder: Recorder) -> None:
        self.machine = machine
        self.domain = domain
        self.table = table
        self.recorder = recorder
        self.limit = PORT_CLASSES[table.port_class]
        places = {device: place for place, device in enumerate(domain.devices)}
        self.order = sorted(domain.devices, key=lambda device: (-priorities[device], places[device]))
        self.dark: dict[str, float] = {}
        self._cause = Cause("unpowered", f"port of {domain.name}")

    def run(self) -> Generator[Any, Any, None]:
        """The switch's SimPy process."""
        before = self._joules()
        while True:
            yield self.machine.env.timeout(self.table.period)
            after = self._joules()
            watts = {device: (after[device] - before[device]) / self.table.period for device in self.order}
            before = after
            self._protect(watts)
            self._restore(watts)

    def _protect(self, watts: dict[str, float]) -> None:
        for device in self.order:
            if device not in self.dark and watts[device] > self.limit:
                self._cut(device, "port_overloaded", watts)
        budget = self.domain.budget
        for device in reversed(self.order):
            if budget is not None and sum(watts.values()) > budget and device not in self.dark:
                self._cut(device, "port_shed", watts)

    def _restore(self, watts: dict[str, float]) -> None:
        now, budget = float(self.machine.env.now), self.domain.budget
        for device in self.order:
            due = device in self.dark and now >= self.dark[device] + self.table.restore
            if due and (budget is None or sum(watts.values()) + self.limit <= budget):
                del self.dark[device]
                watts[device] = self.limit
                self.recorder.add("power_events", now, device, "port_on", self.limit)
                self.machine.up.release(device, self._cause)

    def _cut(self, device: str, event: str, watts: dict[str, float]) -> None:
        now = float(self.machine.env.now)
        self.recorder.add("power_events", now, device, event, watts[device])
        self.dark[device], watts[device] = now, 0.0
        self.machine.up.hold(device, self._cause)

    def _joules(self) -> dict[str, float]:
        self.machine.settle_energy()
        return {device: self.domain.device_joules(device) for device in self.order}
