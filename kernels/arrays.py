"""Arrays as kernels like them: on the boundary of a cache line, so that no vector straddles two and no run differs from the next."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.kernels.spec import Array

__all__ = ["LINE", "aligned", "room"]

LINE = 64
"""Bytes of a cache line, and of the widest vector."""


def room(shape: tuple[int, ...], dtype: str) -> Array:
    """Zeros of that shape and dtype, C-contiguous, beginning on a cache line."""
    import numpy as np

    kind = np.dtype(dtype)
    held = np.zeros(prod(shape) * kind.itemsize + LINE, np.uint8)
    start = -held.ctypes.data % LINE
    return held[start : start + prod(shape) * kind.itemsize].view(kind).reshape(shape)


def aligned(array: Array) -> Array:
    """A copy, C-contiguous, that begins on a cache line."""
    copy = room(array.shape, array.dtype.name)
    copy[...] = array
    return copy
