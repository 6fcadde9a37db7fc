"""Steps as points, and as symbols: how the work of a part depends on the sums of a step, found out once.

Operators branch on whether a count of the step is 0, 1 or more, and are affine in its sums otherwise; steps that agree on that are of one
`Case`. Asked with a symbolic step of a case, a part gives its work for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Work
from edgewright.hwmodels.affine import Affine, NotAffine
from edgewright.workloads.step import Attended, Step

__all__ = ["Case", "case_of", "point_of", "traced_work"]

Case: TypeAlias = tuple[int, int, int, int]
"""Of `decode`, `prefill`, `emits` and `items` of a step: 0, 1, or 2 for more."""

_MANY = (5, 7, 3, 11)
"""Counts of the example where a case says more than 1; no two sums of them agree."""


def case_of(step: Step) -> Case:
    """The case of a step (or of a run of steps with equal counts)."""
    return min(step.decode, 2), min(step.prefill, 2), min(step.emits, 2), min(step.items, 2)


def point_of(step: Step, windows: Sequence[int]) -> NDArray[np.float64]:
    """The point `(1, counts, sums)` of a step, or of each of a run of steps: shape `(steps, 5 + 3 * (1 + windows))`."""
    values: list[Any] = [1.0, step.decode, step.prefill, step.emits, step.items, *step.full]
    for window in windows:
        values += step.attended(window)
    count = max((len(value) for value in values if isinstance(value, np.ndarray) and value.ndim), default=1)
    points = np.empty((count, len(values)))
    for column, value in enumerate(values):
        points[:, column] = value
    return points


def traced_work(work: Callable[[Step], Work], case: Case, windows: Sequence[int]) -> Work | None:
    """The work of steps of a case with `Affine` quantities, the variables in the order of `point_of`; None if it is not affine.

    It is compared with the work of another step of the case, so that a formula that branches on more than cases do is noticed.
    """
    example = _example(case, windows, 1)
    try:
        found = work(_step(Affine.variables(tuple(_flat(example, windows))), windows))
    except NotAffine:
        return None
    other = _example(case, windows, 3)
    return found if _agree(found, work(other), tuple(_flat(other, windows))) else None


def _example(case: Case, windows: Sequence[int], scale: int) -> Step:
    """A step of the case."""
    decode, prefill, emits, items = (each if each < 2 else many * scale for each, many in zip(case, _MANY, strict=True))

    def sums(span: float) -> Attended:
        return Attended(decode * span, prefill * (span - 1.0), prefill * (span + 2.0))

    return Step(decode, prefill, emits, items, sums(100.0 * scale), {window: sums(50.0 * scale + window) for window in windows})


def _flat(step: Step, windows: Sequence[int]) -> list[float]:
    return [float(value) for value in point_of(step, windows)[0, 1:]]


def _step(symbols: tuple[Any, ...], windows: Sequence[int]) -> Step:
    """A step made of the symbols."""
    sums = [Attended(*symbols[begin : begin + 3]) for begin in range(4, len(symbols), 3)]
    decode, prefill, emits, items = symbols[:4]
    return Step(decode, prefill, emits, items, sums[0], dict(zip(windows, sums[1:], strict=True)))


def _agree(found: Work, asked: Work, point: tuple[float, ...]) -> bool:
    """Whether symbolic terms have the values of others at a point."""
    if len(found.terms) != len(asked.terms):
        return False
    for symbolic, plain in zip(found.terms, asked.terms, strict=True):
        if (symbolic.kernel, symbolic.dtype) != (plain.kernel, plain.dtype):
            return False
        for name in ("flops", "weights", "activations", "kv", "launches"):
            value, expected = getattr(symbolic, name), getattr(plain, name)
            at = value.at(point) if isinstance(value, Affine) else value
            if abs(at - expected) > 1e-12 * abs(expected):
                return False
    return True
