"""From a simulation to its result: tables and what must be said about the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.simulator.assemble_memory import kv_bytes_per_token
from edgewright.simulator.harvest_memory import memory_rows
from edgewright.simulator.meter import amounts
from edgewright.simulator.provenance import provenance_of, topology_of, versions
from edgewright.simulator.result import Result
from edgewright.simulator.tables import empty

if TYPE_CHECKING:
    from edgewright.simulator.simulation import Simulation

__all__ = ["harvest"]


def harvest(simulation: Simulation) -> Result:
    """The result of what has been simulated so far."""
    if simulation.express is not None:
        simulation.express.publish()
    tables: dict[str, Mapping[str, Any]] = dict(simulation.recorder.tables(simulation.now))
    tables["energy"] = _energy(simulation)
    tables["resources"] = _resources(simulation)
    tables["memory"] = memory_rows(simulation, tables["kv"])
    tables["replicas"] = _replicas(simulation)
    tables["availability"] = _availability(simulation)
    return Result(_meta(simulation), tables)


def _meta(simulation: Simulation) -> dict[str, Any]:
    scenario = simulation.scenario
    slo = {
        key: value for key, value in (("ttft_s", scenario.slo.ttft), ("tpot_s", scenario.slo.tpot), ("e2e_s", scenario.slo.e2e)) if value
    }
    return {
        "name": scenario.name,
        "seed": scenario.seed,
        "scenario": scenario.resolved(),
        "given": scenario.tables(),
        "versions": versions(),
        "window": (simulation.window[0], simulation.window[1]),
        "end_s": simulation.now,
        "slo": {name: slo for name, service in simulation.services.items() if slo and service.generates},
        "thin": {name: table.thin for name, table in scenario.workloads.items() if table.thin < 1.0},
        "overload": scenario.overload,
        "clairvoyant": [],
        "topology": topology_of(simulation.machine.cluster, scenario),
        "provenance": provenance_of(simulation.machine.cluster),
        "notes": _notes(simulation),
    }


def _notes(simulation: Simulation) -> list[str]:
    most = simulation.scenario.record.operations
    notes = []
    if len(simulation.recorder.rows["operations"]["name"]) == most and most:
        notes.append(f"table operations holds the first {most} interpreted operations of the window only")
    return notes


def _energy(simulation: Simulation) -> dict[str, list[Any]]:
    table = empty("energy")
    for name, domain in simulation.domains.items():
        for owner, part, joules in domain.energy_rows():
            for column, cell in zip(table.values(), (name, owner, part, joules), strict=True):
                column.append(cell)
    return table


def _resources(simulation: Simulation) -> dict[str, list[Any]]:
    machine, table = simulation.machine, empty("resources")
    length = max(simulation.now, 1e-12)
    buses = {f"{name}.{bus}" for name, device in machine.cluster.devices.items() for bus in device.buses}
    stores = {f"{a.device}.{a.name}" for a in machine.cluster.attachments}
    for name, amount, capacity in amounts(machine):
        engine = machine.engines.get(name)
        kind = "engine" if engine else "bus" if name in buses else "storage" if name.rsplit(".", 1)[0] in stores else "link"
        busy = engine.busy_s if engine else machine.resources[name].busy_s
        row = (name, kind, capacity, amount, busy, amount / (capacity * length))
        for column, cell in zip(table.values(), row, strict=True):
            column.append(cell)
    return table


def _availability(simulation: Simulation) -> dict[str, list[Any]]:
    table = empty("availability")
    for (what, name), record in simulation.recorder.uptimes.records.items():
        row = (what, name, record.fraction(simulation.now), record.outages, record.repair_s)
        for column, cell in zip(table.values(), row, strict=True):
            column.append(cell)
    return table


def _replicas(simulation: Simulation) -> dict[str, list[Any]]:
    table = empty("replicas")
    for replica in simulation.replicas.values():
        capacity = replica.capacity
        row = (
            replica.name,
            replica.service,
            " ".join(replica.devices),
            float("nan") if capacity.tokens is None else float(capacity.tokens),
            float("nan") if capacity.tokens is None else capacity.tokens * sum(kv_bytes_per_token(replica.setup).values()),
            capacity.derivation,
            simulation.recorder.preemptions.get(replica.name, 0),
            replica.kv.evictions if replica.kv is not None else 0,
            replica.prompt_tokens,
            replica.hit_tokens,
            replica.swap.out_bytes if replica.swap is not None else 0.0,
            replica.swap.in_bytes if replica.swap is not None else 0.0,
            replica.experts.hits if replica.experts is not None else 0,
            replica.experts.misses if replica.experts is not None else 0,
        )
        for column, cell in zip(table.values(), row, strict=True):
            column.append(cell)
    return table
