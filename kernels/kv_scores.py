"""Scores of cached tokens, accumulated over steps: what a selection of tokens is made from.

`kv_accumulate` adds a new token's attention to the scores (H2O: Zhang et al., NeurIPS 2023), one sum per query head. `kv_gumbel` adds the
softmax of the same products with Gumbel noise and a temperature (Keyformer: Adnan et al., MLSys 2024): a second softmax, for the tokens
that the first one underrates because others were dropped. The noise belongs to a position and stays; it is an operand.

How wrong: to rounding, against `selection.gumbel_scores` in fp64. Systems that fuse scoring into the attention kernel do not read the keys
a second time, as these do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.attention_tiles import scores_of_keys
from edgewright.kernels.functions import exponential
from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.selection import gumbel_scores
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import COLUMNS

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["KV_ACCUMULATE", "KV_GUMBEL", "accumulate"]

_PART = 128


@compiled
def accumulate(
    scores: Array, before: Array, queries: Array, keys: Array, noise: Array, heat: Array,
    products: Array, turned: Array, across: Array,
) -> None:  # fmt: skip
    """Write `before` plus the softmax of (products + noise) / heat: all (heads, context), queries (heads, d), keys (kv_heads, context, d).

    `noise` of no columns counts as zero. Room to work in: `products` (group, 128), `turned` (d, 32), `across` (128, 32).
    """
    kv_heads, context, width = keys.shape
    group = queries.shape[0] // kv_heads
    noisy, cool = noise.shape[1] > 0, np.float32(1) / heat[0]
    scale, flat = np.float32(1) / np.sqrt(np.float32(width)), keys.reshape(keys.size)
    for head in range(kv_heads):
        for first in range(0, context, _PART):
            count = min(_PART, context - first)
            scores_of_keys(products, queries, head * group, group, flat, (head * context + first) * width, count, turned, across)
            for g in range(group):
                for j in range(count):
                    scores[head * group + g, first + j] = products[g, j] * scale
    for row in range(queries.shape[0]):
        if noisy:
            for j in range(context):
                scores[row, j] += noise[row, j]
        most = scores[row, 0]
        for j in range(1, context):
            most = max(most, scores[row, j])
        total = np.float32(0)
        for j in range(context):
            scores[row, j] = exponential((scores[row, j] - most) * cool)
            total += scores[row, j]
        share = np.float32(1) / total
        for j in range(context):
            scores[row, j] = before[row, j] + scores[row, j] * share


def _made(shape: tuple[int, ...], heat: float, noise: Array, generator: Generator) -> Operands:
    context, kv_heads, group, width = shape
    before = generator.uniform(0, 1, (kv_heads * group, context)).astype(np.float32)
    queries = generator.standard_normal((kv_heads * group, width)).astype(np.float32)
    keys = generator.standard_normal((kv_heads, context, width)).astype(np.float32)
    room = ((group, _PART), (width, COLUMNS), (_PART, COLUMNS))
    heats = np.array([heat], np.float32)
    return (before * 0, before, queries, keys, noise.astype(np.float32), heats, *(np.zeros(each, np.float32) for each in room))


def _plain_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    return _made(shape, 1.0, np.zeros((shape[1] * shape[2], 0)), generator)


def _gumbel_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    return _made(shape, 1.5, generator.gumbel(size=(shape[1] * shape[2], shape[0])), generator)


def _reference(_: Array, before: Array, queries: Array, keys: Array, noise: Array, heat: Array, *__: Array) -> Array:
    group = len(queries) // len(keys)
    wide = np.repeat(keys.astype(np.float64), group, axis=0)
    logits = np.einsum("hd,hkd->hk", queries, wide) / np.sqrt(keys.shape[2])
    added: Array = before + gumbel_scores(logits, noise if noise.size else np.zeros(1), float(heat[0]))
    return added


_AXES = ("context", "kv_heads", "group", "head_dim")

KV_ACCUMULATE = register(Kernel("kv_accumulate", _AXES, ("fp32",), _plain_operands, accumulate, _reference, calibrates=""))
"""A new token's attention to `context` tokens, added to the scores of `kv_heads * group` heads."""

KV_GUMBEL = register(Kernel("kv_gumbel", _AXES, ("fp32",), _gumbel_operands, accumulate, _reference, calibrates=""))
"""The same with Gumbel noise and a temperature."""
