"""The best way to cut a row of segments into consecutive stages, by dynamic programming."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TypeAlias

__all__ = ["Cost", "best_cuts"]

Cost: TypeAlias = Callable[[int, int, int], float]
"""`(stage, first, last) -> cost` of segments `first` to `last` (exclusive) as that stage; infinite where it is not allowed."""

_Costs: TypeAlias = list[list[list[float]]]


def best_cuts(stages: int, segments: int, cost: Cost) -> tuple[int, ...] | None:
    """Bounds `(0, ..., segments)` of non-empty stages with the least bottleneck, and the least total among those; None if there are none.

    Two passes: the least possible maximum first; then, allowing only stages up to it, the least sum. Both are optimal, since the best
    cut of a prefix is part of the best cut of the whole. Ties go to the earliest cuts. O(stages * segments**2).
    """
    costs = [[[cost(stage, i, j) if i < j else inf for j in range(segments + 1)] for i in range(segments)] for stage in range(stages)]
    bottleneck, _ = _solve(costs, segments, max)
    if bottleneck == inf:
        return None
    allowed = [[[each if each <= bottleneck else inf for each in row] for row in table] for table in costs]
    return _solve(allowed, segments, _plus)[1]


def _plus(a: float, b: float) -> float:
    return a + b


def _solve(costs: _Costs, segments: int, join: Callable[[float, float], float]) -> tuple[float, tuple[int, ...]]:
    """The least joined cost of all segments, and its bounds."""
    best = [0.0] + [inf] * segments
    chosen: list[list[int]] = []
    for table in costs:
        options = [[join(best[i], table[i][j]) for i in range(segments)] for j in range(segments + 1)]
        chosen.append([min(range(segments), key=row.__getitem__) for row in options])
        best = [min(row) for row in options]
    bounds = [segments]
    for choice in reversed(chosen):
        bounds.append(choice[bounds[-1]])
    return best[segments], tuple(reversed(bounds))
