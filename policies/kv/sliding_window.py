"""Attention sinks and a sliding window: Xiao et al., Efficient Streaming Language Models with Attention Sinks (StreamingLLM), ICLR 2024."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.kernels.selection import window
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import smaller
from edgewright.policies.registry import register

__all__ = ["SlidingWindow"]


@register("kv", "sliding_window")
@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindow:
    """The first `sinks` tokens and the last `window` stay, whatever their attention; the rest is evicted.

    Attributes:
        sinks: tokens kept from the start of the sequence; StreamingLLM finds 4 to be enough.
        window: most recent tokens kept, the new one included.
        bits: bits per cached number; None: the replica's format.

    How wrong it can be: counts of tokens are exact for decoding. While a prompt longer than the cache is computed, engines that evict
    only afterwards hold all of it for that time; that peak is not in the footprint.
    """

    sinks: int = 4
    window: int = 1020
    bits: float | None = None

    def __post_init__(self) -> None:
        at_least(self, sinks=0, window=1)
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """`min(context, sinks + window)` tokens, resident and attended."""
        kept = smaller(context, self.sinks + self.window)
        return Footprint(resident=kept, attended=kept)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The first `sinks` and the last `window` positions."""
        return window(len(scores), self.sinks, self.window)
