"""From the names in a scenario's faults to what they stand for: devices, connections, storages, power domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.simulator.assemble import connections_of
from edgewright.simulator.errors import Key, choices

if TYPE_CHECKING:
    from edgewright.hwmodels import Cluster
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_faults import FaultTable
    from edgewright.simulator.schema_power import PowerDomain

__all__ = ["domain_devices", "fallible_devices", "fault_targets", "require_faults", "stores"]


def fault_targets(scenario: Scenario, cluster: Cluster, table: FaultTable, names: tuple[str, ...], key: Key) -> tuple[str, ...]:
    """Every instance that the names mean, each once, in order. Raises `ScenarioError` for a name that is nothing of the kind."""
    meanings = _meanings(scenario, cluster, table.kind)
    found: list[str] = []
    for position, name in enumerate(names):
        if name not in meanings:
            what = {"power": "power domain", "link": "link", "storage": "storage of a device (`device.storage`)"}
            kind = what.get(table.kind.split("_")[0], "device or group")
            raise scenario.error((*key, position), f"is no {kind} of this scenario", choices(name, meanings), name)
        found += meanings[name]
    return tuple(dict.fromkeys(found))


def _meanings(scenario: Scenario, cluster: Cluster, kind: str) -> dict[str, list[str]]:
    """What each acceptable name stands for."""
    table = scenario.cluster
    family = kind.split("_")[0]
    if family == "power":
        return {name: [name] for name, domain in scenario.power.items() if not domain.rail}
    if family == "link":
        own = {each.name: [each.name] for each in cluster.connections}
        return {group.name: [each.name for each in connections_of(table, group)] for group in table.links} | own
    if family == "storage":
        single = {f"{each.device}.{each.name}": [f"{each.device}.{each.name}"] for each in cluster.attachments}
        groups: dict[str, list[str]] = {}
        for name, group in table.devices.items():
            for store in group.storage:
                groups[f"{name}.{store}"] = [f"{instance}.{store}" for instance in group.instances(name)]
        return groups | single
    return {name: list(table.members(name)) for name in (*table.devices, *table.instances())}


def domain_devices(scenario: Scenario, name: str) -> tuple[str, ...]:
    """The devices behind a power domain, those of inner domains included."""
    own = [instance for member in scenario.power[name].devices for instance in scenario.cluster.members(member)]
    inner = [device for child, table in scenario.power.items() if table.parent == name for device in domain_devices(scenario, child)]
    return (*own, *inner)


def stores(cluster: Cluster, device: str) -> bool:
    """Whether a device has a storage to read from, of its own or its host's."""
    try:
        cluster.storage_of(device)
    except ValueError:
        return False
    return True


def fallible_devices(scenario: Scenario, cluster: Cluster) -> frozenset[str]:
    """The devices that may go down and lose their memory: by a fault of the scenario, by what feeds them, or with their host."""
    found: set[str] = set()
    for name, table in scenario.faults.items():
        names = (*table.targets, *(table.spread.targets if table.spread is not None else ()))
        if table.kind in ("crash", "leave", "power_loss"):
            found.update(fault_targets(scenario, cluster, table, names, ("faults", name, "targets")))
    dark = [name for name, domain in scenario.power.items() if name in found or domain.breaker or domain.ports or _ends(domain)]
    heated = {name for name, group in scenario.cluster.instances().items() if group.heat is not None and _critical(cluster, name)}
    fallible = (heated | (found & set(cluster.devices))).union(*(domain_devices(scenario, name) for name in dark))
    return frozenset(fallible | {card for card, host in cluster.hosts.items() if host in fallible})


def _ends(domain: PowerDomain) -> bool:
    """Whether the sources of a domain may fail it: all but a grid without limit."""
    return domain.fed and (domain.grid is None or domain.grid.limit is not None or domain.grid.trace is not None)


def _critical(cluster: Cluster, device: str) -> bool:
    """Whether heat may switch a device off."""
    thermal = cluster.devices[device].thermal
    return thermal is not None and thermal.critical is not None


def require_faults(scenario: Scenario, cluster: Cluster) -> None:
    """Refuse faults of what does not exist, and stragglers without the engine that is named."""
    for name, table in scenario.faults.items():
        key: Key = ("faults", name)
        targets = fault_targets(scenario, cluster, table, table.targets, (*key, "targets"))
        if table.spread is not None:
            fault_targets(scenario, cluster, table, table.spread.targets, (*key, "spread", "targets"))
        if table.engine is not None:
            for target in targets:
                engines = cluster.devices[target].engines
                if table.engine not in engines:
                    raise scenario.error((*key, "engine"), f"is no engine of {target}", choices(table.engine, engines), table.engine)
