"""How many bytes of weights a device may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Part

__all__ = ["block_bytes", "held_bytes", "overfull", "weight_budget"]


def weight_budget(replica: ReplicaSpec, device: str) -> float:
    """The replica's weight budget on the device; without one, what its first pool has besides its reserve."""
    if replica.weight_budget is not None and device in replica.weight_budget:
        return replica.weight_budget[device]
    pool = replica.cluster.devices[device].main_pool
    return pool.capacity - pool.reserved


def held_bytes(parts: Sequence[Part]) -> float:
    """Bytes of the weights of all these parts."""
    return float(sum(part.weight_bytes for part in parts))


def block_bytes(part: Part) -> tuple[tuple[Part, float], ...]:
    """The blocks of a part with the bytes that each adds; together they are the part's.

    A head tied to the embedding table counts where the head is: in a cyclic order the table has just been read when the lookup comes.
    """
    blocks = part.split()
    sizes = [block.weight_bytes for block in blocks]
    shared = sum(sizes) - part.weight_bytes
    if shared >= 1.0:
        sizes[0] -= shared
    return tuple(zip(blocks, sizes, strict=True))


def overfull(parts: Mapping[str, Sequence[Part]], replica: ReplicaSpec) -> tuple[str, ...]:
    """The devices whose parts exceed their weight budget, in the placement's order."""
    return tuple(device for device, held in parts.items() if held_bytes(held) > weight_budget(replica, device))
