"""Copy: `target[:] = source`, the kernel that memory bandwidth is read off (the Copy of STREAM; McCalpin, 1995)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import DTYPES, Array, Kernel, Operands

if TYPE_CHECKING:
    import numpy as np

__all__ = ["COPY", "copy"]


@compiled
def copy(target: Array, source: Array) -> None:
    """Copy `source` to `target`, both one-dimensional, contiguous, of one length and dtype."""
    for i in range(source.size):
        target[i] = source[i]


def _operands(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Operands:
    source = generator.integers(-100, 100, shape).astype(DTYPES[dtype])
    return source * 0, source


def _reference(_: Array, source: Array) -> Array:
    return source.copy()


COPY = register(Kernel("copy", ("n",), tuple(DTYPES), _operands, copy, _reference))
"""Copy of `n` elements. A cache that allocates on write reads the target too: three bytes then cross the bus for two that are counted."""
