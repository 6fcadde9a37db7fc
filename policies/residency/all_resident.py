"""Everything in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.policies.families import Placement
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import held_bytes, weight_budget
from edgewright.policies.views import ReplicaSpec

__all__ = ["AllResident"]


@register("residency", "all_resident")
@dataclass(frozen=True, slots=True, kw_only=True)
class AllResident:
    """All weights of a device stay in its memory, and are read from storage before the run.

    Where an `experts` policy keeps only some experts in memory, that stands: all that it keeps must fit.

    How wrong it can be: the time to start is not counted.
    """

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The same plan; raises `ValueError`, naming the device and both sizes, where weights exceed their budget."""
        resident = placement.resident or {device: held_bytes(parts) for device, parts in placement.parts.items()}
        for device, needed in resident.items():
            if needed > weight_budget(replica, device):
                raise ValueError(
                    f"{replica.name}: {needed / 1e9:.4g} GB of weights do not fit the {weight_budget(replica, device) / 1e9:.4g} GB that "
                    f"{device} has for them; accepted are a smaller model or format, more devices, or residency 'lru', 'pinned' or "
                    "'streaming_window'"
                )
        return replace(placement, resident=resident)
