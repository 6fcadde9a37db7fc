"""GEMV by look-up tables over bit-planes (Wei et al., T-MAC: CPU Renaissance via Table Lookup, EuroSys 2025, arXiv 2407.00088).

Weights of b bits are b planes of single bits. For each 4 activations, the 16 sums that 4 bits can select (each bit a sign) are tabulated
once per call, as int8 with one scale per 128 activations; each plane then costs a look-up for 4 weights and no multiplication, so that time
goes with b. Planes are weighed by powers of two, groups of 128 weights by their scales.

    w = d (q - 2^(b-1)), q = sum_i 2^i q_i, q_i = (1 + s_i) / 2    =>    w = d (sum_i 2^i s_i / 2 - 1/2)

and the products with s_i are what the tables hold. For one bit, w = d s / 2.

How wrong: a table entry is rounded to a step of its group's largest, max_t sum |x| / 127, so that the result differs from that of exact
arithmetic by at most half a step for each look-up (tests hold it to that). The order of loops is weights first, tables
from the cache: beyond some 8000 activations the tables (4 bytes per activation) outgrow a first-level cache of 32 KiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.native import native_status
from edgewright.kernels.packing import GROUP, LANES, pack_planes, random_codes, unpack_planes
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands, native_or

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["LUT_GEMV", "lut_gemv", "tables_of"]


@compiled
def lut_gemv(
    y: Array, weights: Array, x: Array, by_rows: Array, tables: Array, steps: Array, shifts: Array, scales: Array, parts: Array
) -> None:
    """Write `W @ x` to `y`: shapes (m), (m / 16, k / 128, bytes) of `pack_planes`, (k), (1).

    `tables` (k / 4, 16) int8, `steps` and `shifts` (k / 128) and `parts` (16) int32 are room to work in; `scales` (m / 16, k / 128, 16) is
    the view as fp32 of the scales in `weights`, because Numba has no fp16.
    """
    groups = steps.size
    bits = (weights.shape[2] - 32) // 256
    for g in range(groups):
        most, total = np.float32(0), np.float32(0)
        for t in range(32 * g, 32 * g + 32):
            a, b, c, d = x[4 * t], x[4 * t + 1], x[4 * t + 2], x[4 * t + 3]
            most = max(most, abs(a) + abs(b) + abs(c) + abs(d))
            total += a + b + c + d
        inverse = np.float32(127) / most if most > 0 else np.float32(0)
        for t in range(32 * g, 32 * g + 32):
            for e in range(16):
                entry = np.float32(0)
                for i in range(4):
                    entry += x[4 * t + i] if e >> i & 1 else -x[4 * t + i]
                tables[t, e] = np.int8(np.rint(entry * inverse))
        steps[g] = most / np.float32(254)
        shifts[g] = np.float32(-0.5) * total if bits > 1 else np.float32(0)
    across, down = (4, 1) if by_rows[0] else (1, 16)
    y[:] = 0
    for strip in range(weights.shape[0]):
        for g in range(groups):
            parts[:] = 0
            for t in range(32):
                for plane in range(bits):
                    first = 32 + 64 * (t // 8 * bits + plane) + down * (t % 4)
                    up = 4 * (t // 4 % 2)
                    for row in range(16):
                        index = weights[strip, g, first + across * row] >> up & 15
                        parts[row] += np.int32(tables[32 * g + t, index]) << plane
            for row in range(16):
                y[16 * strip + row] += scales[strip, g, row] * (np.float32(parts[row]) * steps[g] + shifts[g])


def tables_of(x: Array) -> tuple[Array, Array]:
    """Tables (k / 4, 16) of integers, and the step (k / 128) that one of them is worth; the largest of a group of 128 becomes 127."""
    signs = 2.0 * (np.arange(16)[:, None] >> np.arange(4) & 1) - 1
    sums = (x.reshape(-1, 4).astype(np.float32) @ signs.T.astype(np.float32)).reshape(-1, GROUP // 4, 16)
    most = np.abs(sums).max(axis=(1, 2), keepdims=True)
    inverse = np.divide(np.float32(127), most, out=np.zeros_like(most), where=most > 0)
    return np.rint(sums * inverse).astype(np.int64).reshape(-1, 16), most.reshape(-1) / np.float32(127)


def _by_rows() -> bool:
    """Whether weights are packed for permutes over 64 bytes: what the code path in use at that moment does best."""
    return native_status().path.startswith("avx512")


def _operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    m, k = shape
    bits, groups, by_rows = int(dtype.removeprefix("int")), k // GROUP, _by_rows()
    codes, scales = random_codes(m, k, bits, GROUP, generator)
    x = generator.standard_normal(k).astype(np.float32)
    room = np.zeros((k // 4, 16), np.int8), np.zeros(groups, np.float32), np.zeros(groups, np.float32)
    wide = np.ascontiguousarray(scales.astype(np.float32).reshape(m // LANES, LANES, groups).transpose(0, 2, 1))
    weights = pack_planes(codes, scales, bits, by_rows)
    return np.zeros(m, np.float32), weights, x, np.array([by_rows], np.int64), *room, wide, np.zeros(LANES, np.int32)


def _reference(_: Array, weights: Array, x: Array, by_rows: Array, *__: Array) -> Array:
    codes, scales = unpack_planes(weights, bool(by_rows[0]))
    bits = (weights.shape[2] - 2 * LANES) // (2 * GROUP)
    tables, steps = tables_of(x)
    m, k = codes.shape
    index = np.zeros((bits, m, k // 4), np.int64)
    for plane in range(bits):
        index[plane] = (codes.reshape(m, k // 4, 4) >> plane & 1) @ np.array([1, 2, 4, 8])
    looked_up = tables[np.arange(k // 4), index].reshape(bits, m, k // GROUP, GROUP // 4).sum(axis=3)
    sums = (looked_up * (2.0 ** np.arange(bits))[:, None, None]).sum(axis=0) * (steps.astype(np.float64) / 2)
    shift = 0.5 * x.astype(np.float64).reshape(-1, GROUP).sum(axis=1) if bits > 1 else 0.0
    made: Array = (scales * (sums - shift)).sum(axis=1)
    return made


_TYPES = ("float32", "uint8", "float32", "int64", "int8", "float32", "float32", "float32", "int32")

LUT_GEMV = register(
    Kernel(
        "lut_gemv",
        ("m", "n"),
        ("int1", "int2", "int3", "int4"),
        _operands,
        native_or("ew_lut_gemv", _TYPES, lut_gemv),
        _reference,
        multiples=(LANES, GROUP),
        portable=lut_gemv,
    )
)
"""`m` rows of `n` weights of 1 to 4 bits."""
