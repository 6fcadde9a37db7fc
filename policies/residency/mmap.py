"""Weights mapped into memory from a file: the page cache keeps what fits, and the rest is read again in every pass.

llama.cpp maps its models so (Tunney, "Edge AI Just Got Faster", justine.lol/mmap, 2023); what a cyclic scan leaves in a cache that is too
small stands in `page_cache`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.hwmodels.storage_access import PAGE
from edgewright.hwmodels.units import Bytes
from edgewright.policies.base import at_least
from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Op
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import block_bytes, held_bytes, overfull, weight_budget
from edgewright.policies.residency.lru import loaded
from edgewright.policies.residency.page_cache import Replacement, cyclic_hits
from edgewright.policies.residency.rewrite import plan_of, rewrite_parts
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Part

__all__ = ["Mmap"]


@register("residency", "mmap")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mmap:
    """On devices whose weights exceed their budget, which is then page cache, each block's missing pages are read before it is computed.

    Attributes:
        replacement: which page goes: `lru`, which keeps nothing of a cycle that is too large, or `random`, which keeps a part; a kernel is
            in between.
        readahead: bytes that a fault reads at once (Linux: `read_ahead_kb`, 128 by default).
        depth: such reads in flight: the one that is waited for and, with asynchronous readahead, the next; more if threads fault apart.
        storage: name of the storage that is read; None: each device's first.

    How wrong it can be: pages are missed evenly over the blocks, and a window of readahead holds missing pages only (with `random`, up
    to the hit rate's share of what is read is there already). Faults cost no CPU time: about 1 us each, a tenth of a 128 KiB read from a
    fast NVMe drive. Nothing but KV memory and workspaces presses on the cache, and they do from the start.
    """

    replacement: Replacement = "lru"
    readahead: Bytes = 131072.0
    depth: int = 2
    storage: str | None = None

    def __post_init__(self) -> None:
        at_least(self, readahead=PAGE, depth=1)
        cyclic_hits(1.0, 1.0, self.replacement)

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The plan with a `Load` of what is missing of each block of such devices; raises `ValueError` where `plan_of` does."""
        plan = plan_of(placement, "mmap")
        full = overfull(placement.parts, replica)
        missing = {device: 1.0 - self._hits(placement, replica, device) for device in full}

        def faulted(compute: Compute, part: Part) -> list[Op]:
            if compute.device not in full:
                return [compute]
            share = missing[compute.device]
            sizes = block_bytes(part)
            access = self.storage, self.readahead, self.depth
            return [op for block, nbytes in sizes for op in loaded(compute, block, nbytes * share, *access)]

        resident = {
            device: min(held_bytes(parts), weight_budget(replica, device) if device in full else held_bytes(parts))
            for device, parts in placement.parts.items()
        }
        return replace(placement, program=rewrite_parts(plan, faulted), resident=resident, reads=full, resident_as="page cache")

    def _hits(self, placement: Placement, replica: ReplicaSpec, device: str) -> float:
        pages = held_bytes(placement.parts[device]) / PAGE
        return cyclic_hits(pages, weight_budget(replica, device) / PAGE, self.replacement)
