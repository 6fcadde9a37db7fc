"""Paged KV memory of one replica: blocks by request, what finished sessions leave behind, and prefixes that requests share.

Source of the paging: Kwon et al., PagedAttention, SOSP 2023. Blocks of whole prompts are taken at admission. What is kept for later
(sessions that ended a turn, prefixes that nobody uses) is free for whoever needs it, the least recently used first.

Sharing: prompts that begin alike (`Job.prefix`) hold the full blocks of that beginning together, counted once. The first that has computed
them publishes them; whoever is admitted later finds them cached and computes the rest, the tokens of the last, partial block included
(which is its own). That is vLLM's automatic prefix caching (full blocks, by a hash of all tokens up to the block's end, LRU over those
that nobody references; docs/design/prefix_caching) restricted to beginnings that a workload declares: contents are not compared, so
prompts that agree by chance, or that extend one another, share nothing. SGLang's RadixAttention (Zheng et al., NeurIPS 2024) shares token
by token along a radix tree, and schedules for hits; neither is modelled.

How wrong: of prompts computed side by side each computes the beginning, and only the first publishes it; vLLM shares it from the step
after its allocation. Matching and hashing take no time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewright.policies.families import KvPolicy
from edgewright.simulator.blocks_shared import Kept, Shared
from edgewright.simulator.request import Request

__all__ = ["BlockPool"]


class BlockPool:
    """Blocks of a replica's KV cache.

    Attributes:
        capacity: blocks there are; `block_size` tokens each.
        used: blocks held by requests, shared ones once; `retained`: blocks kept for later while nobody needs them.
        peak: the most blocks ever held, retained ones included.
        evictions: sessions and prefixes kept for later that had to go.
        changes: how often what is remembered of sessions and prefixes has changed.
        slot_tokens: if set, every request reserves this many tokens whatever it needs (engines without paging).
        held: blocks of each request alone; `shared`: the published prefixes by name; `users`: which of them a request uses.
        shares: whether prefixes are shared: a matter of the engine, and of a KV policy that keeps every token.
    """

    def __init__(
        self,
        capacity: int,
        block_size: int,
        policy: KvPolicy,
        watermark: float = 0.0,
        slot_tokens: int | None = None,
        shares: bool = False,
    ) -> None:
        self.capacity = capacity
        self.block_size = block_size
        self.policy = policy
        self.reserve = int(watermark * capacity)
        self.slot_tokens = slot_tokens
        self.shares = shares and slot_tokens is None and int(policy.footprint(1 << 20, 1 << 20).resident) == 1 << 20
        self.used = 0
        self.retained = 0
        self.peak = 0
        self.evictions = 0
        self.changes = 0
        self.held: dict[int, int] = {}
        self.shared: dict[str, Shared] = {}
        self.users: dict[int, Shared] = {}
        self._idle: OrderedDict[Kept, None] = OrderedDict()
        self._sessions: dict[tuple[str, int], Kept] = {}

    @property
    def free(self) -> int:
        """Blocks that could be taken now, those kept for later counted as free."""
        return self.capacity - self.used

    def blocks(self, request: Request, context: int) -> int:
        """Blocks that a request needs at a context, shared ones included."""
        if self.slot_tokens is not None:
            return -(-self.slot_tokens // self.block_size)
        resident = self.policy.footprint(request.prompt, context).resident
        return -(-int(resident) // self.block_size)

    def covered(self, request: Request) -> int:
        """Blocks that a request has: its own, and those of the prefix that it uses."""
        shared = self.users.get(request.id)
        return self.held.get(request.id, 0) + (0 if shared is None else shared.blocks)

    def fits(self, requests: Sequence[Request]) -> bool:
        """Whether the prompts of all these could be taken now, the watermark left free (unless nothing runs)."""
        fresh = [request for request in requests if not self.covered(request)]
        need = sum(max(0, self.blocks(request, request.wanted) - self.covered(request)) for request in requests)
        found = [shared for request in fresh if (shared := self._usable(request)) is not None]
        need -= sum(shared.blocks for shared in found)
        need += sum(shared.blocks for shared in {shared.name: shared for shared in found}.values() if not shared.users)
        spare = self.reserve if self.used else 0
        return need + spare <= self.free

    def grow(self, request: Request, context: int) -> None:
        """Hold what the request needs at this context; raises `ValueError` if there is not enough."""
        need = self.blocks(request, context) - self.covered(request)
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
        blocks, shared = self.held.pop(request.id, 0), self.users.pop(request.id, None)
        self.used -= blocks
        if retain and request.session is not None:
            session = request.job.source, request.session
            self._forget(self._sessions.get(session))
            kept = self._sessions[session] = Kept(blocks, request.context, session, shared)
            self._keep(kept)
            if shared is not None:
                shared.pins += 1
        if shared is not None:
            shared.users -= 1
            if not shared.users:
                self.used -= shared.blocks
                self._keep(shared.kept)

    # -- what is kept for later --------------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """The memory has lost what it held: nobody holds a block, no session is remembered."""
        for kept in (self.held, self.users, self.shared, self._idle, self._sessions):
            kept.clear()
        self.used = self.retained = 0
        self.changes += 1

    def remembered(self, request: Request) -> int:
        """Tokens of the request's prompt that are cached now; its last prompt token is computed in any case."""
        session = self._session(request)
        if session is not None:
            return min(session.tokens, request.job.history, request.prompt - 1)
        shared = self._found(request)
        return 0 if shared is None else shared.tokens

    def recall(self, request: Request) -> None:
        """What is cached of the request's history or prefix is its own to use from now on."""
        if self.covered(request):
            return
        session, shared = self._session(request), self._usable(request)
        if session is not None:
            self._forget(session)
            self.used += session.blocks
            self.held[request.id] = self.held.get(request.id, 0) + session.blocks
        if shared is not None:
            if not shared.users:
                self.used += shared.blocks
                self._take(shared.kept)
            shared.users += 1
            self.users[request.id] = shared

    def publish(self, request: Request) -> None:
        """The request has computed so much of its prompt: the full blocks of its prefix are everybody's, if nobody's were before."""
        job = request.job
        blocks = min(job.prefix, request.prompt - 1) // self.block_size
        computed = request.context >= blocks * self.block_size
        if not (self.shares and blocks and computed) or request.id in self.users or job.prefix_name in self.shared:
            return
        self.held[request.id] -= blocks
        self.shared[job.prefix_name] = self.users[request.id] = Shared(job.prefix_name, blocks, blocks * self.block_size, users=1)
        self.changes += 1

    def _session(self, request: Request) -> Kept | None:
        return None if request.session is None else self._sessions.get((request.job.source, request.session))

    def _usable(self, request: Request) -> Shared | None:
        """The published prefix that a waiting request will use: the one its session's context rests on, or one that it counts as cached."""
        session = self._session(request)
        shared = self._found(request) if session is None else session.shared
        return shared if shared is not None and request.start >= shared.tokens else None

    def _found(self, request: Request) -> Shared | None:
        """The published prefix that a request may use: one that is shorter than what it will hold."""
        shared = self.shared.get(request.job.prefix_name) if self.shares and request.job.prefix else None
        return shared if shared is not None and shared.tokens <= min(request.job.prefix, request.prompt - 1) else None

    def _keep(self, kept: Kept) -> None:
        self._idle[kept] = None
        self.retained += kept.blocks
        self.changes += 1

    def _take(self, kept: Kept) -> None:
        del self._idle[kept]
        self.retained -= kept.blocks

    def _forget(self, kept: Kept | None) -> None:
        """What was kept is gone; who recalls a session counts its blocks anew."""
        if kept is None:
            return
        self._take(kept)
        self.changes += 1
        if kept.session is not None:
            del self._sessions[kept.session]
            if kept.shared is not None:
                kept.shared.pins -= 1
        elif kept.shared is not None:
            del self.shared[kept.shared.name]

    def _evict(self) -> None:
        while self.used + self.retained > self.capacity:
            self._forget(next(kept for kept in self._idle if kept.session is not None or not kept.pinned))
            self.evictions += 1

    def overflows(self, request: Request) -> bool:
        """Whether the request's slot has no room for one token more."""
        return self.slot_tokens is not None and request.context + 1 > self.slot_tokens

    def short_by(self, requests: Sequence[Request]) -> int:
        """Blocks missing for every one of these to cache one token more (<= 0: enough)."""
        grown = sum(max(0, self.blocks(r, r.context + 1) - self.covered(r)) for r in requests)
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
        """Prompt, context and blocks covered of each request."""
        prompts = np.array([request.prompt for request in requests], dtype=np.float64)
        contexts = np.array([request.context for request in requests], dtype=np.float64)
        return prompts, contexts, np.array([self.covered(request) for request in requests], dtype=np.int64)

    def _blocks_of(self, prompts: NDArray[np.float64], contexts: NDArray[np.float64]) -> NDArray[np.int64]:
        resident = np.asarray(self.policy.footprint(prompts, contexts).resident).astype(np.int64)
        return -(-resident // self.block_size)
