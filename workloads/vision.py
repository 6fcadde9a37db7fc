"""Convolutional networks from a layer table, with the tensors between their layers.

A `Layer` is a row of the table; `network` follows the shapes and gives a `Model` of one block per layer, one item per input.
Activation functions and batch norms are part of the convolution before them, as every inference engine has it.

How accurate is this? Parameters and multiply-accumulates equal the published ones (tests/workloads/test_zoo_vision.py). Activations are
read and written once per layer; an engine that fuses across layers moves less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edgewright.hwmodels import Term
from edgewright.hwmodels.operator_work import convolution
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.step import Step

__all__ = ["BadLayer", "Convolution", "Layer", "Shape", "network"]


class BadLayer(ValueError):
    """A row of a layer table that cannot be; the message names network, layer and what is accepted."""


class Shape(NamedTuple):
    """A feature map: channels, height, width."""

    channels: int
    height: int
    width: int

    @property
    def numbers(self) -> int:
        """Numbers in the map."""
        return self.channels * self.height * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One row of a layer table.

    Attributes:
        name: unique in the table.
        op: `conv`, `depthwise`, `pool`, `global_pool`, `fc` (flattens), `add`, `scale` (channelwise, by the second input), `concat`,
            `split` (a view of `channels` of its input, which costs nothing), `upsample` (by `stride`), `norm` (with its activation, where
            it stands before a convolution and none can absorb it).
        inputs: names of the layers it reads, `input` for the network's; empty: the layer before.
        channels: channels (or numbers, for `fc`) out; not needed where the op keeps them.
        kernel: height and width; `stride` in both directions; `groups` of a convolution.
        padded: whether the map is padded so that it shrinks by the stride only (ceil(size / stride)); otherwise only whole windows count.
        vectors: parameters per channel out besides the matrix: 1 for a bias, 2 for a trained batch norm.
    """

    name: str
    op: Literal["conv", "depthwise", "pool", "global_pool", "fc", "add", "scale", "concat", "split", "upsample", "norm"]
    inputs: tuple[str, ...] = ()
    channels: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    groups: int = 1
    padded: bool = True
    vectors: int = 0


@dataclass(frozen=True, slots=True)
class Convolution(Operator):
    """A convolution, as `conv` or (one input channel per group) `conv_depthwise`.

    Attributes:
        entering, leaving: maps read and written.
        taps: height times width of the kernel.
        groups: independent groups of channels.
        vectors: parameters besides the taps.
    """

    entering: Shape
    leaving: Shape
    taps: int
    groups: int
    vectors: int

    @property
    def matrix(self) -> int:
        """Parameters of the taps."""
        return self.taps * self.entering.channels // self.groups * self.leaving.channels

    @property
    def parameters(self) -> int:
        return self.matrix + self.vectors

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return (self.matrix * format.weight_bits + self.vectors * format.vector_bits) / 8

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        if not step.items:
            return ()
        moved = float(self.entering.numbers + self.leaving.numbers) * step.items * format.activation_bytes
        return (
            convolution(
                format.dtype,
                depthwise=self.groups == self.entering.channels and self.groups > 1,
                taps=self.matrix,
                pixels=self.leaving.height * self.leaving.width * step.items,
                weights=self.weight_bytes(format),
                moved=moved,
                launches=float(len(layers)),
            ),
        )


def network(name: str, entering: Shape, layers: Sequence[Layer], *, result_bytes: float | None = None) -> Model:
    """The model of a layer table; it may be cut before any layer, at the price of all maps that cross.

    `result_bytes` is what leaves per item; None: the last layer's output as 32-bit numbers. Raises `BadLayer`.
    """
    shapes, index = {"input": entering}, {"input": -1}
    blocks: list[Block] = []
    before = "input"
    for layer in layers:
        inputs = layer.inputs or (before,)
        _check(name, layer, inputs, shapes)
        block, shape = _block(len(blocks), layer, tuple(shapes[each] for each in inputs), tuple(index[each] for each in inputs))
        shapes[layer.name], index[layer.name], before = shape, len(blocks), layer.name
        blocks.append(block)
    last = shapes[before]
    return Model(
        name,
        tuple(blocks),
        hidden=0,
        vocab=last.channels,
        generates=False,
        cuts=tuple(range(1, len(blocks))),
        input=float(entering.numbers),
        input_bytes=float(entering.numbers),
        result_bytes=4.0 * last.numbers if result_bytes is None else result_bytes,
    )


def _check(name: str, layer: Layer, inputs: tuple[str, ...], shapes: dict[str, Shape]) -> None:
    unknown = [each for each in inputs if each not in shapes]
    if unknown:
        raise BadLayer(f"{name}, layer {layer.name!r}: input {unknown[0]!r} is no earlier layer; accepted are {', '.join(shapes)}")
    if layer.name in shapes:
        raise BadLayer(f"{name}: two layers are named {layer.name!r}")
    if layer.op in ("conv", "fc", "split") and layer.channels < 1:
        raise BadLayer(f"{name}, layer {layer.name!r}: channels is {layer.channels}; accepted is a positive number")
    if layer.op == "conv" and (shapes[inputs[0]].channels % layer.groups or layer.channels % layer.groups):
        raise BadLayer(f"{name}, layer {layer.name!r}: {layer.groups} groups do not divide its channels")
    if layer.op == "add" and len({shapes[each] for each in inputs}) > 1:
        raise BadLayer(f"{name}, layer {layer.name!r}: adds maps of different shapes")


def _block(at: int, layer: Layer, entering: tuple[Shape, ...], reads: tuple[int, ...]) -> tuple[Block, Shape]:
    shape = _leaving(layer, entering)
    in_place: float | None = None
    if layer.op in ("add", "scale"):
        in_place = 0.0
    elif layer.op == "depthwise" and layer.stride == 1:
        in_place = float(shape.height * shape.width)
    view = layer.op == "split"
    operators = () if view else (_operator(layer, entering, shape),)
    return Block(layer.name, layer.op, at, operators, 0.0 if view else float(shape.numbers), reads, in_place=in_place), shape


def _leaving(layer: Layer, entering: tuple[Shape, ...]) -> Shape:
    first = entering[0]
    if layer.op == "fc":
        return Shape(layer.channels, 1, 1)
    if layer.op == "global_pool":
        return Shape(first.channels, 1, 1)
    if layer.op == "concat":
        return Shape(sum(each.channels for each in entering), first.height, first.width)
    if layer.op == "split":
        return Shape(layer.channels, first.height, first.width)
    if layer.op == "upsample":
        return Shape(first.channels, first.height * layer.stride, first.width * layer.stride)
    height, width = (_shrunk(layer, size, kernel) for size, kernel in zip(first[1:], layer.kernel, strict=True))
    return Shape(layer.channels if layer.op == "conv" else first.channels, height, width)


def _shrunk(layer: Layer, size: int, kernel: int) -> int:
    return -(-size // layer.stride) if layer.padded else (size - kernel) // layer.stride + 1


def _operator(layer: Layer, entering: tuple[Shape, ...], leaving: Shape) -> Operator:
    first, taps = entering[0], layer.kernel[0] * layer.kernel[1]
    vectors = layer.vectors * leaving.channels
    if layer.op == "conv":
        return Convolution(first, leaving, taps, layer.groups, vectors)
    if layer.op == "depthwise":
        return Convolution(first, leaving, taps, first.channels, vectors)
    if layer.op == "fc":
        return Linear("fc", first.numbers, layer.channels, "items", bias=vectors)
    moved = leaving.numbers + sum(each.numbers for each in entering)
    work = first.numbers if layer.op == "global_pool" else taps * leaving.numbers if layer.op in ("pool", "add", "scale", "norm") else 0
    return Elementwise(layer.op, moved, flops=work / moved, vectors=vectors if layer.op == "norm" else 0, per="items")
