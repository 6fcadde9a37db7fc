"""Weights on demand under LRU, in whole blocks: an engine that keeps a cache of layers. (`mmap`: pages, as an operating system keeps them.)

Inference reads its blocks in the same cyclic order in every pass, the worst case for LRU (Belady, IBM Systems Journal 5(2), 1966;
Smaragdakis et al., EELRU, SIGMETRICS 1999): when a block's turn comes, all others have been used since. It is still there only if all
of them fit together, so the closed form is all or nothing:

    | bytes of the blocks | bytes read per pass |
    | <= budget           | 0                   |
    | > budget            | all of them         |

A test runs a real LRU cache against this form. `pinned` reads the least that any policy can on a cycle, up to one block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Load, Op
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import block_bytes, held_bytes, overfull, weight_budget
from edgewright.policies.residency.rewrite import plan_of, rewrite_parts
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Part

__all__ = ["Lru", "block_compute", "loaded"]


@register("residency", "lru")
@dataclass(frozen=True, slots=True, kw_only=True)
class Lru:
    """On devices whose weights exceed their budget every block is read from storage before it is computed, without overlap.

    Attributes:
        storage: name of the storage that is read; None: each device's first.

    How wrong it can be: blocks are read whole, though a lookup touches few pages of an embedding table, each at the sequential rate. With
    several steps in flight each pays for its own reads.
    """

    storage: str | None = None

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The plan with a `Load` before each block of such devices; raises `ValueError` where `plan_of` does."""
        plan = plan_of(placement, "lru")
        full = overfull(placement.parts, replica)

        def on_demand(compute: Compute, part: Part) -> list[Op]:
            if compute.device not in full:
                return [compute]
            return [op for block, nbytes in block_bytes(part) for op in loaded(compute, block, nbytes, self.storage)]

        resident = {
            device: min(held_bytes(parts), weight_budget(replica, device) if device in full else held_bytes(parts))
            for device, parts in placement.parts.items()
        }
        return replace(placement, program=rewrite_parts(plan, on_demand), resident=resident, reads=full)


def loaded(
    compute: Compute, block: Part, nbytes: float, storage: str | None, request: float | None = None, depth: int | None = None
) -> list[Op]:
    """A read of that many bytes (in requests of `request` bytes, `depth` in flight), then the compute of the block; no read of nothing."""
    run = block_compute(compute, block)
    return [Load(compute.device, nbytes, storage, block=request, depth=depth), run] if nbytes > 0.0 else [run]


def block_compute(compute: Compute, block: Part) -> Compute:
    """The compute of one block of the part of `compute`, on the same engine."""
    return Compute(compute.device, block, compute.engine)
