"""Key tokens: Adnan et al., Keyformer: KV Cache Reduction through Key Tokens Selection for Efficient Generative Inference, MLSys 2024
(arXiv 2403.09054)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.hwmodels.units import Fraction
from edgewright.kernels.selection import gumbel_scores, heavy_hitters, temperature
from edgewright.policies.base import at_least, ordered, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import larger, nearest, smaller, where
from edgewright.policies.kv.following import each_layer, greedily, prompt_rows
from edgewright.policies.kv.passes import moving
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step, Stream
from edgewright.workloads.kv_operators import CacheMove, TokenScores, refitted

__all__ = ["Keyformer"]

_SCORED, _MOVED = "keyformer.scored", "keyformer.moved"


@register("kv", "keyformer")
@dataclass(frozen=True, slots=True, kw_only=True)
class Keyformer:
    """As many tokens stay as a fraction of the prompt: the most recent ones, and key tokens, whose accumulated scores are highest.

    Scores are softmaxes of each query's products with Gumbel noise and a temperature that rises as the answer grows, which make up for
    the probability that evicted tokens would have had. The prompt is computed whole and cut at its end; then a token leaves for each that
    comes. Each step scores the cached tokens in `kernels` passes, and evicts.

    Attributes:
        budget: tokens kept, as a fraction of the prompt (to the nearest token, at least one); the paper keeps 0.5 to 0.7.
        tokens: tokens kept, as a number; given, it replaces `budget`.
        recent: the fraction of the kept tokens that are the most recent; 0.2 to 0.3 in the paper.
        first, last: temperature at the beginning and at the end of the answer.
        kernels: passes over the scores in each layer, each a launch that reads and writes fp32 per head and token: 4 if adding noise,
            softmax, accumulating and choosing are fused each, some twelve if each operation is a launch (eager PyTorch).
        compaction: `gather` copies what stays to another place in each step that evicts; `in_place` writes the new token over the evicted.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: counts of tokens are exact for decoding; while the prompt is computed all of it is in memory, which is not in
    `footprint`. The prompt's scores are priced over the causal half of its products, which eager kernels compute in full. Generating the
    noise is not counted.
    """

    budget: Fraction = 0.5
    tokens: int | None = None
    recent: Fraction = 0.2
    first: float = 1.0
    last: float = 2.0
    kernels: int = 4
    compaction: Literal["gather", "in_place"] = "gather"
    bits: float | None = None

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "budget", "recent")
        at_least(self, tokens=1, kernels=1)
        within(self, 1e-3, 1e3, "first", "last")
        ordered(self, "first", "last")
        within(self, 1.0, 32.0, "bits")
        if self.compaction not in ("gather", "in_place"):
            raise ValueError(f"compaction: {self.compaction!r} is not accepted; accepted are gather, in_place")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """`min(context, budget * prompt)` tokens, resident and attended."""
        kept = smaller(context, self._kept(prompt))
        return Footprint(resident=kept, attended=kept)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The most recent positions (at least one), and the highest scores before them; ties go to the earlier position."""
        kept = int(self.footprint(prompt, len(scores)).attended)
        return heavy_hitters(scores, kept, self._recent(kept))

    def follow(self, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Scores accumulate step by step over the tokens that are left, with noise that belongs to a token and stays."""
        steps, context = attention.shape[1:]
        first, kept = prompt_rows(attention, prompt), int(self._kept(prompt))
        answer = max(steps - first, 1)

        def choose(rows: NDArray[np.float64], layer: int) -> NDArray[np.bool_]:
            uniform = Stream(0, "kv.keyformer").uniforms(context, layer)
            noise = -np.log(-np.log(uniform * (1.0 - 2.0**-30) + 2.0**-31))

            def score(row: NDArray[np.float64], left: NDArray[np.float64], step: int) -> NDArray[np.float64]:
                heat = temperature(step, answer, self.first, self.last)
                added = gumbel_scores(_logits(left if step else rows[:first]), noise, heat).reshape(-1, context)
                total: NDArray[np.float64] = added.sum(axis=0)
                return total

            return greedily(rows, prompt, kept, self._recent(kept), score)

        return each_layer(attention, prompt, choose)

    def refit(self, model: Model) -> Model:
        """Scoring and eviction in every attention block."""
        return refitted(
            model,
            "keyformer",
            lambda block, attention: (
                *block.operators,
                TokenScores(attention=attention, role=_SCORED, kernels=self.kernels, numbers=2.0 * self.kernels),
                CacheMove(attention=attention, role=_MOVED, kernels=2),
            ),
        )

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """All kept tokens are scored; once the budget is full, they are moved, or one is written over."""
        kept = self._kept(prompt)
        evicting = where(context > kept, kept if self.compaction == "gather" else 1.0, 0.0)
        return {_SCORED: smaller(context, kept), _MOVED: evicting}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """Every product of the prompt is scored; at its end, what stays is moved together."""
        roles = {_SCORED: Step.of(prefill=[(past, new)], windows=windows)}
        kept = int(self._kept(prompt))
        if past < prompt <= past + new and kept < prompt:
            roles[_MOVED] = moving(kept, windows)
        return roles

    def _kept(self, prompt: Quantity) -> Quantity:
        return self.tokens if self.tokens is not None else larger(nearest(self.budget * prompt), 1)

    def _recent(self, kept: int) -> int:
        return min(kept, max(int(nearest(self.recent * kept)), 1))


def _logits(attention: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products that would give this attention, up to a number that a softmax does not see."""
    with np.errstate(divide="ignore"):
        logits: NDArray[np.float64] = np.log(attention)
    return logits
