"""Changes of a model: functions from model to model, by name, that a scenario applies.

    model: {zoo: llama-2-7b, change: {change: layers, last: 8}}

Read `CHANGES` for the names. `changes_vision.py` has those of vision models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Protocol

from annotated_types import Ge

from edgewright.workloads.changes_vision import Bottleneck, ClassSplit
from edgewright.workloads.fused_layers import FusedLayers
from edgewright.workloads.model import Model
from edgewright.workloads.parallel_streams import ParallelStreams

__all__ = ["CHANGES", "Layers", "ModelChange"]


class ModelChange(Protocol):
    """A function from model to model."""

    def apply(self, model: Model) -> Model:
        """The changed model; raises `ValueError` for one that it cannot change."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Some consecutive layers of a decoder as a model of their own: one side of a cut, with or without an exit.

    From the first layer on the embedding is included, from any other on hidden states enter. With `head`, norm and head follow: the
    model's own behind the last layer, an exit of the same shape behind any other (EE-LLM, Chen et al., ICML 2024: an exit is a norm and
    an output embedding of its own).

    Attributes:
        first, last: layers `first` to `last`, the latter exclusive.
        head: whether tokens leave, or hidden states.

    How wrong: a model with tied embeddings gets an untied head where its embedding is on the other side.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    first: Annotated[int, Ge(0)] = 0
    last: Annotated[int, Ge(1)]
    head: bool = True
    change: Literal["layers"] = "layers"

    def apply(self, model: Model) -> Model:
        """See `ModelChange`."""
        if not model.generates or model.experts is not None:
            raise ValueError(f"{model.name} cannot be divided by layers; accepted are decoders without experts")
        layers = 1 + max(block.layer for block in model.blocks)
        if not self.first < self.last <= layers:
            raise ValueError(f"{model.name} has no layers {self.first} to {self.last}; accepted are some of the {layers} from 0")
        start = 0 if self.first == 0 else next(index for index, block in enumerate(model.blocks) if block.layer == self.first)
        stop = max(index for index, block in enumerate(model.blocks) if block.layer == self.last - 1) + 1
        head = model.blocks[-1:] if self.head else ()
        last = len(model.blocks) if self.head else stop
        state = 2.0 * model.hidden
        return replace(
            model,
            name=f"{model.name}[{self.first}:{self.last}]{'' if self.head else ' without head'}",
            blocks=model.blocks[start:stop] + head,
            cuts=tuple(cut - start for cut in model.cuts if start < cut <= stop and cut < last),
            tied=model.tied and start == 0 and self.head,
            input=model.input if start == 0 else float(model.hidden),
            input_bytes=model.input_bytes if start == 0 else state,
            result_bytes=model.result_bytes if self.head else state,
        )


CHANGES: Mapping[str, type[ModelChange]] = MappingProxyType(
    {"bottleneck": Bottleneck, "class_split": ClassSplit, "fused": FusedLayers, "layers": Layers, "streams": ParallelStreams}
)
"""All changes by name."""
