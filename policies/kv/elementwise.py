"""Counts of tokens that may be numbers or arrays: numbers stay plain numbers, which is the simulator's hot path."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgewright.hwmodels import Quantity

__all__ = ["larger", "nearest", "smaller", "upwards", "where"]


def smaller(a: Quantity, b: Quantity) -> Quantity:
    """The smaller of the two, elementwise."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.minimum(a, b)
    return min(a, b)


def larger(a: Quantity, b: Quantity) -> Quantity:
    """The larger of the two, elementwise."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.maximum(a, b)
    return max(a, b)


def nearest(a: Quantity) -> Quantity:
    """The nearest whole number, halves upwards, elementwise."""
    if isinstance(a, np.ndarray):
        return np.floor(a + 0.5)
    return math.floor(a + 0.5)


def upwards(a: Quantity) -> Quantity:
    """The next whole number from `a` on, elementwise."""
    return np.ceil(a) if isinstance(a, np.ndarray) else math.ceil(a)


def where(condition: Any, then: Quantity, otherwise: Quantity) -> Quantity:
    """The one where the condition holds, else the other, elementwise."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, then, otherwise)
    return then if condition else otherwise
