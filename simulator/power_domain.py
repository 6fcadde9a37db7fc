"""Power domains: what they draw, by whom and what for; and losing power.

A domain's draw is read at the plug of its supply: modules and boards through each device's supply, inner domains, and a constant
overhead, through the domain's own supply. A rail is a part of a device that is measured by itself: some of its engines and buses. Energies
of all domains and rails, each without those of the domains and rails behind it, add up to those of the outermost plugs.

How wrong: see `power_supply`; a device's own supply has one efficiency at all loads, and so have the converters of a rail (none).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewright.hwmodels import bus_peak_W, storage_peak_W
from edgewright.simulator.availability import Cause
from edgewright.simulator.energy import Account, Total
from edgewright.simulator.machine import Machine
from edgewright.simulator.power_supply import FixedSupply, Supply

if TYPE_CHECKING:
    from edgewright.simulator.power_feed import Feed

__all__ = ["Domain", "Rail"]

Row = tuple[str, str, float]
"""Owner, part and joules."""


class Rail:
    """Engines and buses of one device, measured at their own supply.

    Attributes:
        owners: resource names of the engines and buses.
        budget: watts that they may draw, None if there is none.
        children, rails: none, as of every leaf.
    """

    def __init__(self, machine: Machine, name: str, owners: Sequence[str], budget: float | None = None) -> None:
        self.machine = machine
        self.name = name
        self.owners = list(owners)
        self.budget = budget
        self.children: list[Domain] = []
        self.rails: list[Rail] = []
        accounts = machine.ledger.account
        self._accounts = [(owner, part, accounts(owner, part)) for owner in owners for part in _parts_of(machine, owner)]

    def joules(self) -> float:
        """Energy so far (the machine is settled)."""
        return sum(joules for *_, joules in self.energy_rows())

    own_joules = load_joules = joules

    def targets(self) -> list[str]:
        """What a controller of the rail commands: its engines."""
        return [owner for owner in self.owners if owner in self.machine.engines]

    def overhead_W(self) -> float:
        """Of the budget, the most that its buses take."""
        cluster = self.machine.cluster
        buses = [owner.split(".") for owner in self.owners if owner not in self.machine.engines]
        return sum(bus_peak_W(cluster.devices[device], bus) for device, bus in buses)

    def energy_rows(self) -> list[Row]:
        """`(owner, part, joules)` of its energy."""
        now = float(self.machine.env.now)
        return [row for owner, part, each in self._accounts if (row := (owner, part, each.settle(now)))[2] != 0.0]


class Domain:
    """A power domain.

    Attributes:
        devices: names of devices that draw from this domain itself; `children` draw through it, `rails` are parts of its devices.
        owners: other energy owners (links) that belong to it.
        budget: watts at its plug, None if it has none.
        supply: its own.
        feed: the sources and the battery at its plug, None if it is simply fed.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        devices: Sequence[str],
        owners: Sequence[str] = (),
        efficiency: float = 1.0,
        overhead: float = 0.0,
        budget: float | None = None,
        supply: Supply | None = None,
    ) -> None:
        self.machine = machine
        self.name = name
        self.devices = list(devices)
        self.budget = budget
        self.supply = supply or FixedSupply(efficiency)
        self.children: list[Domain] = []
        self.rails: list[Rail] = []
        self.feed: Feed | None = None
        self.overhead = overhead
        self._overhead = Account(overhead)
        self._outages: dict[Cause, None] = {}
        self._accounts = {device: _opened(machine, _owners_of(machine, device)) for device in devices}
        self._others = _opened(machine, owners)
        self._total = Total()
        for device, accounts in self._accounts.items():
            for *_, each in accounts:
                each.join(self._total, 1.0 / machine.cluster.devices[device].supply_efficiency, float(machine.env.now))
        for *_, each in self._others:
            each.join(self._total, 1.0, float(machine.env.now))

    # -- energy ----------------------------------------------------------------------------------------------------------------------------

    def device_joules(self, device: str) -> float:
        """Energy of one of its devices so far, at the device's own plug (the machine is settled)."""
        now = float(self.machine.env.now)
        inside = 0.0
        for _, _, account in self._accounts[device]:
            inside += account.settle(now)
        return inside / self.machine.cluster.devices[device].supply_efficiency

    def load_joules(self) -> float:
        """Energy at its plug so far, with the domains behind it, less what its battery loses (the machine is settled)."""
        return self.supply.drawn(self._given(), float(self.machine.env.now))

    def joules(self) -> float:
        """Energy so far of all that is behind its plug, its battery's losses included (the machine is settled)."""
        return self.load_joules() + (self.feed.lost_J if self.feed is not None else 0.0)

    def own_joules(self) -> float:
        """Its energy without what the domains behind it and its rails draw: own energies add up to those of the outermost plugs."""
        inner = sum(child.joules() for child in self.children)
        return self.joules() - inner - sum(rail.joules() for rail in self.rails)

    def energy_rows(self) -> list[Row]:
        """`(owner, part, joules)` of its own energy: they add up to `own_joules`; what its supply loses is the part `supply`."""
        now, given = float(self.machine.env.now), self._given()
        railed = {owner for rail in self.rails for owner in rail.owners}
        rows = [row for device in self.devices for row in self._device_rows(device) if row[0] not in railed]
        rows += [(owner, part, each.settle(now)) for owner, part, each in self._others]
        rows += [(self.name, "board", self._overhead.settle(now)), (self.name, "supply", self.supply.drawn(given, now) - given)]
        rows += [(self.name, "battery", self.feed.lost_J)] if self.feed is not None else []
        return [row for row in rows if row[2] != 0.0]

    def _device_rows(self, device: str) -> list[Row]:
        now = float(self.machine.env.now)
        rows = [(owner, part, each.settle(now)) for owner, part, each in self._accounts[device]]
        efficiency = self.machine.cluster.devices[device].supply_efficiency
        return [*rows, (device, "supply", sum(joules for *_, joules in rows) * (1.0 / efficiency - 1.0))]

    def _given(self) -> float:
        """What its supply has given: to devices, links, inner domains, and the overhead."""
        now = float(self.machine.env.now)
        return self._total.joules(now) + self._overhead.settle(now) + sum(child.load_joules() for child in self.children)

    # -- what it holds -------------------------------------------------------------------------------------------------------------------

    def all_devices(self) -> list[str]:
        """Its devices and those of the domains behind it."""
        return [*self.devices, *(device for child in self.children for device in child.all_devices())]

    def targets(self) -> list[str]:
        """What its controller commands: all devices behind its plug."""
        return self.all_devices()

    def overhead_W(self) -> float:
        """Of the budget, what modules may not take: boards, storages, overheads, and what supplies lose on the way to the modules.

        On the safe side: all modules are taken to be behind the least efficient way to the plug.
        """
        if self.budget is None:
            return 0.0
        gains, constant = self._ways()
        return self.budget - (self.budget - constant) / max(gains, default=1.0)

    def _ways(self) -> tuple[list[float], float]:
        """Watts at the plug per module watt of each device, and the constant watts at the plug."""
        devices = [self.machine.cluster.devices[name] for name in self.devices]
        inner = [child._ways() for child in self.children]
        gains = [1.0 / device.supply_efficiency for device in devices] + [gain for found, _ in inner for gain in found]
        constant = self.overhead + sum(map(self._beside_W, self.devices)) + sum(watts for _, watts in inner)
        return [gain * self.supply.gain for gain in gains], constant * self.supply.gain + self.supply.no_load_W

    def _beside_W(self, device: str) -> float:
        """The most that one of its devices draws beside its module, at the device's plug: board and storages."""
        spec, stores = self.machine.cluster.devices[device], self.machine.cluster.own_storages(device)
        return (spec.board_W + sum(storage_peak_W(each.storage) for each in stores)) / spec.supply_efficiency

    def sample(self) -> None:
        """A period of its supply is over."""
        self.machine.settle_energy()
        self.supply.sample(self._given(), float(self.machine.env.now))

    # -- power ---------------------------------------------------------------------------------------------------------------------------

    @property
    def lit(self) -> bool:
        """Whether it has power."""
        return not self._outages

    def cut(self, cause: Cause) -> None:
        """Everything behind its plug loses power on account of `cause`, until `restore`; the same cause cuts once."""
        if cause not in self._outages:
            self._switch(cause, lit=False)
        for child in self.children:
            child.cut(cause)
        for device in self.devices:
            self.machine.up.hold(device, cause)

    def restore(self, cause: Cause) -> None:
        """`cause` no longer cuts it; power is back once nothing else does."""
        if cause in self._outages:
            self._switch(cause, lit=True)
        for child in self.children:
            child.restore(cause)
        for device in self.devices:
            self.machine.up.release(device, cause)

    def _switch(self, cause: Cause, lit: bool) -> None:
        now = float(self.machine.env.now)
        was_lit = self.lit
        if lit:
            del self._outages[cause]
        else:
            self._outages[cause] = None
        if self.lit != was_lit:
            self.machine.settle_energy()
            self.supply.switch(self.lit, self._given(), now)
            self._overhead.change(self.overhead if self.lit else -self.overhead, now)


def _owners_of(machine: Machine, device: str) -> list[str]:
    """The energy owners behind a device's supply: itself, its engines and buses, and its storages."""
    spec = machine.cluster.devices[device]
    stores = [f"{device}.{each.name}" for each in machine.cluster.own_storages(device)]
    return [device, *(f"{device}.{each}" for each in (*spec.engines, *spec.buses)), *stores]


def _opened(machine: Machine, owners: Sequence[str]) -> list[tuple[str, str, Account]]:
    return [(owner, part, machine.ledger.account(owner, part)) for owner in owners for part in _parts_of(machine, owner)]


def _parts_of(machine: Machine, owner: str) -> tuple[str, ...]:
    """The parts of energy that an owner can have."""
    if owner in machine.cluster.devices:
        return ("idle", "sleep", "leakage", "dynamic", "board")
    return ("idle", "static", "dynamic")
