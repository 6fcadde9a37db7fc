"""A cache that overflows to storage: Sheng et al., FlexGen: High-Throughput Generative Inference with a Single GPU, ICML 2023."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import larger, smaller
from edgewright.policies.registry import register

__all__ = ["Offload"]


@register("kv", "offload")
@dataclass(frozen=True, slots=True, kw_only=True)
class Offload:
    """Every token is attended; the most recent ones stay in memory, and the others are read from storage in every decode step.

    Attributes:
        resident: most recent tokens kept in memory, per sequence.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: nothing is cached between steps, nothing is skipped by its attention, and the single write of each token that
    leaves memory is not counted (one token per step, against `context - resident` tokens read).
    """

    resident: int = 1024
    bits: float | None = None

    def __post_init__(self) -> None:
        at_least(self, resident=1)
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """`min(context, resident)` tokens in memory, all attended, the rest fetched."""
        return Footprint(resident=smaller(context, self.resident), attended=context, fetched=larger(context - self.resident, 0))

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Every position: none is lost."""
        return np.ones(len(scores), dtype=bool)
