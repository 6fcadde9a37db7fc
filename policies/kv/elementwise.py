"""Counts of tokens that may be numbers or arrays: numbers stay plain numbers, which is the simulator's hot path."""

from __future__ import annotations

import math

import numpy as np

from edgewright.hwmodels import Quantity

__all__ = ["larger", "nearest", "smaller"]


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
