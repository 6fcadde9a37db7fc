"""Keys by channels, then tokens by pages of flash.

Pan et al., "InstInfer", 2024 (arXiv 2409.04992): SparF, which lays SparQ (Ribar et al., "SparQ Attention: Bandwidth-Efficient LLM
Inference", ICML 2024) out for flash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.kernels.selection import top
from edgewright.policies.base import within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import upwards
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step
from edgewright.workloads.kv_operators import InRoles, KeyScan, refitted
from edgewright.workloads.model import Block
from edgewright.workloads.model_operators import Operator
from edgewright.workloads.transformer import CausalAttention

__all__ = ["SparF"]

_CHANNELS, _GROUPS = "sparf.channels", "sparf.groups"


@register("kv", "sparf")
@dataclass(frozen=True, slots=True, kw_only=True)
class SparF:
    """Every token stays; a decode step scores all of them by the few channels in which its query is largest, and attends to the best.

    Keys and values are read by page groups, of which those without a chosen token are left out.

    Attributes:
        channels: share of the keys' channels that are read for the scores (16 of 128).
        tokens: share of the tokens that are attended to.
        groups: share of the page groups with a chosen token (InstInfer: the first filter keeps about half). Of groups of 16 tokens with
            choices at random, `1 - (1 - tokens) ** 16` would have one, 0.88. 1 / `channels` groups is SparQ's layout: give it `tokens`.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: the mean of the values, which stands for the tokens left out, is not counted, nor is the choice itself. That keys
    are stored twice is where they are written (`in_storage`), not in `footprint`.
    """

    channels: float = 0.125
    tokens: float = 0.125
    groups: float = 0.5
    bits: float | None = None

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "channels", "tokens", "groups")
        within(self, 1.0, 32.0, "bits")
        if self.groups < self.tokens:
            raise ValueError(f"groups: {self.groups!r} hold fewer tokens than are chosen; accepted are {self.tokens!r} to 1")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The context, resident; its share attended, rounded up."""
        return Footprint(resident=context, attended=upwards(context * self.tokens))

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The highest scores: what the approximate ones stand for."""
        mask = np.zeros(len(scores), dtype=np.bool_)
        mask[top(scores, int(self.footprint(prompt, len(scores)).attended))] = True
        return mask

    def refit(self, model: Model) -> Model:
        """Every layer scores by channels, and attends to page groups."""
        return refitted(model, "sparf", _operators)

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """Whole keys that the channels add up to, and tokens of the groups that are read."""
        return {_CHANNELS: context * self.channels, _GROUPS: context * self.groups}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """The prompt is computed as ever, and nothing is chosen."""
        return {_GROUPS: Step.of(prefill=[(past, new)], windows=windows)}


def _operators(block: Block, attention: CausalAttention) -> tuple[Operator, ...]:
    attending = tuple(InRoles(each, (_GROUPS,)) if each is attention else each for each in block.operators)
    return (*attending, KeyScan(attention=attention, role=_CHANNELS))
