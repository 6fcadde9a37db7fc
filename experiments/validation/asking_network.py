"""Rows of collectives among GPUs: priced by `hwmodels.collective_library` at the costs that were learned for the system (`collectives.py`).

A device of another generation has its own links: a Hopper's are NVLink 4, of which NCCL takes 18 at 20 GB/s.
"""

from __future__ import annotations

from dataclasses import replace

from edgewright.experiments.validation.asking import Ask, Unpredictable, device_of
from edgewright.experiments.validation.collectives import Measured, fabric_of, measured_call
from edgewright.experiments.validation.rows import Row
from edgewright.hwmodels import catalog
from edgewright.hwmodels.collective_library import Fabric, cost_terms, library_seconds
from edgewright.hwmodels.software import architecture_of, collective_costs

__all__ = ["ask_network"]


def ask_network(row: Row) -> Ask:
    """What a row of a collective asks; raises `Unpredictable`."""
    device = device_of(row)
    if row.text("unit") != "ms":
        raise Unpredictable(f"unit {row.text('unit')!r} of a collective is not known")
    try:
        call = measured_call(row.cells)
        costs = collective_costs(call.system)
        terms = cost_terms(
            call.kind, call.ranks, call.per_node, call.nbytes, _fabric(call, architecture_of(device, device.main_engine.name))
        )
    except (ValueError, KeyError) as error:
        raise Unpredictable(f"the call is not known: {error}") from None
    if costs is None or terms.keys() - costs.figures.keys():
        raise Unpredictable(f"the costs of {call.kind} on system {call.system!r} are not known")
    value = library_seconds(terms, costs.figures) * 1e3
    return Ask(device, device.main_engine.name, "nccl", reading="constant", factor=value, spread=costs.spread, model=call.kind)


def _fabric(call: Measured, architecture: str) -> Fabric:
    found = fabric_of(call)
    if architecture != "hopper" or found.kind != "nvlink":
        return found
    return replace(found, inside=catalog.link("nvlink4").bandwidth, tuned=360e9)
