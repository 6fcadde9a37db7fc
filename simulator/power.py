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

MODULE = ("idle", "sleep", "static", "dynamic")


class Target:
    """A device under power control. Implements `TargetView`: `clock` in force, `clock_set` last commanded, as fractions.

    Every controller may set two limits, and the lowest of all holds: a lock (`clock`, or `brake` until the next `clock`) and a cap
    (`watts`). A command that arrives after a later one to the same limit is too late and does nothing.
    """

    def __init__(self, machine: Machine, name: str, priority: int) -> None:
        self.machine = machine
        self.name = name
        self.priority = priority
        self.spec: Device = machine.cluster.devices[name]
        self.engines = [f"{name}.{engine}" for engine in self.spec.engines]
        self.clock = 1.0
        self.clock_min = clock_floor(self.spec)
        self._commanded: dict[tuple[str, str], float] = {}
        self._in_force: dict[tuple[str, str], tuple[int, float]] = {}
        self._commands = 0

    @property
    def clock_set(self) -> float:
        """The clock that the last commands ask for."""
        return min(self._commanded.values(), default=1.0)

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

    def command(self, controller: str, limit: str, clock: float) -> Callable[[], bool]:
        """Ask for a limit; what is returned puts it in force, or returns False if a later command is in force already."""
        key = (controller, limit)
        self._commanded[key] = clock
        self._commands += 1
        number = self._commands

        def arrive() -> bool:
            if self._in_force.get(key, (0, 1.0))[0] > number:
                return False
            self._in_force[key] = (number, clock)
            self._set_clock(min(value for _, value in self._in_force.values()))
            return True

        return arrive

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

    def joules(self) -> float:
        """Energy at its plug so far, with the domains behind it (the machine is settled)."""
        return (sum(joules for *_, joules in self._inside()) + sum(child.joules() for child in self.children)) / self.efficiency

    def own_joules(self) -> float:
        """Its energy without what the domains behind it draw: domains' own energies add up to those of the outermost plugs."""
        return self.joules() - sum(child.joules() for child in self.children)

    def all_devices(self) -> list[str]:
        """Its devices and those of the domains behind it."""
        return [*self.devices, *(device for child in self.children for device in child.all_devices())]

    def overhead_W(self) -> float:
        """Of the budget, the watts that modules may not take: boards, overheads, and what supplies lose on the way to the modules.

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
        constant = self.overhead + sum(device.board_W / device.supply_efficiency for device in devices) + sum(watts for _, watts in inner)
        return [gain / self.efficiency for gain in gains], constant / self.efficiency

    def _inside(self) -> list[tuple[str, str, float]]:
        """`(owner, part, joules)` behind its own supply, inner domains apart."""
        now, accounts = float(self.machine.env.now), self.machine.ledger.accounts
        rows: list[tuple[str, str, float]] = []
        for device in self.devices:
            found = [(owner, part, each.settle(now)) for owner in self.owners_of(device) for part, each in _parts(accounts, owner)]
            efficiency = self.machine.cluster.devices[device].supply_efficiency
            rows += [*found, (device, "supply", sum(joules for *_, joules in found) * (1.0 / efficiency - 1.0))]
        rows += [(owner, part, each.settle(now)) for owner in self.owners for part, each in _parts(accounts, owner)]
        return [*rows, (self.name, "board", self.overhead * now)]

    def energy_rows(self) -> list[tuple[str, str, float]]:
        """`(owner, part, joules)` of its own energy: they add up to `own_joules`; what its supply loses is the part `supply`."""
        inside = self._inside()
        fed = sum(joules for *_, joules in inside) + sum(child.joules() for child in self.children)
        rows = [*inside, (self.name, "supply", fed * (1.0 / self.efficiency - 1.0))]
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
        take_effect = target.command(self.domain.name, "cap" if actuation.kind == "watts" else "lock", self._clock(target, actuation))
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
