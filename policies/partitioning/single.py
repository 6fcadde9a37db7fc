"""The whole model on one device."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.families import Placement
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.plan import Compute, Mark, seq
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model

__all__ = ["Single"]


@register("partitioning", "single")
@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One `Compute` of the whole model on the replica's one device.

    Attributes:
        engine: the device's engine that computes; None: its first.

    How wrong it can be: as wrong as the price of its work; nothing is sent or waited for.
    """

    engine: str | None = None

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` unless the replica has exactly one device, with that engine."""
        (device,) = require_devices("single", replica, 1, 1)
        replica.cluster.engine_name(device, self.engine)
        part = model.part(replica.format)
        return Placement(seq(Compute(device, part, self.engine, name="model"), Mark()), {device: (part,)})
