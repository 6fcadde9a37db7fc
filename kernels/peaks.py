"""Multiply-accumulates on registers: the peak of each number format, with no memory in the way. Two operations each.

Natively: fused multiply-adds of fp64 and fp32; fp16 widened to fp32 before each; bf16 in pairs and int8 in fours where the processor has
such dot products, else what the product kernels do instead. In Numba: fp64 and fp32, vectors of 512 bits that LLVM splits as it must.

How wrong: it is what one instruction sustains in a loop of nothing else, at the clock that it leaves the core (wide vectors lower it on
some). On Arm, dot products of int8 and arithmetic in fp16 (Armv8.2) are not used: peaks are those of the widening forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.native import native_function
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["CHUNK", "PEAKS"]

CHUNK = 12 * 64
"""Multiply-accumulates come in multiples of this: 12 chains of the widest vector of the narrowest format."""
CHAINS = 12


def _vector_loop(bits: int) -> Callable[..., Any]:
    """A Numba intrinsic: `loop(turns, value)` makes `turns` fused multiply-adds of `value` squared in each of 12 chains of 512-bit vectors.

    Written in LLVM's instructions, because what it must not do (keep sums in memory, merge chains) is what a plain loop leaves open.
    """
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    lanes = 512 // bits
    scalar = ir.FloatType() if bits == 32 else ir.DoubleType()
    vector = ir.VectorType(scalar, lanes)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.fma.v{lanes}f{bits}"
        fma = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        entry = builder.block
        loop, done = builder.append_basic_block("turns"), builder.append_basic_block("done")
        value = ir.Constant(vector, ir.Undefined)
        for lane in range(lanes):
            value = builder.insert_element(value, args[1], ir.Constant(ir.IntType(32), lane))
        builder.branch(loop)
        builder.position_at_end(loop)
        turn = builder.phi(ir.IntType(64))
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        turn.add_incoming(ir.Constant(ir.IntType(64), 0), entry)
        following = builder.add(turn, ir.Constant(ir.IntType(64), 1))
        turn.add_incoming(following, loop)
        grown = [builder.call(fma, [value, value, one]) for one in sums]
        for one, next_one in zip(sums, grown, strict=True):
            one.add_incoming(ir.Constant(vector, [0.0] * lanes), entry)
            one.add_incoming(next_one, loop)
        builder.cbranch(builder.icmp_signed("<", following, args[0]), loop, done)
        builder.position_at_end(done)
        total = ir.Constant(scalar, 0.0)
        for one in grown:
            for lane in range(lanes):
                total = builder.fadd(total, builder.extract_element(one, ir.Constant(ir.IntType(32), lane)))
        return total

    def typing(_: Any, turns: Any, value: Any) -> Any:
        kind = types.float32 if bits == 32 else types.float64
        return kind(types.int64, kind), code

    return intrinsic(typing)


_loop32, _loop64 = _vector_loop(32), _vector_loop(64)


@compiled
def _peak_fp32(total: Array, n: Array) -> None:
    total[0] = _loop32(n[0] // (CHAINS * 16), np.float32(n[1]))


@compiled
def _peak_fp64(total: Array, n: Array) -> None:
    total[0] = _loop64(n[0] // (CHAINS * 8), np.float64(n[1]))


def _operands(shape: tuple[int, ...], _: str, __: Generator) -> Operands:
    return np.zeros(1), np.array([shape[0], 1])


def _reference(_: Array, n: Array) -> Array:
    return n[:1].astype(np.float64)


def _peak(dtype: str, portable: Callable[..., None] | None) -> Kernel | None:
    run = native_function(f"ew_peak_{dtype}", ("float64", "int64")) or portable
    if run is None:
        return None
    return register(Kernel(f"peak_{dtype}", ("n",), (dtype,), _operands, run, _reference, "", (CHUNK,), portable))


_PORTABLE: dict[str, Callable[..., None] | None] = {"fp64": _peak_fp64, "fp32": _peak_fp32, "fp16": None, "bf16": None, "int8": None}

PEAKS = tuple(made for made in (_peak(dtype, portable) for dtype, portable in _PORTABLE.items()) if made is not None)
"""`peak_fp64`, `peak_fp32`; natively `peak_fp16`, `peak_bf16`, `peak_int8` too: `n` multiply-accumulates."""
