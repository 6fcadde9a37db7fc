"""Which experts the next layer will want, from those of the layers before.

Yi et al., EdgeMoE: Empowering Sparse Large Language Models on Mobile Devices, IEEE TMC 2025: tables of `P(E_n | E_n-1, E_n-2)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewright.policies.experts.routes import Counts, Routes

__all__ = ["Predictor"]

_Chosen = NDArray[np.int64]


class Predictor:
    """Counts of which experts followed which, per layer.

    `history` layers before are looked at, 1 or 2; a pair never seen falls back to the last layer alone, and that to the layer's
    popularity. A token's several experts count as so many observations. Rows exist only for what was seen.
    """

    def __init__(self, layers: int, experts: int, history: int) -> None:
        self._experts = experts
        self._history = history
        self._popular = np.zeros((layers, experts))
        self._rows: list[dict[int, Counts]] = [{} for _ in range(layers)]

    def learn(self, routes: Routes) -> None:
        """Count the routes `(layers, tokens, top_k)` of some tokens."""
        for layer in range(len(routes)):
            self.observe(layer, routes[:layer], routes[layer])

    def observe(self, layer: int, before: Sequence[_Chosen] | Routes, chosen: _Chosen) -> None:
        """Count what a layer's router chose, `(tokens, top_k)`, after the routes of the layers before."""
        self._popular[layer] += np.bincount(chosen.ravel(), minlength=self._experts)
        for contexts in self._contexts(before):
            self._count(layer, contexts, chosen)

    def ranked(self, layer: int, before: Sequence[_Chosen] | Routes) -> list[int]:
        """The experts in order of how probable the layer is to want them; ties by number. Those never seen come last."""
        score = self._score(layer, before)
        return sorted(range(self._experts), key=lambda expert: (-score[expert], expert))

    def _score(self, layer: int, before: Sequence[_Chosen] | Routes) -> Counts:
        """Expected demand: the sum over tokens and contexts of the conditional shares."""
        rows = self._rows[layer]
        for contexts in reversed(self._contexts(before)):
            seen, often = np.unique(contexts, return_counts=True)
            found = [(count, rows[key]) for key, count in zip(seen.tolist(), often.tolist(), strict=True) if key in rows]
            if found:
                return _summed([count * row / row.sum() for count, row in found])
        popular: Counts = self._popular[layer]
        return popular

    def _contexts(self, before: Sequence[_Chosen] | Routes) -> list[_Chosen]:
        """Keys of what came before, `(tokens, contexts)`: the last layer's experts, then the pairs with the one before it."""
        depth = min(self._history, len(before))
        if depth == 0:
            return []
        last = np.asarray(before[-1], dtype=np.int64)
        if depth == 1:
            return [last]
        earlier = np.asarray(before[-2], dtype=np.int64)
        pairs = (earlier[:, :, None] + 1) * self._experts + last[:, None, :]
        return [last, pairs.reshape(len(last), -1)]

    def _count(self, layer: int, contexts: _Chosen, chosen: _Chosen) -> None:
        keys, index = np.unique(contexts, return_inverse=True)
        table = np.zeros((len(keys), self._experts))
        np.add.at(table, (index.reshape(contexts.shape)[:, :, None], chosen[:, None, :]), 1.0)
        rows = self._rows[layer]
        for key, counted in zip(keys.tolist(), table, strict=True):
            rows[key] = rows[key] + counted if key in rows else counted


def _summed(rows: list[Counts]) -> Counts:
    total: Counts = np.sum(rows, axis=0)
    return total
