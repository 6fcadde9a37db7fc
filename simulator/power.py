"""Power domains in time: what they draw, what their controllers are told, and how commands reach the devices.

A domain's draw is read at the plug of its supply: modules and boards through each device's supply, inner domains, and a constant
overhead, through the domain's own supply. Telemetry gives means over its period, late and noisy if the scenario says so.

How wrong: supplies have one efficiency at all loads; real ones lose most at low load. A mean over the telemetry period hides shorter peaks,
as a real meter with that period does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Device, clock_floor, clock_for_watts, peak_W
from edgewright.policies.families import Actuation, PowerAgent
from edgewright.simulator.machine import Machine
from edgewright.workloads import Stream

if TYPE_CHECKING:
    from edgewright.simulator.recorder import Recorder
    from edgewright.simulator.schema_power import PowerDomain

__all__ = ["Controller", "Domain", "Target"]

MODULE = ("idle", "static", "dynamic")


class Target:
    """A device under power control. Implements `TargetView`: `clock` in force, `clock_set` last commanded, as fractions.

    Two limits hold at once, the lower one wins: a lock (`clock`, or `brake` until the next `clock`) and a cap (`watts`). A command
    replaces what is still on its way to the same limit.
    """

    def __init__(self, machine: Machine, name: str, priority: int) -> None:
        self.machine = machine
        self.name = name
        self.priority = priority
        self.spec: Device = machine.cluster.devices[name]
        self.engines = [f"{name}.{engine}" for engine in self.spec.engines]
        self.clock = 1.0
        self.clock_min = clock_floor(self.spec)
        self._commanded = {"lock": 1.0, "cap": 1.0}
        self._in_force = {"lock": 1.0, "cap": 1.0}
        self._versions = {"lock": 0, "cap": 0}

    @property
    def clock_set(self) -> float:
        """The clock that the last commands ask for."""
        return min(self._commanded.values())

    @property
    def clock_max_Hz(self) -> float:
        """The highest clock of its first engine."""
        return self.spec.main_engine.clock_max

    @property
    def idle_W(self) -> float:
        """Module power when idle."""
        return self.spec.idle_W

    def peak_W(self, clock: float) -> float:
        """The most that the module can draw at that fraction of its clock."""
        return peak_W(self.spec, clock)

    def command(self, limit: str, clock: float) -> Callable[[], bool]:
        """Ask for a limit; what is returned puts it in force, unless a later command has replaced it (then it returns False)."""
        self._commanded[limit] = clock
        self._versions[limit] += 1
        version = self._versions[limit]

        def apply() -> bool:
            if self._versions[limit] != version:
                return False
            self._in_force[limit] = clock
            self._set_clock(min(self._in_force.values()))
            return True

        return apply

    def _set_clock(self, clock: float) -> None:
        if clock != self.clock:
            self.clock = clock
            for engine in self.engines:
                self.machine.set_clock(engine, clock)


class Domain:
    """A power domain.

    Attributes:
        devices: names of devices that draw from this domain itself; `children` draw through it.
        owners: other energy owners (links) that belong to it.
        budget: watts at its plug, None if it has none.
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
    ) -> None:
        self.machine = machine
        self.name = name
        self.devices = list(devices)
        self.owners = list(owners)
        self.efficiency = efficiency
        self.overhead = overhead
        self.budget = budget
        self.children: list[Domain] = []

    def owners_of(self, device: str) -> list[str]:
        """The energy owners behind a device's supply: itself and its storages."""
        return [device, *(f"{a.device}.{a.name}" for a in self.machine.cluster.attachments if a.device == device)]

    def joules(self, inner: bool = True) -> float:
        """Energy at its plug so far (the machine is settled); `inner`: with the domains behind it."""
        now, ledger = float(self.machine.env.now), self.machine.ledger
        total = self.overhead * now + ledger.joules(self.owners, now)
        for device in self.devices:
            total += ledger.joules(self.owners_of(device), now) / self.machine.cluster.devices[device].supply_efficiency
        if inner:
            total += sum(child.joules() for child in self.children)
        return total / self.efficiency

    def all_devices(self) -> list[str]:
        """Its devices and those of the domains behind it."""
        return [*self.devices, *(device for child in self.children for device in child.all_devices())]

    def overhead_W(self) -> float:
        """Of the budget, the watts that no clock changes: boards, overheads and the losses of supplies at full budget."""
        if self.budget is None:
            return 0.0
        return self.budget - self._modules_W(self.budget)

    def _modules_W(self, watts: float) -> float:
        """Module watts that `watts` at the plug can feed, all supplies at their efficiency."""
        inside = watts * self.efficiency - self.overhead
        devices = [self.machine.cluster.devices[name] for name in self.all_devices()]
        idle = sum(device.idle_W for device in devices)
        plug = sum(device.idle_W / device.supply_efficiency for device in devices)
        boards = sum(device.board_W / device.supply_efficiency for device in devices)
        return (inside - boards) * (idle / plug if plug > 0.0 else 1.0)

    def energy_rows(self) -> list[tuple[str, str, float]]:
        """`(owner, part, joules)` at its plug, without the domains behind it; losses of supplies are the part `supply`."""
        now, ledger = float(self.machine.env.now), self.machine.ledger
        rows: list[tuple[str, str, float]] = []
        for device in self.devices:
            inside = [(owner, part, acct.settle(now)) for owner in self.owners_of(device) for part, acct in _parts(ledger.accounts, owner)]
            rows += inside
            efficiency = self.machine.cluster.devices[device].supply_efficiency
            rows.append((device, "supply", sum(joules for *_, joules in inside) * (1.0 / efficiency - 1.0)))
        rows += [(owner, part, acct.settle(now)) for owner in self.owners for part, acct in _parts(ledger.accounts, owner)]
        rows.append((self.name, "board", self.overhead * now))
        own = sum(joules for *_, joules in rows)
        rows.append((self.name, "supply", own * (1.0 / self.efficiency - 1.0)))
        return [row for row in rows if row[2] != 0.0]


def _parts(accounts: Mapping[tuple[str, str], Any], owner: str) -> list[tuple[str, Any]]:
    return [(part, accounts[owner, part]) for part in (*MODULE, "board") if (owner, part) in accounts]


class Controller:
    """Telemetry, policy and actuators of one domain. Implements `PowerView`."""

    def __init__(
        self,
        machine: Machine,
        domain: Domain,
        table: PowerDomain,
        agent: PowerAgent,
        targets: Sequence[Target],
        stream: Stream,
        recorder: Recorder,
    ) -> None:
        self.machine = machine
        self.domain = domain
        self.table = table
        self.agent = agent
        self.targets = list(targets)
        self.by_name = {target.name: target for target in targets}
        self.stream = stream
        self.recorder = recorder
        self.watts = 0.0

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.machine.env.now)

    @property
    def budget_W(self) -> float:
        """The domain's budget; infinite if it has none."""
        return float("inf") if self.domain.budget is None else self.domain.budget

    @property
    def overhead_W(self) -> float:
        """Of the budget, what no clock changes."""
        return self.domain.overhead_W()

    def run(self) -> Generator[Any, Any, None]:
        """The controller's SimPy process: a reading per period."""
        period, before, count = self.table.telemetry.period, 0.0, 0
        self._decide(0.0)
        while True:
            yield self.machine.env.timeout(period)
            self.machine.settle()
            joules = self.domain.joules()
            watts, before = (joules - before) / period, joules
            noise = self.table.telemetry.noise
            if noise > 0.0:
                watts *= 1.0 + self.stream.normal(0.0, noise, count)
            count += 1
            if self.table.telemetry.delay > 0.0:
                self.machine.after(self.table.telemetry.delay, partial(self._decide, watts))
            else:
                self._decide(watts)

    def _decide(self, watts: float) -> None:
        self.watts = watts
        for actuation in self.agent.act(self):
            self._command(actuation)

    def _command(self, actuation: Actuation) -> None:
        if actuation.target not in self.by_name:
            raise ValueError(f"power policy of {self.domain.name} commands {actuation.target!r}, which is not one of its devices")
        target = self.by_name[actuation.target]
        take_effect = target.command("cap" if actuation.kind == "watts" else "lock", self._clock(target, actuation))
        actuator = self.table.actuator
        delay = actuator.brake if actuation.kind == "brake" and actuator.brake is not None else actuator.delay
        value = float("nan") if actuation.value is None else actuation.value
        rows = self.recorder.rows["actuations"]
        row = len(rows["time_s"])
        self.recorder.add("actuations", self.now, self.domain.name, target.name, actuation.kind, value, float("nan"))
        apply = partial(self._apply, take_effect, row)
        if delay > 0.0:
            self.machine.after(delay, apply)
        else:
            apply()

    def _clock(self, target: Target, actuation: Actuation) -> float:
        if actuation.kind == "brake":
            return target.clock_min
        if actuation.value is None or actuation.kind not in ("clock", "watts"):
            raise ValueError(f"power policy of {self.domain.name}: cannot do {actuation.kind} {actuation.value} to {target.name}")
        clock = actuation.value if actuation.kind == "clock" else clock_for_watts(target.spec, actuation.value)
        return min(max(clock, target.clock_min), 1.0)

    def _apply(self, take_effect: Callable[[], bool], row: int) -> None:
        if take_effect():
            self.recorder.rows["actuations"]["effective_s"][row] = self.now
