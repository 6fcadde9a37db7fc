"""What can be known to be wrong with a scenario's power before the clock starts: limits below what is drawn idle, devices that cannot
sleep, rails that lead nowhere, traces that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright.hwmodels import Cluster
from edgewright.hwmodels.breakers import PORT_CLASSES
from edgewright.simulator.errors import choices, spoken
from edgewright.simulator.power_supply import CurveSupply

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_power import PowerDomain

__all__ = ["idle_watts", "require_power"]


def require_power(scenario: Scenario, cluster: Cluster) -> None:
    """Raise `ScenarioError` for the first thing about power that cannot work."""
    for group, devices in scenario.cluster.devices.items():
        _require_cooling(scenario, cluster, group, devices.instances(group)[0])
    railed: dict[str, str] = {}
    for name, domain in scenario.power.items():
        if domain.rail:
            _require_rail(scenario, cluster, name, railed)
            continue
        _require_limits(scenario, cluster, name)
        _require_ports(scenario, cluster, name)
        _require_sleep(scenario, cluster, name)
        _require_traces(scenario, name)


def _require_cooling(scenario: Scenario, cluster: Cluster, group: str, device: str) -> None:
    """Leakage that grows faster with temperature than heat leaves never settles; limits in order; a file of the air that can be read."""
    from edgewright.simulator.power_build import air_of

    heat, thermal, key = scenario.cluster.devices[group].heat, cluster.devices[device].thermal, ("cluster", "devices", group, "heat")
    if heat is None or thermal is None:
        return
    if heat.leakage * thermal.resistance >= 1.0:
        problem, most = f"W/K heat it without end through {thermal.resistance:g} K/W", 1.0 / thermal.resistance
        raise scenario.error((*key, "leakage"), problem, f"less than {most:.3g}", heat.leakage)
    if thermal.critical is not None and thermal.critical <= thermal.trip:
        own = "critical" if heat.critical is not None else "trip"
        problem = f"would switch it off at {thermal.critical:g} degrees, and slow it down at {thermal.trip:g}"
        raise scenario.error((*key, own), problem, "`critical` above `trip`", getattr(heat, own))
    try:
        air_of(heat)
    except ValueError as error:
        raise scenario.error((*key, "air"), *spoken(str(error))) from None


def idle_watts(domain: PowerDomain, scenario: Scenario, cluster: Cluster) -> float:
    """Watts that a domain draws when all of its devices are awake and idle, those of inner domains included."""
    name = next(name for name, each in scenario.power.items() if each is domain)
    own = sum(_idle_watts(cluster, instance) for member in domain.devices for instance in scenario.cluster.members(member))
    inner = sum(idle_watts(each, scenario, cluster) for each in scenario.power.values() if each.parent == name)
    given = own + inner + domain.overhead
    if domain.supply is not None:
        return given + CurveSupply(domain.supply.rated, domain.supply.curve).loss_W(given)
    return given / domain.supply_efficiency


def _idle_watts(cluster: Cluster, name: str) -> float:
    """Of one device and its storages, at its plug."""
    device = cluster.devices[name]
    storages = sum(each.storage.idle_W for each in cluster.own_storages(name))
    return (device.idle_W + device.board_W + storages) / device.supply_efficiency


def _require_limits(scenario: Scenario, cluster: Cluster, name: str) -> None:
    domain = scenario.power[name]
    floor = idle_watts(domain, scenario, cluster)
    breaker = None if domain.breaker is None else domain.breaker.rated
    for key, limit in ((("budget",), domain.budget), (("breaker", "rated"), breaker)):
        if limit is not None and limit < floor:
            problem = f"W is below the {floor:.1f} W that the domain draws idle"
            raise scenario.error(("power", name, *key), problem, f"more than {floor:.1f} W", limit)


def _require_ports(scenario: Scenario, cluster: Cluster, name: str) -> None:
    domain = scenario.power[name]
    if domain.ports is None:
        return
    limit = PORT_CLASSES[domain.ports.port_class]
    for device in _devices(scenario, name):
        if (floor := _idle_watts(cluster, device)) > limit:
            problem = f"gives {limit:g} W, and {device} draws {floor:.1f} W idle"
            fitting = [each for each, watts in PORT_CLASSES.items() if watts >= floor]
            accepted = (
                f"one of the classes {', '.join(map(str, fitting))}" if fitting else "a device that draws less: no class gives as much"
            )
            raise scenario.error(("power", name, "ports", "port_class"), problem, accepted, domain.ports.port_class)


def _require_sleep(scenario: Scenario, cluster: Cluster, name: str) -> None:
    policy = scenario.power[name].policy
    groups = scenario.cluster.instances()
    sleeps: Callable[[int], bool] | None = getattr(policy, "sleeps", None)
    if sleeps is None:
        return
    for device in _devices(scenario, name, inner=True):
        if sleeps(groups[device].priority) and cluster.devices[device].sleep_W is None:
            problem = f"puts devices to sleep, and {device} cannot"
            raise scenario.error(("power", name, "policy"), problem, f"another policy, or `sleep: WATTS` for {device}", policy)


def _require_traces(scenario: Scenario, name: str) -> None:
    from edgewright.simulator.power_build import feed_plan

    try:
        feed_plan(scenario.power[name])
    except ValueError as error:
        raise scenario.error(("power", name), *spoken(str(error))) from None


def _require_rail(scenario: Scenario, cluster: Cluster, name: str, railed: dict[str, str]) -> None:
    """A rail is some engines and buses of one device, none of which belongs to another rail; `railed` holds those met so far."""
    rail = scenario.power[name].rail
    known = [f"{device}.{each}" for device, spec in cluster.devices.items() for each in (*spec.engines, *spec.buses)]
    for position, owner in enumerate(rail):
        key = ("power", name, "rail", position)
        if owner not in known:
            raise scenario.error(key, "is no engine or bus of a device", choices(owner, known), owner)
        if owner in railed:
            raise scenario.error(key, f"belongs to the rail {railed[owner]!r} already", "engines and buses of no other rail", owner)
        if owner.partition(".")[0] != rail[0].partition(".")[0]:
            raise scenario.error(key, "is of another device", f"engines and buses of {rail[0].partition('.')[0]}", owner)
        railed[owner] = name


def _devices(scenario: Scenario, name: str, inner: bool = False) -> list[str]:
    found = [instance for member in scenario.power[name].devices for instance in scenario.cluster.members(member)]
    children = [each for each, domain in scenario.power.items() if domain.parent == name] if inner else []
    return [*found, *(device for child in children for device in _devices(scenario, child, inner=True))]
