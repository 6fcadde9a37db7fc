"""What if: a scenario with some values changed, and a scenario with every value spelled out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgewright.simulator.errors import Origin, ScenarioError, choices

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario

__all__ = ["explicit", "overridden", "relative"]

_NAMED = (("services",), ("workloads",), ("power",), ("faults",), ("cluster", "devices"))
"""Tables whose keys are names that the scenario gives: a key that goes on beyond a name which is not there is a misspelt one."""

_RELATIVE = re.compile(r"^(?P<sign>[x+-])\s*(?P<amount>[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?)$")


def overridden(scenario: Scenario, changes: Mapping[str, object]) -> Scenario:
    """See `Scenario.override`."""
    tables = scenario.tables()
    origin = replace(scenario.origin, places={})
    for key, value in changes.items():
        new = _changed(scenario, key, value, origin) if isinstance(value, str) and relative(value) else value
        _set(tables, key, new, origin)
    return type(scenario).of(tables, origin)


def relative(text: str) -> bool:
    """Whether a text changes the number that stands at a key (`x0.5`, `+1`, `-1`) rather than replacing it."""
    return _RELATIVE.match(text) is not None


def explicit(scenario: Scenario) -> dict[str, Any]:
    """See `Scenario.resolved`."""
    from edgewright.simulator.assemble_devices import STORAGE_FIGURES, device_of, link_of, storage_of

    tables: dict[str, Any] = scenario.model_dump(mode="json")
    cluster = scenario.cluster
    for table, link in zip(tables["cluster"]["links"], cluster.links, strict=True):
        spec = link_of(link)
        _fill(
            table,
            {
                name: getattr(spec, name)
                for name in ("bandwidth", "bandwidth_back", "latency", "duplex", "efficiency", "per_message", "mtu")
            },
        )
    for name, group in cluster.devices.items():
        device, table = device_of(group, cluster.device_files), tables["cluster"]["devices"][name]
        pool = device.main_pool
        _fill(table, {"memory": pool.capacity, "bandwidth": device.buses[pool.bus].bandwidth, "idle": device.idle_W})
        if device.thermal is not None and group.heat is not None:
            masses = {"resistances": list(device.thermal.resistances), "capacities": list(device.thermal.capacities)}
            _fill(table["heat"], {**masses, "trip": device.thermal.trip, "critical": device.thermal.critical})
        _fill(table, {"board": device.board_W, "supply_efficiency": device.supply_efficiency})
        for store, entry in group.storage.items():
            figures = storage_of(store, entry)
            watts = {"active": figures.active_W, "active_write": figures.write_W, "idle": figures.idle_W}
            _fill(table["storage"][store], {**{key: getattr(figures, key) for key in STORAGE_FIGURES}, **watts})
    return tables


def _fill(table: dict[str, Any], figures: Mapping[str, object]) -> None:
    table.update({name: value for name, value in figures.items() if table.get(name) is None})


def _changed(scenario: Scenario, key: str, change: str, origin: Origin) -> float | int:
    """The number that `x0.5` or `+1` makes of the one that stands at `key`."""
    table, name = _find(scenario.resolved(), key, origin)
    current = table.get(name) if isinstance(table, dict) else table[name]
    if isinstance(current, bool) or not isinstance(current, int | float):
        raise origin.error((key,), f"is no number, so that {change!r} means nothing", "a new value in full", current)
    match = _RELATIVE.match(change)
    assert match is not None
    amount = float(match["amount"])
    result = current * amount if match["sign"] == "x" else current + (amount if match["sign"] == "+" else -amount)
    return int(result) if isinstance(current, int) and result == int(result) else result


def _set(tables: dict[str, Any], key: str, value: object, origin: Origin) -> None:
    table, name = _find(tables, key, origin, create=True)
    if value is not None:
        table[name] = value
    elif isinstance(table, list):
        del table[name]
    else:
        table.pop(name, None)


def _find(tables: dict[str, Any], key: str, origin: Origin, *, create: bool = False) -> tuple[Any, Any]:
    """The table or list that holds the last part of a dotted key, and that part as its name or position."""
    table: Any = tables
    *path, last = key.split(".")
    for index, part in enumerate(path):
        if create and isinstance(table, dict) and part not in table and tuple(path[:index]) not in _NAMED:
            table[part] = {}
        table = table[_part(table, part, key, origin)]
        if not isinstance(table, dict | list):
            raise origin.error((key,), f"leads beyond {part!r}, which is a plain value", f"a key that ends in {part!r}", table)
    return (table, last) if isinstance(table, dict) else (table, _part(table, last, key, origin))


def _part(table: Any, part: str, key: str, origin: Origin) -> Any:
    if isinstance(table, dict):
        if part in table:
            return part
        raise _nowhere(part, list(table), key, origin)
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in table]
    if part in names:
        return names.index(part)
    if part.isdigit() and int(part) < len(table):
        return int(part)
    raise _nowhere(part, [name for name in names if name] or [str(index) for index in range(len(table))], key, origin)


def _nowhere(part: str, valid: list[str], key: str, origin: Origin) -> ScenarioError:
    return origin.error((key,), "leads nowhere", choices(part, valid), part)
