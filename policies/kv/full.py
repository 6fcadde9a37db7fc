"""Every token stays, in the replica's format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.policies.families import Footprint
from edgewright.policies.registry import register

__all__ = ["Full"]


@register("kv", "full")
@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """The whole cache: every decode step reads every token. Exact."""

    @property
    def bits(self) -> float | None:
        """The replica's format."""
        return None

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The context, resident and attended."""
        return Footprint(resident=context, attended=context)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Every position."""
        return np.ones(len(scores), dtype=bool)
