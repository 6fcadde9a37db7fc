"""Layer pipeline over uneven devices: Zhang et al., EdgeShard: Efficient LLM Inference via Collaborative Edge Computing, 2024.

Cuts by dynamic programming over contiguous layers, as PipeDream (Narayanan et al., SOSP 2019) does for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from edgewright.policies.base import at_least
from edgewright.policies.families import Placement
from edgewright.policies.partitioning.amounts import BoundaryBytes
from edgewright.policies.partitioning.cuts import best_cuts
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.partitioning.stages import StageCosts, reference_step, stage_parts
from edgewright.policies.plan import Compute, Mark, Plan, Prev, Transfer, seq
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part

__all__ = ["Pipeline", "stage_plan"]


@register("partitioning", "pipeline")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Consecutive layers on consecutive devices, in the replica's order; the token goes back to the first device.

    The cuts minimise the slowest stage (its compute and the transfer of what it puts out) at a reference step, and then the sum of the
    stages, among the cuts that fit each device's memory. Every device gets at least one segment; the order of devices is not searched.

    Attributes:
        batch, context: the reference step: sequences that decode, and their cached tokens (`batch` inputs of a one-shot model).
        fit: whether each stage's weights and the reference step's cache must fit its device's weight budget; False where weights are
            read from storage.
        lanes: steps in flight at once; None: as many as stages.
        engine: the engine that computes, on every device; None: each device's first.

    How wrong it can be: cuts chosen at one step are not the best at another (prefill shifts the balance towards devices with more
    FLOP/s); a stage that computes while it sends is faster than its sum here, so the real bottleneck is below the one minimised.
    """

    batch: int = 1
    context: int = 1024
    fit: bool = True
    lanes: int | None = None
    engine: str | None = None

    def __post_init__(self) -> None:
        at_least(self, batch=1, context=1, lanes=1)

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` for fewer than two devices, more devices than segments, or a model that does not fit."""
        devices = require_devices("pipeline", replica, 2)
        parts = stage_parts(model, replica, self._bounds(model, replica))
        lanes = len(devices) if self.lanes is None else self.lanes
        held = {device: (part,) for device, part in zip(devices, parts, strict=True)}
        return Placement(stage_plan(replica, parts, engine=self.engine, ordered=lanes > 1), held, lanes)

    def _bounds(self, model: Model, replica: ReplicaSpec) -> tuple[int, ...]:
        step = reference_step(model, self.batch, self.context)
        tokens = self.batch * self.context if model.generates else 0
        costs = StageCosts(model, replica, step, self.engine, kv_tokens=tokens)
        if costs.segments < len(replica.devices):
            raise ValueError(f"{replica.name}: {model.name} has {costs.segments} segments, too few for {len(replica.devices)} stages")

        def cost(stage: int, first: int, last: int) -> float:
            return costs.seconds(stage, first, last) if not self.fit or costs.fits(stage, first, last) else inf

        cuts = best_cuts(len(replica.devices), costs.segments, cost)
        if cuts is None:
            needed = costs.held_bytes(0, costs.segments) / 1e9
            raise ValueError(
                f"{replica.name}: no cut of {model.name} ({needed:.4g} GB with cache) fits the memory of {list(replica.devices)}"
            )
        return tuple(costs.bounds[cut] for cut in cuts)


def stage_plan(replica: ReplicaSpec, parts: tuple[Part, ...], *, engine: str | None, ordered: bool, ratio: float = 1.0) -> Plan:
    """Compute the parts one after another, each on its device, with transfers between them and the result sent back to the first.

    `ordered`: several steps may be in flight; each stage then takes them in their order (`lag=1`), and what it sends goes over one
    connection, in that order. `ratio` compresses the boundaries.
    """
    children: list[Plan] = []
    for stage, (device, part) in enumerate(zip(replica.devices, parts, strict=True)):
        name, last = f"stage{stage}", stage + 1 == len(parts)
        target = replica.devices[(stage + 1) % len(parts)]
        children.append(Compute(device, part, engine, name=name, after=(Prev(name, 1),) if ordered else ()))
        sent = BoundaryBytes(part.model, part.stop, part.format, 1.0 if last else ratio)
        children.append(Transfer(device, target, sent, "stages", name=f"send{stage}"))
    return seq(*children, Mark())
