"""What a stage of a pipeline costs, and where to cut: shared by `pipeline` and `split`.

Costs are those of one reference step on idle devices, read off the same prices as the run's. A stage's seconds are the sum over its
segments, each priced alone; pricing a stage at once may be below that where roofs of different segments overlap (by less than 1 % for
transformers, whose segments are alike).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from edgewright.policies.residency.budget import weight_budget
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part, Step

__all__ = ["StageCosts", "reference_step", "stage_parts"]


def reference_step(model: Model, batch: int, context: int) -> Step:
    """The step that costs are compared at: `batch` sequences that decode at `context` cached tokens, or `batch` one-shot inputs."""
    if not model.generates:
        return Step(items=batch)
    return Step.of(decode=[context] * batch, windows=model.windows)


def stage_parts(model: Model, replica: ReplicaSpec, bounds: Sequence[int]) -> tuple[Part, ...]:
    """The parts between consecutive block indices of `bounds`."""
    return tuple(model.part(replica.format, start, stop) for start, stop in pairwise(bounds))


@dataclass(frozen=True)
class StageCosts:
    """Costs of stages made of whole segments, the pieces between the model's `cuts`.

    Attributes:
        model, replica: what is cut, and for whom; stage `i` runs on device `i`.
        step: the reference step.
        engine: engine on every device; None: each device's first.
        ratio: bytes sent per byte at a boundary inside the model (the result is sent as it is).
        kv_tokens: cached tokens that must fit beside the weights.
    """

    model: Model
    replica: ReplicaSpec
    step: Step
    engine: str | None = None
    ratio: float = 1.0
    kv_tokens: int = 0

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """Block indices at which segments begin, and the end."""
        return tuple(sorted({0, *self.model.cuts, len(self.model.blocks)}))

    @property
    def segments(self) -> int:
        """Pieces that stages are made of."""
        return len(self.bounds) - 1

    def seconds(self, stage: int, first: int, last: int) -> float:
        """Compute segments `first` to `last` (exclusive) on the stage's device, and send the result on.

        The result of the last stage goes back to the first device; a lone stage sends nothing.
        """
        return self.compute_seconds(stage, first, last) + self.send_seconds(stage, last)

    def compute_seconds(self, stage: int, first: int, last: int) -> float:
        """Compute segments `first` to `last` (exclusive) on the stage's device."""
        sums = self._compute_sums[stage]
        return sums[last] - sums[first]

    def send_seconds(self, stage: int, last: int) -> float:
        """Send what leaves segment `last - 1` from the stage's device to the next one, round to the first."""
        devices, cluster = self.replica.devices, self.replica.cluster
        ratio = self.ratio if last < self.segments else 1.0
        nbytes = ratio * self.model.boundary_bytes(self.bounds[last], self.step, self.replica.format)
        demand = cluster.transfer(devices[stage], devices[(stage + 1) % len(devices)], nbytes)
        return float(demand.alone(cluster.capacities))

    def held_bytes(self, first: int, last: int) -> float:
        """Weights, cache and state of segments `first` to `last` (exclusive)."""
        return self._held_sums[last] - self._held_sums[first]

    def fits(self, stage: int, first: int, last: int) -> bool:
        """Whether the segments' bytes are within the device's weight budget."""
        return self.held_bytes(first, last) <= weight_budget(self.replica, self.replica.devices[stage])

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        return stage_parts(self.model, self.replica, self.bounds)

    @cached_property
    def _held_sums(self) -> tuple[float, ...]:
        held = (part.weight_bytes + part.kv_bytes_per_token * self.kv_tokens + part.state_bytes * self.step.decode for part in self._parts)
        return tuple(accumulate(held, initial=0.0))

    @cached_property
    def _compute_sums(self) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(accumulate(self._alone(device), initial=0.0)) for device in self.replica.devices)

    def _alone(self, device: str) -> list[float]:
        cluster = self.replica.cluster
        known: dict[object, float] = {}
        for part in self._parts:
            if part.signature not in known:
                known[part.signature] = float(cluster.compute(device, part(self.step), self.engine).alone(cluster.capacities))
        return [known[part.signature] for part in self._parts]
