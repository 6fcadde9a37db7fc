"""Access that no prefetcher foresees, or that wastes what a line brings: chains of pointers, random gathers, strides.

A chase visits its working set one line at a time in an order that is a single random cycle, each address read from the line before: time
per step is the latency of the level that the set fits in (as lmbench's lat_mem_rd; McVoy & Staelin, USENIX 1996, with a random order).
A gather reads elements at random places, all addresses known ahead: time per element is what the misses in flight leave of that latency.
A strided read takes one element in every `stride`.

How wrong: beyond some MiB the latency includes the walk of page tables (less where the system gives large pages), which is part of what
random access costs there but not of the memory itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CHASE", "GATHER", "STRIDED", "chase", "gather", "strided"]

STRIDE_OF_LINE = 8
"""Elements of 8 bytes in a cache line of 64."""


@compiled
def chase(end: Array, following: Array, steps: Array) -> None:
    """Follow `following` (lines, 8; only the first column is read) from line 0 for `steps[0]` steps; the last goes to `end[0]`."""
    line = end.dtype.type(0)  # unsigned: a signed index would be tested for being negative, which is part of the chain
    for _ in range(steps[0]):
        line = following[line, 0]
    end[0] = line


@compiled
def gather(total: Array, source: Array, places: Array) -> None:
    """Write to `total[0]` the sum of `source[places]`: shapes (1), (n), (count)."""
    found = total.dtype.type(0)
    for i in range(places.size):
        found += source[places[i]]
    total[0] = found


@compiled
def strided(total: Array, source: Array, stride: Array) -> None:
    """Write to `total[0]` the sum of every `stride[0]`-th element of `source` (n), from the first on."""
    found = total.dtype.type(0)
    for i in range(0, source.size, stride[0]):
        found += source[i]
    total[0] = found


def _cycle(shape: tuple[int, ...], _: str, generator: np.random.Generator) -> Operands:
    import numpy as np

    lines, steps = shape
    order = generator.permutation(lines)
    following = np.zeros((lines, STRIDE_OF_LINE), np.uint64)
    following[order, 0] = np.roll(order, -1)
    return np.zeros(1, np.uint64), following, np.array([steps])


def _places(shape: tuple[int, ...], _: str, generator: np.random.Generator) -> Operands:
    import numpy as np

    n, count = shape
    source = generator.integers(-8, 8, n).astype(np.float32)
    return source[:1] * 0, source, generator.integers(0, n, count).astype(np.int32)


def _strides(shape: tuple[int, ...], _: str, generator: np.random.Generator) -> Operands:
    import numpy as np

    n, stride = shape
    source = generator.integers(-8, 8, n).astype(np.float32)
    return source[:1] * 0, source, np.array([stride])


def _chased(_: Array, following: Array, steps: Array) -> Array:
    import numpy as np

    line = 0
    for _step in range(int(steps[0])):
        line = int(following[line, 0])
    return np.array([line], np.uint64)


def _gathered(_: Array, source: Array, places: Array) -> Array:
    summed: Array = source[places].sum(keepdims=True)
    return summed


def _strided_reference(_: Array, source: Array, stride: Array) -> Array:
    summed: Array = source[:: int(stride[0])].sum(keepdims=True)
    return summed


CHASE = register(Kernel("chase", ("lines", "steps"), ("uint64",), _cycle, chase, _chased, calibrates=""))
"""`steps` dependent reads in a working set of `lines` cache lines of 64 bytes."""
GATHER = register(Kernel("gather", ("n", "count"), ("fp32",), _places, gather, _gathered, calibrates=""))
"""`count` elements read at random places among `n`."""
STRIDED = register(Kernel("strided", ("n", "stride"), ("fp32",), _strides, strided, _strided_reference, calibrates=""))
"""Every `stride`-th of `n` elements read: `n / stride` elements, in as many lines from a stride of 16 on."""
