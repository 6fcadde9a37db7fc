"""Each device computes a share of the tokens: the data-parallel side of expert parallelism.

Rajbhandari et al., DeepSpeed-MoE, ICML 2022: attention and dense layers are replicated and divide the batch, experts are divided by an
`experts` policy (`round_robin`, `popularity`, `affinity`), which replaces the mixture-of-experts layers of this plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.families import Placement
from edgewright.policies.partitioning.amounts import TokenShare
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.plan import Compute, Mark, par, seq
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model

__all__ = ["DataParallel"]


@register("partitioning", "data_parallel")
@dataclass(frozen=True, slots=True, kw_only=True)
class DataParallel:
    """The whole model on every device; the sequences of a step are divided among the devices as evenly as integers allow.

    Attributes:
        engine: the engine that computes, on every device; None: each device's first.

    How wrong it can be: sequences are shared out anew in every step, as if their cache were wherever they are computed, and each device
    is charged for the whole cache; devices are taken as equals, so a slow one sets the pace.
    """

    engine: str | None = None

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` for fewer than two devices."""
        devices = require_devices("data_parallel", replica, 2)
        part = model.part(replica.format)
        shares = (Compute(device, TokenShare(part, rank, len(devices)), self.engine) for rank, device in enumerate(devices))
        return Placement(seq(par(*shares), Mark()), dict.fromkeys(devices, (part,)))
