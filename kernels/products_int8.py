"""Products with int8 weights: `C = X W^T`, one scale per row of W; activations are quantised per row on the way in (W8A8).

One row of activations is the decode step's GEMV; 2 to 64 rows are the small batches that an edge server decodes together; more are a GEMM.
One code for all of them: weights, interleaved by 16 rows, are read once for every six rows of activations.

How wrong: activations of one sign or with outliers lose precision to a scale per row, which no timing shows. Natively the arithmetic is
that of the instruction (`vpdpbusd`); the Numba form widens to 32 bits, and is several times slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.packing import LANES
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands, native_or

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["GEMM_INT8", "GEMV_INT8", "packed_int8", "product_int8", "quantised_rows", "unpacked_int8"]


@compiled
def product_int8(c: Array, weights: Array, scales: Array, x: Array, integers: Array, steps: Array, sums: Array) -> None:
    """Write `x @ W.T` to `c`, x rounded to 8 bits by rows.

    Shapes (rows, outputs), (outputs / 16, k / 4, 16, 4) uint8 of `packed_int8`, (outputs) scales, (rows, k); `integers` (rows, k), `steps`
    (rows) and `sums` (rows) are room to work in.
    """
    rows, k = x.shape
    for r in range(rows):
        most = np.float32(0)
        for p in range(k):
            most = max(most, abs(x[r, p]))
        inverse = np.float32(127) / most if most > 0 else np.float32(0)
        steps[r] = most / np.float32(127)
        total = np.int32(0)
        for p in range(k):
            integers[r, p] = np.int8(np.rint(x[r, p] * inverse))
            total += np.int32(integers[r, p])
        sums[r] = total
    parts = np.empty(64, np.int32)
    for strip in range(weights.shape[0]):
        flat = weights[strip].reshape(k // 4, 64)
        for r in range(rows):
            parts[:] = 0
            for p in range(k // 4):
                a, b = np.int32(integers[r, 4 * p]), np.int32(integers[r, 4 * p + 1])
                d, e = np.int32(integers[r, 4 * p + 2]), np.int32(integers[r, 4 * p + 3])
                for j in range(0, 64, 4):
                    parts[j] += np.int32(flat[p, j]) * a
                    parts[j + 1] += np.int32(flat[p, j + 1]) * b
                    parts[j + 2] += np.int32(flat[p, j + 2]) * d
                    parts[j + 3] += np.int32(flat[p, j + 3]) * e
            for row in range(16):
                dot = parts[4 * row] + parts[4 * row + 1] + parts[4 * row + 2] + parts[4 * row + 3] - 128 * sums[r]
                c[r, 16 * strip + row] = np.float32(dot) * (steps[r] * scales[16 * strip + row])


def packed_int8(weights: Array) -> Array:
    """Weights (outputs, k) int8 to (outputs / 16, k / 4, 16, 4) uint8: 16 rows interleaved by four, shifted by 128."""
    outputs, k = weights.shape
    shifted = (weights.astype(np.int16) + 128).astype(np.uint8)
    return np.ascontiguousarray(shifted.reshape(outputs // LANES, LANES, k // 4, 4).transpose(0, 2, 1, 3))


def unpacked_int8(packed: Array) -> Array:
    """The weights (outputs, k), as int64, of what `packed_int8` made."""
    strips, steps = packed.shape[:2]
    return packed.transpose(0, 2, 1, 3).reshape(strips * LANES, 4 * steps).astype(np.int64) - 128


def quantised_rows(x: Array) -> tuple[Array, Array]:
    """Activations (rows, k) as integers up to 127 and the step (rows, 1) of each row: the largest magnitude becomes 127."""
    most = np.abs(x).max(axis=1, keepdims=True).astype(np.float32)
    inverse = np.divide(np.float32(127), most, out=np.zeros_like(most), where=most > 0)
    return np.rint(x * inverse).astype(np.int64), most / np.float32(127)


def _operands(rows: int, outputs: int, k: int, generator: Generator) -> Operands:
    weights = packed_int8(generator.integers(-127, 128, (outputs, k), np.int8))
    scales = (generator.uniform(0.5, 2.0, outputs) / 127 / k**0.5).astype(np.float32)
    x = generator.standard_normal((rows, k)).astype(np.float32)
    room = np.zeros((rows, k), np.int8), np.zeros(rows, np.float32), np.zeros(rows, np.int32)
    return np.zeros((rows, outputs), np.float32), weights, scales, x, *room


def _gemv_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    m, n = shape
    return _operands(1, m, n, generator)


def _gemm_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    m, n, k = shape
    return _operands(m, n, k, generator)


def _reference(_: Array, weights: Array, scales: Array, x: Array, *__: Array) -> Array:
    integers, steps = quantised_rows(x)
    made: Array = (integers @ unpacked_int8(weights).T).astype(np.float32) * (steps * scales)
    return made


_RUN = native_or("ew_product_int8", ("float32", "uint8", "float32", "float32", "int8", "float32", "int32"), product_int8)

GEMV_INT8 = register(
    Kernel(
        "gemv_int8", ("m", "n"), ("int8",), _gemv_operands, _RUN, _reference, calibrates="gemv", multiples=(LANES, 4), portable=product_int8
    )
)
"""`m` rows of `n` weights, one row of activations."""
GEMM_INT8 = register(
    Kernel(
        "gemm_int8",
        ("m", "n", "k"),
        ("int8",),
        _gemm_operands,
        _RUN,
        _reference,
        calibrates="gemm",
        multiples=(1, LANES, 4),
        portable=product_int8,
    )
)
"""`m` rows of activations, `n` rows of `k` weights."""
