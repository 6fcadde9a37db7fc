"""Networks in ONNX Runtime: graphs made here with the `onnx` package, with random weights, run with the session's own optimisations.

Convolutions run in blocks of channels (its NCHWc layout), to which inputs are turned once and from which outputs are turned back. An
operator timed alone therefore stands several times on one input, and behind it a global average, so that next to nothing is turned back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.validation.engines.vision_nets import Node, Program, inputs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["onnx_call", "onnx_operator"]

_WEIGHTED = ("conv", "fc", "linear", "norm", "tokens")
_ACTS = {"relu": ("Relu",), "sigmoid": ("Sigmoid",), "gelu": ("Gelu",)}


class _Graph:
    """Nodes and weights under construction."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._generator = np.random.default_rng(0)

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add one; the name of what leaves it."""
        from onnx import helper

        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """Add a weight with those values."""
        from onnx import numpy_helper

        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def random(self, *shape: int) -> str:
        """Add a weight of random numbers."""
        return self.constant((self._generator.standard_normal(shape) * 0.02).astype(np.float32))

    def call(self, inputs: dict[str, tuple[int, ...]], outputs: Sequence[str], threads: int) -> Callable[[], object]:
        """A session of it, run on random inputs."""
        import onnxruntime
        from onnx import TensorProto, helper

        entering = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        leaving = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "network", entering, leaving, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = {name: self._generator.standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}
        return lambda: session.run(None, values)


def onnx_call(program: Program, batch: int, threads: int) -> Callable[[], object]:
    """One inference of random images."""
    graph, made = _Graph(), {-1: "image"}
    for place, (node, inputs) in enumerate(program):
        made[place] = _add(graph, node, [made[each] for each in inputs], batch)
    return graph.call({"image": (batch, 3, 224, 224)}, [made[len(program) - 1]], threads)


def onnx_operator(node: Node, batch: int, threads: int, copies: int) -> Callable[[], object]:
    """`copies` such nodes: with weights of their own on the same random input, or, where they have none, with inputs of their own (equal
    nodes on equal inputs would be computed once). A global average stands behind each convolution."""
    graph, outputs = _Graph(), []
    inputs: dict[str, tuple[int, ...]] = {}
    for copy in range(copies):
        entering = [f"x{place}" if node.kind in _WEIGHTED else f"x{place}.{copy}" for place in range(len(inputs_of(node)))]
        inputs |= {name: (batch, *shape) for name, shape in zip(entering, inputs_of(node), strict=True)}
        found = _add(graph, node, entering, batch)
        outputs.append(graph.node("GlobalAveragePool", [found]) if node.kind == "conv" else found)
    return graph.call(inputs, outputs, threads)


def _add(graph: _Graph, node: Node, inputs: list[str], batch: int) -> str:
    made = _plain(graph, node, inputs, batch)
    if node.act == "silu":
        return graph.node("Mul", [made, graph.node("Sigmoid", [made])])
    if node.act == "relu6":
        return graph.node("Clip", [made, graph.constant(np.array(0, np.float32)), graph.constant(np.array(6, np.float32))])
    return graph.node(_ACTS[node.act][0], [made]) if node.act else made


def _plain(graph: _Graph, node: Node, inputs: list[str], batch: int) -> str:
    shape, first = node.shape, inputs[0]
    if node.kind == "conv":
        channels, _, _, leaving, kernel, stride, groups = shape
        weights = [graph.random(leaving, channels // groups, kernel, kernel), graph.random(leaving)]
        pads = [0 if kernel == stride else (kernel - 1) // 2] * 4
        return graph.node("Conv", [first, *weights], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=groups)
    if node.kind == "fc":
        return graph.node("Gemm", [graph.node("Flatten", [first]), graph.random(shape[1], shape[0]), graph.random(shape[1])], transB=1)
    if node.kind == "linear":
        return graph.node("Add", [graph.node("MatMul", [first, graph.random(shape[1], shape[2])]), graph.random(shape[2])])
    if node.kind == "pool":
        pads = [(shape[3] - 1) // 2] * 4
        return graph.node("MaxPool", [first], kernel_shape=[shape[3]] * 2, strides=[shape[4]] * 2, pads=pads)
    if node.kind == "norm":
        return graph.node("LayerNormalization", [first, graph.random(shape[1]), graph.random(shape[1])])
    if node.kind == "attention":
        return _attention(graph, first, batch, *shape)
    if node.kind == "tokens":
        rows = graph.node("Transpose", [_reshaped(graph, first, batch, shape[1], shape[0] - 1)], perm=[0, 2, 1])
        return graph.node("Add", [graph.node("Concat", [graph.random(batch, 1, shape[1]), rows], axis=1), graph.random(1, *shape)])
    if node.kind == "scale":
        return graph.node("Mul", [first, _reshaped(graph, inputs[1], batch, shape[0], 1, 1)])
    if node.kind == "first":
        return graph.node("Gather", [first, graph.constant(np.array(0, np.int64))], axis=1)
    return graph.node("GlobalAveragePool" if node.kind == "gap" else "Add", inputs)


def _attention(graph: _Graph, name: str, batch: int, tokens: int, heads: int, width: int) -> str:
    """As exporters write it: heads apart, two products and a softmax between them, heads together."""
    parted = graph.node("Transpose", [_reshaped(graph, name, batch, tokens, 3, heads, width)], perm=[2, 0, 3, 1, 4])
    query, key, value = (graph.node("Gather", [parted, graph.constant(np.array(each, np.int64))], axis=0) for each in range(3))
    scaled = graph.node("Mul", [query, graph.constant(np.array(width**-0.5, np.float32))])
    scores = graph.node("Softmax", [graph.node("MatMul", [scaled, graph.node("Transpose", [key], perm=[0, 1, 3, 2])])], axis=-1)
    mixed = graph.node("Transpose", [graph.node("MatMul", [scores, value])], perm=[0, 2, 1, 3])
    return _reshaped(graph, mixed, batch, tokens, heads * width)


def _reshaped(graph: _Graph, name: str, *shape: int) -> str:
    return graph.node("Reshape", [name, graph.constant(np.array(shape, np.int64))])
