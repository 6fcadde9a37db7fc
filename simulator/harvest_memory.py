"""Who held memory, by name: the peaks of each kind of allocation in every tier, and of each pool as a whole.

A tier is a pool of a device (RAM, a card's own memory, scratchpad), the memory of a card's host, or a storage. What replicas keep there is
named `replica kind`: weights (or `page cache`, where they are mapped from a file), activations, KV, recurrent state, workspace, swapped KV;
what plans take by `Alloc` has the name of the replica whose plan it is, and `plans`.

How wrong: activations and workspaces count at their peak all the time; the recurrent state of models that keep a cache besides is not
counted (`assemble_memory` sets none aside for it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.assemble_memory import activation_bytes, kv_bytes_per_token, state_bytes, weight_bytes
from edgewright.simulator.intervals import Floats
from edgewright.simulator.tables import Columns, empty, rows_by

if TYPE_CHECKING:
    from edgewright.simulator.replica import Replica
    from edgewright.simulator.simulation import Simulation

__all__ = ["memory_rows"]

NAN = float("nan")


class _Tier(NamedTuple):
    capacity: float
    held: list[tuple[str, float]]
    total: float


class _Held:
    """Who holds what on which device.

    Attributes:
        replicas: by device, those that ever held anything there.
        most: the most jobs that each replica had in its batches at once.
        changes: by replica, times at which its KV blocks became another number, and these numbers.
    """

    def __init__(self, simulation: Simulation, kv: Columns) -> None:
        self.most = simulation.recorder.most_running
        self.replicas: dict[str, list[Replica]] = {}
        for replica in simulation.replicas.values():
            for device in replica.placement.parts if _residence(replica) else ():
                self.replicas.setdefault(device, []).append(replica)
        shared = {each.name for there in self.replicas.values() if _several(there) for each in there}
        self.changes: dict[str, tuple[Floats, Floats]] = {}
        if shared:
            times, blocks = kv["time_s"], kv["blocks"].astype(np.float64)
            self.changes = {name: (times[rows], blocks[rows]) for name, rows in rows_by(kv["replica"]).items() if name in shared}

    def on(self, device: str) -> list[Replica]:
        """The replicas that ever held anything there."""
        return self.replicas.get(device, [])


def memory_rows(simulation: Simulation, kv: Columns) -> dict[str, list[Any]]:
    """The table `memory`; `kv` is the table of that name."""
    table = empty("memory")
    for scope, tier in _tiers(simulation, _Held(simulation, kv)).items():
        for allocation, peak in [*tier.held, ("total", tier.total)] if tier.held else []:
            for column, cell in zip(table.values(), (scope, allocation, tier.capacity, peak), strict=True):
                column.append(cell)
    return table


def _tiers(simulation: Simulation, there: _Held) -> dict[str, _Tier]:
    found: dict[str, _Tier] = {}
    machine, swapped = simulation.machine, _swapped(simulation)
    for device, spec in machine.cluster.devices.items():
        for pool in spec.pools.values():
            scope, main = f"{device}.{pool.name}", pool is spec.main_pool
            taken = machine.pools[scope]
            here = swapped.pop(scope, [])
            held = [*(_held(there, device) if main else []), *here]
            held += [(f"{owner} plans".strip(), peak) for owner, peak in taken.peaks.items()]
            total = taken.peak + sum(peak for _, peak in here) + (_peak_together(there, device) if main else 0.0)
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


def _residence(replica: Replica) -> list[tuple[float, bool]]:
    """Since when the replica's weights take memory, and since when not; of several changes at one moment the last. Empty: never."""
    found = list(dict(replica.life.residence).items())
    return found if any(resident for _, resident in found) else []


def _several(replicas: Sequence[Replica]) -> bool:
    """Whether what they hold must be put together in order of time: several of them, or one that comes and goes."""
    return len(replicas) > 1 or any(len(_residence(each)) > 1 for each in replicas)


def _held(there: _Held, device: str) -> Iterator[tuple[str, float]]:
    for replica in there.on(device):
        yield from ((f"{replica.name} {kind}", peak) for kind, peak in _constants(replica, device, there.most.get(replica.name, 0)))
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


def _block_bytes(replica: Replica, device: str) -> float:
    return replica.preset.block_size * kv_bytes_per_token(replica.setup)[device]


def _peak_together(there: _Held, device: str) -> float:
    """The most that the replicas on a device held at one moment: what is constant while their weights are there, and KV blocks."""
    replicas = there.on(device)
    constant = {each.name: sum(peak for _, peak in _constants(each, device, there.most.get(each.name, 0))) for each in replicas}
    if not _several(replicas):
        return sum(constant[each.name] + (each.kv.peak * _block_bytes(each, device) if each.kv is not None else 0.0) for each in replicas)
    times, rises, blocks = [np.empty(0)], [np.empty(0)], [np.empty(0, np.bool_)]
    for each in replicas:
        residence = _residence(each)
        changes = [(np.array([time for time, _ in residence]), np.array([constant[each.name] * here for _, here in residence]), False)]
        if each.kv is not None and each.name in there.changes:
            when, count = there.changes[each.name]
            changes.append((when, count * _block_bytes(each, device), True))
        for when, held, of_blocks in changes:
            times.append(when)
            rises.append(np.diff(held, prepend=0.0))
            blocks.append(np.full(len(when), of_blocks))
    return _highest(np.concatenate(times), np.concatenate(rises), np.concatenate(blocks))


def _highest(times: Floats, rises: Floats, counts: NDArray[np.bool_]) -> float:
    """The highest level that rises lead to: after each of those that count, and after the last of any moment."""
    order = np.argsort(times, kind="stable")
    level, ordered = np.cumsum(rises[order]), times[order]
    seen = counts[order] | (np.append(ordered[1:], np.inf) > ordered)
    return float(np.max(level[seen], initial=0.0))
