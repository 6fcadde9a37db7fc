"""Tensor parallelism: Shoeybi et al., Megatron-LM, 2019; over edge devices: Li et al., TPI-LLM, 2024."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgewright.policies.families import Placement
from edgewright.policies.partitioning.amounts import OutputBytes
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.plan import Collective, Compute, Mark, Plan, par, seq
from edgewright.policies.registry import register
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Block, Model, Part

__all__ = ["TensorParallel"]


@register("partitioning", "tensor_parallel")
@dataclass(frozen=True, slots=True, kw_only=True)
class TensorParallel:
    """Every sub-block (attention, feed-forward) in equal shards on all devices side by side, each followed by an all-reduce.

    The root, the replica's first device, computes what is not sharded (embedding, head) and broadcasts the embedded tokens.

    Attributes:
        algorithm: of the collectives, see `hwmodels.collectives`; `star`: the root adds and sends back; `hierarchical`: over groups of
            devices that are near each other (`Cluster.nearby`).
        additions: whether those of the all-reduces are computed, in the format's vector arithmetic, by the engines that come first.
        engine: the engine that computes, on every device; None: each device's first.

    How wrong it can be: shards are equal, so the slowest device sets the pace; the head is not sharded over the vocabulary as Megatron-LM
    does on one machine, which costs the root `vocab * hidden` weights per step.
    """

    algorithm: Literal["ring", "bidirectional_ring", "star", "direct", "tree", "recursive_doubling", "halving_doubling", "hierarchical"] = (
        "ring"
    )
    additions: bool = False
    engine: str | None = None

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` for fewer than two devices or a block that does not divide by their number."""
        devices = require_devices("tensor_parallel", replica, 2)
        runs = _runs(model, len(devices))
        _check(model, replica)
        children: list[Plan] = []
        parts: dict[str, tuple[Part, ...]] = dict.fromkeys(devices, ())
        for start, stop, shards in runs:
            part = model.part(replica.format, start, stop, shards)
            for device in devices if shards > 1 else devices[:1]:
                parts[device] += (part,)
            children += self._sharded(part, replica) if shards > 1 else self._at_root(part, replica)
        return Placement(seq(*children, Mark()), parts)

    def _sharded(self, part: Part, replica: ReplicaSpec) -> list[Plan]:
        children: list[Plan] = []
        for block in part.split():
            children.append(par(*(Compute(device, block, self.engine) for device in replica.devices)))
            children.append(self._collective("allreduce", replica, block))
        return children

    def _at_root(self, part: Part, replica: ReplicaSpec) -> list[Plan]:
        compute = Compute(replica.devices[0], part, self.engine)
        ends = part.stop == len(part.model.blocks)
        return [compute] if ends else [compute, self._collective("broadcast", replica, part)]

    def _collective(self, kind: str, replica: ReplicaSpec, part: Part) -> Plan:
        nbytes = OutputBytes.of(part.model, part.stop - 1, part.format)
        groups = replica.cluster.nearby(replica.devices) if self.algorithm == "hierarchical" else ()
        added = part.format.vector_dtype if self.additions and kind == "allreduce" else None
        element = part.format.activation_bytes
        return Collective(kind, replica.devices, nbytes, self.algorithm, groups, arithmetic=added, element=element)


def _runs(model: Model, shards: int) -> list[tuple[int, int, int]]:
    """Consecutive blocks that are all sharded, or all at the root: `(start, stop, shards)`."""
    runs: list[tuple[int, int, int]] = []
    for index, block in enumerate(model.blocks):
        ways = shards if block.reduces else 1
        if runs and runs[-1][2] == ways:
            runs[-1] = (runs[-1][0], index + 1, ways)
        else:
            runs.append((index, index + 1, ways))
    return runs


def _check(model: Model, replica: ReplicaSpec) -> None:
    shards = len(replica.devices)
    sharded = [block for block in model.blocks if block.reduces]
    if not sharded:
        raise ValueError(f"{replica.name}: {model.name} has no block that can be sharded, which partitioning 'tensor_parallel' needs")
    for block in sharded:
        if not block.shardable(shards):
            raise ValueError(
                f"{replica.name}: {block.name} of {model.name} does not divide into {shards} shards; accepted are {_accepted(sharded)}"
            )


def _accepted(blocks: Sequence[Block]) -> str:
    """The numbers of shards, from 2 up, into which all these blocks divide."""
    distinct = {block.operators: block for block in blocks}.values()
    most = min(max(each.ways for each in block.operators) for block in distinct)
    return ", ".join(str(shards) for shards in range(2, most + 1) if all(block.shardable(shards) for block in distinct)) or "none"
