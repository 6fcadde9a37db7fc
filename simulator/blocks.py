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


def _session_of(request: Request) -> tuple[str, int]:
    return request.job.source, -1 if request.session is None else request.session


class BlockPool:
    """Blocks of a replica's KV cache.

    Attributes:
        capacity: blocks there are; `block_size` tokens each.
        used: blocks held by requests; `retained`: blocks of finished sessions, kept while nobody needs them.
        peak: the most blocks ever held, retained ones included.
        evictions: retained sessions that had to go.
        changes: how often what is remembered of sessions has changed.
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
        self.changes = 0
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
            self._forget(_session_of(request))
            self._sessions[_session_of(request)] = (request.context, blocks)
            self.retained += blocks
            self.changes += 1

    def remembered(self, request: Request) -> int:
        """Tokens of the request's history that are cached now; its last prompt token is computed in any case."""
        found = self._sessions.get(_session_of(request))
        return 0 if found is None else min(found[0], request.job.history, request.prompt - 1)

    def recall(self, request: Request) -> None:
        """The blocks that the request's session left behind are its own from now on."""
        found = self._forget(_session_of(request))
        if found is not None:
            self.used += found[1]
            self.held[request.id] = self.held.get(request.id, 0) + found[1]

    def _forget(self, session: tuple[str, int]) -> tuple[int, int] | None:
        found = self._sessions.pop(session, None)
        if found is not None:
            self.retained -= found[1]
            self.changes += 1
        return found

    def _evict(self) -> None:
        while self.used + self.retained > self.capacity:
            self._forget(next(iter(self._sessions)))
            self.evictions += 1

    def overflows(self, request: Request) -> bool:
        """Whether the request's slot has no room for one token more."""
        return self.slot_tokens is not None and request.context + 1 > self.slot_tokens

    def short_by(self, requests: Sequence[Request]) -> int:
        """Blocks missing for every one of these to cache one token more (<= 0: enough)."""
        grown = sum(max(0, self.blocks(r, r.context + 1) - self.held.get(r.id, 0)) for r in requests)
        return grown - self.free

    def steps_until_full(self, requests: Sequence[Request], most: int) -> int:
        """How many more tokens all of these can cache, at most `most`, before blocks run out or a session must be evicted.

        The first may evict: what it costs is known when it begins.
        """
        if self.slot_tokens is not None:
            return min(most, *(self.slot_tokens - request.context for request in requests))
        prompts, contexts, held = self._columns(requests)

        def enough(steps: int) -> bool:
            return int(np.maximum(self._blocks_of(prompts, contexts + steps) - held, 0).sum()) <= self.free - self.retained

        if enough(most):
            return most
        low, high = 1, max(most, 2)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if enough(middle) else (low, middle)
        return low

    def held_over(self, requests: Sequence[Request], steps: int) -> NDArray[np.int64]:
        """Blocks held by all, retained sessions included, as each of these caches 1, 2, ..., `steps` tokens more and nobody is evicted."""
        if self.slot_tokens is not None:
            return np.full(steps, self.used + self.retained)
        prompts, contexts, held = self._columns(requests)
        needed = self._blocks_of(prompts[:, None], contexts[:, None] + np.arange(1, steps + 1))
        grown: NDArray[np.int64] = np.maximum(needed - held[:, None], 0).sum(axis=0)
        return self.used + self.retained + grown

    def _columns(self, requests: Sequence[Request]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Prompt, context and blocks held of each request."""
        prompts = np.array([request.prompt for request in requests], dtype=np.float64)
        contexts = np.array([request.context for request in requests], dtype=np.float64)
        return prompts, contexts, np.array([self.held.get(request.id, 0) for request in requests], dtype=np.int64)

    def _blocks_of(self, prompts: NDArray[np.float64], contexts: NDArray[np.float64]) -> NDArray[np.int64]:
        resident = np.asarray(self.policy.footprint(prompts, contexts).resident).astype(np.int64)
        return -(-resident // self.block_size)
