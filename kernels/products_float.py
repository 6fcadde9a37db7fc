"""Products with float weights packed once: `C = X W^T`, weights in fp32, fp16 or bf16, activations and sums in fp32.

fp16 is a format of storage here: weights are widened on the way into fp32 multiply-adds (F16C, NEON), as CPU engines do. bf16 is multiplied
in pairs where the processor can (`vdpbf16ps`; activations are rounded to bf16 too), else widened. One code from one row of activations to
many, weights interleaved by 16 rows.

How wrong: `vdpbf16ps` counts denormals as zero. Arm's bf16 and fp16 dot products (Armv8.6) are not used: on Arm both formats are widened.
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

__all__ = [
    "GEMM_BF16",
    "GEMM_FP16",
    "GEMM_PACKED",
    "GEMV_BF16",
    "GEMV_FP16",
    "as_bf16",
    "from_bf16",
    "in_rows",
    "interleaved",
    "product_bf16",
    "product_fp16",
    "product_fp32",
]


@compiled
def product_fp32(c: Array, weights: Array, x: Array) -> None:
    """Write `x @ W.T` to `c`: shapes (rows, outputs), (outputs / 16, k, 16, 1), (rows, k), fp32."""
    rows, k = x.shape
    sums = np.empty(16, np.float32)
    for strip in range(weights.shape[0]):
        flat = weights[strip].reshape(k, 16)
        for r in range(rows):
            sums[:] = 0
            for p in range(0, k // 4 * 4, 4):
                a, b, d, e = x[r, p], x[r, p + 1], x[r, p + 2], x[r, p + 3]
                for lane in range(16):
                    sums[lane] += a * flat[p, lane] + b * flat[p + 1, lane] + d * flat[p + 2, lane] + e * flat[p + 3, lane]
            for p in range(k // 4 * 4, k):
                for lane in range(16):
                    sums[lane] += x[r, p] * flat[p, lane]
            c[r, 16 * strip : 16 * strip + 16] = sums


@compiled
def product_fp16(c: Array, weights: Array, x: Array, wide: Array) -> None:
    """Write `x @ W.T` to `c`: shapes (rows, outputs), (outputs / 16, k, 16, 1) fp16 as bits, (rows, k).

    `wide` (k * 16) uint32 is room to work in. Exact, denormals, infinities and NaN included.
    """
    rows, k = x.shape
    values = wide.view(np.float32)
    sums = np.empty(16, np.float32)
    for strip in range(weights.shape[0]):
        halves = weights[strip].reshape(16 * k)
        for i in range(16 * k):
            wide[i] = (np.uint32(halves[i]) & np.uint32(0x7FFF)) << np.uint32(13)
        for i in range(16 * k):  # the exponents differ by 112: a multiplication sets that right, denormals included
            values[i] *= np.float32(2.0**112)
        for i in range(16 * k):
            half = np.uint32(halves[i])
            special = np.uint32(0x7F800000) if half & np.uint32(0x7C00) == np.uint32(0x7C00) else np.uint32(0)
            wide[i] |= special | (half & np.uint32(0x8000)) << np.uint32(16)
        flat = values.reshape(k, 16)
        for r in range(rows):
            sums[:] = 0
            for p in range(k):
                for lane in range(16):
                    sums[lane] += x[r, p] * flat[p, lane]
            c[r, 16 * strip : 16 * strip + 16] = sums


@compiled
def product_bf16(c: Array, weights: Array, x: Array, rounded: Array, wide: Array) -> None:
    """Write `x @ W.T` to `c`, x rounded to bf16: shapes (rows, outputs), (outputs / 16, k / 2, 16, 2) bf16 as bits, (rows, k).

    `rounded` (rows, k) uint16 and `wide` (rows, k) uint32 are room to work in.
    """
    rows, k = x.shape
    values = wide.view(np.float32)
    for r in range(rows):
        for p in range(k):
            values[r, p] = x[r, p]
        for p in range(k):
            bits = wide[r, p]
            rounded[r, p] = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
            wide[r, p] = np.uint32(rounded[r, p]) << np.uint32(16)
    bits, sums = np.empty(32, np.uint32), np.empty(32, np.float32)
    reals = bits.view(np.float32)
    for strip in range(weights.shape[0]):
        flat = weights[strip].reshape(k // 2, 32)
        for r in range(rows):
            sums[:] = 0
            for p in range(k // 2):
                for j in range(32):
                    bits[j] = np.uint32(flat[p, j]) << np.uint32(16)
                a, b = values[r, 2 * p], values[r, 2 * p + 1]
                for j in range(0, 32, 2):
                    sums[j] += reals[j] * a
                    sums[j + 1] += reals[j + 1] * b
            for lane in range(16):
                c[r, 16 * strip + lane] = sums[2 * lane] + sums[2 * lane + 1]


def interleaved(weights: Array, each: int) -> Array:
    """Weights (outputs, k) to (outputs / 16, k / each, 16, each): 16 rows interleaved by so many numbers."""
    outputs, k = weights.shape
    return np.ascontiguousarray(weights.reshape(outputs // LANES, LANES, k // each, each).transpose(0, 2, 1, 3))


def in_rows(packed: Array) -> Array:
    """The weights (outputs, k) of what `interleaved` made."""
    strips, steps, lanes, each = packed.shape
    return packed.transpose(0, 2, 1, 3).reshape(strips * lanes, steps * each)


def as_bf16(values: Array) -> Array:
    """The bits (uint16) of the nearest bf16 of each fp32 value, ties to even. Not for NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_bf16(bits: Array) -> Array:
    """The fp32 values of bf16 bits."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _operands(rows: int, outputs: int, k: int, dtype: str, generator: Generator) -> Operands:
    real = generator.standard_normal((outputs, k)) / k**0.5
    c, x = np.zeros((rows, outputs), np.float32), generator.standard_normal((rows, k)).astype(np.float32)
    if dtype == "fp32":
        return c, interleaved(real.astype(np.float32), 1), x
    if dtype == "fp16":
        return c, interleaved(real.astype(np.float16).view(np.uint16), 1), x, np.zeros(LANES * k, np.uint32)
    return c, interleaved(as_bf16(real), 2), x, np.zeros((rows, k), np.uint16), np.zeros((rows, k), np.uint32)


def _gemv_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    m, n = shape
    return _operands(1, m, n, dtype, generator)


def _gemm_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    m, n, k = shape
    return _operands(m, n, k, dtype, generator)


def _fp32_reference(_: Array, weights: Array, x: Array) -> Array:
    made: Array = x @ in_rows(weights).T
    return made


def _fp16_reference(_: Array, weights: Array, x: Array, *__: Array) -> Array:
    made: Array = x @ in_rows(weights).view(np.float16).astype(np.float32).T
    return made


def _bf16_reference(_: Array, weights: Array, x: Array, *__: Array) -> Array:
    made: Array = from_bf16(as_bf16(x)) @ from_bf16(in_rows(weights)).T
    return made


_FP32 = native_or("ew_product_fp32", ("float32", "float32", "float32"), product_fp32)
_FP16 = native_or("ew_product_fp16", ("float32", "uint16", "float32", "uint32"), product_fp16)
_BF16 = native_or("ew_product_bf16", ("float32", "uint16", "float32", "uint16", "uint32"), product_bf16)

GEMM_PACKED = register(
    Kernel("gemm_packed", ("m", "n", "k"), ("fp32",), _gemm_operands, _FP32, _fp32_reference, "gemm", (1, LANES, 1), portable=product_fp32)
)
"""`m` rows of activations, `n` rows of `k` weights, packed once and not in every call as `gemm` does: for few rows."""
GEMV_FP16 = register(
    Kernel("gemv_fp16", ("m", "n"), ("fp16",), _gemv_operands, _FP16, _fp16_reference, "gemv", (LANES, 1), portable=product_fp16)
)
"""`m` rows of `n` weights, one row of activations."""
GEMM_FP16 = register(
    Kernel("gemm_fp16", ("m", "n", "k"), ("fp16",), _gemm_operands, _FP16, _fp16_reference, "gemm", (1, LANES, 1), portable=product_fp16)
)
"""`m` rows of activations, `n` rows of `k` weights."""
GEMV_BF16 = register(
    Kernel("gemv_bf16", ("m", "n"), ("bf16",), _gemv_operands, _BF16, _bf16_reference, "gemv", (LANES, 2), portable=product_bf16)
)
"""`m` rows of `n` weights, one row of activations."""
GEMM_BF16 = register(
    Kernel("gemm_bf16", ("m", "n", "k"), ("bf16",), _gemm_operands, _BF16, _bf16_reference, "gemm", (1, LANES, 2), portable=product_bf16)
)
"""`m` rows of activations, `n` rows of `k` weights."""
