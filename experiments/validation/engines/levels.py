"""Predictions of llama.cpp's steps at three levels: from our own kernels, from the engine's operators timed alone, from other whole models.

a) `from_kernels`: every product as our kernel of that format takes for it, by the estimator of `hwmodels.calibration` fitted to our timings
on this machine; attention as a roofline, everything else as nothing.
b) `from_operators`: the sum over the engine's graph of what each operator takes alone.
c) `from_models`: coefficients of the engine's structure (weights passed by batch size, outputs, cached numbers, nodes), non-negative, by
relative least squares over whole models of the other half; one set for each format and number of threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.validation.engines.cases import LLMS, LlmCase, half_of
from edgewright.experiments.validation.engines.llama_graph import TIMED_ALONE, Op, graphs_of, operators_of
from edgewright.experiments.validation.engines.llama_ops import PADDING
from edgewright.experiments.validation.engines.records import Measured
from edgewright.hwmodels.calibration import Calibration, Timing
from edgewright.hwmodels.calibration.suite import COLD

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Predict", "from_kernels", "from_models", "from_operators"]

Predict = Callable[[LlmCase], float]
"""Seconds of a step."""

_KERNELS = {"F16": ("fp16", "fp16"), "Q8_0": ("int8", "int8"), "Q4_0": ("q4_0", "q4_0"), "F32": ("packed", "fp32")}
_ATTENTION_SHARE = 0.5


def from_kernels(calibration: Calibration) -> Predict:
    """Level a; two threads are one divided by what the machine scales by, in arithmetic and in bandwidth."""

    @cache
    def alone(op: Op) -> float:
        if op.kind in ("mul_mat", "mul_mat_id"):
            return sum(times * _product(calibration, *figures, op) for times, figures in _products(op))
        return _attention(calibration, op) if op.kind == "attention" else 0.0

    return lambda case: sum(times * alone(op) for op, times in Counter(operators_of(case)).items())


def _products(op: Op) -> Iterable[tuple[float, tuple[int, int, int]]]:
    """Plain products (rows, n, k) and how many of them: of a mixture, one for each expert that is met."""
    if op.kind == "mul_mat":
        rows, n, k = op.shape
        return [(1.0, (rows, n, k))]
    tokens, active, _, experts, n, k = op.shape
    met = experts * (1 - (1 - active / experts) ** tokens)
    return [(met, (max(1, round(tokens * active / met)), n, k))]


def _product(calibration: Calibration, rows: int, n: int, k: int, op: Op) -> float:
    suffix, dtype = _KERNELS[op.format]
    name = "gemv" if op.format == "F32" else f"gemv_{suffix}"
    kernel, shape = (name, (n, k)) if rows == 1 else (f"gemm_{suffix}", (rows, n, k))
    one = calibration.predict_call(Timing(kernel, shape, dtype, 1, "", COLD, 1.0, 1.0, 1.0)).seconds
    if op.threads == 1:
        return one
    weights = float(Timing(kernel, shape, dtype, 1, "", COLD, 1.0, 1.0, 1.0).work.terms[0].weights)
    streamed = weights / (calibration.bandwidth_["dram"] * calibration.scaling_["bandwidth"])
    return max(one / min(calibration.scaling_["compute"], op.threads), streamed)


def _attention(calibration: Calibration, op: Op) -> float:
    """Half the peak of FP32, or the cache at the memory's bandwidth."""
    rows, past, streams, heads, kv_heads, size = op.shape
    compute, bandwidth = (1.0, 1.0) if op.threads == 1 else (calibration.scaling_["compute"], calibration.scaling_["bandwidth"])
    flops = 4.0 * rows * (past + rows) * streams * heads * size
    cached = 4.0 * (past + rows) * streams * kv_heads * size
    return max(flops / (_ATTENTION_SHARE * calibration.peaks_["fp32"] * compute), cached / (calibration.bandwidth_["dram"] * bandwidth))


def from_operators(timed: Sequence[Measured[Op]]) -> Predict:
    """Level b. A case with a product or an attention that was not timed raises `KeyError`."""
    known = {row.case: row.seconds for row in timed}
    small = {
        (kind, threads): _line([row for row in timed if (row.case.kind, row.case.threads) == (kind, threads)])
        for kind, threads in {(op.kind, op.threads) for op in known if op.kind not in (*TIMED_ALONE, "launch")}
    }

    def alone(op: Op) -> float:
        if op.kind in TIMED_ALONE:
            return known[op]
        start, each = small[op.kind, op.threads]
        return start + each * _size(op)

    def of(case: LlmCase) -> float:
        launches = sum(1 for _ in graphs_of(case)) * known[Op("launch", (), "", case.threads)]
        return launches + sum(times * alone(op) for op, times in Counter(operators_of(case)).items())

    return of


def _size(op: Op) -> float:
    """Numbers that a small operator goes through."""
    return float(op.shape[0] * op.shape[1]) if op.kind == "route" else float(np.prod(op.shape))


def _line(rows: Sequence[Measured[Op]]) -> tuple[float, float]:
    """Seconds of a node of no size, and of each number more."""
    sizes, seconds = (np.array([figure(row) for row in rows]) for figure in (lambda row: _size(row.case), lambda row: row.seconds))
    start, each = _weighed(np.stack([np.ones_like(sizes), sizes], axis=1), seconds)
    return float(start), float(each)


def from_models(rows: Sequence[Measured[LlmCase]]) -> Predict:
    """Level c: each case by the coefficients of the half that its model is not in."""
    fitted: dict[tuple[int, str, int, str], NDArray[np.float64]] = {}
    for half in (0, 1):
        for key in {(row.case.format, row.case.threads, row.case.phase) for row in rows}:
            own = [row for row in rows if (row.case.format, row.case.threads, row.case.phase) == key and half_of(row.case.model) == half]
            found = np.stack([_features(row.case) for row in own])
            fitted[half, *key] = _weighed(found, np.array([row.seconds for row in own]))

    def of(case: LlmCase) -> float:
        return float(fitted[1 - half_of(case.model), case.format, case.threads, case.phase] @ _features(case))

    return of


_BATCHES = (1, 2, 3, 4, 6, 8)


def _features(case: LlmCase) -> NDArray[np.float64]:
    """What the coefficients multiply."""
    model = LLMS[case.model]
    rows = case.batch if case.phase == "decode" else case.tokens
    attention = model.hidden * model.head_dim * (2 * model.heads + 2 * model.kv_heads) * model.layers
    inner = 3 * model.hidden * model.inner * model.layers
    head = model.hidden * model.vocab
    outputs = model.layers * (
        2 * model.hidden + model.head_dim * (model.heads + 2 * model.kv_heads) + 3 * max(model.active, 1) * model.inner
    )
    if case.phase == "decode":
        dense = attention + head + (0 if model.experts else inner)
        cells = ceil((case.tokens + 1) / PADDING) * PADDING
        passed = [float(dense) if case.batch == batch else 0.0 for batch in _BATCHES]
        routed = float(inner * model.active * rows) if model.experts else 0.0
        return np.array([*passed, routed, outputs * rows, rows * cells * model.layers * model.heads, model.layers, rows * model.layers])
    dense = attention + (0 if model.experts else inner)
    routed = float(inner * model.active * rows) if model.experts else 0.0
    pairs = 0.5 * rows * (rows + 1) * model.heads * model.layers
    return np.array([dense * rows, routed, pairs, outputs * rows, dense + head, model.layers])


def _weighed(features: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative coefficients of least relative error."""
    from scipy.optimize import nnls

    scale = features.max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(features / scale / seconds[:, None], np.ones_like(seconds))
    return np.asarray(found / scale, np.float64)
