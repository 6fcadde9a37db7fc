"""A prompt's cache cut by what its last queries saw: Li et al., SnapKV: LLM Knows What You are Looking for Before Generation, NeurIPS 2024
(arXiv 2404.14469)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.kernels.selection import heavy_hitters, observed_prompt
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import larger, smaller
from edgewright.policies.kv.following import each_layer, prompt_rows
from edgewright.policies.kv.passes import looking, moving
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step
from edgewright.workloads.kv_operators import CacheMove, KeyScan, TokenScores, refitted

__all__ = ["SnapKV"]

_OBSERVED, _MOVED = "snapkv.observed", "snapkv.moved"


@register("kv", "snapkv")
@dataclass(frozen=True, slots=True, kw_only=True)
class SnapKV:
    """The prompt is computed whole; of its cache so many tokens stay, and every token of the answer.

    Attributes:
        tokens: tokens of the prompt that stay, the observing ones included; 1024 to 4096 in the paper.
        observing: the prompt's last queries, whose attention decides; their tokens stay.
        pool: neighbours over which the attention is pooled.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: counts of tokens are exact for decoding; while the prompt is computed all of it is in memory, which is not in
    `footprint` (layers cut one after another need less).
    """

    tokens: int = 1024
    observing: int = 32
    pool: int = 5
    bits: float | None = None

    def __post_init__(self) -> None:
        at_least(self, tokens=1, observing=1, pool=1)
        within(self, 1.0, 32.0, "bits")
        if self.observing > self.tokens:
            raise ValueError(f"observing: {self.observing!r} is not accepted; accepted are numbers up to tokens = {self.tokens}")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """Of the prompt `min(prompt, tokens)`, and the answer."""
        kept = smaller(context, self.tokens + larger(context - prompt, 0))
        return Footprint(resident=kept, attended=kept)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The answer and the prompt's last tokens, and the highest scores before them; ties go to the earlier position."""
        kept = int(self.footprint(prompt, len(scores)).attended)
        return heavy_hitters(scores, kept, min(kept, self.observing + max(len(scores) - prompt, 0)))

    def follow(self, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Each layer chooses by its own rows of the prompt's last queries, as many as are there."""
        first, context = prompt_rows(attention, prompt), attention.shape[2]

        def choose(rows: NDArray[np.float64], layer: int) -> NDArray[np.bool_]:
            mask = np.ones(context, dtype=bool)
            if prompt > self.tokens:
                seen = rows[max(first - self.observing, 0) : first, :prompt]
                mask[:prompt] = observed_prompt(seen, self.tokens, self.observing, self.pool)
            return np.broadcast_to(mask, (len(rows) - first, context))

        return each_layer(attention, prompt, choose)

    def refit(self, model: Model) -> Model:
        """In every attention block, the last queries' attention, its pooling and choice, and the move."""
        return refitted(
            model,
            "snapkv",
            lambda block, attention: (
                *block.operators,
                KeyScan(attention=attention, role=_OBSERVED, queries=self.observing),
                TokenScores(attention=attention, role=_OBSERVED, kernels=3, numbers=6.0),
                CacheMove(attention=attention, role=_MOVED, kernels=2),
            ),
        )

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """Nothing: what stays is attended to as ever."""
        return {}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """A prompt of more tokens than stay is cut once, when it is whole."""
        if prompt <= self.tokens or not past < prompt <= past + new:
            return {}
        return {_OBSERVED: looking(prompt, self.observing, windows), _MOVED: moving(self.tokens, windows)}
