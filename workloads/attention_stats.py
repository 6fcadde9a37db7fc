"""How attention spreads over a context: a seeded process with sinks, recency, and heavy hitters whose importance lasts.

For the quality of KV policies: which part of the attention falls on the tokens that a policy keeps. Each decode step spreads a mass of 1:

- `sink_share` evenly over the first `sinks` tokens (attention sinks: Xiao et al., StreamingLLM, ICLR 2024);
- `recent_share` over the latest tokens, falling by `exp(-age / recency)`;
- the rest in proportion to importance, `u ** -exponent` with `u` uniform: sorted, it falls as the rank to the power `-exponent` (heavy
  hitters: Zhang et al., H2O, NeurIPS 2023). At any two steps a token has the same importance with probability `persistence` (Liu et al.,
  Scissorhands, NeurIPS 2023: importance persists), else independent ones. In any two layers a token has the same lasting importance
  with probability `agreement` (Yang et al., TidalDecode, arXiv 2410.05076: neighbouring layers choose much the same tokens).

How wrong: the shares differ by model, layer and head and must be set for one; neighbours are independent here, where real heavy tokens
come in phrases.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edgewright.workloads.jobs_bounds import NonNegative, Positive, Share, Tokens
from edgewright.workloads.streams import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AttentionProcess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionProcess:
    """Attention of one head (or the mean of many) per decode step; see the module for what the parameters mean.

    The defaults are assumptions of the right order, not a fit to a model.

    Attributes:
        sinks: tokens at the beginning that draw attention whatever they say.
        sink_share: part of the mass that they draw.
        recent_share: part of the mass that falls on recency; with `sink_share` at most 1.
        recency: tokens over which it falls to 1/e.
        exponent: of the power law of importance by rank; 0: all alike.
        persistence: from 0 (importance is drawn anew in each step) to 1 (it never changes).
        agreement: from 0 (each layer has important tokens of its own) to 1 (all have the same).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sinks: Tokens = 4
    sink_share: Share = 0.3
    recent_share: Share = 0.3
    recency: Positive = 32.0
    exponent: NonNegative = 1.0
    persistence: Share = 0.8
    agreement: Share = 0.8

    def __post_init__(self) -> None:
        if self.sink_share + self.recent_share > 1.0:
            raise ValueError(f"sink_share and recent_share are more than 1 together: {self.sink_share} and {self.recent_share}")
        if self.sink_share and not self.sinks:
            raise ValueError(f"a sink_share of {self.sink_share} needs at least one sink")

    def scores(self, stream: Stream, context: int, step: int, *, sequence: int = 0, layer: int | None = None) -> NDArray[np.float64]:
        """Attention of decode step `step` to each of `context >= 1` cached tokens, `(context,)`, not negative, of sum 1.

        `layer`: of that layer; None: of one that has what layers have in common.
        """
        heavy = self._importance(stream, context, step, sequence, layer)
        recent = np.exp(-np.arange(context - 1, -1, -1) / self.recency)
        rest = 1.0 - self.sink_share - self.recent_share
        scores: NDArray[np.float64] = heavy * (rest / heavy.sum()) + recent * (self.recent_share / recent.sum())
        sinks = min(self.sinks, context)
        if sinks:
            scores[:sinks] += self.sink_share / sinks
        return scores

    def accumulated(self, stream: Stream, context: int, steps: int, *, sequence: int = 0) -> NDArray[np.float64]:
        """Sum of `scores` over the last `steps` decode steps, the last of which sees `context` tokens: what H2O ranks tokens by.

        Step number n sees n tokens. Needs `1 <= steps <= context`; takes time in proportion to `steps * context`.
        """
        total = np.zeros(context)
        for seen in range(context - steps + 1, context + 1):
            total[:seen] += self.scores(stream, seen, seen, sequence=sequence)
        return total

    def _importance(self, stream: Stream, context: int, step: int, sequence: int, layer: int | None) -> NDArray[np.float64]:
        lasting = stream.child("lasting").uniforms(context, sequence)
        index: tuple[int, ...] = (sequence, step)
        if layer is not None:
            agrees = stream.child("agrees").uniforms(context, sequence, layer) < sqrt(self.agreement)
            lasting = np.where(agrees, lasting, stream.child("own").uniforms(context, sequence, layer))
            index = (sequence, step, layer)
        passing = stream.child("passing").uniforms(context, *index)
        lasts = stream.child("lasts").uniforms(context, *index) < sqrt(self.persistence)
        drawn: NDArray[np.float64] = np.where(lasts, 1.0 - lasting, 1.0 - passing)
        return np.asarray(drawn**-self.exponent, dtype=np.float64)
