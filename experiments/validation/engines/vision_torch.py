"""Networks in PyTorch, eagerly and in `inference_mode`, as its functions compute them on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgewright.experiments.validation.engines.vision_nets import Node, Program, inputs_of

__all__ = ["torch_call", "torch_operator"]


def torch_call(program: Program, batch: int, threads: int) -> Callable[[], object]:
    """One inference of random images."""
    import torch

    torch.set_num_threads(threads)
    nodes = [(_function(node), inputs) for node, inputs in program]
    image = torch.randn(batch, 3, 224, 224)

    def call() -> object:
        with torch.inference_mode():
            made: dict[int, Any] = {-1: image}
            for place, (function, inputs) in enumerate(nodes):
                made[place] = function(*(made[each] for each in inputs))
            return made[len(nodes) - 1]

    return call


def torch_operator(node: Node, batch: int, threads: int, copies: int) -> Callable[[], object]:
    """`copies` such nodes, each with weights of its own, on one random input."""
    import torch

    torch.set_num_threads(threads)
    functions = [_function(node) for _ in range(copies)]
    entering = [torch.randn(batch, *shape) for shape in inputs_of(node)]

    def call() -> object:
        with torch.inference_mode():
            for function in functions:
                function(*entering)
        return None

    return call


def _function(node: Node) -> Callable[..., Any]:
    """The node with random weights, and the activation behind it."""
    import torch
    from torch.nn import functional

    acts = {"relu": functional.relu, "relu6": functional.relu6, "silu": functional.silu, "gelu": functional.gelu, "sigmoid": torch.sigmoid}
    plain, act = _plain(node), acts.get(node.act)
    return plain if act is None else lambda *entering: act(plain(*entering))


def _plain(node: Node) -> Callable[..., Any]:
    import torch
    from torch.nn import functional

    shape = node.shape
    if node.kind == "conv":
        channels, _, _, leaving, kernel, stride, groups = shape
        taps, bias = torch.randn(leaving, channels // groups, kernel, kernel) * 0.02, torch.zeros(leaving)
        padding = 0 if kernel == stride else (kernel - 1) // 2
        return lambda x: functional.conv2d(x, taps, bias, stride, padding, 1, groups)
    if node.kind in ("fc", "linear"):
        weights, bias = torch.randn(shape[-1], shape[-2]) * 0.02, torch.zeros(shape[-1])
        return lambda x: functional.linear(x.flatten(1) if node.kind == "fc" else x, weights, bias)
    if node.kind == "pool":
        return lambda x: functional.max_pool2d(x, shape[3], shape[4], (shape[3] - 1) // 2)
    if node.kind == "norm":
        ones, zeros = torch.ones(shape[1]), torch.zeros(shape[1])
        return lambda x: functional.layer_norm(x, (shape[1],), ones, zeros)
    if node.kind == "tokens":
        first, places = torch.zeros(1, 1, shape[1]), torch.zeros(1, *shape)
        return lambda x: torch.cat((first.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)), 1) + places
    if node.kind == "attention":
        return lambda x: _attention(x, *shape)
    others: dict[str, Callable[..., Any]] = {
        "gap": lambda x: functional.adaptive_avg_pool2d(x, 1).flatten(1),
        "add": torch.add,
        "add_tokens": torch.add,
        "scale": lambda x, by: x * by[:, :, None, None],
        "first": lambda x: x[:, 0],
    }
    return others[node.kind]


def _attention(x: Any, tokens: int, heads: int, width: int) -> Any:
    from torch.nn import functional

    query, key, value = x.reshape(len(x), tokens, 3, heads, width).permute(2, 0, 3, 1, 4).unbind(0)
    return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(len(x), tokens, heads * width)
