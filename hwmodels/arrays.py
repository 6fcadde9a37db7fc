"""Arithmetic that takes floats as fast as floats and arrays elementwise.

Pricing runs once per operation of a simulation, mostly on single floats, and now and then on thousands of points at once; these few
functions let one formula serve both.
"""

from __future__ import annotations

from typing import Any, cast

from edgewright.hwmodels.work import Quantity

__all__ = ["choose", "greatest", "joined", "least", "nowhere_negative", "positive"]

_SCALAR = (int, float)


def greatest(first: Quantity, second: Quantity) -> Quantity:
    """The larger of two quantities, elementwise."""
    if isinstance(first, _SCALAR) and isinstance(second, _SCALAR):
        return first if first >= second else second
    import numpy as np

    return np.maximum(first, second)


def joined(first: Quantity, second: Quantity, serial: float) -> Quantity:
    """The norm of two non-negative quantities with exponent 1 / `serial`, elementwise: the larger at 0, their sum at 1."""
    larger = greatest(first, second)
    if serial == 0.0:
        return larger
    ratio = least(first, second) / choose(larger > 0.0, larger, 1.0)
    return larger * (1.0 + ratio ** (1.0 / serial)) ** serial


def least(first: Quantity, second: Quantity) -> Quantity:
    """The smaller of two quantities, elementwise."""
    if isinstance(first, _SCALAR) and isinstance(second, _SCALAR):
        return first if first <= second else second
    import numpy as np

    return np.minimum(first, second)


def choose(condition: Any, yes: Quantity, no: Quantity) -> Quantity:
    """`yes` where the condition holds, `no` elsewhere; the condition is a bool or a boolean array."""
    if getattr(condition, "ndim", 0) == 0:
        return yes if condition else no
    import numpy as np

    return cast("Quantity", np.where(condition, yes, no))


def positive(amount: Quantity) -> bool:
    """Whether any element is above zero."""
    if isinstance(amount, _SCALAR):
        return amount > 0
    return bool((amount > 0).any())


def nowhere_negative(amount: Quantity) -> bool:
    """Whether every element is zero or more (NaN is neither)."""
    if isinstance(amount, _SCALAR):
        return amount >= 0
    return bool((amount >= 0).all())
