"""Functions of single numbers that loops vectorise with: the exponential, the logistic function, and 16-bit floats widened.

`exponential` reduces its argument by powers of two and evaluates a polynomial (Cody & Waite, Software Manual for the Elementary Functions,
1980): no branch and no call into a library, so that sixteen at a time cost what one does.

How wrong: `exponential` by 1e-6 relative (a few units in the last place; tests hold it to that) between -87 and 88; below it is zero and
above it stays at exp(88), so that sums of probabilities are finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgewright.kernels.jit import compiled

__all__ = ["as_float", "exponential", "logistic", "widened_bf16", "widened_fp16"]

_LOG2_E = np.float32(1.44269504088896341)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)


def _reinterpreted(_: Any, bits: Any) -> Any:
    return types.float32(types.int32), lambda context, builder, signature, args: builder.bitcast(args[0], ir.FloatType())


as_float = cast("Callable[[object], np.float32]", intrinsic(_reinterpreted))
"""The fp32 number of those 32 bits: for compiled code only."""


@compiled
def exponential(x: float) -> np.float32:
    """exp(x) in fp32: see the module for its range and error."""
    bounded = min(max(np.float32(x), np.float32(-87.5)), np.float32(88.0))
    whole = np.floor(bounded * _LOG2_E + np.float32(0.5))
    rest = (bounded - whole * _LN2_HIGH) - whole * _LN2_LOW
    y = np.float32(1.0 / 720)
    y = y * rest + np.float32(1.0 / 120)
    y = y * rest + np.float32(1.0 / 24)
    y = y * rest + np.float32(1.0 / 6)
    y = y * rest + np.float32(0.5)
    y = y * rest + np.float32(1.0)
    y = y * rest + np.float32(1.0)
    scaled = y * as_float((np.int32(whole) + np.int32(127)) << np.int32(23))
    return np.float32(0) if x < np.float32(-87.0) else scaled


@compiled
def logistic(x: float) -> np.float32:
    """1 / (1 + exp(-x)) in fp32."""
    return np.float32(1) / (np.float32(1) + exponential(-x))


@compiled
def widened_bf16(bits: int) -> np.float32:
    """The fp32 number that those 16 bits are as bf16; exact."""
    return as_float(np.int32(bits) << np.int32(16))


@compiled
def widened_fp16(bits: int) -> np.float32:
    """The fp32 number that those 16 bits are as fp16; exact, denormals, infinities and NaN included."""
    half = np.int32(bits)
    # The exponents differ by 112, which a multiplication sets right, denormals included.
    size = as_float((half & np.int32(0x7FFF)) << np.int32(13)) * np.float32(2.0**112)
    unending = as_float((half & np.int32(0x3FF)) << np.int32(13) | np.int32(0x7F800000))
    number = unending if half & np.int32(0x7C00) == np.int32(0x7C00) else size
    return -number if half & np.int32(0x8000) else number
