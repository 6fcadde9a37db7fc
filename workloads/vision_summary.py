"""Networks of which only totals are published: multiply-accumulates, parameters, activations, layers.

Tables of models (papers, model cards, benchmark suites) state totals; that is enough to price a network whose layers are alike, and all
there is for many. A summary is one block per kind of convolution, with the mean layer's size at every launch.

How accurate is this? Of ResNet-50, MobileNetV2 and VGG-16 the totals agree with the layer tables of `vision_nets.py`; what is lost is the
spread of layers about their mean: 5-15 % of the time of networks whose first layers move much and compute little. Such a model cannot be
cut, and its buffers are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels import Term
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Operator, rows_of
from edgewright.workloads.step import Step

__all__ = ["Summarised", "summary"]


@dataclass(frozen=True, slots=True)
class Summarised(Operator):
    """All operators of one kernel class of a network, by their totals per item.

    Attributes:
        kernel: class of the kernels.
        macs: multiply-accumulates.
        weights: parameters.
        moved: numbers read and written.
        layers: launches.
    """

    kernel: str
    macs: float
    weights: float
    moved: float
    layers: float

    @property
    def parameters(self) -> int:
        return round(self.weights)

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self.weights * format.weight_bits / 8

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        rows = rows_of(step, "items")
        if not rows:
            return ()
        dtype = format.vector_dtype if self.kernel in ("attention", "elementwise") else format.dtype
        moved = self.moved * rows * format.activation_bytes
        return (Term(self.kernel, dtype, 2.0 * self.macs * rows, self.weight_bytes(format), moved, 0.0, self.layers),)


def summary(
    name: str,
    *,
    macs: float,
    parameters: float,
    activations: float,
    layers: float,
    depthwise: float = 0.0,
    depthwise_moved: float = 0.0,
    depthwise_layers: float = 0.0,
    kernel: str = "conv",
    pixels: float = 150528.0,
) -> Model:
    """A one-shot network from its totals.

    Args:
        name: of the model.
        macs, parameters: per item.
        activations: numbers that its layers write; as many are read.
        layers: launches of an engine that fuses activations and norms.
        depthwise: fraction of the multiply-accumulates in depthwise layers; `depthwise_moved` of the activations, `depthwise_layers` of the
            layers.
        kernel: class of the other layers: `conv`, or `gemm` for transformers.
        pixels: numbers that enter per item.

    Raises `ValueError` unless all totals are positive and the fractions in [0, 1).
    """
    if min(macs, parameters, activations, layers) <= 0.0 or not all(0.0 <= each < 1.0 for each in (depthwise, depthwise_moved)):
        raise ValueError(f"{name}: totals must be positive and fractions in [0, 1)")
    dense = Summarised(
        kernel,
        macs * (1.0 - depthwise),
        parameters * (1.0 - depthwise),
        2.0 * activations * (1.0 - depthwise_moved),
        layers * (1.0 - depthwise_layers),
    )
    operators: tuple[Operator, ...] = (dense,)
    if depthwise:
        moved, launches = 2.0 * activations * depthwise_moved, layers * depthwise_layers
        operators += (Summarised("conv_depthwise", macs * depthwise, parameters * depthwise, moved, launches),)
    blocks = (Block("all", "conv", -1, operators, 1000.0),)
    return Model(name, blocks, hidden=0, vocab=0, generates=False, cuts=(), input=pixels, input_bytes=pixels)
