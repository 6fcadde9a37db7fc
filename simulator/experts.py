"""Binds the routes of mixture-of-experts layers to steps: draws them, lets the experts agent follow, and hands outcomes to the plan.

Routes of a run of decode steps are drawn and followed as a block; if the run is cut short, the agent goes back and follows again what
was really computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewright.simulator.request import Request
from edgewright.workloads import Step, Stream
from edgewright.workloads.routing_stats import Router

if TYPE_CHECKING:
    from edgewright.simulator.assemble import Setup

__all__ = ["ExpertsBinder"]


class ExpertsBinder:
    """The experts of one replica.

    Attributes:
        agent: the policy's agent; `hits` and `misses` are read off it.
        router: the process that the routes come from.
        known: whether the router stands before the model, and its choice of the first layer holds for all.
    """

    def __init__(self, agent: Any, router: Router, stream: Stream, known: bool = False) -> None:
        self.agent = agent
        self.router = router
        self.stream = stream
        self.known = known
        self._before: object = None
        self._routes: NDArray[Any] | None = None
        self._steps = 0
        self._counted = (0, 0)

    @classmethod
    def of(cls, setup: Setup, stream: Stream, before: ExpertsBinder | None = None) -> ExpertsBinder | None:
        """The binder of a replica; None if its model has no experts. `before`: the one that it takes the place of, its counts included."""
        if setup.experts is None or setup.router is None:
            return None
        agent = setup.experts.start(setup.scope, stream, setup.model, setup.spec)
        found = cls(agent, setup.router, stream.child("routes"), setup.tables[0].experts_routing.ahead)
        if before is not None:
            found._counted = (before.hits, before.misses)
        return found

    @property
    def hits(self) -> int:
        """Experts that were in memory when routed to."""
        return self._counted[0] + int(getattr(self.agent, "hits", 0))

    @property
    def misses(self) -> int:
        """Experts that had to be fetched."""
        return self._counted[1] + int(getattr(self.agent, "misses", 0))

    def ahead(self, jobs: Sequence[Request]) -> Sequence[tuple[int, ...]] | None:
        """The experts of each job's next token; None where nobody knows them before the step."""
        if not self.known:
            return None
        keys, contexts = ([getattr(each, name) for each in jobs] for name in ("job", "context"))
        routes = self._routed([job.key for job in keys], contexts)
        return [tuple(row) for row in routes[0].tolist()]

    def bind(self, step: Step, decoding: Sequence[Request], chunks: Sequence[tuple[Request, int]], iterations: int) -> Step:
        """The step with the outcomes of its routes: arrays over the iterations of a run of decode steps."""
        self._routes = self._drawn(decoding, chunks, iterations)
        self._steps = iterations
        self._before = self.agent.snapshot()
        return replace(step, outcomes={**step.outcomes, **self.agent.bind_block(self._routes, iterations)})

    def commit(self, iterations: int) -> None:
        """Of the steps last bound, only the first `iterations` were computed."""
        if iterations < self._steps and self._routes is not None:
            self.agent.restore(self._before)
            if iterations == 0:
                return
            tokens = self._routes.shape[1] // self._steps * iterations
            self.agent.bind_block(self._routes[:, :tokens], iterations)
            self._steps = iterations

    def _drawn(self, decoding: Sequence[Request], chunks: Sequence[tuple[Request, int]], iterations: int) -> NDArray[Any]:
        """Routes of the step's tokens: chunks first, then one token of each decoding request, iteration by iteration."""
        sequences = np.concatenate([np.full(tokens, request.job.key) for request, tokens in chunks] or [np.empty(0, dtype=np.int64)])
        positions = np.concatenate(
            [np.arange(request.context, request.context + tokens) for request, tokens in chunks] or [np.empty(0, dtype=np.int64)]
        )
        if decoding:
            contexts = np.array([request.context for request in decoding], dtype=np.int64)
            sequences = np.concatenate([sequences, np.tile([request.job.key for request in decoding], iterations)])
            positions = np.concatenate([positions, (contexts[None, :] + np.arange(iterations)[:, None]).ravel()])
        return self._routed(sequences, positions)

    def _routed(self, sequences: ArrayLike, positions: ArrayLike) -> NDArray[Any]:
        """Routes of these tokens; those of the first layer in all of them where the router stands before the model."""
        routes = np.asarray(self.router.routes_at(self.stream, np.asarray(sequences, np.int64), np.asarray(positions, np.int64)))
        return np.broadcast_to(routes[:1], routes.shape) if self.known else routes
