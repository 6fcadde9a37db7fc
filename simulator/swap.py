"""Swap space of a replica: keys and values of preempted jobs, in the memory of a card's host or on a storage.

After vLLM's `PreemptionMode.SWAP` (Kwon et al., PagedAttention, SOSP 2023, section 4.5; `--swap-space`, 4 GiB per GPU by default): a job
that leaves is copied out before the step that needed its blocks, and copied back before the step that it joins again, ahead of every job
that waits for the first time. While bytes travel their blocks count in both tiers. Without room here a job is computed again instead.

How wrong: a job's blocks are one transfer per device; vLLM copies them one by one, layer by layer, which reaches a fraction of a link's
rate where a block of a layer is small (tens of KiB). A shared prefix is copied out with each job, and back only if it is gone by then.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Demand
from edgewright.simulator.assemble_memory import kv_bytes_per_token
from edgewright.simulator.bound import Bound
from edgewright.simulator.operation import Operation

if TYPE_CHECKING:
    from edgewright.simulator.assemble import Setup
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.request import Request

__all__ = ["SwapSpace"]


class SwapSpace:
    """Blocks of one replica in the slower tier.

    Attributes:
        tier: `host`, or the name of the storage.
        block_bytes: bytes of one block on each device that caches.
        capacity: blocks that fit; `used` and `peak` of them.
        held: blocks by request.
        out_bytes, in_bytes: what has travelled each way, all devices together.
    """

    def __init__(self, machine: Machine, setup: Setup) -> None:
        self.machine = machine
        self.tier = setup.engine.swap_to
        self._traffic = setup.tables[0].traffic
        per_token = {device: each for device, each in kv_bytes_per_token(setup).items() if each > 0.0}
        self.block_bytes = {device: each * setup.engine.block_size for device, each in per_token.items()}
        self.capacity = min(int(setup.engine.swap_space // each) for each in self.block_bytes.values())
        self.used = 0
        self.peak = 0
        self.held: dict[int, int] = {}
        self.out_bytes = 0.0
        self.in_bytes = 0.0
        self._moving: dict[Operation, tuple[Any, float, bool]] = {}

    def take(self, request: Request, blocks: int) -> bool:
        """Set blocks aside for a request, if there is room."""
        if self.used + blocks > self.capacity:
            return False
        self.held[request.id] = blocks
        self.used += blocks
        self.peak = max(self.peak, self.used)
        return True

    def drop(self, requests: Sequence[Request]) -> None:
        """Forget what is held of these requests, if anything is."""
        for request in requests:
            self.used -= self.held.pop(request.id, 0)

    def move(self, blocks: int, *, inward: bool) -> Generator[Any, Any, None]:
        """Copy so many blocks on every device, out to the tier or back in: a SimPy process that ends when the last has arrived."""
        arrived, left = self.machine.env.event(), len(self.block_bytes)

        def one_less(operation: Operation) -> None:
            nonlocal left
            del self._moving[operation]
            left -= 1
            if not left:
                arrived.succeed()

        for device, each in self.block_bytes.items():
            bound = Bound(self.machine, self._demand(device, blocks * each, inward).among(self._traffic.weight, self._traffic.priority))
            operation = Operation(self.machine, lambda bound=bound: bound, one_less)  # type: ignore[misc]
            self._moving[operation] = arrived, blocks * each, inward
            self._count(blocks * each, inward)
            operation.submit()
        yield arrived

    def abort(self) -> None:
        """Stop what travels: the replica is down. Whoever waits for it goes on, and finds its requests gone."""
        moving, self._moving = self._moving, {}
        for operation, (_, nbytes, inward) in moving.items():
            self._count(nbytes * (operation.cancel() - 1.0), inward)
        for arrived in dict.fromkeys(arrived for arrived, _, _ in moving.values()):
            arrived.succeed()

    def _count(self, nbytes: float, inward: bool) -> None:
        self.in_bytes += nbytes * inward
        self.out_bytes += nbytes * (not inward)

    def _demand(self, device: str, nbytes: float, inward: bool) -> Demand:
        cluster = self.machine.cluster
        if self.tier == "host":
            return cluster.stage(device, nbytes, inward)
        return cluster.load(device, nbytes, self.tier) if inward else cluster.store(device, nbytes, self.tier)
