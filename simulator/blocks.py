"""Paged KV memory of one replica: blocks by request, and what finished sessions leave behind.

Source of the paging: Kwon et al., PagedAttention, SOSP 2023. Blocks of whole prompts are taken at admission.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewright.policies.families import KvPolicy
from edgewright.simulator.request import Request

__all__ = ["BlockPool"]


class BlockPool:
    """Blocks of a replica's KV cache.

    Attributes:
        capacity: blocks there are; `block_size` tokens each.
        used: blocks held by requests; `retained`: blocks of finished sessions, kept while nobody needs them.
        peak: the most blocks ever held, retained ones included.
        evictions: retained sessions that had to go.
        slot_tokens: if set, every request reserves this many tokens whatever it needs (engines without paging).
    """

    def __init__(self, capacity: int, block_size: int, policy: KvPolicy, watermark: float = 0.0, slot_tokens: int | None = None) -> None:
        self.capacity = capacity
        self.block_size = block_size
        self.policy = policy
        self.reserve = int(watermark * capacity)
        self.slot_tokens = slot_tokens
        self.used = 0
        self.retained = 0
        self.peak = 0
        self.evictions = 0
        self.held: dict[int, int] = {}
        self._sessions: OrderedDict[tuple[str, int], tuple[int, int]] = OrderedDict()

    @property
    def free(self) -> int:
        """Blocks that could be taken now, retained sessions counted as free."""
        return self.capacity - self.used

    def blocks(self, request: Request, context: int) -> int:
        """Blocks that a request needs at a context."""
        if self.slot_tokens is not None:
            return -(-self.slot_tokens // self.block_size)
        resident = self.policy.footprint(request.prompt, context).resident
        return -(-int(resident) // self.block_size)

    def fits(self, requests: Sequence[Request]) -> bool:
        """Whether the prompts of all these could be taken now, the watermark left free (unless nothing runs)."""
        need = sum(self.blocks(request, request.tokens + request.cached) for request in requests)
        spare = self.reserve if self.used else 0
        return need + spare <= self.free

    def grow(self, request: Request, context: int) -> None:
        """Hold what the request needs at this context; raises `ValueError` if there is not enough."""
        need = self.blocks(request, context) - self.held.get(request.id, 0)
        if need <= 0:
            return
        if need > self.free:
            raise ValueError(f"KV cache: {need} blocks needed, {self.free} free")
        self.held[request.id] = self.held.get(request.id, 0) + need
        self.used += need
        self._evict()
        self.peak = max(self.peak, self.used + self.retained)

    def release(self, request: Request, retain: bool) -> None:
        """The request is over or preempted. `retain`: keep its blocks for the session's next turn while nobody needs them."""
        blocks = self.held.pop(request.id, 0)
        self.used -= blocks
        if retain and request.session is not None:
            self._sessions[request.job.source, request.session] = (request.context, blocks)
            self.retained += blocks

    def recall(self, request: Request) -> int:
        """Tokens of the request's history that are still cached; they are its own from now on."""
        key = (request.job.source, request.session if request.session is not None else -1)
        found = self._sessions.pop(key, None)
        if found is None:
            return 0
        self.retained -= found[1]
        return min(found[0], request.job.history, request.prompt - 1)

    def _evict(self) -> None:
        while self.used + self.retained > self.capacity:
            _, (_, blocks) = self._sessions.popitem(last=False)
            self.retained -= blocks
            self.evictions += 1

    def short_by(self, requests: Sequence[Request]) -> int:
        """Blocks missing for every one of these to cache one token more (<= 0: enough)."""
        grown = sum(max(0, self.blocks(r, r.context + 1) - self.held.get(r.id, 0)) for r in requests)
        return grown - self.free

    def steps_until_full(self, requests: Sequence[Request], most: int) -> int:
        """How many more tokens all of these can cache before blocks run out, at most `most`."""
        if self.slot_tokens is not None:
            return most
        prompts = np.array([request.prompt for request in requests], dtype=np.float64)
        contexts = np.array([request.context for request in requests], dtype=np.float64)
        held = np.array([self.held.get(request.id, 0) for request in requests], dtype=np.int64)

        def enough(steps: int) -> bool:
            return int(np.maximum(self._blocks_of(prompts, contexts + steps) - held, 0).sum()) <= self.free

        if enough(most):
            return most
        low, high = 0, most
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if enough(middle) else (low, middle)
        return low

    def _blocks_of(self, prompts: NDArray[np.float64], contexts: NDArray[np.float64]) -> NDArray[np.int64]:
        resident = np.asarray(self.policy.footprint(prompts, contexts).resident).astype(np.int64)
        return -(-resident // self.block_size)
