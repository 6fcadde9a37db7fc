"""Mixture of experts: the router, the routed experts and those that all tokens share.

Which experts a step touches decides how many bytes it reads. Unless the run says so (`step.outcomes["moe<layer>.distinct"]`), the
number of distinct experts is its expectation under uniform, independent routing: E (1 - (1 - k/E)^T) for T tokens, k of E experts each.

How accurate is this? Real routers are skewed and correlated in time, so they touch fewer experts than the expectation: it is an upper
estimate of traffic, by some ten per cent for small batches. With outcomes the count is exact. One launch holds all experts of a product
(grouped GEMM), with the efficiency of its total size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgewright.hwmodels import Quantity, Term, Work
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Model
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.step import Step

__all__ = [
    "ExpertGroup",
    "MoeShape",
    "RoutedExperts",
    "distinct_experts",
    "expert_term",
    "moe_operators",
    "routed_experts",
    "without_experts",
]

_LAUNCHES = 2.0  # gate and up together, then down


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeShape:
    """The experts of a layer.

    Attributes:
        width: hidden numbers of one routed expert.
        count, top_k: routed experts, and how many of them a token passes.
        shared: experts that every token passes; `shared_width` their hidden numbers together.
        router_bias: parameters of the router besides its matrix.
        shared_gate: whether a gate scales the shared experts' output (one more row of the router).
        routers: whether each layer has a router of its own; else one choice comes from before the model (Read-ME).
        gated: whether a routed expert has three matrices (SwiGLU) or two without biases.
    """

    width: int
    count: int
    top_k: int
    shared: int = 0
    shared_width: int = 0
    router_bias: int = 0
    shared_gate: bool = False
    gated: bool = True
    routers: bool = True

    def parameters(self, hidden: int) -> int:
        """Parameters of one routed expert."""
        return (3 if self.gated else 2) * hidden * self.width


def moe_operators(hidden: int, shape: MoeShape) -> tuple[Operator, ...]:
    """Router, routed experts and shared experts of a layer."""
    gates = shape.count + (1 if shape.shared_gate else 0)
    found: tuple[Operator, ...] = (RoutedExperts(hidden, shape.width, shape.count, shape.top_k, shape.gated),)
    if shape.routers:
        found = (Linear("router", hidden, gates, bias=shape.router_bias, role="vector"), *found)
    if shape.shared_width:
        found += (
            Elementwise("shared.act", divided=3 * shape.shared_width),
            Linear("shared.up", hidden, 2 * shape.shared_width, splits="outputs", units=shape.shared_width),
            Linear("shared.down", shape.shared_width, hidden, splits="inputs", units=shape.shared_width),
        )
    return found


def distinct_experts(count: int, top_k: int, tokens: int) -> float:
    """Expected distinct experts among `count` that `tokens` tokens of `top_k` each touch, routed uniformly and independently."""
    return count * (1.0 - (1.0 - top_k / count) ** tokens)


@dataclass(frozen=True, slots=True)
class RoutedExperts(Operator):
    """The routed experts of a layer: each token passes `top_k` of `count`.

    Shards hold either `1/shards` of the experts (expert parallel) or of each expert (tensor parallel): balanced, both cost the same.
    Multiply-accumulates follow tokens, bytes of weights follow distinct experts.
    """

    hidden: int
    width: int
    count: int
    top_k: int
    gated: bool = True

    @property
    def parameters(self) -> int:
        return self.count * self.matrices * self.hidden * self.width

    @property
    def matrices(self) -> int:
        """Matrices of one expert."""
        return 3 if self.gated else 2

    @property
    def ways(self) -> int:
        return self.width

    @property
    def routed(self) -> bool:
        return True

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self.parameters * format.weight_bits / 8 / shards

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        tokens = step.tokens
        if not tokens:
            return ()
        count = float(len(layers))
        distinct = self._distinct(tokens, step.outcomes, layers)
        return (expert_term(self, tokens * self.top_k * count, distinct, format, shards, _LAUNCHES * count, tokens > 1),)

    def _distinct(self, tokens: int, outcomes: Mapping[str, Quantity], layers: tuple[int, ...]) -> Quantity:
        expected = distinct_experts(self.count, self.top_k, tokens)
        if not outcomes:
            return expected * len(layers)
        total: Quantity = 0.0
        for layer in layers:
            total = total + outcomes.get(f"moe{layer}.distinct", expected)
        return total


def expert_term(one: RoutedExperts, rows: Quantity, distinct: Quantity, format: Format, shards: int, launches: float, many: bool) -> Term:
    """Some of these experts: `rows` token-expert pairs in all, weights of `distinct` experts read, on one of `shards` shards.

    The hidden numbers are written by the first product, read and written by the activation and read by the last: four times, and the
    gate's twice more.
    """
    macs = float(one.matrices) * one.hidden * one.width / shards
    moved = (2 * one.hidden + 2 * one.matrices * one.width / shards) * format.activation_bytes
    kernel = "gemm" if many else format.gemv
    return Term(kernel, format.dtype, 2.0 * macs * rows, macs * format.weight_bits / 8 * distinct, moved * rows, 0.0, launches)


@dataclass(frozen=True, slots=True)
class ExpertGroup:
    """Some experts of one MoE layer, as held by one device: a value that can be the work of a `Compute`.

    The step's outcomes say what falls on it: `<key>.rows` token-expert pairs and `<key>.distinct` experts touched. Where the outcomes do
    not say,
    it gets its share of uniform routing: `held / count` of both.

    Attributes:
        experts: the layer's routed experts.
        format: number format.
        held: how many of them are here.
        key: prefix of its outcomes, e.g. `moe3.orin0`.
    """

    experts: RoutedExperts
    format: Format
    held: int
    key: str

    def __call__(self, step: Step) -> Work:
        if not step.tokens:
            return Work()
        one, share = self.experts, self.held / self.experts.count
        rows = step.outcomes.get(f"{self.key}.rows", step.tokens * one.top_k * share)
        distinct = step.outcomes.get(f"{self.key}.distinct", distinct_experts(one.count, one.top_k, step.tokens) * share)
        return Work((expert_term(one, rows, distinct, self.format, 1, _LAUNCHES, step.tokens > 1),))

    @property
    def weight_bytes(self) -> float:
        """Bytes of the experts held."""
        return self.experts.weight_bytes(self.format) * self.held / self.experts.count


def routed_experts(model: Model) -> RoutedExperts:
    """The routed experts of a model's MoE layers (all alike); raises `ValueError` for a model without any."""
    for block in model.blocks:
        for each in block.operators:
            if isinstance(each, RoutedExperts):
                return each
    raise ValueError(f"{model.name} has no routed experts")


def without_experts(model: Model) -> Model:
    """The model less its routed experts, at the same block indices: what stays on every device when `ExpertGroup`s hold the experts."""
    blocks = tuple(replace(block, operators=tuple(each for each in block.operators if not each.routed)) for block in model.blocks)
    return replace(model, name=f"{model.name}-without-experts", blocks=blocks, experts=None)
