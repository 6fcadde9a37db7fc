"""The first blocks stay, the others are read on demand: what a cyclic order asks for in place of LRU.

Under a cyclic order the optimal policy keeps a fixed set of blocks (Belady, IBM Systems Journal 5(2), 1966: evict what is used farthest
in the future, here the block just used). llama.cpp with `--mlock` on some layers, or FlexGen's weight percentages (Sheng et al., ICML
2023), are of this kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Op
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import block_bytes, held_bytes, overfull, weight_budget
from edgewright.policies.residency.lru import loaded
from edgewright.policies.residency.rewrite import plan_of, rewrite_parts
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Part

__all__ = ["Pinned", "pinned_prefix"]


@register("residency", "pinned")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """On devices whose weights exceed their budget the first blocks that fit stay in memory, beside room for the largest of the others.

    Every other block is read from storage before it is computed, without overlap.

    Attributes:
        storage: name of the storage that is read; None: each device's first.

    How wrong it can be: as `lru`; the set kept is the longest prefix, up to one block from the most bytes that could be kept.
    """

    storage: str | None = None

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The plan with a `Load` before each block that does not stay; raises `ValueError` where `plan_of` does, or where no block fits."""
        plan = plan_of(placement, "pinned")
        full = overfull(placement.parts, replica)
        kept = {device: _kept(placement.parts[device], replica, device) for device in full}

        def on_demand(compute: Compute, part: Part) -> list[Op]:
            if compute.device not in full:
                return [compute]
            pinned = kept[compute.device][0]
            sizes = block_bytes(part)
            return [op for block, nbytes in sizes for op in loaded(compute, block, 0.0 if block in pinned else nbytes, self.storage)]

        resident = {device: kept[device][1] if device in full else held_bytes(parts) for device, parts in placement.parts.items()}
        return replace(placement, program=rewrite_parts(plan, on_demand), resident=resident, reads=full)


def pinned_prefix(sizes: Sequence[float], budget: float) -> int:
    """The longest prefix of blocks that fits the budget together with any one of the others; raises `ValueError` if not even one fits."""
    if max(sizes) > budget:
        raise ValueError(f"a block of {max(sizes):.6g} bytes does not fit the {budget:.6g} bytes there are for weights")
    for count in range(len(sizes), 0, -1):
        if sum(sizes[:count]) + max(sizes[count:], default=0.0) <= budget:
            return count
    return 0


def _kept(parts: Sequence[Part], replica: ReplicaSpec, device: str) -> tuple[frozenset[Part], float]:
    """The blocks that stay on a device, and the bytes taken: theirs, and room for the largest other."""
    blocks = [sized for part in parts for sized in block_bytes(part)]
    sizes = [nbytes for _, nbytes in blocks]
    try:
        count = pinned_prefix(sizes, weight_budget(replica, device))
    except ValueError as error:
        raise ValueError(f"{replica.name}, {device}: {error}") from None
    return frozenset(block for block, _ in blocks[:count]), sum(sizes[:count]) + max(sizes[count:], default=0.0)
