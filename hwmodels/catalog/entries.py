"""Catalogue entries to specifications: what a YAML entry may say, what its family adds, and where each figure comes from.

Amounts are SI numbers or strings with a unit (`hwmodels.units`). Keys that are not listed here are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, cast

from edgewright.hwmodels.efficiency import default_efficiency
from edgewright.hwmodels.energy import with_envelope
from edgewright.hwmodels.modes import PowerMode
from edgewright.hwmodels.specs import Bus, Device, Efficiency, Engine, Link, Pool, Provenance, Spread, Storage
from edgewright.hwmodels.thermal import Thermal
from edgewright.hwmodels.transport import check_transport
from edgewright.hwmodels.uncertainty import check_uncertainty
from edgewright.hwmodels.units import parse
from edgewright.hwmodels.work import KERNELS

__all__ = ["Facts", "build_device", "build_facts", "build_link", "build_storage"]

FAMILY: Mapping[str, Any] = MappingProxyType(
    {
        "source": "",
        "reserved_bytes": 0.0,
        "clock_floor": 0.25,
        "cache_ratio": 0.0,
        "board_W": 0.0,
        "supply_efficiency": 1.0,
        "nic_seconds_per_message": 0.0,
        "voltage_floor": 0.7,
    }
)
"""What a family of devices may state for all its members (an entry may state it for itself), and what holds where it does not."""

_DEVICE_UNITS = {"idle_W": "watt", "tdp_W": "watt", "sleep_W": "watt", "wake_s": "second"}
_DEVICE_KEYS = {
    "title",
    "kind",
    "memory",
    "tiers",
    "engines",
    "storage",
    "host_link",
    "power_modes",
    "assumed",
    "measured",
    "notes",
    "thermal",
    "uncertainty",
    "correlations",
}
_ENGINE_UNITS = {
    "launch_overhead": "second",
    "clock_max": "hertz",
    "clock_min": "hertz",
    "cache_bytes": "byte",
    "cache_bandwidth": "byte/second",
    "static_W": "watt",
    "joules_per_byte": "joule",
    "joules_per_cache_byte": "joule",
    "voltage_floor": "",
}
_ENGINE_KEYS = {"kind", "peaks", "clocks", "efficiency", "memory_ceiling", "compute_ceiling", "ramp", "joules_per_flop", "shared"}
_STORAGE_UNITS = {
    "read": "byte/second",
    "write": "byte/second",
    "random_read": "byte/second",
    "random_write": "byte/second",
    "internal": "byte/second",
    "latency": "second",
    "write_latency": "second",
    "active_W": "watt",
    "write_W": "watt",
    "idle_W": "watt",
    "capacity": "byte",
}
_LINK_UNITS = {
    "bandwidth": "byte/second",
    "bandwidth_back": "byte/second",
    "latency": "second",
    "efficiency": "",
    "mtu": "byte",
    "per_message": "second",
    "jitter": "second",
    "loss": "",
    "window": "byte",
    "joules_per_byte": "joule",
    "idle_W": "watt",
}
_NOMINAL_CLOCK = 1.0e9
_COMMON = {"title", "assumed", "measured", "notes"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the catalogue knows of a device besides its specification.

    Attributes:
        storage: catalogue name of the storage that the board is usually used with, None if it has none of its own.
        host_link: catalogue name of the link to its host, for cards.
        power_modes: named power modes (nvpmodel modes, turbo limits).
        notes: what else to know.
    """

    storage: str | None = None
    host_link: str | None = None
    power_modes: Mapping[str, PowerMode] = field(default_factory=dict)
    notes: str = ""


def build_device(name: str, entry: Mapping[str, Any], family: Mapping[str, Any] | None = None) -> Device:
    """The device of one catalogue entry, with every missing energy figure derived from its power limit (`energy.with_envelope`).

    Args:
        name: catalogue name, used in messages.
        entry: the entry; see the catalogue's docstring for its keys.
        family: what the entry's file states for all its devices.

    Raises:
        ValueError: a missing or unknown key, or an amount that cannot be read; the message names the device and the key.
    """
    _check_keys(name, entry, _DEVICE_KEYS | set(_DEVICE_UNITS) | set(FAMILY), {"title", "kind", "memory", "engines", "idle_W", "tdp_W"})
    common = {**FAMILY, **(family or {}), **entry}
    pools, buses = _memories(name, entry, parse(common["reserved_bytes"], "byte"))
    bus = next(iter(buses.values()))
    _check_table(f"{name}.engines", entry["engines"], "engines by name, the first being where work goes")
    engines = {str(unit): _engine(f"{name}.{unit}", str(unit), figures, bus, common) for unit, figures in entry["engines"].items()}
    shared = {key: float(common[key]) for key in ("board_W", "supply_efficiency", "nic_seconds_per_message")}
    figures: dict[str, Any] = shared | _amounts(name, entry, _DEVICE_UNITS)
    if figures["idle_W"] > figures["tdp_W"]:
        raise ValueError(f"{name}.idle_W: {figures['idle_W']:g} W is above tdp_W; accepted are at most {figures['tdp_W']:g} W")
    provenance = _device_provenance(entry, common)
    figures["uncertainty"] = {str(key): _spread(f"{name}.uncertainty.{key}", value) for key, value in entry.get("uncertainty", {}).items()}
    figures["correlations"] = {
        str(key): _correlations(f"{name}.correlations.{key}", value) for key, value in entry.get("correlations", {}).items()
    }
    if "thermal" in entry:
        figures["thermal"] = _thermal(f"{name}.thermal", entry["thermal"])
    device = Device(name, str(entry["title"]), str(entry["kind"]), engines, buses, pools, provenance=provenance, **figures)
    check_uncertainty(device)
    return with_envelope(device)


def build_facts(entry: Mapping[str, Any]) -> Facts:
    """What a device's entry says besides the specification."""
    modes = {str(mode): _mode(f"power_modes.{mode}", figures) for mode, figures in entry.get("power_modes", {}).items()}
    return Facts(entry.get("storage"), entry.get("host_link"), modes, str(entry.get("notes", "")))


def _mode(where: str, entry: object) -> PowerMode:
    """A mode of watts alone, or a table of watts, clocks and shares of units by engine, and a share of the memory's bandwidth."""
    if not isinstance(entry, Mapping):
        return PowerMode(_amount(where, entry, "watt"))
    _check_keys(where, entry, {"watts", "clocks", "units", "memory"}, {"watts"})
    clocks = {str(engine): _amount(f"{where}.{engine}", clock, "hertz") for engine, clock in entry.get("clocks", {}).items()}
    units = {str(engine): float(share) for engine, share in entry.get("units", {}).items()}
    return PowerMode(_amount(where, entry["watts"], "watt"), clocks, units, float(entry.get("memory", 1.0)))


def build_storage(name: str, entry: Mapping[str, Any], source: str = "") -> Storage:
    """The storage of one catalogue entry, the missing energy figures of its engine derived as those of devices are (its module limit is
    `idle_W + active_W`); raises `ValueError` as `build_device` does."""
    _check_keys(name, entry, _COMMON | {"duplex", "queue_depth", "engine"} | set(_STORAGE_UNITS), {"title", "read", "write", "latency"})
    figures: dict[str, Any] = _amounts(name, entry, _STORAGE_UNITS) | {"duplex": entry.get("duplex", "full")}
    _check_choice(name, entry, "duplex", ("full", "half"))
    if "queue_depth" in entry:
        figures["queue_depth"] = int(entry["queue_depth"])
    if "engine" in entry:
        if "internal" not in figures:
            raise ValueError(f"{name}.engine: an engine reads at the rate `internal`, which is missing")
        common = {**FAMILY, "source": source}
        figures["engine"] = _engine(f"{name}.engine", "engine", entry["engine"], Bus("internal", figures["internal"]), common)
    storage = Storage(name=name, title=str(entry["title"]), provenance=_provenance(entry, source), **figures)
    return storage if storage.engine is None else replace(storage, engine=with_envelope(storage.as_device()).main_engine)


def build_link(name: str, entry: Mapping[str, Any], source: str = "") -> Link:
    """The link of one catalogue entry; raises `ValueError` as `build_device` does."""
    named = {"duplex", "congestion", "connections"}
    _check_keys(name, entry, _COMMON | named | set(_LINK_UNITS), {"title", "bandwidth", "latency"})
    _check_choice(name, entry, "duplex", ("full", "half", "shared"))
    _check_choice(name, entry, "congestion", ("cubic", "reno", "bbr", "none"))
    figures: dict[str, Any] = _amounts(name, entry, _LINK_UNITS) | {key: entry[key] for key in sorted(named & entry.keys())}
    link = Link(name=name, title=str(entry["title"]), provenance=_provenance(entry, source), **figures)
    check_transport(link)
    return link


def _thermal(where: str, entry: Mapping[str, Any]) -> Thermal:
    _check_keys(where, entry, {"resistances", "capacities", "trip", "critical"}, {"resistances", "capacities", "trip"})
    masses = (tuple(map(float, entry["resistances"])), tuple(map(float, entry["capacities"])))
    critical = entry.get("critical")
    return Thermal(*masses, float(entry["trip"]), None if critical is None else float(critical))


def _spread(where: str, value: object) -> Spread:
    """A standard deviation, or three quantiles."""
    try:
        return (
            Spread.of(_positive(value)) if isinstance(value, int | float) else Spread(*sorted(float(each) for each in cast("Any", value)))
        )
    except (TypeError, ValueError):
        accepted = "a standard deviation of log(true / stated), or its 5, 50 and 95 % quantiles"
        raise ValueError(f"{where}: {value!r} is no spread: accepted is {accepted}") from None


def _positive(value: float) -> float:
    if not 0.0 <= value < float("inf"):
        raise ValueError(value)
    return float(value)


def _correlations(where: str, value: object) -> tuple[float, float, float]:
    """Three correlations that can be together."""
    try:
        first, second, third = (float(each) for each in cast("Any", value))
    except (TypeError, ValueError):
        first = second = third = float("nan")
    if not 1.0 + 2.0 * first * second * third - first**2 - second**2 - third**2 >= 0.0 or max(map(abs, (first, second, third))) > 1.0:
        accepted = "correlations of compute with memory, compute with ramp and memory with ramp that can hold together"
        raise ValueError(f"{where}: {value!r} is not accepted: it must be three {accepted}")
    return first, second, third


def _memories(name: str, entry: Mapping[str, Any], reserved: float) -> tuple[dict[str, Pool], dict[str, Bus]]:
    """The main memory first, then the tiers; each hangs on a bus of its own name (`dram` for the pool `ram`)."""
    _check_table(f"{name}.memory", entry["memory"], "`capacity` and `bandwidth`")
    main = {str(entry["memory"].get("pool", "ram")): entry["memory"]}
    pools, buses = {}, {}
    for index, (pool, figures) in enumerate((main | dict(entry.get("tiers", {}))).items()):
        where = f"{name}.{'tiers.' + pool if index else 'memory'}"
        _check_keys(where, figures, {"pool", "capacity", "bandwidth"}, {"capacity", "bandwidth"})
        bus = "dram" if pool == "ram" else pool
        buses[bus] = Bus(bus, _amount(f"{where}.bandwidth", figures["bandwidth"], "byte/second"))
        pools[pool] = Pool(pool, _amount(f"{where}.capacity", figures["capacity"], "byte"), bus, 0.0 if index else reserved)
    return pools, buses


def _engine(where: str, name: str, entry: Mapping[str, Any], bus: Bus, common: Mapping[str, Any]) -> Engine:
    _check_keys(where, entry, _ENGINE_KEYS | set(_ENGINE_UNITS), {"kind", "peaks"})
    figures: dict[str, Any] = {"clock_max": _NOMINAL_CLOCK, "voltage_floor": float(common["voltage_floor"])}
    figures |= _amounts(where, entry, _ENGINE_UNITS)
    figures.setdefault("clock_min", figures["clock_max"] * float(common["clock_floor"]))
    if figures.get("cache_bytes") and common["cache_ratio"]:
        figures.setdefault("cache_bandwidth", bus.bandwidth * float(common["cache_ratio"]))
    return Engine(
        name=name,
        kind=str(entry["kind"]),
        peaks=_numbers(f"{where}.peaks", entry["peaks"], "operations per second by format"),
        bus=bus.name,
        efficiency=_efficiencies(entry),
        clocks=tuple(float(step) for step in entry.get("clocks", ())),
        shared=bool(entry.get("shared", False)),
        joules_per_flop={str(dtype): float(joules) for dtype, joules in entry.get("joules_per_flop", {}).items()},
        **figures,
    )


def _efficiencies(entry: Mapping[str, Any]) -> dict[str, Efficiency]:
    """The defaults of the engine's kind under the entry's ceilings and ramp, if it states any; then what it states per kernel class."""
    found: dict[str, Efficiency] = {}
    if entry.keys() & {"memory_ceiling", "compute_ceiling", "ramp"}:
        for kernel in KERNELS:
            usual = default_efficiency(str(entry["kind"]), kernel)
            compute = min(usual.compute, float(entry.get("compute_ceiling", 1.0)))
            memory = min(usual.memory, float(entry.get("memory_ceiling", 1.0)))
            found[kernel] = Efficiency(compute, memory, float(entry.get("ramp", usual.ramp)))
    return found | {str(kernel): Efficiency(**figures) for kernel, figures in entry.get("efficiency", {}).items()}


def _device_provenance(entry: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Provenance]:
    """What the entry says, and that what the family, the defaults and the envelope fill in is assumed."""
    family = Provenance("assumed", "the same for every device of its family")
    found = {key: family for key in ("reserved_bytes", "board_W", "supply_efficiency", "nic_seconds_per_message") if key not in entry}
    for name, engine in entry["engines"].items():
        found |= {f"{name}.{figure}": Provenance("assumed", why) for figure, why in _derived(engine)}
    return found | _provenance(entry, str(common["source"]))


def _derived(engine: Mapping[str, Any]) -> list[tuple[str, str]]:
    envelope = "derived from tdp_W and idle_W, see hwmodels.energy"
    derived = [(key, envelope) for key in ("static_W", "joules_per_flop", "joules_per_byte", "joules_per_cache_byte") if key not in engine]
    derived += [("efficiency", "usual for its kind of engine, see hwmodels.efficiency")] if "efficiency" not in engine else []
    derived += [("clock_max", "nominal: only fractions of it matter")] if "clock_max" not in engine else []
    derived += [("clock_min", "a usual fraction of clock_max")] if "clock_min" not in engine else []
    derived += [("voltage_floor", "usual for its process")] if "voltage_floor" not in engine else []
    return [*derived, ("cache_bandwidth", "a usual multiple of the bus bandwidth")] if "cache_bandwidth" not in engine else derived


def _provenance(entry: Mapping[str, Any], source: str) -> dict[str, Provenance]:
    found = {"default": Provenance("datasheet", source)} if source else {}
    found |= {str(figure): Provenance("assumed", str(entry.get("notes", "an educated estimate"))) for figure in entry.get("assumed", ())}
    return found | {str(figure): Provenance("measured", str(where)) for figure, where in entry.get("measured", {}).items()}


def _amounts(where: str, entry: Mapping[str, Any], units: Mapping[str, str]) -> dict[str, float]:
    return {key: _amount(f"{where}.{key}", entry[key], unit) for key, unit in units.items() if key in entry}


def _amount(where: str, value: object, unit: str) -> float:
    try:
        return parse(value, unit)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_choice(where: str, entry: Mapping[str, Any], key: str, accepted: tuple[str, ...]) -> None:
    if entry.get(key, accepted[0]) not in accepted:
        raise ValueError(f"{where}.{key}: {entry[key]!r} is not accepted: it must be {', '.join(accepted[:-1])} or {accepted[-1]}")


def _check_table(where: str, entry: object, holds: str) -> None:
    if not isinstance(entry, Mapping) or not entry:
        raise ValueError(f"{where}: {entry!r} is no table; accepted is a table of {holds}")


def _numbers(where: str, entry: object, holds: str) -> dict[str, float]:
    """A table of positive numbers by name."""
    _check_table(where, entry, holds)
    found = {}
    for name, value in cast("Mapping[str, Any]", entry).items():
        try:
            found[str(name)] = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{where}.{name}: {value!r} is no number; accepted are {holds}") from None
    return found


def _check_keys(where: str, entry: Mapping[str, Any], accepted: set[str], required: set[str]) -> None:
    _check_table(where, entry, f"figures: {', '.join(sorted(required))} at least")
    unknown, missing = sorted(set(entry) - accepted), sorted(required - set(entry))
    if unknown:
        near = get_close_matches(str(unknown[0]), accepted, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{where}: unknown key {', '.join(map(str, unknown))}; accepted are {', '.join(sorted(accepted))}{hint}")
    if missing:
        raise ValueError(f"{where}: missing {', '.join(missing)}; accepted is a value for each")
