"""Attention of a prompt, in tiles: Dao et al., FlashAttention, NeurIPS 2022, with the order of loops of FlashAttention-2 (2023).

A tile of 64 queries meets tiles of 64 keys one after another. Scores never leave the caches: the softmax is kept online (Milakov &
Gimelshein, Online normalizer calculation for softmax, 2018), what was summed before being scaled down when a larger score turns up. Tiles
that the causal mask or a sliding window hides are not computed. Scores are held by key and then query, so that the softmax of 64
queries runs along vectors and no sum has to be taken across one.

How wrong: to rounding, in fp32; keys and values of 16 bits are widened as they are read, exactly. Of a tile on the diagonal both halves are
computed, which is counted nowhere: up to 64 more keys per query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.attention_tiles import CACHE_DTYPES, attention_reference, cache_of, format_code, soften, widen, widened_cache
from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import multiply

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["ATTENTION", "ATTENTION_WINDOW", "TILE", "attend"]

TILE = 64
"""Queries and keys of a tile: the scores of one take 16 KiB."""


@compiled
def _hide(scores: Array, left: int, count: int, position: int, window: int) -> None:
    """Scores of keys after a query, or out of its window, become -inf; the first query of the tile stands at `position`."""
    for j in range(count):
        for r in range(scores.shape[1]):
            if left + j > position + r or left + j <= position + r - window:
                scores[j, r] = -np.inf


@compiled
def attend(
    out: Array, queries: Array, keys: Array, values: Array, window: Array, code: Array,
    turned: Array, wide: Array, scores: Array, sums: Array,
) -> None:  # fmt: skip
    """Causal attention of the last tokens of a context, each to the `window[0]` latest tokens up to itself.

    Shapes: out and queries (tokens, heads, d), keys and values (kv_heads, context, d) in the format `code[0]` of `CACHE_DTYPES`. Room to
    work in: `turned` (d, TILE), `wide` (2, TILE, d), `scores` (TILE, TILE), `sums` (3, TILE).
    """
    tokens, heads, width = queries.shape
    kv_heads, context, _ = keys.shape
    past, group = context - tokens, heads // kv_heads
    scale = np.float32(1) / np.sqrt(np.float32(width))
    flat, flat_scores, flat_turned = out.reshape(out.size), scores.reshape(scores.size), turned.reshape(turned.size)
    flat_keys, flat_values = wide[0].reshape(wide[0].size), wide[1].reshape(wide[1].size)
    largest, totals, shrink = sums[0], sums[1], sums[2]
    for head in range(heads):
        for first in range(0, tokens, TILE):
            rows = min(TILE, tokens - first)
            for p in range(width):
                for r in range(TILE):
                    turned[p, r] = queries[first + r, head, p] * scale if r < rows else 0
            largest[:] = -1e30
            totals[:] = 0
            at, position = (first * heads + head) * width, past + first
            begin = max(0, position - window[0] + 1)
            for left in range(begin, position + rows, TILE):
                count = min(TILE, position + rows - left)
                widen(wide[0], keys, head // group, left, count, code[0])
                multiply(flat_scores, 0, TILE, flat_keys, 0, width, 1, flat_turned, 0, TILE, count, width, TILE, True)
                if left + count > position + 1 or left <= position + rows - 1 - window[0]:
                    _hide(scores, left, count, position, window[0])
                soften(scores, count, largest, totals, shrink)
                if left > begin:
                    for r in range(rows):
                        for p in range(width):
                            out[first + r, head, p] *= shrink[r]
                widen(wide[1], values, head // group, left, count, code[0])
                multiply(flat, at, heads * width, flat_scores, 0, 1, TILE, flat_values, 0, width, rows, count, width, left == begin)
            for r in range(rows):
                for p in range(width):
                    out[first + r, head, p] /= totals[r]


def _made(tokens: int, context: int, kv_heads: int, group: int, width: int, window: int, dtype: str, generator: Generator) -> Operands:
    if context < tokens:
        raise ValueError(f"attention of {tokens} tokens needs a context of as many or more, not {context}")
    queries = generator.standard_normal((tokens, kv_heads * group, width)).astype(np.float32)
    keys, values = (cache_of((kv_heads, context, width), dtype, generator) for _ in range(2))
    room = [np.zeros(shape, np.float32) for shape in ((width, TILE), (2, TILE, width), (TILE, TILE), (3, TILE))]
    return (queries * 0, queries, keys, values, np.array([window]), format_code(dtype), *room)


def _operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    tokens, context, kv_heads, group, width = shape
    return _made(tokens, context, kv_heads, group, width, context, dtype, generator)


def _window_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    tokens, context, kv_heads, group, width, window = shape
    return _made(tokens, context, kv_heads, group, width, window, dtype, generator)


def _reference(_: Array, queries: Array, keys: Array, values: Array, window: Array, code: Array, *__: Array) -> Array:
    return attention_reference(queries, widened_cache(keys, code), widened_cache(values, code), window[0])


_AXES = ("tokens", "context", "kv_heads", "group", "head_dim")

ATTENTION = register(Kernel("attention", _AXES, CACHE_DTYPES, _operands, attend, _reference))
"""The last `tokens` of `context` tokens, causal; `kv_heads * group` heads, of which `group` share keys and values."""

ATTENTION_WINDOW = register(
    Kernel("attention_window", (*_AXES, "window"), CACHE_DTYPES, _window_operands, attend, _reference, calibrates="attention")
)
"""The same, each token seeing `window` tokens, itself included."""
