"""What attention kernels share: formats of the cache, its tiles widened to fp32, softmax along keys, the plain form of attention."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.functions import exponential, widened_bf16, widened_fp16
from edgewright.kernels.jit import compiled
from edgewright.kernels.spec import Array
from edgewright.kernels.tiles import COLUMNS, dot_rows, multiply_rows

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["CACHE_DTYPES", "attention_reference", "cache_of", "format_code", "scores_of_keys", "soften", "widen", "widened_cache"]

CACHE_DTYPES = ("fp32", "fp16", "bf16")
"""Formats in which keys and values are stored; the arithmetic is fp32. 16-bit numbers are held as their bits (uint16)."""
_FEW = 8


def cache_of(shape: tuple[int, ...], dtype: str, generator: Generator) -> Array:
    """Random keys or values in that format."""
    numbers = generator.standard_normal(shape).astype(np.float32)
    if dtype == "fp16":
        return numbers.astype(np.float16).view(np.uint16)
    return (numbers.view(np.uint32) >> 16).astype(np.uint16) if dtype == "bf16" else numbers


def format_code(dtype: str) -> Array:
    """The format as an operand: its place in `CACHE_DTYPES`, in an array of one."""
    return np.array([CACHE_DTYPES.index(dtype)])


def widened_cache(stored: Array, code: Array) -> Array:
    """What is stored, as fp64."""
    if code[0] == 1:
        return stored.view(np.float16).astype(np.float64)
    return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64) if code[0] == 2 else stored.astype(np.float64)


def attention_reference(queries: Array, keys: Array, values: Array, window: int, scale: float | None = None) -> Array:
    """Causal attention in fp64: queries (tokens, heads, d), the last tokens of keys and values (kv_heads, context, d).

    Each query sees the `window` latest tokens up to its own. Heads are grouped: `heads / kv_heads` neighbours share keys and values.
    """
    tokens, heads, width = queries.shape
    kv_heads, context, _ = keys.shape
    group = heads // kv_heads
    wide_keys, wide_values = (np.repeat(each.astype(np.float64), group, axis=0) for each in (keys, values))
    scores = np.einsum("qhd,hkd->hqk", queries.astype(np.float64), wide_keys) * (width**-0.5 if scale is None else scale)
    position, key = np.arange(context - tokens, context)[:, None], np.arange(context)
    scores[:, (key > position) | (key <= position - window)] = -inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    attended: Array = np.einsum("hqk,hkd->qhd", weights / weights.sum(axis=-1, keepdims=True), wide_values)
    return attended


@compiled
def widen(tile: Array, stored: Array, head: int, first: int, count: int, code: int) -> None:
    """Write tokens `first` to `first + count` of one head of a cache (heads, tokens, d) to the fp32 tile (at least count, d)."""
    width = stored.shape[2]
    for j in range(count):
        if code == 0:
            for p in range(width):
                tile[j, p] = stored[head, first + j, p]
        elif code == 1:
            for p in range(width):
                tile[j, p] = widened_fp16(stored[head, first + j, p])
        else:
            for p in range(width):
                tile[j, p] = widened_bf16(stored[head, first + j, p])


@compiled
def soften(scores: Array, count: int, largest: Array, totals: Array, shrink: Array) -> None:
    """One step of the online softmax, for many queries at once: scores (keys, queries) become weights relative to the largest so far.

    `largest` and `totals` (queries) are carried from tile to tile; `shrink` is what everything summed before is to be multiplied by.
    """
    width = largest.size
    for r in range(width):
        shrink[r] = largest[r]
    for j in range(count):
        for r in range(width):
            largest[r] = max(largest[r], scores[j, r])
    for r in range(width):
        shrink[r] = exponential(shrink[r] - largest[r])
        totals[r] *= shrink[r]
    for j in range(count):
        for r in range(width):
            scores[j, r] = exponential(scores[j, r] - largest[r])
            totals[r] += scores[j, r]


@compiled
def scores_of_keys(
    scores: Array, queries: Array, first: int, group: int, keys: Array, at: int, count: int, turned: Array, across: Array
) -> None:  # fmt: skip
    """Write to `scores` (group, at least count) the products of `count` keys with queries `first` to `first + group` (heads, d).

    Keys lie one after another from `at` in a flat fp32 array. Few queries are multiplied along a key; more of them side by side, 32 at a
    time, over `turned` (d, 32) and `across` (keys, 32).
    """
    width = queries.shape[1]
    flat_scores, flat_queries = scores.reshape(scores.size), queries.reshape(queries.size)
    if group <= _FEW:
        for g in range(group):
            dot_rows(flat_scores, g * scores.shape[1], keys, at, width, flat_queries, (first + g) * width, count, width)
        return
    flat = across.reshape(across.size)
    for left in range(0, group, COLUMNS):
        lanes = min(COLUMNS, group - left)
        for g in range(lanes):
            for p in range(width):
                turned[p, g] = queries[first + left + g, p]
        multiply_rows(flat, 0, COLUMNS, keys, at, width, 1, turned.reshape(turned.size), 0, COLUMNS, count, width, lanes, True)
        for g in range(lanes):
            for j in range(count):
                scores[left + g, j] = across[j, g]
