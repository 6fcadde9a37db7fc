"""Routers whose layers follow one another by a matrix: what the next layer wants depends on the expert of this one, more or less narrowly.

A row of a layer's matrix, the shares in which the next layer's experts follow an expert, is drawn from a symmetric Dirichlet
distribution; rows and columns are then scaled in turn (Sinkhorn and Knopp, Pacific J. Mathematics 21(2), 1967) until every expert is as
popular, as a loss that balances loads would have it. Of several experts per token the first decides; the others of a route are drawn
without replacement from the same row.

The concentration says how narrow rows are: the effective number of followers is about `(experts * c + 1) / (c + 1)`, the inverse of the
expected sum of squared shares. 64 experts: 1.6 at 0.01, 6.7 at 0.1, 22 at 0.5, all 64 as c grows.

`RoutingProcess` has one follower per expert, and so the same affinity on 4 devices as on 32; here few experts per device hold few of the
followers. ExFlow (Yao et al., IPDPS 2024) measures such matrices.

How wrong: matrices of real routers are neither Dirichlet nor balanced, tokens of a text depend on each other (here they do not), and real
routes remember more than the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edgewright.workloads.jobs_bounds import Count, Positive
from edgewright.workloads.streams import Stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MarkovRouting"]

_ROUNDS = 200
_CELLS = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovRouting:
    """A router whose layers form a Markov chain; see the module.

    Attributes:
        layers, experts, top_k: of the model; `top_k <= experts`.
        concentration: of the Dirichlet rows, per expert; more than 0. Small: each expert has few followers.
        seed: of the matrices: a property of the model, not of the run.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    layers: Count
    experts: Count
    top_k: Count
    concentration: Positive
    seed: int = 0

    def __post_init__(self) -> None:
        if self.top_k > self.experts:
            raise ValueError(f"top_k of {self.top_k} exceeds the {self.experts} experts")
        if not 1e-3 <= self.concentration <= 1e3:
            raise ValueError(f"concentration: {self.concentration!r} is out of range; accepted are 0.001 to 1000")

    def transitions(self) -> NDArray[np.float64]:
        """The shares in which experts follow one another, `(layers - 1, experts, experts)`; rows and columns sum to 1."""
        return _matrices(self.layers, self.experts, self.concentration, self.seed)

    def routes(self, stream: Stream, count: int, *, start: int = 0, sequence: int = 0) -> NDArray[np.int32]:
        """See `routing_stats.Router`."""
        return self.routes_at(stream, np.full(count, sequence), np.arange(start, start + count))

    def routes_at(self, stream: Stream, sequences: ArrayLike, tokens: ArrayLike) -> NDArray[np.int32]:
        """See `routing_stats.Router`."""
        sequence, token = np.asarray(sequences, dtype=np.int64), np.asarray(tokens, dtype=np.int64)
        chunk = max(1, _CELLS // (self.layers * self.experts))
        parts = [self._chunk(stream, sequence[at : at + chunk], token[at : at + chunk]) for at in range(0, len(token), chunk)]
        return np.concatenate(parts, axis=1) if parts else np.empty((self.layers, 0, self.top_k), dtype=np.int32)

    def _chunk(self, stream: Stream, sequence: NDArray[np.int64], token: NDArray[np.int64]) -> NDArray[np.int32]:
        """A race per layer: exponential times over the shares, the first `top_k` to arrive."""
        layers, columns = np.arange(self.layers)[:, None, None], np.arange(self.experts)
        drawn = stream.child("draws").uniforms_at(sequence[:, None], token[:, None], columns, layers)
        times = -np.log1p(-drawn)
        matrices = self.transitions()
        routes = np.empty((self.layers, len(token), self.top_k), dtype=np.int32)
        for layer in range(self.layers):
            if layer:
                times[layer] /= matrices[layer - 1][routes[layer - 1, :, 0]]
            routes[layer] = np.argsort(times[layer], axis=1, kind="stable")[:, : self.top_k]
        return routes


@cache
def _matrices(layers: int, experts: int, concentration: float, seed: int) -> NDArray[np.float64]:
    from scipy.special import gammaincinv

    drawn = Stream(seed, "transitions").uniforms_at(np.arange(layers - 1)[:, None, None], np.arange(experts)[:, None], np.arange(experts))
    found = np.maximum(gammaincinv(concentration, drawn), 1e-9)
    for _ in range(_ROUNDS):
        found /= found.sum(axis=1, keepdims=True)
        found /= found.sum(axis=2, keepdims=True)
    found.setflags(write=False)
    return np.asarray(found)
