"""Who held memory, by name: the peaks of each kind of allocation in every tier, and of each pool as a whole.

A tier is a pool of a device (RAM, a card's own memory, scratchpad), the memory of a card's host, or a storage. What replicas keep there is
named `replica kind`: weights (or `page cache`, where they are mapped from a file), activations, KV, recurrent state, workspace, swapped KV;
what plans take by `Alloc` has the name of the replica whose plan it is, and `plans`.

How wrong: activations and workspaces count at their peak all the time; the recurrent state of models that keep a cache besides is not
counted (`assemble_memory` sets none aside for it).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.simulator.assemble_memory import activation_bytes, kv_bytes_per_token, state_bytes, weight_bytes
from edgewright.simulator.tables import empty

if TYPE_CHECKING:
    from edgewright.simulator.replica import Replica
    from edgewright.simulator.simulation import Simulation

__all__ = ["memory_rows"]

NAN = float("nan")


class _Tier(NamedTuple):
    capacity: float
    held: list[tuple[str, float]]
    total: float


def memory_rows(simulation: Simulation) -> dict[str, list[Any]]:
    """The table `memory`."""
    table = empty("memory")
    for scope, tier in _tiers(simulation).items():
        for allocation, peak in [*tier.held, ("total", tier.total)] if tier.held else []:
            for column, cell in zip(table.values(), (scope, allocation, tier.capacity, peak), strict=True):
                column.append(cell)
    return table


def _tiers(simulation: Simulation) -> dict[str, _Tier]:
    found: dict[str, _Tier] = {}
    machine, swapped = simulation.machine, _swapped(simulation)
    for device, spec in machine.cluster.devices.items():
        for pool in spec.pools.values():
            scope, main = f"{device}.{pool.name}", pool is spec.main_pool
            taken = machine.pools[scope]
            here = swapped.pop(scope, [])
            held = [*(_held(simulation, device) if main else []), *here]
            held += [(f"{owner} plans".strip(), peak) for owner, peak in taken.peaks.items()]
            total = taken.peak + sum(peak for _, peak in here) + (_peak_together(simulation, device) if main else 0.0)
            found[scope] = _Tier(pool.capacity - pool.reserved, held, total)
    storages = {f"{each.device}.{each.name}": each.storage.capacity for each in machine.cluster.attachments}
    for scope, held in swapped.items():
        found[scope] = _Tier(storages.get(scope) or NAN, held, sum(peak for _, peak in held))
    return found


def _swapped(simulation: Simulation) -> dict[str, list[tuple[str, float]]]:
    """Peaks of swapped KV by tier; those of several replicas are added as if they were at once."""
    found: dict[str, list[tuple[str, float]]] = {}
    cluster = simulation.machine.cluster
    for replica in simulation.replicas.values():
        if (swap := replica.swap) is None or not swap.peak:
            continue
        for device, each in swap.block_bytes.items():
            if swap.tier != "host":
                attachment = cluster.storage_of(device, swap.tier)
                scope = f"{attachment.device}.{attachment.name}"
            elif device in cluster.hosts:
                host = cluster.hosts[device]
                scope = f"{host}.{cluster.devices[host].main_pool.name}"
            else:
                scope = f"{device}.host"
            found.setdefault(scope, []).append((f"{replica.name} swapped KV", swap.peak * each))
    return found


def _replicas_on(simulation: Simulation, device: str) -> list[Replica]:
    """The replicas that ever held anything there."""
    return [each for each in simulation.replicas.values() if device in each.placement.parts and _residence(each)]


def _residence(replica: Replica) -> list[tuple[float, bool]]:
    """Since when the replica's weights take memory, and since when not; of several changes at one moment the last. Empty: never."""
    found = list(dict(replica.life.residence).items())
    return found if any(resident for _, resident in found) else []


def _held(simulation: Simulation, device: str) -> Iterator[tuple[str, float]]:
    most = _most_running(simulation)
    for replica in _replicas_on(simulation, device):
        yield from ((f"{replica.name} {kind}", peak) for kind, peak in _constants(replica, device, most.get(replica.name, 0)))
        if replica.kv is not None:
            yield f"{replica.name} KV", replica.kv.peak * _block_bytes(replica, device)


def _constants(replica: Replica, device: str, most: int) -> Iterator[tuple[str, float]]:
    """What a replica holds for as long as its weights are in memory, by kind; `most`: the most jobs in its batches at once."""
    yield replica.placement.resident_as, weight_bytes(replica.setup)[device]
    if activations := activation_bytes(replica.setup):
        yield "activations", activations
    if replica.capacity.sequences is not None and (state := state_bytes(replica.setup)[device]):
        yield "state", most * state
    if replica.preset.workspace:
        yield "workspace", replica.preset.workspace


def _most_running(simulation: Simulation) -> dict[str, int]:
    """The most jobs that each replica had in its batches at once."""
    most: dict[str, int] = {}
    rows = simulation.recorder.rows["queue"]
    for name, running in zip(rows["replica"], rows["running"], strict=True):
        most[name] = max(most.get(name, 0), running)
    return most


def _block_bytes(replica: Replica, device: str) -> float:
    return replica.preset.block_size * kv_bytes_per_token(replica.setup)[device]


def _peak_together(simulation: Simulation, device: str) -> float:
    """The most that the replicas on a device held at one moment: what is constant while their weights are there, and KV blocks."""
    there, most = _replicas_on(simulation, device), _most_running(simulation)
    constant = {each.name: sum(peak for _, peak in _constants(each, device, most.get(each.name, 0))) for each in there}
    sizes = {replica.name: _block_bytes(replica, device) for replica in there if replica.kv is not None}
    changes = [(time, each.name, constant[each.name] * resident) for each in there for time, resident in _residence(each)]
    rows = simulation.recorder.rows["kv"]
    blocks = zip(rows["time_s"], rows["replica"], rows["blocks"], strict=True)
    changes += [(time, f"{name} KV", count * sizes[name]) for time, name, count in blocks if name in sizes]
    changes.sort(key=itemgetter(0))
    now: dict[str, float] = {}
    highest = 0.0
    for (time, name, held), (later, _, _) in pairwise([*changes, (float("inf"), "", 0.0)]):
        now[name] = held
        if name.endswith(" KV") or later > time:
            highest = max(highest, sum(now.values()))
    return highest
