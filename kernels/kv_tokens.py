"""Cached tokens chosen, moved together and clustered.

- `kv_select`: the positions of the highest scores of each row, in order of position; of equal scores the earlier. By radix: four counts of
8
  bits each find the least score that is kept, in time that goes with the context and not with how many are kept.
- `kv_gather`: the keys (or values) of the chosen positions, side by side: what compacting a cache or attending to chosen tokens moves.
- `kv_cluster`: one step of k-means over keys (Lloyd, 1982), what a cache that is searched by centres is built with.

How wrong: selection and gathering are exact. A centre is the mean in fp32 of its keys; where two centres are equally near to rounding,
which one a key counts to may differ from `selection.lloyd_step`, which is in fp64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.selection import lloyd_step, top
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import multiply

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["KV_CLUSTER", "KV_GATHER", "KV_SELECT", "cluster_keys", "gather_tokens", "select_tokens"]

_POINTS = 64


@compiled
def select_tokens(positions: Array, scores: Array, bits: Array, counts: Array, places: Array) -> None:
    """Write to `positions` (rows, kept) int64 those of the highest of `scores` (rows, context), fp32 and not NaN, ascending.

    Room to work in: `bits` (context) uint32, `counts` (256) and `places` (context) int64.
    """
    rows, kept = positions.shape
    context = scores.shape[1]
    numbers = bits.view(np.float32)
    for row in range(rows):
        for j in range(context):
            numbers[j] = scores[row, j]
        for j in range(context):  # as unsigned integers they order as the numbers do, both zeros alike
            raw = bits[j] if bits[j] != np.uint32(0x80000000) else np.uint32(0)
            bits[j] = raw ^ (np.uint32(0xFFFFFFFF) if raw >> np.uint32(31) else np.uint32(0x80000000))
        prefix, wanted, left = np.uint32(0), kept, context
        for j in range(context):
            places[j] = j
        for digit in range(4):
            shift = np.uint32(24 - 8 * digit)
            counts[:] = 0
            for i in range(left):
                counts[bits[places[i]] >> shift & np.uint32(255)] += 1
            value = 255
            while counts[value] < wanted:
                wanted -= counts[value]
                value -= 1
            prefix |= np.uint32(value) << shift
            among = 0
            for i in range(left):  # no branch: which scores stay candidates cannot be foreseen
                place = places[i]
                places[among] = place
                among += 1 if bits[place] >> shift & np.uint32(255) == np.uint32(value) else 0
            left = among
        at = 0
        for j in range(context):
            places[at] = j
            tied = bits[j] == prefix and wanted > 0
            wanted -= 1 if tied else 0
            at += 1 if tied or bits[j] > prefix else 0
        for i in range(kept):
            positions[row, i] = places[i]


@compiled
def gather_tokens(kept: Array, stored: Array, positions: Array) -> None:
    """`kept[h, i] = stored[h, positions[h, i]]`: (heads, kept, d), (heads, context, d), (heads, kept) int64."""
    for head in range(positions.shape[0]):
        for i in range(positions.shape[1]):
            at = positions[head, i]
            for p in range(stored.shape[2]):
                kept[head, i, p] = stored[head, at, p]


@compiled
def cluster_keys(centres: Array, keys: Array, before: Array, turned: Array, halves: Array, products: Array, members: Array) -> None:
    """Write the means of the keys (context, d) that are nearest to each of the centres `before` (clusters, d), fp32; see `lloyd_step`.

    Room to work in: `turned` (d, clusters), `halves` (clusters), `products` (64, clusters) fp32 and `members` (clusters) int64.
    """
    context, width = keys.shape
    clusters = before.shape[0]
    for c in range(clusters):
        halves[c] = 0
        for p in range(width):
            turned[p, c] = before[c, p]
            halves[c] += np.float32(0.5) * before[c, p] * before[c, p]
    centres[:] = 0
    members[:] = 0
    flat_products, flat_keys, flat_turned = products.reshape(products.size), keys.reshape(keys.size), turned.reshape(turned.size)
    for first in range(0, context, _POINTS):
        rows = min(_POINTS, context - first)
        multiply(flat_products, 0, clusters, flat_keys, first * width, width, 1, flat_turned, 0, clusters, rows, width, clusters, True)
        for r in range(rows):
            nearest, most = 0, products[r, 0] - halves[0]
            for c in range(1, clusters):
                near = products[r, c] - halves[c]
                if near > most:
                    nearest, most = c, near
            members[nearest] += 1
            for p in range(width):
                centres[nearest, p] += keys[first + r, p]
    for c in range(clusters):
        for p in range(width):
            centres[c, p] = centres[c, p] / np.float32(members[c]) if members[c] else before[c, p]


def _select_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    rows, context, one_in = shape
    scores = generator.standard_normal((rows, context)).astype(np.float32)
    positions, places = np.zeros((rows, max(1, context // one_in)), np.int64), np.zeros(context, np.int64)
    return positions, scores, np.zeros(context, np.uint32), np.zeros(256, np.int64), places


def _select_reference(positions: Array, scores: Array, *_: Array) -> Array:
    return np.array([np.sort(top(row, positions.shape[1])) for row in scores])


def _gather_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    context, heads, width, one_in = shape
    kept = max(1, context // one_in)
    stored = generator.standard_normal((heads, context, width)).astype(np.float32)
    positions = np.array([np.sort(generator.permutation(context)[:kept]) for _ in range(heads)])
    return np.zeros((heads, kept, width), np.float32), stored, positions


def _gather_reference(_: Array, stored: Array, positions: Array) -> Array:
    return np.take_along_axis(stored, positions[..., None], axis=1)


def _cluster_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    context, clusters, width = shape
    keys = generator.standard_normal((context, width)).astype(np.float32)
    before = keys[generator.integers(0, context, clusters)] + generator.standard_normal((clusters, width)).astype(np.float32) / 8
    room = (np.zeros(each, np.float32) for each in ((width, clusters), (clusters,), (_POINTS, clusters)))
    return (before * 0, keys, before, *room, np.zeros(clusters, np.int64))


def _cluster_reference(_: Array, keys: Array, before: Array, *__: Array) -> Array:
    return lloyd_step(keys, before)[0]


KV_SELECT = register(
    Kernel("kv_select", ("rows", "context", "one_in"), ("fp32",), _select_operands, select_tokens, _select_reference, calibrates="")
)
"""The highest one in `one_in` of `context` scores, in each of `rows` rows."""

KV_GATHER = register(
    Kernel(
        "kv_gather",
        ("context", "heads", "head_dim", "one_in"),
        ("fp32",),
        _gather_operands,
        gather_tokens,
        _gather_reference,
        calibrates="",
    )
)
"""One in `one_in` of `context` tokens, others for each head."""

KV_CLUSTER = register(
    Kernel("kv_cluster", ("context", "clusters", "head_dim"), ("fp32",), _cluster_operands, cluster_keys, _cluster_reference, calibrates="")
)
"""One step of k-means: `context` keys, `clusters` centres."""
