"""Experts dealt out to devices in turn: the default of Rajbhandari et al., DeepSpeed-MoE, ICML 2022, up to the order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.policies.experts.layout import Layout, round_robin_table
from edgewright.policies.experts.parallel import ParallelAgent, parallel_placement
from edgewright.policies.experts.routes import shape_of
from edgewright.policies.families import Placement
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Stream

__all__ = ["RoundRobin"]


@register("experts", "round_robin")
@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRobin:
    """Expert `e` of every layer on device `e mod N`: as many experts everywhere, blind to how often they are chosen.

    Attributes:
        coherent: every device keeps the cache of every sequence (see `parallel`); this isolates ExFlow's first idea from its placement.
        gather_cache: coherent: whether keys and values of new tokens are gathered as well as their ids.
        gather_algorithm: of that all-gather.
        algorithm: of the all-to-alls: `ring` (pairwise), `bidirectional_ring`, `star`, `direct` (all at once) or `tree` (Bruck).

    How wrong it can be: all-to-alls are even, and dense layers wait for the slowest device.
    """

    coherent: bool = False
    gather_cache: bool = True
    gather_algorithm: Literal["ring", "bidirectional_ring", "star", "direct", "tree"] = "ring"
    algorithm: Literal["ring", "bidirectional_ring", "star", "direct", "tree"] = "ring"

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The data-parallel placement with its experts divided; raises `ValueError` for another placement."""
        return parallel_placement(
            model,
            placement,
            replica,
            _layout(model, replica),
            coherent=self.coherent,
            algorithm=self.algorithm,
            gather_cache=self.gather_cache,
            gather_algorithm=self.gather_algorithm,
        )

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ParallelAgent:
        """The agent of one replica."""
        return ParallelAgent(model, _layout(model, replica), self.coherent)


def _layout(model: Model, replica: ReplicaSpec) -> Layout:
    shape = shape_of(model)
    return Layout.of(replica.devices, round_robin_table(len(shape.blocks), shape.count, len(replica.devices)))
