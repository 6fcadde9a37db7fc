"""Predictions of inferences of vision models in ONNX Runtime and PyTorch, at the same three levels.

a) `from_kernels`: convolutions and products as our FP32 product of the same size (`pixels` rows, outputs, inputs times taps), depthwise
ones and everything else as passes over memory. b) `from_operators`: the sum of the nodes timed alone. c) `from_models`: coefficients of
operations by kind of node, of weights, of numbers moved and of nodes, fitted to the other half of the models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.validation.engines.cases import VisionCase, half_of
from edgewright.experiments.validation.engines.records import Measured
from edgewright.experiments.validation.engines.vision_nets import Node, VisionOp, inputs_of, program_of
from edgewright.hwmodels.calibration import Calibration, Prediction, Timing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PredictVision", "from_kernels", "from_models", "from_operators", "product_of"]

PredictVision = Callable[[VisionCase], float]
"""Seconds of an inference."""


def from_kernels(calibration: Calibration) -> PredictVision:
    """Level a."""

    alone = cache(partial(_by_kernel, calibration.predict_call, calibration.bandwidth_["L3"]))

    def of(case: VisionCase) -> float:
        compute = 1.0 if case.threads == 1 else calibration.scaling_["compute"]
        return sum(alone(node, case.batch) for node, _ in program_of(case.model)) / compute

    return of


def _by_kernel(predict: Callable[[Timing], Prediction], bandwidth: float, node: Node, batch: int) -> float:
    extents = product_of(node, batch)
    if extents is None:
        return 4.0 * _moved(node) * batch / bandwidth
    reach = 4.0 * (extents[0] * extents[2] + extents[1] * extents[2] + extents[0] * extents[1])
    return predict(Timing("gemm_packed", extents, "fp32", 1, "", reach, 1.0, 1.0, 1.0)).seconds


def product_of(node: Node, batch: int) -> tuple[int, int, int] | None:
    """Rows, outputs and inputs of a node that is a product; None for any other."""
    shape = node.shape
    if node.kind == "conv" and shape[6] == 1:
        side = -(-shape[1] // shape[5])
        return batch * side * side, shape[3], shape[0] * shape[4] * shape[4]
    if node.kind == "fc":
        return batch, shape[1], shape[0]
    if node.kind == "linear":
        return batch * shape[0], shape[2], shape[1]
    if node.kind == "attention":
        return batch * shape[0], 2 * shape[0], shape[1] * shape[2]
    return None


def _moved(node: Node) -> float:
    """Numbers that a node reads and writes, weights apart, for one image."""
    read = float(sum(np.prod(shape) for shape in inputs_of(node)))
    if node.kind == "conv":
        return read + node.shape[3] * (-(-node.shape[1] // node.shape[5])) ** 2
    return read + (0.0 if node.kind in ("gap", "first", "fc") else read / len(inputs_of(node)))


def from_operators(timed: Sequence[Measured[VisionOp]]) -> PredictVision:
    """Level b; raises `KeyError` for a case with a node that was not timed."""
    known = {row.case: row.seconds for row in timed}

    def of(case: VisionCase) -> float:
        nodes = (node for node, _ in program_of(case.model))
        return sum(known[VisionOp(case.engine, node.kind, node.shape, node.act, case.threads, case.batch)] for node in nodes)

    return of


def from_models(rows: Sequence[Measured[VisionCase]]) -> PredictVision:
    """Level c: by the coefficients of the half that the model is not in, one set for each engine and number of threads."""
    from scipy.optimize import nnls

    fitted: dict[tuple[int, str, int], NDArray[np.float64]] = {}
    for half, engine, threads in {(half, row.case.engine, row.case.threads) for half in (0, 1) for row in rows}:
        own = [row for row in rows if (half_of(row.case.model), row.case.engine, row.case.threads) == (half, engine, threads)]
        features, seconds = np.stack([_features(row.case) for row in own]), np.array([row.seconds for row in own])
        scale = np.maximum(features.max(axis=0), 1.0)
        fitted[half, engine, threads] = nnls(features / scale / seconds[:, None], np.ones_like(seconds))[0] / scale

    def of(case: VisionCase) -> float:
        return float(fitted[1 - half_of(case.model), case.engine, case.threads] @ _features(case))

    return of


def _features(case: VisionCase) -> NDArray[np.float64]:
    """Operations of wide kernels, of pointwise products, depthwise ones; weights; numbers moved; nodes."""
    found = np.zeros(6)
    for node, _ in program_of(case.model):
        extents = product_of(node, case.batch)
        if extents is not None:
            found[0 if node.kind == "conv" and node.shape[4] > 1 else 1] += float(np.prod(extents))
            found[3] += float(extents[1] * extents[2]) if node.kind != "attention" else 0.0
        elif node.kind == "conv":
            found[2] += case.batch * node.shape[3] * (node.shape[1] // node.shape[5]) ** 2 * node.shape[4] ** 2
        found[4] += case.batch * _moved(node)
        found[5] += 1.0
    return found
