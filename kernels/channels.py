"""A product with a matrix whose channels are skipped where an activation is small: He et al., CHESS, EMNLP 2024.

The input's channels lie below one another, so that a channel that is skipped is a row that is never read. Which ones are skipped is found
from the activations themselves, each against the threshold of its channel.

How wrong: to rounding, for the channels that stay. How thresholds are chosen (from the spread of a model's activations and weights) is
CHESS's other half and is not here: an operand gives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import gather_row

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["GEMV_CHANNELS", "gemv_channels"]


@compiled
def gemv_channels(y: Array, weights: Array, x: Array, thresholds: Array, values: Array, places: Array) -> None:
    """`y = sum_j x[j] weights[j]` over channels of `|x[j]| >= thresholds[j]`: y (m), weights (n, m), x and thresholds (n), fp32.

    `values` (n) fp32 and `places` (n) int64 are room to work in.
    """
    count = 0
    for j in range(x.size):
        places[count], values[count] = j, x[j]
        count += 1 if abs(x[j]) >= thresholds[j] else 0
    gather_row(y, 0, values, 0, places, count, weights.reshape(weights.size), y.size, y.size)


def _operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    m, n, one_in = shape
    weights = generator.standard_normal((n, m)).astype(np.float32)
    x = generator.standard_normal(n).astype(np.float32)
    small = generator.permutation(n)[max(1, n // one_in) :]
    thresholds = np.abs(x) * 0.5
    thresholds[small] = np.abs(x[small]) * 2 + 1
    return np.zeros(m, np.float32), weights, x, thresholds, x * 0, np.zeros(n, np.int64)


def _reference(_: Array, weights: Array, x: Array, thresholds: Array, *__: Array) -> Array:
    return np.where(np.abs(x) >= thresholds, x, 0) @ weights


GEMV_CHANNELS = register(Kernel("gemv_channels", ("m", "n", "one_in"), ("fp32",), _operands, gemv_channels, _reference, calibrates=""))
"""`m` numbers out of `n` channels, of which one in `one_in` passes its threshold."""
