"""All experts in memory, where the partitioning put them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.hwmodels import Quantity
from edgewright.policies.experts.keys import distinct_key
from edgewright.policies.experts.routes import checked, layers_of, present, shape_of
from edgewright.policies.families import Placement
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Stream

__all__ = ["Resident", "ResidentAgent"]


@register("experts", "resident")
@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Nothing is moved: experts are part of the weights of their blocks, and a step reads those that it touches from memory.

    How wrong it can be: as wrong as the price of the blocks' work.
    """

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The placement as it is."""
        return placement

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ResidentAgent:
        """The agent of one replica; raises `ValueError` for a model without experts."""
        return ResidentAgent(model)


class ResidentAgent:
    """Counts the experts touched.

    Attributes:
        hits: experts touched so far, all of them in memory; an expert counts once per layer and step. `misses` stays 0.
    """

    def __init__(self, model: Model) -> None:
        self._layers = layers_of(model)
        self._experts = shape_of(model).count
        self.hits = 0
        self.misses = 0

    def bind(self, routes: Any) -> Mapping[str, Quantity]:
        """The distinct experts of each layer in one step."""
        return {key: float(values[0]) for key, values in self.bind_block(routes, 1).items()}

    def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
        """The same for consecutive steps of as many tokens each: arrays with one entry per step."""
        touched = present(checked(routes, len(self._layers), self._experts), steps, self._experts).sum(axis=2, dtype=float)
        self.hits += int(touched.sum())
        return {distinct_key(layer): touched[index] for index, layer in enumerate(self._layers)}

    def snapshot(self) -> object:
        """The count, for `restore`."""
        return self.hits

    def restore(self, state: Any) -> None:
        """Go back to a snapshot: a run of steps was cut short and is bound anew."""
        self.hits = state
