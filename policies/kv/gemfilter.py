"""A prompt filtered by an early layer: Shi et al., Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input
Token Reduction, 2024 (arXiv 2409.17422)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.kernels.selection import filtered_prompt, heavy_hitters
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import larger, smaller
from edgewright.policies.kv.following import each_layer, prompt_rows
from edgewright.policies.kv.passes import looking
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step
from edgewright.workloads.kv_operators import InRoles, KeyScan, TokenScores, attention_of, refitted
from edgewright.workloads.model import Block

__all__ = ["GemFilter"]

_FILTER, _ANSWER, _CHOOSING = "gemfilter.filter", "gemfilter.answer", "gemfilter.choosing"


@register("kv", "gemfilter")
@dataclass(frozen=True, slots=True, kw_only=True)
class GemFilter:
    """The first layers run over the prompt, and the last of them picks the tokens on which the whole model then runs from nothing.

    The attention of the prompt's last query, summed over heads and pooled, picks them; they are numbered anew. The answer is generated
    from their cache alone. A prompt of no more tokens than are picked is computed as ever.

    Attributes:
        tokens: tokens picked; 1024 to 4096 in the paper.
        layers: layers that run over the whole prompt, the last of which filters; 13 of 32 for Llama-3.1-8B in the paper.
        pool: neighbours over which the attention is pooled.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: the embedding is computed for the prompt alone, not for the picked tokens again (one row each). What the filtering
    pass holds in memory is not in `footprint`: one layer's keys and values of the whole prompt, or with chunks those of all its layers.
    A prompt whose beginning is cached from an earlier turn is taken to be filtered by the rest of it alone.
    """

    tokens: int = 1024
    layers: int = 13
    pool: int = 5
    bits: float | None = None

    def __post_init__(self) -> None:
        at_least(self, tokens=1, layers=1, pool=1)
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The picked tokens and the answer."""
        kept = smaller(context, self.tokens + larger(context - prompt, 0))
        return Footprint(resident=kept, attended=kept)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The answer, and the prompt's highest scores; ties go to the earlier position."""
        kept = int(self.footprint(prompt, len(scores)).attended)
        return heavy_hitters(scores, kept, min(kept, max(len(scores) - prompt, 0)))

    def follow(self, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The first of these layers filters for all of them, by the row of the prompt's last token."""
        first, context = prompt_rows(attention, prompt), attention.shape[2]
        mask = np.ones(context, dtype=bool)
        if prompt > self.tokens:
            mask[:prompt] = False
            mask[filtered_prompt(attention[0, first - 1 : first, :prompt], self.tokens, self.pool)] = True
        return each_layer(attention, prompt, lambda rows, layer: np.broadcast_to(mask, (len(rows) - first, context)))

    def refit(self, model: Model) -> Model:
        """Early layers compute both passes, later ones the second; raises `ValueError` for models with experts, or too few layers."""
        layers = 1 + max((block.layer for block in model.blocks), default=-1)
        if self.layers > layers:
            raise ValueError(f"the filter is layer {self.layers}, and {model.name} has {layers}; accepted are layers up to that")
        if model.experts is not None:
            raise ValueError(f"'gemfilter' computes layers for different tokens, and {model.name} has experts; accepted are models without")
        marked = refitted(model, "gemfilter", lambda block, attention: block.operators)
        return replace(marked, blocks=tuple(self._block(block) for block in marked.blocks))

    def _block(self, block: Block) -> Block:
        if block.layer < 0:
            return block
        roles = (_FILTER, _ANSWER) if block.layer < self.layers else (_ANSWER,)
        operators = tuple(InRoles(each, roles) for each in block.operators)
        attention = attention_of(block)
        if attention is None or block.layer != self.layers - 1:
            return replace(block, operators=operators)
        scan = KeyScan(attention=attention, role=_CHOOSING)
        return replace(block, operators=(*operators, scan, TokenScores(attention=attention, role=_CHOOSING, kernels=3, numbers=6.0)))

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """All layers answer."""
        return {_ANSWER: self.footprint(prompt, context).attended}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """Early layers see the chunk; once the prompt is whole, all see the picked tokens, and what had been answered before."""
        if prompt <= self.tokens:
            return {_ANSWER: Step.of(prefill=[(past, new)], windows=windows)}
        again = max(past + new - max(prompt, past), 0)
        roles = {}
        if new > again:
            roles[_FILTER] = Step.of(prefill=[(past, new - again)], windows=windows)
        if past < prompt <= past + new:
            roles[_ANSWER] = Step.of(prefill=[(0, self.tokens + again)], windows=windows)
            roles[_CHOOSING] = looking(prompt, 1, windows)
        elif again:
            roles[_ANSWER] = Step.of(prefill=[(self.tokens + past - prompt, again)], windows=windows)
        return roles
