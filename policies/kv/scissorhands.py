"""Importance that persists: Liu et al., Scissorhands: Exploiting the Persistence of Importance Hypothesis for LLM KV Cache Compression at
Test Time, NeurIPS 2023 (arXiv 2305.17118)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.hwmodels.units import Fraction
from edgewright.kernels.selection import heavy_hitters, persistent_importance
from edgewright.policies.base import at_least, within
from edgewright.policies.families import Footprint
from edgewright.policies.kv.elementwise import larger, nearest, smaller, where
from edgewright.policies.kv.following import each_layer, prompt_rows
from edgewright.policies.kv.passes import looking, moving
from edgewright.policies.registry import register
from edgewright.workloads import Model, Step
from edgewright.workloads.kv_operators import CacheMove, KeyScan, TokenScores, refitted

__all__ = ["Scissorhands"]

_SCANNED, _JUDGED, _MOVED = "scissorhands.scanned", "scissorhands.judged", "scissorhands.moved"


@register("kv", "scissorhands")
@dataclass(frozen=True, slots=True, kw_only=True)
class Scissorhands:
    """A buffer of fixed size per sequence; whenever it is full, many tokens leave it at once: those seldom important of late.

    A token is important to a query that pays it at least an even share of its attention. Compressing looks at the last `history`
    queries, keeps the latest `recent` tokens, and drops `drop` of the buffer, so that it happens once in as many steps.

    Attributes:
        budget: size of the buffer, as a fraction of the prompt (to the nearest token, at least one); the paper goes down to 0.2 (5 times
            less memory), and to 0.15 to 0.3 on tasks.
        tokens: size of the buffer, as a number; given, it replaces `budget`.
        drop: the part of the buffer that leaves at once; 0.5 in the paper.
        recent: latest tokens that stay in any case; 10 in the paper.
        history: past queries that judge; 400 in the paper. Their attention is computed anew when compressing.
        bits: bits per cached number; None: the replica's format. 4 bits come on top in the paper.

    How wrong it can be: layers share the memory evenly here, which in the paper gives later ones more: the bytes are the same. Past
    queries are kept for judging, `history` vectors per layer, which are not counted as memory: as many bytes as half as many tokens.
    """

    budget: Fraction = 0.2
    tokens: int | None = None
    drop: Fraction = 0.5
    recent: int = 10
    history: int = 400
    bits: float | None = None

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "budget", "drop")
        at_least(self, tokens=1, recent=0, history=1)
        within(self, 1.0, 32.0, "bits")

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """The buffer, resident; attended what is in it: full, then less what leaves at once, then one more with each token."""
        size, drop = self._buffer(prompt)
        over = context - size
        held = where(over > 0, size - drop + 1 + (over - 1) % drop, context)
        return Footprint(resident=smaller(context, size), attended=held)

    def select(self, scores: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """The latest `recent` positions (as far as they fit), and the highest scores before them; ties go to the earlier position."""
        kept = int(self.footprint(prompt, len(scores)).attended)
        return heavy_hitters(scores, kept, min(self.recent, kept))

    def follow(self, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
        """Compresses when the buffer is full, by the rows of the last queries that are there over the tokens that are."""
        first, context = prompt_rows(attention, prompt), attention.shape[2]
        size, drop = (int(each) for each in self._buffer(prompt))

        def kept_of(rows: NDArray[np.float64], alive: NDArray[np.bool_], kept: int) -> NDArray[np.bool_]:
            among = np.flatnonzero(alive)
            tokens = np.arange(len(rows)) + context - attention.shape[1]
            seen = np.maximum(np.searchsorted(among, tokens, side="right"), 1)
            judged = persistent_importance(rows[:, among], kept, min(self.recent, kept), self.history, seen)
            mask = np.zeros(context, dtype=bool)
            mask[among[judged]] = True
            return mask

        def choose(rows: NDArray[np.float64], layer: int) -> NDArray[np.bool_]:
            alive = np.arange(context) < prompt
            if prompt > size:
                alive = kept_of(rows[:first], alive, int(self.footprint(prompt, prompt).attended))
            found = np.zeros((len(rows) - first, context), dtype=bool)
            for step in range(len(found)):
                if alive.sum() >= size:
                    alive = kept_of(rows[: first + step], alive, size - drop)
                alive[prompt + step] = True
                found[step] = alive
            return found

        return each_layer(attention, prompt, choose)

    def refit(self, model: Model) -> Model:
        """Compressing in every attention block: the attention of past queries, what it says of each token, and the move."""
        return refitted(
            model,
            "scissorhands",
            lambda block, attention: (
                *block.operators,
                KeyScan(attention=attention, role=_SCANNED, queries=self.history),
                TokenScores(attention=attention, role=_JUDGED, kernels=2, numbers=4.0),
                CacheMove(attention=attention, role=_MOVED, kernels=2),
            ),
        )

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """A full buffer is read and judged, and what stays is moved, in the steps that compress; nothing in the others."""
        size, drop = self._buffer(prompt)
        over = context - size
        compresses = (over > 0) & ((over - 1) % drop == 0)
        scanned = where(compresses, size, 0.0)
        return {_SCANNED: scanned, _JUDGED: scanned * self.history, _MOVED: where(compresses, size - drop, 0.0)}

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """A prompt longer than the buffer is compressed once, when it is whole."""
        kept = int(self.footprint(prompt, prompt).attended)
        if not past < prompt <= past + new or kept == prompt:
            return {}
        scanned = looking(prompt, min(self.history, prompt), windows)
        return {_SCANNED: scanned, _JUDGED: scanned, _MOVED: moving(kept, windows)}

    def _buffer(self, prompt: Quantity) -> tuple[Quantity, Quantity]:
        """Tokens of the buffer, and how many leave at once (at least one)."""
        size = self.tokens if self.tokens is not None else larger(nearest(self.budget * prompt), 1)
        return size, smaller(larger(nearest(self.drop * size), 1), size)
