"""Experts on storage, an LRU cache of them in memory.

Eliseev and Mazur, Fast Inference of Mixture-of-Experts Language Models with Offloading, 2023: `slots` experts per layer under LRU. The
baseline IO-EXP of EdgeMoE (Yi et al., IEEE TMC 2025) is `slots: 0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from edgewright.hwmodels import Quantity
from edgewright.hwmodels.units import Bytes
from edgewright.policies.base import at_least
from edgewright.policies.experts.amounts import MissingBytes
from edgewright.policies.experts.cache import ExpertCache
from edgewright.policies.experts.keys import distinct_key, missing_key
from edgewright.policies.experts.routes import checked, layers_of, present, shape_of
from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Load, Op
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import held_bytes
from edgewright.policies.residency.lru import block_compute
from edgewright.policies.residency.rewrite import plan_of, rewrite_parts
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part, Stream

__all__ = ["OnDemand", "OnDemandAgent", "expert_bytes", "on_demand_placement", "slots_in"]


@register("experts", "on_demand")
@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemand:
    """Each layer keeps its `slots` most recently used experts; the others are read from storage when the router asks for them.

    Nothing overlaps: the layer's missing experts are read, then the layer is computed. Sharded experts are read in shards.

    Attributes:
        slots: experts kept in memory per layer.
        memory: bytes for experts in memory, of all layers together, in place of `slots`.
        storage: name of the storage that is read; None: each device's first.

    How wrong it can be: the router is computed after the read instead of before it, which changes no sum; a cache pooled over layers
    would give more room to layers that need it. The cache starts empty. Sequential rates are charged: experts are megabytes.
    """

    slots: int = 8
    memory: Bytes | None = None
    storage: str | None = None

    def __post_init__(self) -> None:
        at_least(self, slots=0, memory=0)

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The plan with a read before each layer of experts; raises `ValueError` for a model or a plan without such layers."""
        return on_demand_placement(model, placement, replica, slots_in(model, replica, self.slots, self.memory), self.storage)

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> OnDemandAgent:
        """The agent of one replica, its cache empty."""
        return OnDemandAgent(model, slots_in(model, replica, self.slots, self.memory))


class OnDemandAgent:
    """Follows the caches of one replica's layers.

    Attributes:
        hits, misses: experts found in memory and read from storage so far; an expert counts once per layer and step.
    """

    def __init__(self, model: Model, slots: int) -> None:
        self._layers = layers_of(model)
        self._experts = shape_of(model).count
        self._caches = [ExpertCache(slots) for _ in self._layers]
        self.hits = 0
        self.misses = 0

    def bind(self, routes: Any) -> Mapping[str, Quantity]:
        """Distinct and missing experts of each layer in one step; the caches move on."""
        return {key: float(values[0]) for key, values in self.bind_block(routes, 1).items()}

    def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
        """The same for consecutive steps of as many tokens each: arrays with one entry per step."""
        touched = present(checked(routes, len(self._layers), self._experts), steps, self._experts)
        outcomes: dict[str, Any] = {}
        for index, layer in enumerate(self._layers):
            cache = self._caches[index]
            missing = np.array([float(len(cache.use(np.flatnonzero(row).tolist()))) for row in touched[index]])
            distinct = touched[index].sum(axis=1, dtype=float)
            outcomes[distinct_key(layer)], outcomes[missing_key(layer)] = distinct, missing
            self.misses += int(missing.sum())
            self.hits += int(distinct.sum() - missing.sum())
        return outcomes

    def snapshot(self) -> object:
        """The caches and counts, for `restore`."""
        return self.hits, self.misses, tuple(cache.held for cache in self._caches)

    def restore(self, state: Any) -> None:
        """Go back to a snapshot: a run of steps was cut short and is bound anew."""
        self.hits, self.misses, held = state
        for cache, experts in zip(self._caches, held, strict=True):
            cache.restore(experts)


def expert_bytes(part: Part, block: int) -> float:
    """Bytes of one expert of a block (of its shard, where the block is sharded)."""
    model = part.model
    shards = part.shards if model.blocks[block].shardable(part.shards) else 1
    return shape_of(model).expert_bytes(part.format) / shards


def slots_in(model: Model, replica: ReplicaSpec, slots: int, memory: float | None) -> int:
    """Experts per layer that stay in memory, at most all of them; raises `ValueError` where `memory` holds less than one per layer."""
    shape = shape_of(model)
    if memory is None:
        return min(slots, shape.count)
    held = int(memory // (len(shape.blocks) * shape.expert_bytes(replica.format)))
    if held < 1:
        needed = len(shape.blocks) * shape.expert_bytes(replica.format)
        raise ValueError(
            f"{replica.name}: memory: {memory:.6g} bytes are less than one expert per layer; accepted are {needed:.6g} bytes and more"
        )
    return min(held, shape.count)


def on_demand_placement(model: Model, placement: Placement, replica: ReplicaSpec, slots: int, storage: str | None) -> Placement:
    """The placement with `slots` experts per layer in memory and the missing ones read before each layer of experts."""
    shape = shape_of(model)
    experts = frozenset(shape.blocks)
    reading: dict[str, None] = {}

    def with_reads(compute: Compute, part: Part) -> list[Op]:
        pieces: list[Op] = []
        bounds = sorted({part.start, part.stop, *(block for block in experts if part.start < block < part.stop)})
        for start, stop in pairwise(bounds):
            if start in experts:
                missing = MissingBytes(model.blocks[start].layer, expert_bytes(part, start), shape.count, shape.top_k, slots)
                pieces.append(Load(compute.device, missing, storage))
                reading[compute.device] = None
            pieces.append(block_compute(compute, replace(part, start=start, stop=stop)))
        return pieces

    program = rewrite_parts(plan_of(placement, "on_demand"), with_reads)
    if not reading:
        raise ValueError(
            f"{replica.name}: the plan computes no whole or sharded layer of experts; accepted are single, pipeline, split, tensor_parallel"
        )
    resident = {device: held_bytes(parts) - _stored(parts, experts, shape.count - slots) for device, parts in placement.parts.items()}
    return replace(placement, program=program, resident=resident, reads=tuple(reading))


def _stored(parts: tuple[Part, ...], experts: frozenset[int], idle: int) -> float:
    """Bytes of `idle` experts of every layer of experts in the parts."""
    return sum(idle * expert_bytes(part, block) for part in parts for block in range(part.start, part.stop) if block in experts)
