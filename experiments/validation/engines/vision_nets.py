"""Vision models as programs of nodes, which are built for an engine whole, and timed in it one by one.

The convolutional ones follow the zoo's layer tables, batch norms folded into the convolutions before them; transformers are written out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isqrt

from edgewright.workloads import Block
from edgewright.workloads.model_operators import Linear
from edgewright.workloads.vision import Convolution
from edgewright.workloads.vision_nets import NETS

__all__ = ["Node", "Program", "VisionOp", "inputs_of", "program_of", "vision_operators"]

_VITS = {"deit-tiny": (192, 3), "deit-small": (384, 6), "deit-base": (768, 12)}
_LAYERS, _TOKENS = 12, 197


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a network.

    Attributes:
        kind: with the entries of `shape`, for one image: `conv` (channels in, height, width, channels out, kernel, stride, groups), `pool`
            (channels, height, width, kernel, stride), `gap`, `add`, `scale` (channels, height, width), `fc` (inputs, outputs),
            `tokens` (tokens, width: patches to tokens), `linear` (tokens, inputs, outputs), `norm`, `add_tokens` (tokens, width),
            `attention` (tokens, heads, width of a head), `first` (tokens, width: the class token alone).
        shape: see `kind`.
        act: what follows it: `relu`, `relu6`, `silu`, `gelu`, `sigmoid` or nothing.
    """

    kind: str
    shape: tuple[int, ...]
    act: str = ""


Program = tuple[tuple[Node, tuple[int, ...]], ...]
"""Nodes, each with the places of those that it reads; -1 is the image."""


@dataclass(frozen=True, slots=True)
class VisionOp:
    """A node in an engine, on some threads, for a batch of images."""

    engine: str
    kind: str
    shape: tuple[int, ...]
    act: str
    threads: int
    batch: int


def program_of(name: str) -> Program:
    """The nodes of a model by its name; raises `KeyError` for one that is none of `cases.VISION`."""
    return _transformer(*_VITS[name]) if name in _VITS else _convolutional(name)


def inputs_of(node: Node) -> list[tuple[int, ...]]:
    """The shapes of what it reads, for one image."""
    shape = node.shape
    if node.kind == "scale":
        return [shape, (shape[0],)]
    if node.kind == "attention":
        return [(shape[0], 3 * shape[1] * shape[2])]
    if node.kind == "tokens":
        side = isqrt(shape[0] - 1)
        return [(shape[1], side, side)]
    plain = {"conv": shape[:3], "pool": shape[:3], "fc": shape[:1], "linear": shape[:2]}.get(node.kind, shape)
    return [plain] * (2 if node.kind.startswith("add") else 1)


def vision_operators(names: Iterable[str]) -> tuple[Node, ...]:
    """The different nodes of those models."""
    return tuple(dict.fromkeys(node for name in names for node, _ in program_of(name)))


def _convolutional(name: str) -> Program:
    blocks = NETS[name]().blocks
    plain = {"resnet-18": "relu", "resnet-50": "relu", "vgg-11": "relu", "mobilenet-v2": "relu6", "efficientnet-b0": "silu"}[name]
    added = {place for block in blocks if block.kind == "add" for place in block.inputs or ()}
    shapes: dict[int, tuple[int, int, int]] = {-1: (3, 224, 224)}
    program: list[tuple[Node, tuple[int, ...]]] = []
    for place, block in enumerate(blocks):
        inputs = (place - 1,) if block.inputs is None else block.inputs
        linear = block.name.endswith((".project", ".shortcut")) or (place in added and block.kind == "conv")
        node, shape = _node(name, block, shapes[inputs[0]], "" if linear else plain)
        shapes[place] = shape
        program.append((node, inputs))
    return tuple(program)


def _node(name: str, block: Block, entering: tuple[int, int, int], act: str) -> tuple[Node, tuple[int, int, int]]:
    operator = block.operators[0]
    if isinstance(operator, Convolution):
        leaving = operator.leaving
        figures = (leaving.channels, isqrt(operator.taps), round(entering[1] / leaving.height), operator.groups)
        return Node("conv", (*entering, *figures), act), (leaving.channels, leaving.height, leaving.width)
    if isinstance(operator, Linear):
        last = {"reduce": "silu", "excite": "sigmoid"}.get(block.name.rpartition(".")[2], "relu" if block.name in ("fc1", "fc2") else "")
        return Node("fc", (operator.inputs, operator.outputs), last), (operator.outputs, 1, 1)
    if block.kind == "pool":
        return Node("pool", (*entering, 3 if name.startswith("resnet") else 2, 2)), (entering[0], entering[1] // 2, entering[2] // 2)
    if block.kind == "global_pool":
        return Node("gap", entering), (entering[0], 1, 1)
    return Node(block.kind, entering, act if block.kind == "add" and name.startswith("resnet") else ""), entering


def _transformer(hidden: int, heads: int) -> Program:
    program: list[tuple[Node, tuple[int, ...]]] = [(Node("conv", (3, 224, 224, hidden, 16, 16, 1)), (-1,))]

    def add(node: Node, *inputs: int) -> int:
        program.append((node, inputs))
        return len(program) - 1

    last = add(Node("tokens", (_TOKENS, hidden)), 0)
    for _ in range(_LAYERS):
        normed = add(Node("norm", (_TOKENS, hidden)), last)
        mixed = add(Node("linear", (_TOKENS, hidden, 3 * hidden)), normed)
        mixed = add(Node("attention", (_TOKENS, heads, hidden // heads)), mixed)
        mixed = add(Node("linear", (_TOKENS, hidden, hidden)), mixed)
        last = add(Node("add_tokens", (_TOKENS, hidden)), mixed, last)
        inner = add(Node("norm", (_TOKENS, hidden)), last)
        inner = add(Node("linear", (_TOKENS, hidden, 4 * hidden), "gelu"), inner)
        inner = add(Node("linear", (_TOKENS, 4 * hidden, hidden)), inner)
        last = add(Node("add_tokens", (_TOKENS, hidden)), inner, last)
    last = add(Node("norm", (_TOKENS, hidden)), last)
    add(Node("fc", (hidden, 1000)), add(Node("first", (_TOKENS, hidden)), last))
    return tuple(program)
