"""Products with weights in blocks of few bits: `C = X W^T`, codes widened to integers in registers ("dequantising"), block by block.

What llama.cpp does for Q4_0: activations are rounded to 8 bits by blocks of 32, codes are unpacked and multiplied as integers, and each
block's sum is scaled once. `q4_0` and `q2_0` differ in how many codes a byte holds. Rows are interleaved by 16 (`packing.py`).

How wrong: ggml's own Q4_0 file has a block's 18 bytes together and is repacked like this when it is loaded; what that costs is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.packing import BLOCK, LANES, pack_blocks, random_codes, unpack_blocks
from edgewright.kernels.products_int8 import quantised_rows
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands, native_or

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["KERNELS_IN_BLOCKS", "product_block"]

BITS = {"q4_0": 4, "q2_0": 2}


@compiled
def product_block(c: Array, weights: Array, x: Array, integers: Array, steps: Array, sums: Array, scales: Array, parts: Array) -> None:
    """Write `x @ W.T` to `c`, x rounded to 8 bits by blocks of 32.

    Shapes (rows, outputs), (outputs / 16, k / 32, bytes) of `pack_blocks`, (rows, k). `integers` (rows, k), `steps` and `sums`
    (rows, k / 32), and `parts` (2, 64) are room to work in; `scales` (outputs / 16, k / 32, 16) are the scales in `weights` as fp32:
    Numba has no fp16.
    """
    rows, blocks = steps.shape
    bits = (weights.shape[2] - 32) // 64
    mask, per, zero = (1 << bits) - 1, 8 // bits, 1 << (bits - 1)
    for r in range(rows):
        for b in range(blocks):
            most = np.float32(0)
            for p in range(32 * b, 32 * b + 32):
                most = max(most, abs(x[r, p]))
            inverse = np.float32(127) / most if most > 0 else np.float32(0)
            steps[r, b] = most / np.float32(127)
            total = np.int32(0)
            for p in range(32 * b, 32 * b + 32):
                integers[r, p] = np.int8(np.rint(x[r, p] * inverse))
                total += np.int32(integers[r, p])
            sums[r, b] = total
    c[:] = 0
    for strip in range(weights.shape[0]):
        for b in range(blocks):
            for r in range(rows):
                parts[0] = 0
                for v in range(bits):
                    for s in range(per):
                        first = 32 * b + 4 * (v * per + s)
                        for j in range(64):
                            parts[1, j] = integers[r, first + (j & 3)]
                        for j in range(64):
                            parts[0, j] += np.int32(weights[strip, b, 32 + 64 * v + j] >> s * bits & mask) * parts[1, j]
                for row in range(16):
                    dot = parts[0, 4 * row] + parts[0, 4 * row + 1] + parts[0, 4 * row + 2] + parts[0, 4 * row + 3]
                    step = scales[strip, b, row] * steps[r, b]
                    c[r, 16 * strip + row] += np.float32(dot - zero * sums[r, b]) * step


def _operands(rows: int, outputs: int, k: int, dtype: str, generator: Generator) -> Operands:
    bits = BITS[dtype]
    codes, scales = random_codes(outputs, k, bits, BLOCK, generator)
    x = generator.standard_normal((rows, k)).astype(np.float32)
    blocks = k // BLOCK
    room = np.zeros((rows, k), np.int8), np.zeros((rows, blocks), np.float32), np.zeros((rows, blocks), np.int32)
    wide = np.ascontiguousarray(scales.astype(np.float32).reshape(outputs // LANES, LANES, blocks).transpose(0, 2, 1))
    return np.zeros((rows, outputs), np.float32), pack_blocks(codes, scales, bits), x, *room, wide, np.zeros((2, 64), np.int32)


def _gemv_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    m, n = shape
    return _operands(1, m, n, dtype, generator)


def _gemm_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    m, n, k = shape
    return _operands(m, n, k, dtype, generator)


def _reference(_: Array, weights: Array, x: Array, *__: Array) -> Array:
    rows, k = x.shape
    integers, steps = quantised_rows(x.reshape(-1, BLOCK))
    rounded = (integers * steps.astype(np.float64)).reshape(rows, k)
    made: Array = rounded @ unpack_blocks(weights, (weights.shape[2] - 2 * LANES) // 64).astype(np.float64).T
    return made


def _kernels(dtype: str) -> tuple[Kernel, Kernel]:
    types = ("float32", "uint8", "float32", "int8", "float32", "int32", "float32", "int32")
    run = native_or(f"ew_product_{dtype[:2]}", types, product_block)
    return (
        Kernel(
            f"gemv_{dtype}", ("m", "n"), (dtype,), _gemv_operands, run, _reference, "gemv", (LANES, BLOCK), portable=product_block
        ),
        Kernel(
            f"gemm_{dtype}", ("m", "n", "k"), (dtype,), _gemm_operands, run, _reference, "gemm", (1, LANES, BLOCK), portable=product_block
        ),
    )  # fmt: skip


KERNELS_IN_BLOCKS = tuple(register(each) for dtype in BITS for each in _kernels(dtype))
"""`gemv_q4_0`, `gemm_q4_0`, `gemv_q2_0`, `gemm_q2_0`: `m` rows of `n` weights; `m` rows of activations and `n` rows of `k` weights."""
