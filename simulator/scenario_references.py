"""What a scenario's tables say of each other: names that must exist, and chains that must end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from edgewright.policies.families import FailurePolicy, OrchestrationPolicy
from edgewright.simulator.errors import Key, refusal
from edgewright.simulator.schema import require_distinct, require_known

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_services import ReplicaTable

__all__ = ["called_services", "replica_devices", "require_references"]


def require_references(scenario: Scenario) -> None:
    """Refuse names that lead nowhere, names used twice, and cycles of power domains or orchestrations."""
    _require_replicas(scenario)
    _require_domains(scenario)
    _require_workloads(scenario)
    for name, service in scenario.services.items():
        for key, called in _called(service.orchestration):
            require_known(called, scenario.services, "service", ("services", name, "orchestration", key))
        for node in getattr(service.orchestration, "nodes", ()):
            require_known(node, _places(scenario), "device or node", ("services", name, "orchestration"))
        for key, other in _called(service.failure):
            require_known(other, scenario.services, "service", ("services", name, "failure", key))
        if service.startup.source is not None:
            require_known(service.startup.source, scenario.cluster.names(), "device or node", ("services", name, "startup", "source"))
    _refuse_cycle(
        {name: called_services(scenario, name) for name in scenario.services},
        "calls itself, directly or through others",
        "services",
        "orchestration",
    )
    parents = {name: (domain.parent,) if domain.parent else () for name, domain in scenario.power.items()}
    _refuse_cycle(parents, "draws from itself, directly or through others", "power", "parent")


def called_services(scenario: Scenario, name: str) -> tuple[str, ...]:
    """The services that a service's orchestration calls, as the policy names them in `services`."""
    return tuple(called for _, called in _called(scenario.services[name].orchestration))


def replica_devices(scenario: Scenario, replica: ReplicaTable) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names and devices of the copies that a replica's table stands for: one, or with `each` one per instance of the group."""
    if replica.each is not None:
        instances = scenario.cluster.members(replica.each)
        suffixes = [instance.removeprefix(replica.each) for instance in instances]
        yield from ((f"{replica.name}{suffix}", (instance,)) for suffix, instance in zip(suffixes, instances, strict=True))
    else:
        names = replica.devices or ()
        yield replica.name, tuple(device for name in names for device in scenario.cluster.members(name))


def _require_replicas(scenario: Scenario) -> None:
    cluster = scenario.cluster
    for name, service in scenario.services.items():
        copies: list[tuple[str, Key]] = []
        for index, replica in enumerate(service.replicas):
            at: Key = ("services", name, "replicas", index)
            if replica.each is not None:
                require_known(replica.each, cluster.devices, "group of devices", (*at, "each"))
            for position, device in enumerate(replica.devices or ()):
                require_known(device, (*cluster.devices, *cluster.instances()), "device or group", (*at, "devices", position))
            for copy, devices in replica_devices(scenario, replica):
                copies.append((copy, (*at, "name")))
                require_distinct(((device, (*at, "devices")) for device in devices), "device of this replica")
        require_distinct(copies, "replica of this service")


def _require_domains(scenario: Scenario) -> None:
    drawing: list[tuple[str, Key]] = []
    for name, domain in scenario.power.items():
        if domain.parent is not None:
            domains = [each for each, table in scenario.power.items() if not table.rail]
            require_known(domain.parent, domains, "power domain that is no rail", ("power", name, "parent"))
        for position, device in enumerate(domain.devices):
            at: Key = ("power", name, "devices", position)
            require_known(device, (*scenario.cluster.devices, *scenario.cluster.instances()), "device or group", at)
            drawing.extend((instance, at) for instance in scenario.cluster.members(device))
    require_distinct(drawing, "draw: a device draws from one domain; this is its")


def _require_workloads(scenario: Scenario) -> None:
    for name, workload in scenario.workloads.items():
        require_known(workload.service, scenario.services, "service", ("workloads", name, "service"))
        if workload.entry is not None:
            require_known(workload.entry, _places(scenario), "device or entry point", ("workloads", name, "entry"))


def _places(scenario: Scenario) -> tuple[str, ...]:
    """Everything that something can be sent from or to."""
    return (*scenario.cluster.instances(), *scenario.cluster.switches, *scenario.cluster.nodes)


def _called(policy: OrchestrationPolicy | FailurePolicy | None) -> Iterator[tuple[str, str]]:
    """Key and service of each call that a policy may make (an orchestration, a failover), by its hyper-parameters."""
    for service in getattr(policy, "services", ()):
        yield next((each.name for each in _fields(policy) if getattr(policy, each.name) == service), "services"), service


def _fields(policy: object) -> tuple[Field[Any], ...]:
    return fields(policy) if is_dataclass(policy) else ()


def _refuse_cycle(edges: Mapping[str, tuple[str, ...]], problem: str, table: str, key: str) -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            path = " -> ".join((*above[above.index(name) :], name))
            raise refusal(f"{problem}: {path}", f"a {key} that does not lead back", at=(table, name, key), value=name)
        if name not in done:
            for following in edges[name]:
                visit(following, (*above, name))
            done.add(name)

    for name in edges:
        visit(name, ())
