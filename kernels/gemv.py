"""GEMV: `y = W x`, the kernel of a decode step: each weight is read once and used once, so memory bandwidth binds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import DTYPES, Array, Kernel, Operands

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GEMV", "gemv"]


@compiled
def gemv(y: Array, weights: Array, x: Array) -> None:
    """Write `weights @ x` to `y`: shapes (m), (m, n), (n), C order, one floating dtype. Sums run in the dtype, in any order."""
    rows, columns = weights.shape
    for i in range(rows):
        total = y.dtype.type(0)
        for j in range(columns):
            total += weights[i, j] * x[j]
        y[i] = total


def _operands(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Operands:
    rows, columns = shape
    weights = generator.standard_normal((rows, columns)).astype(DTYPES[dtype])
    x = generator.standard_normal(columns).astype(DTYPES[dtype])
    return weights[:, 0] * 0, weights, x


def _reference(_: Array, weights: Array, x: Array) -> Array:
    return weights @ x


GEMV = register(Kernel("gemv", ("m", "n"), ("fp32", "fp64"), _operands, gemv, _reference))
"""`m` rows of `n` columns."""
