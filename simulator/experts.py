"""Binds the routes of mixture-of-experts layers to steps: draws them, lets the experts agent follow, and hands outcomes to the plan.

Routes of a run of decode steps are drawn and followed as a block; if the run is cut short, the agent goes back and follows again what
was really computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    """

    def __init__(self, agent: Any, router: Router, stream: Stream) -> None:
        self.agent = agent
        self.router = router
        self.stream = stream
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
        found = cls(agent, setup.router, stream.child("routes"))
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
        return np.asarray(self.router.routes_at(self.stream, sequences.astype(np.int64), positions.astype(np.int64)))
