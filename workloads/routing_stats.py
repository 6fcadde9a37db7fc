"""Which experts a mixture-of-experts router picks: a seeded process with stated statistics.

Think of each layer's experts in order of popularity. In each layer every rank runs a race for the token: an exponential time over the
rank's weight. The `top_k` first to arrive are the route, best first; this is drawing without replacement in proportion to weight
(Plackett-Luce; Efraimidis & Spirakis, Information Processing Letters 97, 2006).

- *skew*: weights fall as `rank ** -skew` (Zipf). Which expert has which rank differs from layer to layer: a property of the model.
- *affinity*: the first `m` places of a route go to the same ranks as in the layer before, `m` binomial over `top_k` places with this
  probability each; the race is for the rest. A place so follows with probability `affinity` on average, the best places most. Every
  layer's route keeps exactly the distribution that it has without affinity. With `top_k = 1`,
  `P(next = f | e) = affinity * [f follows e] + (1 - affinity) * popularity(f)`. ExFlow (Yao et al., IPDPS 2024) measures and exploits this.
- *persistence*: two tokens in the same span of a sequence share each of their random numbers (times, and places kept) with this
  probability: a theme that lasts for the span. Distributions within a token stay as they are. At 1 the whole span has one route. With
  64 experts alike and 8 picked, a token repeats 12 % of its neighbour's experts at 0, 31 % at 0.25, 50 % at 0.5, 76 % at 0.8.

How wrong: real affinity is not one follower per expert, and real themes do not end at once. The tests check what is stated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from edgewright.workloads.jobs_bounds import Count, NonNegative, Share
from edgewright.workloads.streams import Stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Router", "RoutingProcess", "expert_loads", "follow_table"]

_CELLS = 1 << 18


class Router(Protocol):
    """Where routes come from."""

    def routes(self, stream: Stream, count: int, *, start: int = 0, sequence: int = 0) -> NDArray[np.int32]:
        """Routes of tokens `start` to `start + count - 1` of a sequence: `(layers, count, top_k)`, distinct experts, best first.

        A function of the stream, the sequence and each token's number: blocks agree with single tokens.
        """
        ...

    def routes_at(self, stream: Stream, sequences: ArrayLike, tokens: ArrayLike) -> NDArray[np.int32]:
        """Routes of token `tokens[i]` of `sequences[i]`: `(layers, n, top_k)`, for the step of a batch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingProcess:
    """A synthetic router; see the module for what its statistics mean.

    Attributes:
        layers, experts, top_k: of the model; `top_k <= experts`.
        skew: Zipf exponent of popularity; 0: all alike.
        affinity: from 0 (layers are independent) to 1 (a layer's route follows from the one before).
        persistence: from 0 (tokens are independent) to 1 (one route for the whole span).
        span: tokens that a theme lasts; spans of different sequences begin at different tokens.
        seed: which expert has which rank in each layer: a property of the model, not of the run.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    layers: Count
    experts: Count
    top_k: Count
    skew: NonNegative = 0.0
    affinity: Share = 0.0
    persistence: Share = 0.0
    span: Count = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.top_k > self.experts:
            raise ValueError(f"top_k of {self.top_k} exceeds the {self.experts} experts")

    def popularity(self) -> NDArray[np.float64]:
        """Probability that an expert is the first of a route, `(layers, experts)`; each row sums to 1."""
        weights = np.empty((self.layers, self.experts))
        np.put_along_axis(weights, self.ranking(), np.broadcast_to(self._weights(), weights.shape), axis=1)
        return weights

    def ranking(self) -> NDArray[np.int64]:
        """The experts of each layer from most to least popular, `(layers, experts)`; equal places follow one another across layers."""
        return _ranking(self.seed, self.layers, self.experts)

    def routes(self, stream: Stream, count: int, *, start: int = 0, sequence: int = 0) -> NDArray[np.int32]:
        """See `Router`."""
        return self.routes_at(stream, np.full(count, sequence), np.arange(start, start + count))

    def routes_at(self, stream: Stream, sequences: ArrayLike, tokens: ArrayLike) -> NDArray[np.int32]:
        """See `Router`."""
        sequence, token = np.asarray(sequences, dtype=np.int64), np.asarray(tokens, dtype=np.int64)
        chunk = max(1, _CELLS // (self.layers * self.experts))
        parts = [self._chunk(stream, sequence[at : at + chunk], token[at : at + chunk]) for at in range(0, len(token), chunk)]
        return np.concatenate(parts, axis=1) if parts else np.empty((self.layers, 0, self.top_k), dtype=np.int32)

    def _chunk(self, stream: Stream, sequence: NDArray[np.int64], token: NDArray[np.int64]) -> NDArray[np.int32]:
        drawn = self._drawn(stream, sequence, token)
        weights, ranking = self._weights(), self.ranking()
        routes = np.empty((self.layers, len(token), self.top_k), dtype=np.int32)
        ranks: NDArray[np.int64] | None = None
        for layer in range(self.layers):
            finish = -np.log1p(-drawn[layer, :, : self.experts]) / weights
            if ranks is not None and self.affinity:
                _hold(finish, ranks, np.count_nonzero(drawn[layer, :, self.experts :] < self.affinity, axis=1))
            ranks = _first(finish, self.top_k)
            routes[layer] = ranking[layer][ranks]
        return routes

    def _drawn(self, stream: Stream, sequence: NDArray[np.int64], token: NDArray[np.int64]) -> NDArray[np.float64]:
        """Uniform draws `(layers, tokens, experts + top_k)`: a time for each rank, and for each place whether it is held."""
        layers = np.arange(self.layers)[:, None, None]
        return stream.child("draws").uniforms_at(sequence[:, None], self._theme(stream, sequence, token), self._columns(), layers)

    def _theme(self, stream: Stream, sequence: NDArray[np.int64], token: NDArray[np.int64]) -> NDArray[np.int64]:
        """What each (token, column) draws by: an even number of its own, or the odd number of its span's theme."""
        own = 2 * token[:, None]
        if not self.persistence:
            return own
        shift = (stream.child("span").uniforms_at(sequence) * self.span).astype(np.int64)
        theme = 2 * ((token + shift) // self.span) + 1
        chance = stream.child("theme").uniforms_at(sequence[:, None], token[:, None], self._columns())
        return np.where(chance < sqrt(self.persistence), theme[:, None], own)

    def _columns(self) -> NDArray[np.int64]:
        return np.arange(self.experts + self.top_k if self.affinity else self.experts)

    def _weights(self) -> NDArray[np.float64]:
        weights = np.power(np.arange(1, self.experts + 1, dtype=np.float64), -self.skew)
        return np.asarray(weights / weights.sum(), dtype=np.float64)


def expert_loads(routes: NDArray[np.int32], experts: int) -> NDArray[np.int64]:
    """Tokens that each expert of each layer was picked for, `(layers, experts)`, from routes `(layers, tokens, top_k)`."""
    layers = np.arange(len(routes))[:, None, None]
    return np.bincount((layers * experts + routes).ravel(), minlength=len(routes) * experts).reshape(len(routes), experts)


def follow_table(routes: NDArray[np.int32], experts: int) -> NDArray[np.float64]:
    """The share of tokens with expert e in a layer that have f in the next: `(layers - 1, experts, experts)` at `[layer, e, f]`.

    A row sums to `top_k`; the row of an expert that was never picked is NaN.
    """
    here, there = routes[:-1, :, :, None].astype(np.int64), routes[1:, :, None, :].astype(np.int64)
    layers = np.arange(len(here))[:, None, None, None]
    pairs = ((layers * experts + here) * experts + there).ravel()
    counts = np.bincount(pairs, minlength=len(here) * experts**2).reshape(len(here), experts, experts)
    picked = expert_loads(routes[:-1], experts)[:, :, None].astype(np.float64)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts, picked, out=shares, where=picked > 0)
    return shares


def _hold(finish: NDArray[np.float64], ranks: NDArray[np.int64], held: NDArray[np.int64]) -> None:
    """Let the first `held` of each token's `ranks` finish before all others, in their order."""
    places = np.arange(ranks.shape[1])
    raced = np.take_along_axis(finish, ranks, axis=1)
    np.put_along_axis(finish, ranks, np.where(places < held[:, None], places - float(len(places)), raced), axis=1)


def _first(finish: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The `count` ranks that finish first, in order, for each token."""
    first = np.argpartition(finish, count - 1, axis=1)[:, :count]
    return np.take_along_axis(first, np.argsort(np.take_along_axis(finish, first, axis=1), axis=1, kind="stable"), axis=1)


@cache
def _ranking(seed: int, layers: int, experts: int) -> NDArray[np.int64]:
    stream = Stream(seed, "ranking")
    ranking = np.stack([stream.permutation(experts, layer) for layer in range(layers)])
    ranking.setflags(write=False)
    return ranking
