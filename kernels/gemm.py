"""GEMM: `C = A B`, cache-blocked on packed panels (Goto & van de Geijn, Anatomy of high-performance matrix multiplication, 2008).

Loops, from the outside: blocks of `DEPTH` rows of B, packed into panels of `WIDTH` columns; panels (each stays in the second-level
cache); four rows of A against the panel. The innermost loop runs along the panel's width and vectorises by itself: four rows of a
tile of C gain the products of four rows of B, so that sixteen multiply-adds share eight loads and four stores. Edges are padded with
zeros where they are packed, not handled by loops of their own. Packing reads and writes B once more than a product of few rows would
need: below some dozens of rows of A that is most of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import DTYPES, Array, Kernel, Operands

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DEPTH", "GEMM", "WIDTH", "gemm"]

DEPTH = 256
"""Rows of B packed at a time, a multiple of 4."""
WIDTH = 512
"""Columns of a panel: eight rows of it fit in a first-level cache of 32 KiB, in fp32 and in fp64."""


@compiled
def _pack(panels: Array, b: Array, top: int, depth: int) -> None:
    """Copy `depth` rows of B into the panels, row by row; rows up to the next multiple of 4 become zero."""
    columns = b.shape[1]
    for p in range(depth):
        for strip in range(panels.shape[0]):
            left = strip * WIDTH
            for j in range(min(WIDTH, columns - left)):
                panels[strip, p, j] = b[top + p, left + j]
    for p in range(depth, (depth + 3) // 4 * 4):
        panels[:, p, :] = 0


@compiled
def _pack_rows(rows: Array, a: Array, first: int, left: int, depth: int) -> None:
    """Copy four rows of A, transposed, to `rows`; what lies beyond the matrix is zero."""
    height = min(4, a.shape[0] - first)
    for p in range((depth + 3) // 4 * 4):
        for i in range(4):
            rows[p, i] = a[first + i, left + p] if i < height and p < depth else 0


@compiled
def _tile(tile: Array, rows: Array, panel: Array, depth: int, width: int) -> None:
    """`tile = rows.T @ panel`: four rows of C, `width` columns, a depth that is padded to a multiple of 4."""
    tile[:, :width] = 0
    for p in range(0, depth, 4):
        a00, a01, a02, a03 = rows[p, 0], rows[p, 1], rows[p, 2], rows[p, 3]
        a10, a11, a12, a13 = rows[p + 1, 0], rows[p + 1, 1], rows[p + 1, 2], rows[p + 1, 3]
        a20, a21, a22, a23 = rows[p + 2, 0], rows[p + 2, 1], rows[p + 2, 2], rows[p + 2, 3]
        a30, a31, a32, a33 = rows[p + 3, 0], rows[p + 3, 1], rows[p + 3, 2], rows[p + 3, 3]
        block = panel[p : p + 4]
        for j in range(width):
            b0, b1, b2, b3 = block[0, j], block[1, j], block[2, j], block[3, j]
            tile[0, j] += a00 * b0 + a10 * b1 + a20 * b2 + a30 * b3
            tile[1, j] += a01 * b0 + a11 * b1 + a21 * b2 + a31 * b3
            tile[2, j] += a02 * b0 + a12 * b1 + a22 * b2 + a32 * b3
            tile[3, j] += a03 * b0 + a13 * b1 + a23 * b2 + a33 * b3


@compiled
def _add(c: Array, tile: Array, first: int, left: int, width: int, begin: bool) -> None:
    """Put the tile into C (`begin`) or add it."""
    for i in range(min(4, c.shape[0] - first)):
        for j in range(width):
            c[first + i, left + j] = tile[i, j] if begin else c[first + i, left + j] + tile[i, j]


@compiled
def gemm(c: Array, a: Array, b: Array, panels: Array, rows: Array, tile: Array) -> None:
    """Write `a @ b` to `c`: shapes (m, n), (m, k), (k, n), C order, one floating dtype. Sums run in the dtype, in any order.

    `panels` (ceil(n / WIDTH), DEPTH, WIDTH), `rows` (DEPTH, 4) and `tile` (4, WIDTH) are room to work in.
    """
    m, k = a.shape
    n = b.shape[1]
    for top in range(0, k, DEPTH):
        depth = min(DEPTH, k - top)
        _pack(panels, b, top, depth)
        for strip in range(panels.shape[0]):
            left = strip * WIDTH
            width = min(WIDTH, n - left)
            for first in range(0, m, 4):
                _pack_rows(rows, a, first, top, depth)
                _tile(tile, rows, panels[strip], depth, width)
                _add(c, tile, first, left, width, top == 0)


def _operands(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Operands:
    import numpy as np

    m, n, k = shape
    kind = DTYPES[dtype]
    a = generator.standard_normal((m, k)).astype(kind)
    b = generator.standard_normal((k, n)).astype(kind)
    room = np.zeros((-(-n // WIDTH), DEPTH, WIDTH), kind), np.zeros((DEPTH, 4), kind), np.zeros((4, WIDTH), kind)
    return np.zeros((m, n), kind), a, b, *room


def _reference(_: Array, a: Array, b: Array, *__: Array) -> Array:
    return a @ b


GEMM = register(Kernel("gemm", ("m", "n", "k"), ("fp32", "fp64"), _operands, gemm, _reference))
"""`m` rows and `n` columns of C, `k` products for each."""
