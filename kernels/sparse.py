"""Products of a sparse matrix with a dense one: `Y = W X`, W (m, k) with few numbers, X (k, n) one column per token.

- `spmm_nm`: 2 of each 4 neighbours in a row are not zero (Mishra et al., Accelerating sparse deep neural networks, 2021): two numbers and
  two indices of 2 bits, four of which share a byte. The indices of a row are unpacked once, for all columns.
- `spmm_block`: blocks of 16 by 16 are whole or zero (block compressed rows, BSR); each is a small dense product.
- `spmm_decoded`: loaded as sparse, computed as dense (Xia et al., Flash-LLM, VLDB 2023): the numbers of a tile of 16 by 64, each with its
  16-bit place in the tile, are scattered into a dense tile in the first-level cache, and that is multiplied. It saves bytes, not
  operations.

How wrong: to rounding, in fp32. `spmm_nm` loads a row of X for each number of W, so that it runs at about half the rate of dense
arithmetic: at 2 of 4 it saves bytes of weights and little time where arithmetic binds. Flash-LLM pairs a 16-bit value with the 16-bit
place; here values are fp32, 6 bytes per number against 4 of a dense one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import COLUMNS, gather_row, multiply, multiply_rows

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["BLOCK", "DEEP", "SPMM_BLOCK", "SPMM_DECODED", "SPMM_NM", "prune_nm", "spmm_block", "spmm_decoded", "spmm_nm"]

BLOCK = 16
"""Rows (and columns) of a block, and rows of a decoded tile."""
DEEP = 64
"""Columns of a decoded tile."""


@compiled
def spmm_nm(y: Array, values: Array, indices: Array, x: Array, places: Array) -> None:
    """2 of 4: y (m, n), values (m, k / 2), indices (m, k / 8) uint8, x (k, n); `places` (k / 2) is room to work in."""
    rows, kept = values.shape
    n, flat, flat_values, flat_x = x.shape[1], y.reshape(y.size), values.reshape(values.size), x.reshape(x.size)
    for row in range(rows):
        for t in range(kept):
            places[t] = 4 * (t // 2) + (indices[row, t // 4] >> np.uint8(2 * (t % 4)) & np.uint8(3))
        gather_row(flat, row * n, flat_values, row * kept, places, kept, flat_x, n, n)


@compiled
def spmm_block(y: Array, blocks: Array, columns: Array, starts: Array, x: Array) -> None:
    """Blocks: y (m, n), blocks (count, 16, 16), the block column of each, where those of a block row begin (m / 16 + 1), x (k, n)."""
    n, flat, flat_x, held = x.shape[1], y.reshape(y.size), x.reshape(x.size), blocks.reshape(blocks.size)
    for row in range(starts.size - 1):
        for i in range(row * BLOCK * n, (row + 1) * BLOCK * n):
            flat[i] = 0
        for left in range(0, n, COLUMNS):
            lanes = min(COLUMNS, n - left)
            for t in range(starts[row], starts[row + 1]):
                multiply_rows(
                    flat, row * BLOCK * n + left, n, held, t * BLOCK * BLOCK, BLOCK, 1,
                    flat_x, columns[t] * BLOCK * n + left, n, BLOCK, BLOCK, lanes, False,
                )  # fmt: skip


@compiled
def spmm_decoded(y: Array, values: Array, places: Array, starts: Array, x: Array, tile: Array) -> None:
    """Tiles of 16 by 64, row by row: the numbers, their places (uint16, row * 64 + column) and where those of a tile begin.

    y is (m, n), x (k, n); `tile` (16 * 64) is room to work in.
    """
    k, n = x.shape
    flat, flat_x, across = y.reshape(y.size), x.reshape(x.size), k // DEEP
    for t in range(starts.size - 1):
        for i in range(BLOCK * DEEP):
            tile[i] = 0
        for i in range(starts[t], starts[t + 1]):
            tile[places[i]] = values[i]
        row, column = t // across, t % across
        multiply(flat, row * BLOCK * n, n, tile, 0, DEEP, 1, flat_x, column * DEEP * n, n, BLOCK, DEEP, n, column == 0)


def prune_nm(dense: Array) -> tuple[Array, Array]:
    """The 2 largest of each 4 neighbours (of equals the first), in order, and their packed indices: (m, k / 2) and (m, k / 8) uint8."""
    m, k = dense.shape
    fours = dense.reshape(m, k // 4, 4)
    at = np.sort(np.argsort(-np.abs(fours), axis=-1, kind="stable")[..., :2], axis=-1)
    codes = at.reshape(m, k // 8, 4).astype(np.uint8)
    return np.take_along_axis(fours, at, -1).reshape(m, k // 2), (codes << np.arange(0, 8, 2, dtype=np.uint8)).sum(axis=-1, dtype=np.uint8)


def _nm_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    m, n, k = shape
    values, indices = prune_nm(generator.standard_normal((m, k)).astype(np.float32))
    x = generator.standard_normal((k, n)).astype(np.float32)
    return np.zeros((m, n), np.float32), values, indices, x, np.zeros(k // 2, np.int64)


def _nm_reference(_: Array, values: Array, indices: Array, x: Array, *__: Array) -> Array:
    m, kept = values.shape
    codes = (indices[..., None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3).reshape(m, kept).astype(np.int64)
    dense = np.zeros((m, 2 * kept), np.float32)
    np.put_along_axis(dense, codes + 4 * (np.arange(kept) // 2), values, axis=1)
    return dense @ x


def _kept(cells: int, one_in: int, generator: Generator) -> Array:
    """Which cells are kept, in order: one in so many (at least one)."""
    return np.sort(generator.permutation(cells)[: max(1, cells // one_in)])


def _block_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    m, n, k, one_in = shape
    kept = _kept(m // BLOCK * (k // BLOCK), one_in, generator)
    blocks = generator.standard_normal((len(kept), BLOCK, BLOCK)).astype(np.float32)
    starts = np.searchsorted(kept, np.arange(m // BLOCK + 1) * (k // BLOCK))
    x = generator.standard_normal((k, n)).astype(np.float32)
    return np.zeros((m, n), np.float32), blocks, (kept % (k // BLOCK)).astype(np.int32), starts, x


def _block_reference(y: Array, blocks: Array, columns: Array, starts: Array, x: Array) -> Array:
    dense = np.zeros((y.shape[0] // BLOCK, BLOCK, x.shape[0] // BLOCK, BLOCK), np.float32)
    dense[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), :, columns] = blocks
    return dense.reshape(y.shape[0], x.shape[0]) @ x


def _decoded_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    m, n, k, one_in = shape
    tiles = m // BLOCK * (k // DEEP)
    kept = _kept(m * k, one_in, generator)
    values = generator.standard_normal(len(kept)).astype(np.float32)
    starts = np.searchsorted(kept, np.arange(tiles + 1) * BLOCK * DEEP)
    x = generator.standard_normal((k, n)).astype(np.float32)
    places = (kept % (BLOCK * DEEP)).astype(np.uint16)
    return np.zeros((m, n), np.float32), values, places, starts, x, np.zeros(BLOCK * DEEP, np.float32)


def _decoded_reference(y: Array, values: Array, places: Array, starts: Array, x: Array, *_: Array) -> Array:
    tiles = np.zeros((len(starts) - 1, BLOCK * DEEP), np.float32)
    tiles[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), places] = values
    dense = tiles.reshape(y.shape[0] // BLOCK, x.shape[0] // DEEP, BLOCK, DEEP).transpose(0, 2, 1, 3)
    return dense.reshape(y.shape[0], x.shape[0]) @ x


SPMM_NM = register(Kernel("spmm_nm", ("m", "n", "k"), ("fp32",), _nm_operands, spmm_nm, _nm_reference, calibrates="", multiples=(1, 1, 8)))
"""`m` rows and `n` columns of Y; `k` columns of W, half of which are kept."""

SPMM_BLOCK = register(
    Kernel(
        "spmm_block",
        ("m", "n", "k", "one_in"),
        ("fp32",),
        _block_operands,
        spmm_block,
        _block_reference,
        calibrates="",
        multiples=(BLOCK, 1, BLOCK, 1),
    )
)
"""The same with one in `one_in` blocks of W kept."""

SPMM_DECODED = register(
    Kernel(
        "spmm_decoded",
        ("m", "n", "k", "one_in"),
        ("fp32",),
        _decoded_operands,
        spmm_decoded,
        _decoded_reference,
        calibrates="",
        multiples=(BLOCK, 1, DEEP, 1),
    )
)
"""The same with one in `one_in` numbers of W kept, anywhere."""
