"""The tile that dense parts of kernels share: `C += A B` for a few rows, 32 columns and any depth, held in registers.

A tile of 8 rows and 32 columns stays in vector registers over the whole depth: per step two vectors of B are loaded, and each of the rows'
numbers is broadcast to a multiply-add with both (Goto & van de Geijn, Anatomy of high-performance matrix multiplication, 2008; BLIS's
micro-kernel, Van Zee & van de Geijn, 2015). Strides are free, so that A may be keys, taps of a picture, or probabilities, where they lie.
Numba vectorises loops but keeps no array in registers, which is why the tile is written in LLVM's own terms; LLVM makes of its vectors what
the processor has (AVX-512, AVX2, NEON).

How wrong: 8 rows of 32 fill the 32 registers of AVX-512 and NEON's half; on AVX2 (16 registers of 8 numbers) the tile spills.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgewright.kernels.jit import compiled

if TYPE_CHECKING:
    from edgewright.kernels.spec import Array

cgutils: Any = import_module("numba.core.cgutils")  # which has no types

__all__ = ["COLUMNS", "STRIP", "dot_rows", "gather_row", "multiply", "multiply_rows"]

COLUMNS = 32
"""Columns of a tile."""
STRIP = 128
"""Columns of a row that is gathered."""
_LANES = 16
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_MASK = ir.VectorType(ir.IntType(1), _LANES)
_INDEX = ir.IntType(64)


def _masks(builder: Any, lanes: Any, columns: int) -> list[Any]:
    """Which lanes of each vector of a tile lie within its first `lanes` columns."""
    iota = ir.Constant(ir.VectorType(_INDEX, _LANES), list(range(_LANES)))
    masks = []
    for first in range(0, columns, _LANES):
        left = builder.sub(lanes, ir.Constant(_INDEX, first))
        masks.append(builder.icmp_signed("<", iota, _broadcast(builder, left, ir.VectorType(_INDEX, _LANES))))
    return masks


def _broadcast(builder: Any, value: Any, kind: Any) -> Any:
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES))


def _load(builder: Any, pointer: Any, mask: Any | None) -> Any:
    if mask is None:
        return builder.load(pointer, align=4)
    kind = ir.FunctionType(_VECTOR, [_VECTOR.as_pointer(), ir.IntType(32), _MASK, _VECTOR])
    masked = cgutils.get_or_insert_function(builder.module, kind, "llvm.masked.load.v16f32.p0")
    return builder.call(masked, [pointer, ir.Constant(ir.IntType(32), 4), mask, ir.Constant(_VECTOR, None)])


def _store(builder: Any, value: Any, pointer: Any, mask: Any | None) -> None:
    if mask is None:
        builder.store(value, pointer, align=4)
        return
    kind = ir.FunctionType(ir.VoidType(), [_VECTOR, _VECTOR.as_pointer(), ir.IntType(32), _MASK])
    masked = cgutils.get_or_insert_function(builder.module, kind, "llvm.masked.store.v16f32.p0")
    builder.call(masked, [value, pointer, ir.Constant(ir.IntType(32), 4), mask])


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Where the numbers of an array are: as fp32, but for those of 64 bits."""
    data = context.make_array(kind)(context, builder, value).data
    return data if kind.dtype == types.int64 else builder.bitcast(data, ir.FloatType().as_pointer())


def _vector(builder: Any, base: Any, at: Any, part: int) -> Any:
    """Where vector number `part` after place `at` is."""
    place = builder.gep(base, [builder.add(at, ir.Constant(_INDEX, part * _LANES))])
    return builder.bitcast(place, _VECTOR.as_pointer())


def _emit(context: Any, builder: Any, signature: Any, args: Any, height: int, masked: bool) -> Any:
    """The code of a tile: load C (or begin with zero), go down the depth, store C."""
    c_value, c_at, c_step, a_value, a_at, a_row, a_step, b_value, b_at, b_step, depth, lanes, begin = args
    arrays = ((0, c_value), (3, a_value), (7, b_value))
    data = [_data(context, builder, signature.args[place], value) for place, value in arrays]
    masks = _masks(builder, lanes, COLUMNS) if masked else [None] * (COLUMNS // _LANES)
    fast, zero = ("contract",), ir.Constant(_VECTOR, None)
    rows = [builder.add(c_at, builder.mul(c_step, ir.Constant(_INDEX, r))) for r in range(height)]
    sums = []
    for row in rows:
        for part, mask in enumerate(masks):
            held = cgutils.alloca_once(builder, _VECTOR)
            builder.store(builder.select(begin, zero, _load(builder, _vector(builder, data[0], row, part), mask)), held)
            sums.append(held)
    with cgutils.for_range(builder, depth, intp=_INDEX) as loop:
        b_row = builder.add(b_at, builder.mul(loop.index, b_step))
        columns = [_load(builder, _vector(builder, data[2], b_row, part), mask) for part, mask in enumerate(masks)]
        a_here = builder.add(a_at, builder.mul(loop.index, a_step))
        for r in range(height):
            at = builder.add(a_here, builder.mul(a_row, ir.Constant(_INDEX, r)))
            number = _broadcast(builder, builder.load(builder.gep(data[1], [at])), _VECTOR)
            for part, column in enumerate(columns):
                held = sums[r * len(columns) + part]
                product = builder.fmul(number, column, flags=fast)
                builder.store(builder.fadd(builder.load(held), product, flags=fast), held)
    for r, row in enumerate(rows):
        for part, mask in enumerate(masks):
            _store(builder, builder.load(sums[r * len(masks) + part]), _vector(builder, data[0], row, part), mask)
    return context.get_dummy_value()


def _tile(height: int, masked: bool) -> Any:
    """A Numba intrinsic: one tile of that many rows; the arrays are flat fp32, places and strides count numbers."""

    def typing(
        _: Any, c: Any, c_at: Any, c_step: Any, a: Any, a_at: Any, a_row: Any, a_step: Any,
        b: Any, b_at: Any, b_step: Any, depth: Any, lanes: Any, begin: Any,
    ) -> Any:  # fmt: skip
        i = types.intp
        signature = types.void(c, i, i, a, i, i, i, b, i, i, i, i, types.boolean)
        return signature, lambda context, builder, sig, args: _emit(context, builder, sig, args, height, masked)

    return intrinsic(typing)


def _gather(masked: bool) -> Any:
    """A Numba intrinsic: `C[j] = sum_t values[t] B[places[t], j]` for up to 128 columns, in registers."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        c_value, c_at, values_value, values_at, places_value, count, b_value, b_at, b_step, lanes = args
        arrays = ((0, c_value), (2, values_value), (4, places_value), (6, b_value))
        c, values, places, b = (_data(context, builder, signature.args[place], value) for place, value in arrays)
        masks = _masks(builder, lanes, STRIP) if masked else [None] * (STRIP // _LANES)
        sums = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None)) for _ in masks]
        with cgutils.for_range(builder, count, intp=_INDEX) as loop:
            number = builder.load(builder.gep(values, [builder.add(values_at, loop.index)]))
            factor = _broadcast(builder, number, _VECTOR)
            row = builder.add(b_at, builder.mul(builder.load(builder.gep(places, [loop.index])), b_step))
            for part, (held, mask) in enumerate(zip(sums, masks, strict=True)):
                product = builder.fmul(factor, _load(builder, _vector(builder, b, row, part), mask), flags=("contract",))
                builder.store(builder.fadd(builder.load(held), product, flags=("contract",)), held)
        for part, (held, mask) in enumerate(zip(sums, masks, strict=True)):
            _store(builder, builder.load(held), _vector(builder, c, c_at, part), mask)
        return context.get_dummy_value()

    def typing(
        _: Any, c: Any, c_at: Any, values: Any, values_at: Any, places: Any, count: Any, b: Any, b_at: Any, b_step: Any, lanes: Any
    ) -> Any:
        i = types.intp
        return types.void(c, i, values, i, places, i, b, i, i, i), emit

    return intrinsic(typing)


_gather_full, _gather_edge = _gather(False), _gather(True)


@compiled
def gather_row(c: Array, c_at: int, values: Array, values_at: int, places: Array, count: int, b: Array, b_step: int, columns: int) -> None:
    """`C = sum_t values[values_at + t] B[places[t]]` over `count` rows of B, on flat fp32 arrays (places: int64)."""
    for left in range(0, columns, 128):
        lanes = min(128, columns - left)
        if lanes == 128:
            _gather_full(c, c_at + left, values, values_at, places, count, b, left, b_step, lanes)
        else:
            _gather_edge(c, c_at + left, values, values_at, places, count, b, left, b_step, lanes)


def _dots(height: int) -> Any:
    """A Numba intrinsic: products of so many rows of A with x, along the rows."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        y_value, y_at, a_value, a_at, a_step, x_value, x_at, depth = args
        y, a, x = (_data(context, builder, signature.args[place], value) for place, value in ((0, y_value), (2, a_value), (5, x_value)))
        sums = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None)) for _ in range(height)]
        starts = [builder.add(a_at, builder.mul(a_step, ir.Constant(_INDEX, r))) for r in range(height)]

        def step(at: Any, mask: Any | None) -> None:
            factor = _load(builder, _vector(builder, x, builder.add(x_at, at), 0), mask)
            for held, start in zip(sums, starts, strict=True):
                row = _load(builder, _vector(builder, a, builder.add(start, at), 0), mask)
                product = builder.fmul(row, factor, flags=("contract",))
                builder.store(builder.fadd(builder.load(held), product, flags=("contract",)), held)

        lanes = ir.Constant(_INDEX, _LANES)
        whole = builder.sdiv(depth, lanes)
        with cgutils.for_range(builder, whole, intp=_INDEX) as loop:
            step(builder.mul(loop.index, lanes), None)
        rest = builder.srem(depth, lanes)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(_INDEX, 0))):
            step(builder.mul(whole, lanes), _masks(builder, rest, _LANES)[0])
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _VECTOR])
        total = cgutils.get_or_insert_function(builder.module, kind, "llvm.vector.reduce.fadd.v16f32")
        for r, held in enumerate(sums):
            added = builder.call(total, [ir.Constant(ir.FloatType(), 0.0), builder.load(held)], fastmath=("reassoc",))
            builder.store(added, builder.gep(y, [builder.add(y_at, ir.Constant(_INDEX, r))]))
        return context.get_dummy_value()

    def typing(_: Any, y: Any, y_at: Any, a: Any, a_at: Any, a_step: Any, x: Any, x_at: Any, depth: Any) -> Any:
        i = types.intp
        return types.void(y, i, a, i, i, x, i, i), emit

    return intrinsic(typing)


_dots8, _dots1 = _dots(8), _dots(1)


@compiled
def dot_rows(y: Array, y_at: int, a: Array, a_at: int, a_step: int, x: Array, x_at: int, rows: int, depth: int) -> None:
    """`y[y_at + r] = sum_p a[a_at + r * a_step + p] x[x_at + p]` for so many rows, on flat fp32 arrays."""
    r = 0
    while r + 8 <= rows:
        _dots8(y, y_at + r, a, a_at + r * a_step, a_step, x, x_at, depth)
        r += 8
    while r < rows:
        _dots1(y, y_at + r, a, a_at + r * a_step, a_step, x, x_at, depth)
        r += 1


_full8, _full4, _full2, _full1 = (_tile(height, False) for height in (8, 4, 2, 1))
_edge8, _edge4, _edge2, _edge1 = (_tile(height, True) for height in (8, 4, 2, 1))


@compiled
def multiply_rows(
    c: Array, c_at: int, c_step: int, a: Array, a_at: int, a_row: int, a_step: int,
    b: Array, b_at: int, b_step: int, rows: int, depth: int, lanes: int, begin: bool,
) -> None:  # fmt: skip
    """As `multiply`, for at most `COLUMNS` columns (`lanes` of them)."""
    r = 0
    if lanes >= 32:
        while r + 8 <= rows:
            _full8(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
            r += 8
        if r + 4 <= rows:
            _full4(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
            r += 4
        if r + 2 <= rows:
            _full2(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
            r += 2
        if r < rows:
            _full1(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
        return
    while r + 8 <= rows:
        _edge8(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
        r += 8
    if r + 4 <= rows:
        _edge4(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
        r += 4
    if r + 2 <= rows:
        _edge2(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)
        r += 2
    if r < rows:
        _edge1(c, c_at + r * c_step, c_step, a, a_at + r * a_row, a_row, a_step, b, b_at, b_step, depth, lanes, begin)


@compiled
def multiply(
    c: Array, c_at: int, c_step: int, a: Array, a_at: int, a_row: int, a_step: int,
    b: Array, b_at: int, b_step: int, rows: int, depth: int, columns: int, begin: bool,
) -> None:  # fmt: skip
    """`C = A B` (`begin`) or `C += A B`, on flat fp32 arrays; places and strides count numbers.

    `C[r, j]` lies at `c[c_at + r * c_step + j]`, `A[r, p]` at `a[a_at + r * a_row + p * a_step]`, `B[p, j]` at `b[b_at + p * b_step + j]`.
    """
    for left in range(0, columns, 32):
        multiply_rows(c, c_at + left, c_step, a, a_at, a_row, a_step, b, b_at + left, b_step, rows, depth, min(32, columns - left), begin)
