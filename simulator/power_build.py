"""From the power tables of a scenario to what runs: domains and rails, their breakers, ports, sources and controllers."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.battery import BatterySpec
from edgewright.hwmodels.series import Series, read_series
from edgewright.hwmodels.sun import Panel
from edgewright.simulator.heat import Governor, Heat
from edgewright.simulator.machine import Machine
from edgewright.simulator.power import Controller
from edgewright.simulator.power_breaker import Breaker
from edgewright.simulator.power_domain import Domain, Rail
from edgewright.simulator.power_feed import Feed, FeedPlan
from edgewright.simulator.power_ports import Ports
from edgewright.simulator.power_supply import CurveSupply
from edgewright.simulator.power_target import Target
from edgewright.workloads import Stream

if TYPE_CHECKING:
    from edgewright.simulator.recorder import Recorder
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_heat import HeatTable
    from edgewright.simulator.schema_power import PowerDomain
    from edgewright.simulator.schema_sources import BatteryTable

__all__ = ["Power", "air_of", "build_power", "feed_plan"]


@dataclass(slots=True)
class Power:
    """All that feeds, protects and controls the domains, by the name of the domain; `heats` of devices by theirs."""

    domains: dict[str, Domain | Rail] = field(default_factory=dict)
    controllers: dict[str, Controller] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    ports: dict[str, Ports] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    supplies: dict[str, tuple[Domain, float]] = field(default_factory=dict)
    heats: dict[str, Heat] = field(default_factory=dict)

    def start(self, env: Any) -> None:
        """Start their SimPy processes: at one moment, supplies and sources are settled before breakers, ports and controllers look."""
        for domain, period in self.supplies.values():
            env.process(_sampling(domain, period))
        running = [each.run() for each in self.feeds.values()] + [each.run() for each in self.breakers.values()]
        running += [each.run() for each in self.heats.values()]
        running += [each.run() for each in self.ports.values()] + [each.run() for each in self.controllers.values()]
        for process in running:
            env.process(process)


def build_power(scenario: Scenario, machine: Machine, recorder: Recorder, stream: Stream) -> Power:
    """What the scenario says of power, brought to life but not started."""
    power = Power(domains=dict(_domains(scenario, machine)))
    groups = scenario.cluster.instances()
    power.heats |= {device: _heat(machine, device, group.heat, recorder) for device, group in groups.items() if group.heat is not None}
    targets: dict[str, Target] = {}
    for name, table in scenario.power.items():
        domain = power.domains[name]
        if isinstance(domain, Domain):
            _equip(power, domain, table, {device: group.priority for device, group in groups.items()}, recorder)
        names = domain.targets()
        for each in (each for each in names if each not in targets):
            leakage = power.heats[each].most_leaked_W if each in power.heats else 0.0
            targets[each] = Target(machine, each, groups[each.partition(".")[0]].priority, leakage)
        own = stream.child(f"power.{name}")
        charge = partial(_charge, power, _above(scenario, name, power.domains))
        mine = [targets[each] for each in names]
        power.controllers[name] = Controller(machine, domain, table, table.policy.start(name, own), mine, own, recorder, charge)
    return power


def feed_plan(table: PowerDomain) -> FeedPlan | None:
    """What a domain's table says of its sources; None if it says nothing. Raises `ValueError` for a trace that cannot be read."""
    if not table.fed:
        return None
    battery, grid = table.battery, table.grid
    plan = FeedPlan(sun=_sun(table), grid=_grid(table), period=table.balance, restore=table.restore)
    if grid is not None:
        plan = replace(plan, carbon=_known(grid.carbon, grid.repeat), price=_known(grid.price, grid.repeat))
    if battery is None:
        return plan
    return replace(
        plan,
        battery=_spec(battery),
        charge=battery.charge,
        cutoff=battery.cutoff,
        recover=battery.recover,
        backup=battery.backup,
    )


def _domains(scenario: Scenario, machine: Machine) -> dict[str, Domain | Rail]:
    """The scenario's domains and rails, and `other` for the devices and links that are in none of them."""
    domains = {name: _domain(scenario, machine, name, table) for name, table in scenario.power.items() if not table.rail}
    for name, table in scenario.power.items():
        if table.parent is not None:
            domains[table.parent].children.append(domains[name])
    housed = {device for domain in domains.values() for device in domain.devices}
    loose = [device for device in machine.cluster.devices if device not in housed]
    domains["other"] = Domain(machine, "other", loose, [connection.name for connection in machine.cluster.connections])
    found: dict[str, Domain | Rail] = {}
    for name, table in scenario.power.items():
        if table.rail:
            rail = found[name] = Rail(machine, name, table.rail, table.budget)
            device = table.rail[0].partition(".")[0]
            next(domain for domain in domains.values() if device in domain.devices).rails.append(rail)
        else:
            found[name] = domains[name]
    return found | {"other": domains["other"]}


def _domain(scenario: Scenario, machine: Machine, name: str, table: PowerDomain) -> Domain:
    devices = [device for group in table.devices for device in scenario.cluster.members(group)]
    supply = CurveSupply(table.supply.rated, table.supply.curve) if table.supply is not None else None
    return Domain(machine, name, devices, (), table.supply_efficiency, table.overhead, table.budget, supply)


def _equip(power: Power, domain: Domain, table: PowerDomain, priorities: Mapping[str, int], recorder: Recorder) -> None:
    machine = domain.machine
    if table.supply is not None:
        power.supplies[domain.name] = (domain, table.supply.period)
    if (plan := feed_plan(table)) is not None:
        domain.feed = power.feeds[domain.name] = Feed(machine, domain, plan, recorder)
    if table.breaker is not None:
        power.breakers[domain.name] = Breaker(machine, domain, table.breaker, recorder)
    if table.ports is not None:
        power.ports[domain.name] = Ports(machine, domain, table.ports, priorities, recorder)


def _sampling(domain: Domain, period: float) -> Generator[Any, Any, None]:
    while True:
        yield domain.machine.env.timeout(period)
        domain.sample()


def _above(scenario: Scenario, name: str, domains: Mapping[str, Domain | Rail]) -> list[str]:
    """A domain's or rail's name, and those of the domains that it draws from."""
    found = [name]
    domain = domains[name]
    if isinstance(domain, Rail):
        found += [each for each, holder in domains.items() if domain in holder.rails]
    while found[-1] in scenario.power and (parent := scenario.power[found[-1]].parent) is not None:
        found.append(parent)
    return found


def _charge(power: Power, names: Sequence[str]) -> float | None:
    """State of charge of the battery that a domain lives on."""
    return next((power.feeds[name].charge for name in names if name in power.feeds), None)


def _heat(machine: Machine, device: str, table: HeatTable, recorder: Recorder) -> Heat:
    thermal = machine.cluster.devices[device].thermal
    if thermal is None:
        raise AssertionError("checked before")
    governor = Governor(air_of(table), table.period, table.hysteresis, table.step, table.floor, table.leakage, table.reference)
    return Heat(machine, device, thermal, governor, recorder)


def air_of(table: HeatTable) -> Series:
    """The temperature of the air that a table of heat describes. Raises `ValueError` for a file that cannot be read."""
    return _series(table.air, table.repeat)


def _spec(battery: BatteryTable) -> BatterySpec:
    return BatterySpec(
        battery.capacity,
        battery.charge_efficiency,
        battery.discharge_efficiency,
        inf if battery.max_charge is None else battery.max_charge,
        inf if battery.max_discharge is None else battery.max_discharge,
        battery.peukert,
        battery.rated_hours,
    )


def _sun(table: PowerDomain) -> Series | Panel | None:
    solar = table.solar
    if solar is None:
        return None
    if solar.trace is not None:
        return read_series(solar.trace, solar.repeat, negative=False)
    if solar.peak is None or solar.latitude is None:
        raise AssertionError("the table has required both")
    return Panel(solar.peak, solar.latitude, solar.day, solar.hour, solar.clearness)


def _grid(table: PowerDomain) -> Series | None:
    grid = table.grid
    if grid is None:
        return None
    if grid.trace is not None:
        return read_series(grid.trace, grid.repeat, negative=False)
    return Series([0.0], [inf if grid.limit is None else grid.limit])


def _known(value: float | Path | None, repeat: float | None) -> Series | None:
    return None if value is None else _series(value, repeat)


def _series(value: float | Path, repeat: float | None) -> Series:
    return read_series(value, repeat) if isinstance(value, Path) else Series([0.0], [value])
