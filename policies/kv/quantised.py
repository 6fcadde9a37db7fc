"""A quantised cache: Liu et al., KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache, ICML 2024."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.policies.base import within
from edgewright.policies.families import Footprint
from edgewright.policies.registry import register

__all__ = ["Quantised"]


@register("kv", "quantised")
@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """Every token stays, at fewer bits per cached number.

    Attributes:
        bits: true bits per number, scales and zero points included: 4-bit codes in groups of 64 with a 16-bit scale and a 16-bit zero
            point are 4 + 32 / 64 = 4.5 (the default); 2-bit codes in groups of 32 are 3.

    How wrong it can be: the arithmetic of packing and unpacking is not counted, nor the most recent tokens that KIVI keeps in full
    precision (32 to 128 per sequence: at contexts of a few hundred tokens these are a large share of the bytes).
    """

    bits: float = 4.5

    def __post_init__(self) -> None:
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The context, resident and attended."""
        return Footprint(resident=context, attended=context)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Every position."""
        return np.ones(len(scores), dtype=bool)
