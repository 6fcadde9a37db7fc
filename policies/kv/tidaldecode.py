"""Position persistent sparse attention: Yang et al., TidalDecode: Fast and Accurate LLM Decoding with Position Persistent Sparse
Attention, ICLR 2025 (arXiv 2410.05076)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.kernels.selection import heavy_hitters, persistent_positions
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import smaller
from edgewright.policies.kv.following import positions_before, prompt_rows
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step
from edgewright.workloads.kv_operators import InRoles, TokenScores, refitted
from edgewright.workloads.model import Block
from edgewright.workloads.model_operators import Operator
from edgewright.workloads.transformer import CausalAttention

__all__ = ["TidalDecode"]

_WHOLE, _CHOOSING = "tidaldecode.whole", "tidaldecode.choosing"


@register("kv", "tidaldecode")
@dataclass(frozen=True, slots=True, kw_only=True)
class TidalDecode:
    """Every token stays; in decoding, few layers attend to all of them, and the others to the positions that one of those chose.

    The first layers attend to everything; so do the selecting ones, which write their products and take the positions of the highest,
    for themselves and the layers up to the next selecting one.

    Attributes:
        tokens: positions that a layer attends to (64 to 4096 in the paper, 256 typical).
        whole: layers from the first on that attend to everything.
        selecting: layers that choose, counted from 0, ascending: the paper has 2 and one in the middle, 7 for Llama 2-7B
            and 13 for Llama 3-8B.
        kernels: launches of choosing in a selecting layer; each reads and writes one fp32 number per head and token.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: keys and values at scattered positions are priced as if they lay side by side, which holds where one position's
    are as long as a memory transaction or longer. Positions are chosen per query head in the paper: query heads that share keys may read
    up to so many times more. Correcting the cache every some thousand steps is left out: it computes each token once more, as a prompt.
    """

    tokens: int = 256
    whole: int = 2
    selecting: tuple[int, ...] = (2, 13)
    kernels: int = 2
    bits: float | None = None

    def __post_init__(self) -> None:
        at_least(self, tokens=1, whole=0, kernels=1)
        within(self, 1.0, 32.0, "bits")
        if not self.selecting or list(self.selecting) != sorted(set(self.selecting)) or self.selecting[0] != self.whole:
            raise ValueError(
                f"selecting: {self.selecting!r} is not accepted; accepted are layers in ascending order, the first of them {self.whole}, "
                "behind those that attend to everything"
            )

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The context, resident; `min(context, tokens)` attended, as most layers do."""
        return Footprint(resident=context, attended=smaller(context, self.tokens))

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The highest scores of a selecting layer; ties go to the earlier position."""
        return heavy_hitters(scores, min(self.tokens, len(scores)), 0)

    def follow(self, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """In each step the first of these layers selects, and the others, a row of layers behind one that does, attend to its positions."""
        first, found = prompt_rows(attention, prompt), np.broadcast_to(positions_before(attention), attention.shape).copy()
        for step in range(first, attention.shape[1]):
            for layer, positions in enumerate(persistent_positions(attention[:, None, step], self.tokens, (0,))):
                if positions is not None:
                    found[layer, step] &= np.isin(np.arange(attention.shape[2]), positions)
        return found

    def refit(self, model: Model) -> Model:
        """Layers that attend to everything, and the choice in the selecting ones; raises `ValueError` where the model has no such layer."""
        layers = 1 + max((block.layer for block in model.blocks), default=-1)
        if self.selecting[-1] >= layers:
            raise ValueError(f"layer {self.selecting[-1]} is to select, and {model.name} has {layers}; accepted are layers below that")
        return refitted(model, "tidaldecode", self._operators)

    def _operators(self, block: Block, attention: CausalAttention) -> tuple[Operator, ...]:
        if block.layer >= self.whole and block.layer not in self.selecting:
            return block.operators
        found: tuple[Operator, ...] = tuple(InRoles(each, (_WHOLE,)) if each is attention else each for each in block.operators)
        if block.layer in self.selecting:
            found += (TokenScores(attention=attention, role=_CHOOSING, kernels=self.kernels, numbers=2.0 * self.kernels),)
        return found

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """The whole context, attended to and chosen from."""
        return {_WHOLE: context, _CHOOSING: context}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """The prompt is computed as ever, and nothing is chosen."""
        return {_WHOLE: Step.of(prefill=[(past, new)], windows=windows)}
