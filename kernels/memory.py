"""Streams through memory: what the bandwidth of each level is read off (McCalpin, STREAM, 1995).

`copy` is one pass, as an engine's copies are. `read` and `triad` are probes: they go over their arrays a given number of times, so that
a working set of a first-level cache is timed and not the call. `copy_past` and `triad_past` write past the caches (non-temporal stores).

How wrong: bandwidth is what one access pattern reached, with the prefetchers' help; others reach less. A cache that allocates on write
reads the target first, so a third byte (copy) or fourth (triad) crosses the bus for two or three that are counted: not so past the caches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.kernels.jit import compiled
from edgewright.kernels.native import native_function
from edgewright.kernels.registry import register
from edgewright.kernels.spec import DTYPES, Array, Kernel, Operands, native_or

if TYPE_CHECKING:
    import numpy as np

__all__ = ["COPY", "READ", "TRIAD", "copy", "read", "triad"]

FACTOR = 3.0
"""The factor of the triad: any but 0 and 1, which a compiler might know."""


@compiled
def copy(target: Array, source: Array) -> None:
    """Copy `source` to `target`, both one-dimensional, contiguous, of one length and dtype."""
    for i in range(source.size):
        target[i] = source[i]


@compiled
def read(total: Array, source: Array, passes: Array) -> None:
    """Write to `total[0]` the sum of `source` (n), added up `passes[0]` times; in fp32, in any order."""
    begun = total.dtype.type(0)
    for _ in range(passes[0]):
        for i in range(source.size):
            begun += source[i]
    total[0] = begun


@compiled
def triad(target: Array, b: Array, c: Array, factor: Array, passes: Array) -> None:
    """`target = b + factor[0] * c`, all (n) and fp32, `passes[0]` times over."""
    scale = factor[0]
    for _ in range(passes[0]):
        for i in range(target.size):
            target[i] = b[i] + scale * c[i]


def _copy_operands(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Operands:
    source = generator.integers(-100, 100, shape).astype(DTYPES[dtype])
    return source * 0, source


def _read_operands(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Operands:
    import numpy as np

    n, passes = shape
    source = generator.integers(-8, 8, n).astype(DTYPES[dtype])
    return source[:1] * 0, source, np.array([passes])


def _triad_operands(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Operands:
    import numpy as np

    n, passes = shape
    b, c = (generator.integers(-100, 100, n).astype(DTYPES[dtype]) for _ in range(2))
    return b * 0, b, c, np.array([FACTOR], DTYPES[dtype]), np.array([passes])


def _copied(_: Array, source: Array) -> Array:
    return source.copy()


def _summed(_: Array, source: Array, passes: Array) -> Array:
    summed: Array = source.sum(keepdims=True) * passes.astype(source.dtype)
    return summed


def _triad_reference(_: Array, b: Array, c: Array, factor: Array, __: Array) -> Array:
    made: Array = b + factor * c
    return made


_TRIAD_DTYPES = ("float32", "float32", "float32", "float32", "int64")

COPY = register(Kernel("copy", ("n",), tuple(DTYPES), _copy_operands, copy, _copied))
"""Copy of `n` elements."""

READ = register(
    Kernel(
        "read",
        ("n", "passes"),
        ("fp32",),
        _read_operands,
        native_or("ew_read", ("float32", "float32", "int64"), read),
        _summed,
        calibrates="",
        portable=read,
    )
)
"""`n` elements read and added up, `passes` times."""

TRIAD = register(
    Kernel(
        "triad",
        ("n", "passes"),
        ("fp32",),
        _triad_operands,
        native_or("ew_triad", _TRIAD_DTYPES, triad),
        _triad_reference,
        calibrates="",
        portable=triad,
    )
)
"""Two arrays of `n` elements read, a third written, `passes` times."""

if (_copy_past := native_function("ew_copy_past", ("float32", "float32"))) is not None:
    register(Kernel("copy_past", ("n",), ("fp32",), _copy_operands, _copy_past, _copied, calibrates=""))
if (_triad_past := native_function("ew_triad_past", _TRIAD_DTYPES)) is not None:
    register(Kernel("triad_past", ("n", "passes"), ("fp32",), _triad_operands, _triad_past, _triad_reference, calibrates=""))
