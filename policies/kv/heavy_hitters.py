"""Heavy hitters: Zhang et al., H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models, NeurIPS 2023."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.hwmodels.units import Fraction
from edgewright.kernels.selection import heavy_hitters
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import larger, nearest, smaller
from edgewright.policies.registry import register

__all__ = ["HeavyHitters"]


@register("kv", "heavy_hitters")
@dataclass(frozen=True, slots=True, kw_only=True)
class HeavyHitters:
    """A fixed number of tokens stays: the most recent ones, and of the others those that drew the most attention so far.

    Attributes:
        budget: tokens kept, as a fraction of the prompt (to the nearest token, at least one).
        tokens: tokens kept, as a number; given, it replaces `budget`.
        recent: the fraction of the kept tokens that are the most recent; H2O splits evenly.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: counts of tokens are exact for decoding; the peak while the prompt is computed, and the reading and writing of
    the accumulated scores, are not counted. `select` chooses once, by the scores accumulated over the whole context; H2O evicts greedily
    step by step, so that a token evicted early cannot return: what it keeps drew the same attention or less.
    """

    budget: Fraction = 0.2
    tokens: int | None = None
    recent: Fraction = 0.5
    bits: float | None = None

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "budget", "recent")
        at_least(self, tokens=1)
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """`min(context, budget * prompt)` tokens, resident and attended."""
        budget = self.tokens if self.tokens is not None else larger(nearest(self.budget * prompt), 1)
        kept = smaller(context, budget)
        return Footprint(resident=kept, attended=kept)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The most recent positions (at least one), and the highest scores before them; ties go to the earlier position."""
        kept = int(self.footprint(prompt, len(scores)).attended)
        recent = min(kept, max(int(nearest(self.recent * kept)), 1))
        return heavy_hitters(scores, kept, recent)
