"""Where the figures of a run come from, and what its cluster looks like."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Cluster, Device, Link, Provenance, Storage
from edgewright.policies.plugins import loaded

if TYPE_CHECKING:
    from edgewright.simulator.result_meta import LinkEntry, NodeEntry, ProvenanceEntry, Topology
    from edgewright.simulator.scenario import Scenario

__all__ = ["provenance_of", "topology_of", "versions"]

PACKAGES = ("edgewright", "simpy", "numpy", "networkx", "pydantic")
"""What a run's numbers can depend on."""


def versions() -> dict[str, str]:
    """What results depend on besides the scenario: versions of the package and of what it computes with, the kind of processor, plugins."""
    plugins = {f"plugin {Path(path).name}": digest for path, digest in loaded().items()}
    return {**{name: _installed(name) for name in PACKAGES}, "python": platform.python_version(), "machine": platform.machine(), **plugins}


@cache
def _installed(package: str) -> str:
    """The version of a package, for which its metadata are read once."""
    return version(package)


def topology_of(cluster: Cluster, scenario: Scenario) -> Topology:
    """Nodes and links for drawing; a storage is a node of its own, joined to its device."""
    clients = set(scenario.cluster.nodes)
    nodes: list[NodeEntry] = []
    links: list[LinkEntry] = []
    for name, device in cluster.devices.items():
        nodes.append(
            {"name": name, "title": device.title, "kind": "device", "resources": [f"{name}.{engine}" for engine in device.engines]}
        )
    for name in cluster.switches:
        kind = "client" if name in clients else "switch"
        nodes.append({"name": name, "title": name, "kind": kind, "resources": []})
    for connection in cluster.connections:
        names = (connection.name, f"{connection.name}>", f"{connection.name}<", connection.medium)
        found = [name for name in names if name is not None and name in cluster.capacities]
        links.append({"name": connection.name, "title": connection.link.title, "ends": list(connection.ends), "resources": found})
    for attachment in cluster.attachments:
        name = f"{attachment.device}.{attachment.name}"
        resources = [name] * (attachment.storage.engine is not None) + [f"{name}.read", f"{name}.write"]
        nodes.append({"name": name, "title": attachment.storage.title, "kind": "storage", "resources": resources})
        links.append({"name": f"{name} bus", "title": "attached", "ends": [attachment.device, name], "resources": []})
    return {"nodes": nodes, "links": links}


def provenance_of(cluster: Cluster) -> list[ProvenanceEntry]:
    """Every figure of every device, storage and link kind in the cluster, with its origin."""
    kinds: dict[str, Device | Storage | Link] = {}
    specs: list[Device | Storage | Link] = [*cluster.devices.values()]
    specs += [attachment.storage for attachment in cluster.attachments]
    specs += [connection.link for connection in cluster.connections]
    specs += [device.host_link for name, device in cluster.devices.items() if device.host_link is not None and name not in cluster.hosts]
    for spec in specs:
        kinds.setdefault(spec.name, spec)
    return [entry for spec in kinds.values() for entry in _figures(spec)]


def _figures(spec: Device | Storage | Link) -> Iterator[ProvenanceEntry]:
    for figure, value in _numbers(spec):
        origin = _origin(spec.provenance, figure)
        yield {
            "subject": spec.name,
            "figure": figure,
            "value": value,
            "unit": _unit(figure),
            "kind": origin.kind,
            "source": origin.source,
        }


def _origin(provenance: Mapping[str, Provenance], figure: str) -> Provenance:
    """The provenance of a figure, of the nearest scope above it, or the default of the specification."""
    scope = figure
    while scope:
        if scope in provenance:
            return provenance[scope]
        scope = scope.rpartition(".")[0]
    last = figure.rpartition(".")[2]
    return provenance.get(last) or provenance.get("default") or Provenance("assumed", "given without a source")


def _numbers(spec: Any, prefix: str = "") -> Iterator[tuple[str, float | None]]:
    """The numbers of a specification by dotted name: of an engine `gpu.peaks.fp16`."""
    from dataclasses import fields

    for each in fields(spec):
        value = getattr(spec, each.name)
        if isinstance(value, bool) or each.name == "provenance":
            continue
        if value is None or isinstance(value, (int, float)):
            yield prefix + each.name, value
        elif isinstance(value, Mapping):
            yield from _mapped(value, prefix, each.name)
        elif each.name == "engine":
            yield from _numbers(value, "engine.")


def _mapped(value: Mapping[str, Any], prefix: str, field: str) -> Iterator[tuple[str, float | None]]:
    for name, inner in value.items():
        if isinstance(inner, (int, float)):
            yield f"{prefix}{field}.{name}", inner
        elif inner is not None and hasattr(inner, "__dataclass_fields__"):
            scope = f"{prefix}{field}.{name}." if field == "efficiency" else f"{prefix}{name}."
            yield from _numbers(inner, scope)


UNITS = {
    "bandwidth": "B/s",
    "bandwidth_back": "B/s",
    "read": "B/s",
    "write": "B/s",
    "random_read": "B/s",
    "random_write": "B/s",
    "internal": "B/s",
    "cache_bandwidth": "B/s",
    "capacity": "B",
    "reserved": "B",
    "cache_bytes": "B",
    "mtu": "B",
    "latency": "s",
    "write_latency": "s",
    "per_message": "s",
    "launch_overhead": "s",
    "ramp": "s",
    "wake_s": "s",
    "nic_seconds_per_message": "s",
    "clock_max": "Hz",
    "clock_min": "Hz",
    "joules_per_byte": "J/B",
    "joules_per_cache_byte": "J/B",
}
"""Units of figures by their last name; watts end in `_W`, peaks and joules per operation go by their scope, the rest are ratios."""


def _unit(figure: str) -> str:
    scopes = figure.split(".")
    if scopes[-1].endswith("_W"):
        return "W"
    if "peaks" in scopes:
        return "op/s"
    if "joules_per_flop" in scopes:
        return "J/op"
    return UNITS.get(scopes[-1], "")
