"""The small operators between products: norms, softmax, gated activations, and rows of an embedding.

Each goes over its rows once or twice and is bound by the bytes it moves; the second pass finds the row in the first-level cache.

How wrong: to rounding in fp32 (`functions.exponential`: 1e-6 relative).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.functions import exponential, logistic
from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["LAYER_NORM", "LOOKUP", "RMS_NORM", "SOFTMAX", "SWIGLU", "layer_norm", "lookup", "rms_norm", "softmax", "swiglu"]

EPSILON = 1e-6
"""Added to a mean square, so that a row of zeros has a norm."""


@compiled
def rms_norm(out: Array, x: Array, gain: Array) -> None:
    """Rows of x (rows, width) over the root of their mean square, times `gain` (width)."""
    rows, width = x.shape
    for r in range(rows):
        total = np.float32(0)
        for j in range(width):
            total += x[r, j] * x[r, j]
        scale = np.float32(1) / np.sqrt(total / np.float32(width) + np.float32(EPSILON))
        for j in range(width):
            out[r, j] = x[r, j] * scale * gain[j]


@compiled
def layer_norm(out: Array, x: Array, gain: Array, shift: Array) -> None:
    """Rows of x (rows, width) less their mean, over their standard deviation, times `gain`, plus `shift` (width)."""
    rows, width = x.shape
    for r in range(rows):
        total = np.float32(0)
        for j in range(width):
            total += x[r, j]
        mean, squares = total / np.float32(width), np.float32(0)
        for j in range(width):
            squares += (x[r, j] - mean) * (x[r, j] - mean)
        scale = np.float32(1) / np.sqrt(squares / np.float32(width) + np.float32(EPSILON))
        for j in range(width):
            out[r, j] = (x[r, j] - mean) * scale * gain[j] + shift[j]


@compiled
def softmax(out: Array, x: Array) -> None:
    """Softmax of each row of x (rows, width)."""
    rows, width = x.shape
    for r in range(rows):
        a = b = c = d = x[r, 0]
        for j in range(0, width // 4 * 4, 4):  # four at a time: a single maximum would wait for itself
            a, b = max(a, x[r, j]), max(b, x[r, j + 1])
            c, d = max(c, x[r, j + 2]), max(d, x[r, j + 3])
        for j in range(width // 4 * 4, width):
            a = max(a, x[r, j])
        most, total = max(max(a, b), max(c, d)), np.float32(0)
        for j in range(width):
            out[r, j] = exponential(x[r, j] - most)
            total += out[r, j]
        scale = np.float32(1) / total
        for j in range(width):
            out[r, j] *= scale


@compiled
def swiglu(out: Array, gate: Array, up: Array) -> None:
    """`gate / (1 + exp(-gate)) * up`, all (rows, width)."""
    rows, width = gate.shape
    for r in range(rows):
        for j in range(width):
            out[r, j] = gate[r, j] * logistic(gate[r, j]) * up[r, j]


@compiled
def lookup(out: Array, table: Array, tokens: Array) -> None:
    """Rows `tokens` (rows) of the table (vocabulary, width)."""
    for r in range(tokens.size):
        for j in range(table.shape[1]):
            out[r, j] = table[tokens[r], j]


def _norm_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    x = generator.standard_normal(shape).astype(np.float32)
    return x * 0, x, generator.uniform(0.5, 1.5, shape[1]).astype(np.float32)


def _layer_norm_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    return (*_norm_operands(shape, _, generator), generator.standard_normal(shape[1]).astype(np.float32))


def _softmax_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    x = (4 * generator.standard_normal(shape)).astype(np.float32)
    return x * 0, x


def _swiglu_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    gate, up = ((4 * generator.standard_normal(shape)).astype(np.float32) for _ in range(2))
    return gate * 0, gate, up


def _lookup_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    rows, width, vocabulary = shape
    table = generator.standard_normal((vocabulary, width)).astype(np.float32)
    return np.zeros((rows, width), np.float32), table, generator.integers(0, vocabulary, rows)


def _rms_norm_reference(_: Array, x: Array, gain: Array) -> Array:
    made: Array = x / np.sqrt((x.astype(np.float64) ** 2).mean(axis=1, keepdims=True) + EPSILON) * gain
    return made


def _layer_norm_reference(_: Array, x: Array, gain: Array, shift: Array) -> Array:
    wide = x.astype(np.float64)
    made: Array = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(wide.var(axis=1, keepdims=True) + EPSILON) * gain + shift
    return made


def _softmax_reference(_: Array, x: Array) -> Array:
    weights = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    made: Array = weights / weights.sum(axis=1, keepdims=True)
    return made


def _swiglu_reference(_: Array, gate: Array, up: Array) -> Array:
    made: Array = gate.astype(np.float64) / (1 + np.exp(-gate.astype(np.float64))) * up
    return made


def _lookup_reference(_: Array, table: Array, tokens: Array) -> Array:
    return table[tokens]


_ROWS = ("rows", "width")

RMS_NORM = register(Kernel("rms_norm", _ROWS, ("fp32",), _norm_operands, rms_norm, _rms_norm_reference, calibrates="elementwise"))
"""Root-mean-square norm of `rows` rows (Zhang & Sennrich, NeurIPS 2019)."""

LAYER_NORM = register(
    Kernel("layer_norm", _ROWS, ("fp32",), _layer_norm_operands, layer_norm, _layer_norm_reference, calibrates="elementwise")
)
"""Layer norm of `rows` rows (Ba et al., 2016)."""

SOFTMAX = register(Kernel("softmax", _ROWS, ("fp32",), _softmax_operands, softmax, _softmax_reference, calibrates="elementwise"))
"""Softmax of `rows` rows."""

SWIGLU = register(Kernel("swiglu", _ROWS, ("fp32",), _swiglu_operands, swiglu, _swiglu_reference, calibrates="elementwise"))
"""The gate of a SwiGLU feed-forward block (Shazeer, 2020)."""

LOOKUP = register(
    Kernel("lookup", ("rows", "width", "vocabulary"), ("fp32",), _lookup_operands, lookup, _lookup_reference, calibrates="copy")
)
"""`rows` random rows of an embedding table of `vocabulary` rows."""
