"""Pareto fronts: which points no other point beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pareto_front"]


def pareto_front(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each row of `costs` (points x objectives, all to be minimised): whether no other is at most as large in all and less in one.

    Equal points are all on the front; a row with NaN is never on it.
    """
    known = np.asarray(np.isfinite(costs).all(axis=1), np.bool_)
    front: NDArray[np.bool_] = known.copy()
    for index in np.flatnonzero(known):
        others = costs[known]
        beaten = (others <= costs[index]).all(axis=1) & (others < costs[index]).any(axis=1)
        front[index] = not beaten.any()
    return front
