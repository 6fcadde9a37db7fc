"""One-shot models from an ONNX graph: convolutions, products and what moves bytes between them.

Needs the `onnx` package (`pip install 'edgewright[formats]'`). Weights need not be at hand: only shapes are read. The first dimension
of activations is the batch; every other must be known after shape inference.

How accurate is this? Parameters and multiply-accumulates are those of the graph. Activation functions are taken as part of the node
before them; other elementwise nodes move their inputs and outputs once. What an engine fuses beyond that is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

from edgewright.hwmodels import Term
from edgewright.workloads.formats import Format
from edgewright.workloads.hf_config import BadConfig
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.step import Step
from edgewright.workloads.vision import Convolution, Shape

__all__ = ["Product", "from_onnx"]

_ACTIVATIONS = ("Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Tanh")
_VIEWS = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True, slots=True)
class Product(Operator):
    """A product of two activations, as in attention: multiply-accumulates and numbers moved per item."""

    macs: int
    moved: int

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        if not step.items:
            return ()
        count = float(len(layers))
        scale = step.items * count
        moved = self.moved * scale * format.activation_bytes
        return (Term("attention", format.vector_dtype, 2.0 * self.macs * scale, 0.0, moved, 0.0, count),)


def from_onnx(path: str | Path, name: str | None = None) -> Model:
    """The model of an ONNX file, one block per node that works; it may be cut before any of them.

    Raises `BadConfig` for a file that is no ONNX or a shape that is not known; `ModuleNotFoundError`, saying what to install,
    without the `onnx` package.
    """
    return _Graph(_load(Path(path)), str(path)).model(name or Path(path).stem)


def _load(path: Path) -> Any:
    try:
        import onnx

        decode_error = import_module("google.protobuf.message").DecodeError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("reading ONNX files needs the onnx package: pip install 'edgewright[formats]'") from error
    try:
        return onnx.shape_inference.infer_shapes(onnx.load(str(path), load_external_data=False)).graph
    except (OSError, decode_error) as error:
        raise BadConfig(f"{path}: not a readable ONNX file ({error})") from error


class _Graph:
    """An ONNX graph while it is read: shapes by tensor, the block that makes each tensor."""

    def __init__(self, graph: Any, where: str) -> None:
        self.graph, self.where = graph, where
        self.weights = {each.name: tuple(each.dims) for each in graph.initializer}
        infos = (*graph.input, *graph.value_info, *graph.output)
        self.dims = {each.name: tuple(dim.dim_value for dim in each.type.tensor_type.shape.dim) for each in infos}
        self.makers: dict[str, int] = {each.name: -1 for each in graph.input if each.name not in self.weights}
        self.blocks: list[Block] = []

    def model(self, name: str) -> Model:
        """Blocks of the nodes in order, and the sizes at both ends."""
        entering = sum(self._numbers(each) for each in self.makers)
        for node in self.graph.node:
            self._take(node)
        leaving = [each.name for each in self.graph.output]
        if not self.blocks or not leaving:
            raise BadConfig(f"{self.where}: holds no graph; accepted is a network with an output")
        classes = self.dims[leaving[0]][-1]
        return Model(
            name,
            tuple(self.blocks),
            hidden=0,
            vocab=classes,
            generates=False,
            cuts=tuple(range(1, len(self.blocks))),
            input=float(entering),
            input_bytes=float(entering),
            result_bytes=4.0 * sum(self._numbers(each) for each in leaving),
        )

    def _take(self, node: Any) -> None:
        """An activation function or a view passes its input on; any other becomes a block."""
        data = [each for each in node.input if each and each not in self.weights and each in self.makers]
        if not data:
            return
        if node.op_type in _ACTIVATIONS or node.op_type in _VIEWS:
            self.makers[node.output[0]] = self.makers[data[0]]
            return
        reads = tuple(self.makers[each] for each in data)
        leaving = float(sum(self._numbers(each) for each in node.output if each))
        label = f"{len(self.blocks)}.{node.name or node.op_type}"
        in_place = 0.0 if node.op_type in ("Add", "Mul") else None
        operator = self._operator(node, data)
        self.blocks.append(Block(label, node.op_type.lower(), len(self.blocks), (operator,), leaving, reads, in_place=in_place))
        self.makers |= {each: len(self.blocks) - 1 for each in node.output}

    def _operator(self, node: Any, data: list[str]) -> Operator:
        held = [self.weights[each] for each in node.input if each in self.weights]
        if node.op_type == "Conv" and held:
            return self._convolution(node, data[0], held)
        if node.op_type in ("Gemm", "MatMul") and held and len(data) == 1:
            return self._linear(node, data[0], held)
        moved = sum(self._numbers(each) for each in (*data, *(each for each in node.output if each)))
        if node.op_type == "MatMul":
            return Product(self._numbers(node.output[0]) * self._known(data[0])[-1], moved)
        vectors = sum(prod(each) for each in held)
        return Elementwise(node.op_type.lower(), moved, flops=1.0, vectors=vectors, per="items")

    def _convolution(self, node: Any, source: str, held: list[tuple[int, ...]]) -> Operator:
        taps = prod(held[0][2:])
        groups = next((int(each.i) for each in node.attribute if each.name == "group"), 1)
        entering, leaving = self._map(source), self._map(node.output[0])
        return Convolution(entering, leaving, taps, groups, sum(prod(each) for each in held[1:]))

    def _linear(self, node: Any, source: str, held: list[tuple[int, ...]]) -> Operator:
        outputs = self._known(node.output[0])[-1]
        inputs = prod(held[0]) // outputs
        rows = self._numbers(source) // inputs
        return Linear("fc", inputs, outputs, "items", rows, bias=sum(prod(each) for each in held[1:]))

    def _map(self, tensor: str) -> Shape:
        channels, *sizes = self._known(tensor)[1:]
        return Shape(channels, sizes[0], prod(sizes[1:]))

    def _numbers(self, tensor: str) -> int:
        return prod(self._known(tensor)[1:])

    def _known(self, tensor: str) -> tuple[int, ...]:
        dims = self.dims.get(tensor, ())
        if not dims or any(each < 1 for each in dims[1:]):
            shape = dims or "unknown"
            raise BadConfig(f"{self.where}: the shape of {tensor!r} is {shape}; accepted are known sizes behind the batch dimension")
        return dims
