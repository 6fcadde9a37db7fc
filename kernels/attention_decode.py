"""Attention of one new token per sequence, split along the context, and the parts reduced.

Flash-decoding (Dao et al., 2023) and LeanAttention (Sanovar et al., arXiv 2405.10480): the softmax of a context is put together from
parts (largest score, sum of weights, weighted values), which may be computed in any order and by anyone. Queries that share keys (grouped
heads) meet each key while it is in a register or the first-level cache. Bandwidth of the cache's bytes binds as long as few queries share.

How wrong: to rounding. One thread computes all parts one after another; what it costs to bring parts of other threads or devices together
is not in its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.attention_tiles import (
    CACHE_DTYPES,
    attention_reference,
    cache_of,
    format_code,
    scores_of_keys,
    widen,
    widened_cache,
)
from edgewright.kernels.functions import exponential
from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import COLUMNS, multiply

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["ATTENTION_DECODE", "PART", "attend_one"]

PART = 64
"""Tokens of a part."""


@compiled
def _weigh(scores: Array, count: int, sums: Array, scale: float) -> None:
    """Scores (group, count) to weights relative to their largest; `sums` (group, 2) becomes the largest and the sum of the weights."""
    for g in range(scores.shape[0]):
        most = scores[g, 0]
        for j in range(1, count):
            most = max(most, scores[g, j])
        total = np.float32(0)
        for j in range(count):
            scores[g, j] = exponential((scores[g, j] - most) * scale)
            total += scores[g, j]
        sums[g, 0], sums[g, 1] = most * scale, total


@compiled
def _sum_values(part: Array, part_at: int, weights: Array, values: Array, at: int, group: int, count: int, width: int) -> None:
    """The values (count, d) from `at`, weighed, to a part (group, d) from `part_at`; all flat."""
    multiply(part, part_at, width, weights, 0, PART, 1, values, at, width, group, count, width, True)


@compiled
def _reduce(out: Array, at: int, parts: Array, sums: Array) -> None:
    """Put the parts (parts, group, d) together into `out[at : at + group]`; `sums` (parts, group, 2) are their maxima and weights."""
    for g in range(parts.shape[1]):
        most = sums[0, g, 0]
        for part in range(1, parts.shape[0]):
            most = max(most, sums[part, g, 0])
        out[at + g, :] = 0
        total = np.float32(0)
        for part in range(parts.shape[0]):
            weight = exponential(sums[part, g, 0] - most)
            total += weight * sums[part, g, 1]
            for p in range(out.shape[1]):
                out[at + g, p] += weight * parts[part, g, p]
        for p in range(out.shape[1]):
            out[at + g, p] /= total


@compiled
def attend_one(
    out: Array, queries: Array, keys: Array, values: Array, code: Array,
    wide: Array, scores: Array, turned: Array, across: Array, parts: Array, sums: Array,
) -> None:  # fmt: skip
    """Attention of one query per sequence and head to its whole context.

    Shapes: out and queries (batch, heads, d), keys and values (batch, kv_heads, context, d) in the format `code[0]` of `CACHE_DTYPES`. Room
    to work in: `wide` (PART, d), `scores` (group, PART), `turned` (d, 32), `across` (PART, 32), `parts` (parts, group, d), `sums`
    (parts, group, 2).
    """
    batch, kv_heads, context, width = keys.shape
    group = queries.shape[1] // kv_heads
    scale = np.float32(1) / np.sqrt(np.float32(width))
    flat_wide, flat_scores, flat_parts = wide.reshape(wide.size), scores.reshape(scores.size), parts.reshape(parts.size)
    flat_keys, flat_values = keys.reshape(keys.size), values.reshape(values.size)
    for sequence in range(batch):
        for head in range(kv_heads):
            for part in range(parts.shape[0]):
                first = part * PART
                count, at = min(PART, context - first), ((sequence * kv_heads + head) * context + first) * width
                if code[0] == 0:  # fp32 is used where it lies
                    scores_of_keys(scores, queries[sequence], head * group, group, flat_keys, at, count, turned, across)
                else:
                    widen(wide, keys[sequence], head, first, count, code[0])
                    scores_of_keys(scores, queries[sequence], head * group, group, flat_wide, 0, count, turned, across)
                _weigh(scores, count, sums[part], scale)
                if code[0] == 0:
                    _sum_values(flat_parts, part * group * width, flat_scores, flat_values, at, group, count, width)
                else:
                    widen(wide, values[sequence], head, first, count, code[0])
                    _sum_values(flat_parts, part * group * width, flat_scores, flat_wide, 0, group, count, width)
            _reduce(out[sequence], head * group, parts, sums)


def _operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    batch, context, kv_heads, group, width = shape
    queries = generator.standard_normal((batch, kv_heads * group, width)).astype(np.float32)
    keys, values = (cache_of((batch, kv_heads, context, width), dtype, generator) for _ in range(2))
    parts = -(-context // PART)
    shapes = ((PART, width), (group, PART), (width, COLUMNS), (PART, COLUMNS), (parts, group, width), (parts, group, 2))
    return (queries * 0, queries, keys, values, format_code(dtype), *(np.zeros(each, np.float32) for each in shapes))


def _reference(_: Array, queries: Array, keys: Array, values: Array, code: Array, *__: Array) -> Array:
    wide = zip(queries[:, None], widened_cache(keys, code), widened_cache(values, code), strict=True)
    return np.concatenate([attention_reference(each, k, v, k.shape[1]) for each, k, v in wide])


ATTENTION_DECODE = register(
    Kernel("attention_decode", ("batch", "context", "kv_heads", "group", "head_dim"), CACHE_DTYPES, _operands, attend_one, _reference)
)
"""One new token of each of `batch` sequences, whose own key is the last of `context`."""
