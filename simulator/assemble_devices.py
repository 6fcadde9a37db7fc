"""From the tables of a scenario to specifications: the catalogue's, with the scenario's own figures and their provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Device, Link, Provenance, Storage
from edgewright.hwmodels.modes import with_mode
from edgewright.hwmodels.thermal import Thermal
from edgewright.simulator.errors import spoken

if TYPE_CHECKING:
    from edgewright.simulator.schema_cluster import DeviceGroup, LinkGroup, StorageTable

__all__ = ["STORAGE_FIGURES", "device_names", "device_of", "devices_of", "link_of", "storage_of"]

STORAGE_FIGURES = ("read", "write", "random_read", "random_write", "latency", "write_latency", "queue_depth", "duplex", "capacity")
"""Keys of a storage in a scenario that are figures of `Storage` by the same name."""

_WATTS = {"active": "active_W", "active_write": "write_W", "idle": "idle_W"}
_SCENARIO = Provenance("assumed", "set in the scenario")


def device_names(files: tuple[Path, ...] = ()) -> frozenset[str]:
    """Names of the catalogue's devices and companions, and of the devices in the files."""
    from edgewright.hwmodels import catalog

    return frozenset((*catalog.devices(), *catalog.companions())).union(*(devices_of(path) for path in files))


def device_of(group: DeviceGroup, files: tuple[Path, ...] = ()) -> Device:
    """The specification of a group's instances."""
    from edgewright.hwmodels import catalog

    own: dict[str, Device] = {}
    for path in files:
        own.update(devices_of(path))
    device = own[group.device] if group.device in own else catalog.device(group.device)
    if group.mode is not None:
        device = with_mode(device, group.mode, catalog.facts(group.device).power_modes[group.mode])
    return _with_software(_with_power(_with_memory(device, group), group), group.software)


def _with_software(device: Device, family: str | None) -> Device:
    """The device with every engine tuned to a family of software."""
    from edgewright.hwmodels.software import software

    if family is None:
        return device
    measured = Provenance("measured", f"published measurements of {family}, see hwmodels/software.py")
    figures = {f"{engine}.{figure}": measured for engine in device.engines for figure in ("efficiency", "launch_overhead")}
    for engine in device.engines:
        device = software(device, engine, family).device
    return replace(device, provenance={**device.provenance, **figures})


def link_of(group: LinkGroup) -> Link:
    """The specification of a link's connections; a medium makes it shared."""
    from edgewright.hwmodels import catalog

    figures = _given(
        group, tuple(figure.name for figure in fields(Link) if figure.name in type(group).model_fields and figure.name != "name")
    )
    if group.medium is not None:
        figures["duplex"] = "shared"
    if group.link is None:
        return Link(name=group.name, title=group.name, provenance={"default": _SCENARIO}, **figures)
    link = catalog.link(group.link)
    return replace(link, **figures, provenance=_marked(link.provenance, figures))


def storage_of(name: str, table: StorageTable) -> Storage:
    """The specification of a storage."""
    from edgewright.hwmodels import catalog

    figures = _given(table, STORAGE_FIGURES) | {key: value for name, key in _WATTS.items() if (value := getattr(table, name)) is not None}
    if table.storage is None:
        return Storage(name=name, title=name, provenance={"default": _SCENARIO}, **figures)
    storage = catalog.storage(table.storage)
    return replace(storage, **figures, provenance=_marked(storage.provenance, figures))


def _given(table: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(table, name)) is not None}


def _marked(provenance: Mapping[str, Provenance], figures: Mapping[str, object]) -> dict[str, Provenance]:
    return {**provenance, **dict.fromkeys(figures, _SCENARIO)}


def _with_memory(device: Device, group: DeviceGroup) -> Device:
    pool = device.main_pool
    changed = dict(device.provenance)
    pools, buses = dict(device.pools), dict(device.buses)
    if group.memory is not None:
        if group.memory <= pool.reserved:
            problem = f"is {group.memory:g} bytes, of which the system keeps {pool.reserved / 1e9:g} GB"
            raise ValueError(f"memory: {problem}; accepted are sizes above that, as `8 GiB`")
        pools[pool.name] = replace(pool, capacity=group.memory)
        changed[f"{pool.name}.capacity"] = _SCENARIO
    if group.bandwidth is not None:
        buses[pool.bus] = replace(buses[pool.bus], bandwidth=group.bandwidth)
        changed[f"{pool.bus}.bandwidth"] = _SCENARIO
    return replace(device, pools=pools, buses=buses, provenance=changed)


def _with_power(device: Device, group: DeviceGroup) -> Device:
    names = {"idle": "idle_W", "sleep": "sleep_W", "wake": "wake_s", "board": "board_W", "supply_efficiency": "supply_efficiency"}
    figures = {names[key]: value for key, value in _given(group, tuple(names)).items()}
    return _with_heat(replace(device, **figures, provenance=_marked(device.provenance, figures)), group)


def _with_heat(device: Device, group: DeviceGroup) -> Device:
    """Its thermal masses as the scenario has them; raises `ValueError` if neither it nor the catalogue says all of them."""
    if group.heat is None:
        return device
    figures = _given(group.heat, ("resistances", "capacities", "trip", "critical"))
    if device.thermal is not None:
        return replace(device, thermal=replace(device.thermal, **figures), provenance=_marked(device.provenance, figures))
    if missing := [key for key in ("resistances", "capacities", "trip") if key not in figures]:
        raise ValueError(f"{missing[0]}: is not known of {device.name}; accepted are figures in the scenario")
    return replace(device, thermal=Thermal(**figures), provenance=_marked(device.provenance, {f"thermal.{key}": 0 for key in figures}))


def devices_of(path: Path) -> Mapping[str, Device]:
    """The devices of a file in the catalogue's form; raises `ScenarioError`."""
    from edgewright.hwmodels import catalog
    from edgewright.simulator.loader import read_table

    document = read_table(path, "a table `devices`")
    entries = document.data.get("devices")
    if not isinstance(entries, dict) or not entries:
        raise document.origin.error(("devices",), "is missing or empty", "a table of devices, each in the form of the catalogue's entries")
    built = {}
    for name, entry in entries.items():
        try:
            built[name] = catalog.build_device(name, entry, document.data.get("family"))
        except (ValueError, TypeError, AttributeError) as error:
            raise document.origin.error(("devices", name), *spoken(str(error))) from None
    return built
