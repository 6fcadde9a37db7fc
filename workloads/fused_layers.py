"""Blocks as one kernel each: streaming dataflow, where what lies between operators never leaves the chip.

Prabhakar et al., SambaNova SN40L, MICRO 2024 (arXiv 2405.07518): a decoder layer is mapped in space and launched as one kernel; operators
pass tiles on to one another through on-chip memory. The work of a block keeps its operations, weights and cached tokens; of its launches
one is left, and of its activations those that enter and leave.

    a layer of ten kernels, 320 launches a token for 32 layers: two launches a layer (attention and feed-forward are blocks here), 64

How wrong: each operator still has the time of its own roof, one after another; a pipeline in space overlaps them, so a fused block that is
bound by memory in one operator and by arithmetic in another is faster than here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from edgewright.hwmodels import Term
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Operator
from edgewright.workloads.step import Step

__all__ = ["Fused", "FusedLayers", "fused_layers"]


@dataclass(frozen=True, slots=True)
class Fused(Operator):
    """Operators that run as one kernel.

    Attributes:
        operators: in order.
        edge: numbers per row that enter, and as many that leave.
    """

    operators: tuple[Operator, ...]
    edge: int

    @property
    def parameters(self) -> int:
        return sum(each.parameters for each in self.operators)

    @property
    def ways(self) -> int:
        return max(each.ways for each in self.operators)

    def divides(self, shards: int) -> bool:
        return all(each.divides(shards) for each in self.operators if each.ways > 1)

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return sum(each.weight_bytes(format, shards) for each in self.operators)

    def kv_numbers(self, shards: int = 1) -> float:
        return sum(each.kv_numbers(shards) for each in self.operators)

    @property
    def window(self) -> int | None:
        return next((each.window for each in self.operators if each.window is not None), None)

    def state_numbers(self, shards: int = 1) -> float:
        return sum(each.state_numbers(shards) for each in self.operators)

    @property
    def routed(self) -> bool:
        return any(each.routed for each in self.operators)

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        found = [term for each in self.operators for term in each.terms(step, format, shards, layers)]
        if not found:
            return ()
        first, *others = (replace(term, activations=0.0, launches=0.0) for term in found)
        crossing = 2.0 * self.edge * step.tokens * format.activation_bytes * len(layers)
        return (replace(first, activations=crossing, launches=float(len(layers))), *others)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedLayers:
    """Every block between embedding and head as one kernel (`fused_layers`)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    change: Literal["fused"] = "fused"

    def apply(self, model: Model) -> Model:
        """See `changes.ModelChange`."""
        return fused_layers(model)


def fused_layers(model: Model) -> Model:
    """The model with every block between embedding and head as one kernel. Raises `ValueError` for a model that does not generate."""
    if not model.generates:
        raise ValueError(f"{model.name}: fused layers are for generating models")
    first, *layers, last = model.blocks
    return replace(model, name=f"{model.name}, fused", blocks=(first, *(_fused(block, model.hidden) for block in layers), last))


def _fused(block: Block, hidden: int) -> Block:
    return replace(block, operators=(Fused(block.operators, hidden),))
