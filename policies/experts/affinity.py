"""Experts that follow each other on the same device.

Yao et al., "Exploiting Inter-Layer Expert Affinity for Accelerating Mixture-of-Experts Model Inference" (ExFlow), IPDPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from edgewright.policies.base import at_least
from edgewright.policies.experts.crossing import crossings, exact_table, flows, staged_table, swept_table, transition_counts
from edgewright.policies.experts.layout import Layout, Table
from edgewright.policies.experts.parallel import Flows, ParallelAgent, parallel_placement
from edgewright.policies.experts.profile import profiled_routes
from edgewright.policies.experts.routes import Counts, shape_of
from edgewright.policies.families import Placement
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Stream
from edgewright.workloads.routing_markov import MarkovRouting
from edgewright.workloads.routing_stats import RoutingProcess

__all__ = ["Affinity"]


@register("experts", "affinity")
@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """The placement with the fewest crossings between consecutive layers, as many experts of each layer on every device.

    Small placements are solved as an integer program, larger ones by sweeps of exact single-layer assignments (see `crossing`).

    Attributes:
        profile: where the transitions are counted.
        profile_tokens: tokens counted (ExFlow: 1000 to 3000).
        exact_limit: size up to which the integer program is solved: binaries and transitions together.
        starts: sweeps that are tried, from different first layers.
        node_limit: nodes of its branch and bound before the sweeps' placement is taken; a number, so that runs repeat.
        coherent: every device keeps the cache of every sequence, so that a token goes on where its expert was. Without it a token
            returns home after each layer, and no placement changes how often it leaves.
        gather_cache: coherent: whether keys and values of new tokens are gathered as well as their ids, which ExFlow's formula does not
            count.
        gather_algorithm: of that all-gather.
        staged: where the devices are in nodes of as many each (`Cluster.nearby`), hops between nodes are avoided first, then those inside.
        algorithm: of the all-to-alls.

    How wrong it can be: with several experts per token only the first one's way is counted, not the results that come back to it. Sweeps
    end in a local optimum: of 40 random cases of 2 or 3 layers of 3 to 5 experts they solved 31, and were 19 % above the optimum in the
    worst. Load is not balanced, which ExFlow does not do either. Which device sends how much to which is the profile's mean.
    """

    profile: RoutingProcess | MarkovRouting | None = None
    profile_tokens: int = 2000
    exact_limit: int = 200
    starts: int = 8
    node_limit: int = 5000
    coherent: bool = True
    gather_cache: bool = True
    gather_algorithm: Literal["ring", "bidirectional_ring", "star", "direct", "tree"] = "ring"
    staged: bool = True
    algorithm: Literal["ring", "bidirectional_ring", "star", "direct", "tree"] = "ring"

    def __post_init__(self) -> None:
        at_least(self, profile_tokens=1, exact_limit=0, starts=1, node_limit=1)

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The data-parallel placement with its experts divided; raises `ValueError` for another placement, or without a profile."""
        layout, counts = _layout(self, model, replica)
        return parallel_placement(
            model,
            placement,
            replica,
            layout,
            coherent=self.coherent,
            algorithm=self.algorithm,
            gather_cache=self.gather_cache,
            gather_algorithm=self.gather_algorithm,
            flows=_nested(flows(counts, layout.table, len(layout.devices))) if self.coherent else (),
        )

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ParallelAgent:
        """The agent of one replica."""
        return ParallelAgent(model, _layout(self, model, replica)[0], self.coherent)

    def table(self, counts: Counts, devices: int) -> Table:
        """The placement for transition counts `(layers - 1, experts, experts)`."""
        swept = swept_table(counts, devices, self.starts)
        size = (len(counts) + 1) * counts.shape[1] * devices + int((counts > 0).sum())
        exact = exact_table(counts, devices, self.node_limit) if size <= self.exact_limit else None
        return swept if exact is None or crossings(counts, exact) >= crossings(counts, swept) else exact


def _layout(policy: Affinity, model: Model, replica: ReplicaSpec) -> tuple[Layout, Counts]:
    """The layout, and the transitions that it was solved for."""
    routes = profiled_routes("affinity", policy.profile, policy.profile_tokens, model, replica)
    counts = transition_counts(routes, shape_of(model).count)
    return _solved(policy, counts.tobytes(), counts.shape, replica.devices, _nodes(policy, replica)), counts


def _nodes(policy: Affinity, replica: ReplicaSpec) -> tuple[tuple[int, ...], ...]:
    """The ranks of each node's devices; empty where there are no nodes of as many devices, or no stages."""
    groups = replica.cluster.nearby(replica.devices) if policy.staged and len(replica.devices) > 1 else ()
    if len({len(group) for group in groups}) != 1 or len(groups) == 1 or len(groups[0]) == 1:
        return ()
    return tuple(tuple(replica.devices.index(device) for device in group) for group in groups)


@lru_cache(maxsize=64)
def _solved(
    policy: Affinity, counts: bytes, shape: tuple[int, ...], devices: tuple[str, ...], nodes: tuple[tuple[int, ...], ...]
) -> Layout:
    """`arrange` and `start` ask for the same layout: it is solved once."""
    found = np.frombuffer(counts).reshape(shape)
    table = staged_table(found, nodes, policy.table) if nodes else policy.table(found, len(devices))
    return Layout.of(devices, table)


def _nested(shares: Counts) -> Flows:
    return tuple(tuple(tuple(row) for row in layer) for layer in shares.tolist())
