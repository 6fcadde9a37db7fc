"""Softmax, GELU and layer norm in integers only: Li & Gu, I-ViT: Integer-only Quantization for ... Vision Transformer Inference, ICCV 2023.

An integer I stands for the number I S, S being a scale that is known beforehand; `whole` is floor(1 / S), what 1 is in integers.
Exponentials are powers of two by shifts (equations 9 to 12): with p = I + (I >> 1) - (I >> 4), which is I log2(e) to 0.4 %, and p = -q
whole + r,

    exp(I S) = 2^(p S) ~ 2^-q (1 + r S / 2)        in integers (with N = 15)    ((r >> 1) + whole) << (15 - q)

`Shiftmax` divides it by its sum (`IntDiv`, a factor of 31 bits over the sum), to results of 8 bits that count 1/128. `ShiftGELU` is
I sigmoid(1.702 I S) with the sigmoid from the same exponential. The paper takes the largest number of a row out of the sigmoid's
exponents, here it is the larger of each number and 0: the same value, without exponents that vanish in rows of large numbers.
`I-LayerNorm` takes its root by Newton's steps with shifts and divides by a factor of 31 bits; its result counts sqrt(width) / 2^30.

How wrong, against the exact functions (tests hold every number to these): an exponential by 6.2 % (a chord of 2^x), 0.4 % of its exponent
and 2 S (shifts round down); a softmax by as much of the probability, and 1/128 that is cut off; the sigmoid of a GELU alike. The logistic
GELU itself is up to 0.02 from the one by the error function. A layer norm by the rounding of its mean: half a unit over the standard
deviation in units. `whole` is at most 8192, so that nothing overflows 64 bits and quotients by it are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["I_LAYER_NORM", "SHIFTGELU", "SHIFTMAX", "WHOLE", "i_layer_norm", "shiftgelu", "shiftmax"]

WHOLE = 64
"""What 1 is in the integers of operands made here: their scale is 1/64."""
_BITS = 15


@compiled
def _shift_exponential(p: np.int64, whole: np.int64, reciprocal: np.int64) -> np.int64:
    """2^(p / whole) in units of 2^-15 / whole, for p <= 0; `reciprocal` is 2^31 // whole + 1, so that nothing is divided."""
    bounded = max(p, -_BITS * whole)
    q = (-bounded * reciprocal) >> 31
    return (((bounded + q * whole) >> 1) + whole) << (_BITS - q)


@compiled
def shiftmax(out: Array, x: Array, whole: Array, room: Array) -> None:
    """Softmax of each row: out (rows, width) int32 in units of 1/128, x (rows, width) int32 of scale 1 / whole[0]; `room` (width) int64."""
    rows, width = x.shape
    one, reciprocal = whole[0], (1 << 31) // whole[0] + 1
    for r in range(rows):
        most = np.int64(x[r, 0])
        for j in range(1, width):
            most = max(most, np.int64(x[r, j]))
        total = np.int64(0)
        for j in range(width):
            below = x[r, j] - most
            room[j] = _shift_exponential(below + (below >> 1) - (below >> 4), one, reciprocal)
            total += room[j]
        factor = ((1 << 31) - 1) // total
        for j in range(width):
            out[r, j] = (room[j] * factor) >> 24


@compiled
def shiftgelu(out: Array, x: Array, whole: Array) -> None:
    """GELU by the logistic function: out (rows, width) int32 in units of 1 / (128 whole[0]), x (rows, width) of scale 1 / whole[0]."""
    rows, width = x.shape
    one, reciprocal = whole[0], (1 << 31) // whole[0] + 1
    top = one << _BITS
    for r in range(rows):
        for j in range(width):
            value = np.int64(x[r, j])
            steep = value + (value >> 1) + (value >> 3) + (value >> 4)  # 1.6875 of it, for 1.702
            below = min(steep, -steep)
            raised = _shift_exponential(below + (below >> 1) - (below >> 4), one, reciprocal)
            upper = top if value > 0 else raised
            out[r, j] = value * ((upper * (((1 << 31) - 1) // (raised + top))) >> 24)


@compiled
def i_layer_norm(out: Array, x: Array, shift: Array) -> None:
    """Each row less its mean over its standard deviation, plus `shift` (width) int32, in units of sqrt(width) / 2^30; all int32.

    The gain of a layer norm is part of what follows: a factor for each channel of the scale.
    """
    rows, width = x.shape
    for r in range(rows):
        total = np.int64(0)
        for j in range(width):
            total += x[r, j]
        mean = (2 * total + width) // (2 * width)
        squares = np.int64(0)
        for j in range(width):
            squares += (x[r, j] - mean) * (x[r, j] - mean)
        root = np.int64(1)
        while root * root < squares:  # a power of two above the root, from which Newton's steps go down
            root <<= 1
        below = (root + squares // root) >> 1
        while below < root:
            root, below = below, (below + squares // below) >> 1
        factor = ((1 << 31) - 1) // max(root, np.int64(1))
        for j in range(width):
            out[r, j] = (((x[r, j] - mean) * factor) >> 1) + shift[j]


def _exponential_reference(p: Array, whole: int) -> Array:
    bounded = np.maximum(p, -_BITS * whole)
    q = -bounded // whole
    made: Array = ((bounded + q * whole) // 2 + whole) * 2 ** (_BITS - q)
    return made


def _shiftmax_reference(_: Array, x: Array, whole: Array, *__: Array) -> Array:
    below = x.astype(np.int64) - x.max(axis=1, keepdims=True)
    raised = _exponential_reference(below + below // 2 - below // 16, int(whole[0]))
    made: Array = raised * ((2**31 - 1) // raised.sum(axis=1, keepdims=True)) // 2**24
    return made


def _shiftgelu_reference(_: Array, x: Array, whole: Array) -> Array:
    wide, one = x.astype(np.int64), int(whole[0])
    steep = wide + wide // 2 + wide // 8 + wide // 16
    below = np.minimum(steep, -steep)
    raised = _exponential_reference(below + below // 2 - below // 16, one)
    top = one << _BITS
    made: Array = wide * (np.where(wide > 0, top, raised) * ((2**31 - 1) // (raised + top)) // 2**24)
    return made


def _i_layer_norm_reference(_: Array, x: Array, shift: Array) -> Array:
    from math import isqrt

    wide = x.astype(np.int64)
    width = x.shape[1]
    centred = wide - (2 * wide.sum(axis=1, keepdims=True) + width) // (2 * width)
    roots = np.array([max(isqrt(int(each)), 1) for each in (centred**2).sum(axis=1)])[:, None]
    made: Array = centred * ((2**31 - 1) // roots) // 2 + shift
    return made


def _integers(shape: tuple[int, ...], generator: Generator) -> tuple[Array, Array]:
    """Normal numbers of spread 3, and what 1 is among them."""
    return np.rint(3 * WHOLE * generator.standard_normal(shape)).astype(np.int32), np.array([WHOLE])


def _shiftmax_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    x, whole = _integers(shape, generator)
    return x * 0, x, whole, np.zeros(shape[1], np.int64)


def _shiftgelu_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    x, whole = _integers(shape, generator)
    return x * 0, x, whole


def _i_layer_norm_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    x, _whole = _integers(shape, generator)
    return x * 0, x, generator.integers(-(1 << 20), 1 << 20, shape[1]).astype(np.int32)


_ROWS = ("rows", "width")

SHIFTMAX = register(Kernel("shiftmax", _ROWS, ("int8",), _shiftmax_operands, shiftmax, _shiftmax_reference, calibrates="elementwise"))
"""Integer softmax of `rows` rows, int32 to 8 bits in int32."""

SHIFTGELU = register(Kernel("shiftgelu", _ROWS, ("int8",), _shiftgelu_operands, shiftgelu, _shiftgelu_reference, calibrates="elementwise"))
"""Integer GELU of `rows` rows, int32 to int32."""

I_LAYER_NORM = register(
    Kernel("i_layer_norm", _ROWS, ("int8",), _i_layer_norm_operands, i_layer_norm, _i_layer_norm_reference, calibrates="elementwise")
)
"""Integer layer norm of `rows` rows, int32 to int32."""
