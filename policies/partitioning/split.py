"""A model cut in two: Kang et al., Neurosurgeon: Collaborative Intelligence Between the Cloud and Mobile Edge, ASPLOS 2017."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import at_least, within
from edgewright.policies.families import Placement
from edgewright.policies.partitioning.pipeline import stage_plan
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.partitioning.stages import StageCosts, reference_step, stage_parts
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model

__all__ = ["Split"]


@register("partitioning", "split")
@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The first layers on the first device, the rest on the second, the result sent back to the first.

    Attributes:
        layer: layers on the first device; None: the cut with the least latency of one reference step (Neurosurgeon's choice).
        ratio: bytes sent per byte at the cut, for a compressed boundary; the work of compressing is not counted.
        batch, context: the reference step for `layer=None`.
        lanes: steps in flight at once.
        engine: the engine that computes, on both devices; None: each device's first.

    How wrong it can be: the cut is chosen at idle devices and an idle link, once; memory is not looked at. Neurosurgeon re-decides per
    inference from predicted times.
    """

    layer: int | None = None
    ratio: float = 1.0
    batch: int = 1
    context: int = 1024
    lanes: int = 1
    engine: str | None = None

    def __post_init__(self) -> None:
        at_least(self, batch=1, context=1, lanes=1)
        within(self, 0.0, 1.0, "ratio")

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` unless there are two devices and a cut at that layer."""
        devices = require_devices("split", replica, 2, 2)
        parts = stage_parts(model, replica, (0, self._cut(model, replica), len(model.blocks)))
        held = {device: (part,) for device, part in zip(devices, parts, strict=True)}
        plan = stage_plan(replica, parts, engine=self.engine, ordered=self.lanes > 1, ratio=self.ratio)
        return Placement(plan, held, self.lanes)

    def _cut(self, model: Model, replica: ReplicaSpec) -> int:
        cuts = {model.blocks[cut - 1].layer + 1: cut for cut in model.cuts if 0 < cut < len(model.blocks)}
        if not cuts:
            raise ValueError(f"{replica.name}: {model.name} has no layer to be split at")
        if self.layer is None:
            return self._fastest(model, replica)
        if self.layer not in cuts:
            accepted = f"{min(cuts)} to {max(cuts)}" if len(cuts) > 8 else ", ".join(str(each) for each in sorted(cuts))
            raise ValueError(f"{replica.name}: {model.name} cannot be split at layer {self.layer}; accepted are {accepted}")
        return cuts[self.layer]

    def _fastest(self, model: Model, replica: ReplicaSpec) -> int:
        costs = StageCosts(model, replica, reference_step(model, self.batch, self.context), self.engine, self.ratio)

        def latency(cut: int) -> float:
            return costs.seconds(0, 0, cut) + costs.compute_seconds(1, cut, costs.segments)

        return costs.bounds[min(range(1, costs.segments), key=latency)]
