"""A product with the matrices of several experts, its rows sorted by expert (grouped GEMM; Gale et al., MegaBlocks, MLSys 2023).

Rows `starts[e]` to `starts[e + 1]` meet the matrix of expert e. Matrices are packed once, 32 columns side by side over the whole depth, so
that a matrix that few rows meet is still read as one stream. No expert is padded to a capacity, and one without rows costs nothing.

How wrong: to rounding. Sorting the rows and putting them back (a gather of activations) is not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import COLUMNS, multiply_rows

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["GEMM_EXPERTS", "expert_starts", "gemm_experts"]


@compiled
def gemm_experts(c: Array, a: Array, weights: Array, starts: Array) -> None:
    """Write each expert's rows: c (rows, n), a (rows, k), weights (experts, n / 32, k, 32), starts (experts + 1), fp32."""
    experts, strips, depth, _ = weights.shape
    columns, flat_c, flat_a = c.shape[1], c.reshape(c.size), a.reshape(a.size)
    for expert in range(experts):
        first, rows = starts[expert], starts[expert + 1] - starts[expert]
        if rows:
            held = weights[expert].reshape(strips * depth * COLUMNS)
            for strip in range(strips):
                multiply_rows(
                    flat_c, first * columns + strip * COLUMNS, columns, flat_a, first * depth, depth, 1,
                    held, strip * depth * COLUMNS, COLUMNS, rows, depth, COLUMNS, True,
                )  # fmt: skip


def expert_starts(rows: int, experts: int) -> Array:
    """Where the rows of each expert begin when they are spread evenly: the first ones take what is left over."""
    return np.append(0, np.cumsum([len(part) for part in np.array_split(np.arange(rows), experts)]))


def _operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    rows, experts, n, k = shape
    a = generator.standard_normal((rows, k)).astype(np.float32)
    weights = generator.standard_normal((experts, n // COLUMNS, k, COLUMNS)).astype(np.float32)
    return np.zeros((rows, n), np.float32), a, weights, expert_starts(rows, experts)


def _reference(c: Array, a: Array, weights: Array, starts: Array) -> Array:
    matrices = weights.transpose(0, 2, 1, 3).reshape(len(weights), a.shape[1], c.shape[1])
    parts = [a[first:last] @ matrix for first, last, matrix in zip(starts, starts[1:], matrices, strict=False)]
    return np.concatenate(parts)


GEMM_EXPERTS = register(
    Kernel(
        "gemm_experts",
        ("rows", "experts", "n", "k"),
        ("fp32",),
        _operands,
        gemm_experts,
        _reference,
        calibrates="gemm",
        multiples=(1, 1, COLUMNS, 1),
    )
)
"""`rows` rows spread evenly over `experts` matrices of `k` by `n`."""
