"""Experts balanced by how often they are chosen: longest processing time first (Graham, SIAM J. Applied Mathematics 17(2), 1969).

Balancing experts by their load is what FasterMoE (He et al., PPoPP 2022) and Tutel (Hwang et al., MLSys 2023) do by replication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgewright.policies.base import at_least
from edgewright.policies.experts.layout import Layout, Table, quotas
from edgewright.policies.experts.parallel import ParallelAgent, parallel_placement
from edgewright.policies.experts.profile import profiled_routes
from edgewright.policies.experts.routes import Counts, shape_of
from edgewright.policies.families import Placement
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Stream
from edgewright.workloads.routing_markov import MarkovRouting
from edgewright.workloads.routing_stats import RoutingProcess, expert_loads

__all__ = ["Popularity", "balanced_table"]


@register("experts", "popularity")
@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity:
    """In each layer the most chosen expert first goes to the device with the least load so far that still has room.

    Every device gets as many experts of each layer (up to one), so memory stays even.

    Attributes:
        profile: where the counts come from.
        profile_tokens: tokens counted.
        coherent, algorithm: as for `round_robin`.

    How wrong it can be: the greedy rule is within 4/3 of the best balance without the limit on experts per device, and has no such
    bound with it; devices are taken as equally fast; counts are those of the profile, not of the tokens served.
    """

    profile: RoutingProcess | MarkovRouting | None = None
    profile_tokens: int = 2000
    coherent: bool = False
    algorithm: Literal["ring", "bidirectional_ring", "star", "direct", "tree"] = "ring"

    def __post_init__(self) -> None:
        at_least(self, profile_tokens=1)

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The data-parallel placement with its experts divided; raises `ValueError` for another placement, or without a profile."""
        return parallel_placement(model, placement, replica, self._layout(model, replica), coherent=self.coherent, algorithm=self.algorithm)

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ParallelAgent:
        """The agent of one replica."""
        return ParallelAgent(model, self._layout(model, replica), self.coherent)

    def _layout(self, model: Model, replica: ReplicaSpec) -> Layout:
        routes = profiled_routes("popularity", self.profile, self.profile_tokens, model, replica)
        loads = expert_loads(routes.astype(np.int32), shape_of(model).count)
        return Layout.of(replica.devices, balanced_table(loads.astype(float), len(replica.devices)))


def balanced_table(loads: Counts, devices: int) -> Table:
    """The greedy placement of loads `(layers, experts)`; ties go to the lower expert and the earlier device."""
    table = np.zeros(loads.shape, dtype=np.int64)
    for layer, row in enumerate(loads):
        room, carried = quotas(len(row), devices), [0.0] * devices
        for expert in sorted(range(len(row)), key=lambda each: (-row[each], each)):
            rank = min((rank for rank in range(devices) if room[rank]), key=lambda each: carried[each])
            table[layer, expert] = rank
            room[rank] -= 1
            carried[rank] += float(row[expert])
    return table
