"""Weights as private memory that does not fit: the operating system swaps, and what a fault brings in pushes something else out.

An engine that reads its weights into memory of its own (PyTorch's `from_pretrained`) instead of mapping the file has pages without a copy
on disk. Inference passes through them in a cycle, so the same closed forms hold as for mapped files (`page_cache`): under LRU a cycle that
is too large misses every page. But a page that goes must be written before its place is free, unless the copy of its last stay in swap is
kept. Linux keeps clean copies while swap is less than half full (mm/swapfile.c, `vm_swap_full`); macOS frees a segment's copy as it reads
it back and compresses and writes it again (XNU, vm_compressor).

    a pass over N bytes in memory for C < N, LRU:  N read;  N written as well where copies are not kept
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.hwmodels.storage_access import PAGE
from edgewright.hwmodels.units import Bytes
from edgewright.policies.base import at_least
from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Op, Store
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import block_bytes, held_bytes, overfull, weight_budget
from edgewright.policies.residency.lru import loaded
from edgewright.policies.residency.page_cache import Replacement, cyclic_hits
from edgewright.policies.residency.rewrite import plan_of, rewrite_parts
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Part

__all__ = ["Swap"]


@register("residency", "swap")
@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """On devices whose weights exceed their budget each block's missing pages are read from swap before it is computed.

    Attributes:
        write_back: whether what they push out is written first, as where swap keeps no clean copies.
        replacement: which page goes: `lru`, which keeps nothing of a cycle that is too large, or `random`, which keeps a part.
        cluster: bytes that a fault reads, and that reclaim writes, at once (Linux: 8 pages by `vm.page-cluster`; macOS: segments of
            256 KiB).
        depth: such requests in flight.
        storage: name of the storage with the swap; None: each device's first.

    How wrong it can be: writing and reading alternate, as where the thread that faults has to make room itself; a kernel that reclaims
    ahead overlaps them in part, and at best takes half as long on a storage that does both at once. Compression in memory, which macOS
    and zram put before the storage, is left out: weights hardly compress.
    """

    write_back: bool = True
    replacement: Replacement = "lru"
    cluster: Bytes = 262144.0
    depth: int = 2
    storage: str | None = None

    def __post_init__(self) -> None:
        at_least(self, cluster=PAGE, depth=1)
        cyclic_hits(1.0, 1.0, self.replacement)

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The plan with a `Store` and a `Load` of what is missing before each block of such devices; raises `ValueError` where `plan_of`
        does."""
        plan = plan_of(placement, "swap")
        full = overfull(placement.parts, replica)
        missing = {device: 1.0 - self._hits(placement, replica, device) for device in full}

        def faulted(compute: Compute, part: Part) -> list[Op]:
            if compute.device not in full:
                return [compute]
            return [op for block, nbytes in block_bytes(part) for op in self._fault(compute, block, nbytes * missing[compute.device])]

        resident = {
            device: min(held_bytes(parts), weight_budget(replica, device) if device in full else held_bytes(parts))
            for device, parts in placement.parts.items()
        }
        return replace(placement, program=rewrite_parts(plan, faulted), resident=resident, reads=full)

    def _fault(self, compute: Compute, block: Part, nbytes: float) -> list[Op]:
        read = loaded(compute, block, nbytes, self.storage, self.cluster, self.depth)
        if not self.write_back or nbytes <= 0.0:
            return read
        return [Store(compute.device, nbytes, self.storage, block=self.cluster, depth=self.depth), *read]

    def _hits(self, placement: Placement, replica: ReplicaSpec, device: str) -> float:
        pages = held_bytes(placement.parts[device]) / PAGE
        return cyclic_hits(pages, weight_budget(replica, device) / PAGE, self.replacement)
