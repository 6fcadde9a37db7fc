"""Pages found by bounds: Tang et al., Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference, ICML 2024 (arXiv
2406.10774)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.kernels.selection import top, top_pages
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import smaller, upwards
from edgewright.policies.kv.following import positions_before, prompt_rows
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step
from edgewright.workloads.kv_operators import InRoles, KeyScan, TokenScores, refitted
from edgewright.workloads.model import Block
from edgewright.workloads.model_operators import Operator
from edgewright.workloads.transformer import CausalAttention

__all__ = ["Quest"]

_WHOLE, _PAGES = "quest.whole", "quest.pages"


@register("kv", "quest")
@dataclass(frozen=True, slots=True, kw_only=True)
class Quest:
    """Every token stays; in decoding, each layer but the first few attends to the pages whose keys could match the query best.

    A page keeps the least and the greatest of its keys per channel; each layer bounds every page's products with its query by these, and
    attends to the pages of the highest bounds.

    Attributes:
        tokens: tokens of the pages attended to, rounded up to whole pages.
        page: tokens per page; 16 in the paper.
        whole: layers from the first on that attend to everything; 2 in the paper.
        kernels: launches of choosing among bounds, in each layer that does; each reads and writes one fp32 number per head and page.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: the bounds' memory, one key in `page / 2`, is not in `footprint`; keeping them up to date is not counted. `follow`
    ranks pages by their greatest true attention, which no bound does better.
    """

    tokens: int = 256
    page: int = 16
    whole: int = 2
    kernels: int = 2
    bits: float | None = None

    def __post_init__(self) -> None:
        at_least(self, tokens=1, page=1, whole=0, kernels=1)
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The context, resident; the tokens of whole pages attended, as most layers do."""
        return Footprint(resident=context, attended=smaller(context, -(-self.tokens // self.page) * self.page))

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The pages of the highest scores; the last page, if it is short and chosen, is filled up with the next best tokens."""
        count = int(self.footprint(prompt, len(scores)).attended)
        mask = top_pages(scores, count, self.page)
        mask[top(np.where(mask, -np.inf, scores), max(count - int(mask.sum()), 0))] = True
        return mask

    def follow(self, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Each layer ranks the pages anew in each step; which layers of the model these are does not matter."""
        found = np.broadcast_to(positions_before(attention), attention.shape).copy()
        for rows, masks in zip(attention, found, strict=True):
            for step in range(prompt_rows(attention, prompt), len(rows)):
                masks[step] &= top_pages(rows[step], self.tokens, self.page)
        return found

    def refit(self, model: Model) -> Model:
        """Layers that attend to everything, and bounds and choice in the others."""
        return refitted(model, "quest", self._operators)

    def _operators(self, block: Block, attention: CausalAttention) -> tuple[Operator, ...]:
        if block.layer < self.whole:
            return tuple(InRoles(each, (_WHOLE,)) if each is attention else each for each in block.operators)
        bounds = KeyScan(attention=attention, role=_PAGES, vectors=2)
        return (*block.operators, bounds, TokenScores(attention=attention, role=_PAGES, kernels=self.kernels, numbers=2.0 * self.kernels))

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """The whole context, and its pages."""
        return {_WHOLE: context, _PAGES: upwards(context / self.page)}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """The prompt is computed as ever, and nothing is chosen."""
        return {_WHOLE: Step.of(prefill=[(past, new)], windows=windows)}
