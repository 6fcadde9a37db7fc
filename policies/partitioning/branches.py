"""Parts of a model that run side by side, each on a device of its own, joined at the root: Liu et al., ED-ViT, 2024 (arXiv 2410.11650).

A model whose blocks form several chains from the input to one block that reads them all (an ensemble, sub-models per class, the towers of
a multi-modal model). One message goes to each device per step and one comes back: no other plan of several devices says less.

Placement is ED-ViT's greedy rule: the parts in descending work, each to the device that would end it first, among those whose memory has
room.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.families import Placement
from edgewright.policies.partitioning.amounts import BoundaryBytes, OutputBytes
from edgewright.policies.partitioning.requirements import require_devices
from edgewright.policies.partitioning.stages import reference_step
from edgewright.policies.plan import Amount, Compute, Mark, Plan, Transfer, par, seq
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import weight_budget
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part

__all__ = ["Branches", "chains"]


@register("partitioning", "branches")
@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """The chains of a model on devices chosen greedily; the input comes from the root, the replica's first device, which joins the results.

    A model that is one chain goes to the device that is fastest for it.

    Attributes:
        root_computes: whether the root takes chains as well; it does where it is the only device.
        engine: the engine that computes, on every device; None: each device's first.

    How wrong it can be: greedy placement of unlike chains can be a third above the best (Graham, 1969); devices start together, whatever
    else they do. Activations are not in the memory that is looked at.
    """

    root_computes: bool = False
    engine: str | None = None

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """The plan; raises `ValueError` for a model whose chains do not end in one join, or where no device has room for a chain."""
        devices = require_devices("branches", replica, 1)
        found, join = chains(model)
        workers = devices if self.root_computes or len(devices) == 1 else devices[1:]
        placed = self._placed([model.part(replica.format, start, stop) for start, stop in found], replica, workers)
        root = devices[0]
        sides = [self._side(device, parts, root, model, replica) for device, parts in placed.items() if parts]
        held = {device: parts for device, parts in placed.items() if parts}
        last: tuple[Plan, ...] = ()
        if join < len(model.blocks):
            tail = model.part(replica.format, join)
            held[root] = (*held.get(root, ()), tail)
            last = (Compute(root, tail, self.engine, name="join"),)
        return Placement(seq(par(*sides), *last, Mark()), held)

    def _placed(self, parts: list[Part], replica: ReplicaSpec, workers: tuple[str, ...]) -> dict[str, tuple[Part, ...]]:
        cluster, step = replica.cluster, reference_step(parts[0].model, 1, 1024)
        seconds = {
            (device, part.signature): float(cluster.compute(device, part(step), self.engine).alone(cluster.capacities))
            for device in workers
            for part in parts
        }
        placed: dict[str, tuple[Part, ...]] = dict.fromkeys(workers, ())
        busy, room = dict.fromkeys(workers, 0.0), {device: weight_budget(replica, device) for device in workers}
        for part in sorted(parts, key=lambda each: -max(seconds[device, each.signature] for device in workers)):
            able = [device for device in workers if room[device] >= part.weight_bytes]
            if not able:
                raise ValueError(
                    f"{replica.name}: no device has room for a part of {part.weight_bytes:.6g} bytes; accepted are more devices or memory"
                )
            device = min(able, key=lambda each: busy[each] + seconds[each, part.signature])
            placed[device] += (part,)
            busy[device] += seconds[device, part.signature]
            room[device] -= part.weight_bytes
        return placed

    def _side(self, device: str, parts: tuple[Part, ...], root: str, model: Model, replica: ReplicaSpec) -> Plan:
        """What one device does: the input once, then its chains, the result of each sent as it is there."""
        computes: list[Plan] = []
        for part in parts:
            computes.append(Compute(device, part, self.engine, name=f"blocks {part.start}-{part.stop}"))
            if device != root:
                computes.append(Transfer(device, root, _result(model, part, replica)))
        arrives = [] if device == root else [Transfer(root, device, BoundaryBytes(model, 0, replica.format))]
        return seq(*arrives, *computes)


def _result(model: Model, part: Part, replica: ReplicaSpec) -> Amount:
    if part.stop == len(model.blocks):
        return BoundaryBytes(model, part.stop, replica.format)
    return OutputBytes.of(model, part.stop - 1, replica.format)


def chains(model: Model) -> tuple[tuple[tuple[int, int], ...], int]:
    """Bounds `(start, stop)` of the chains from a model's input, in order, and the first block behind all of them (`len(blocks)`: none).

    Raises `ValueError` unless the chains lie one behind the other and only the join reads more than one of them.
    """
    starts = [index for index, block in enumerate(model.blocks) if (index == 0 and block.inputs is None) or block.inputs == (-1,)]
    owner: list[int] = []
    for index, block in enumerate(model.blocks):
        inputs = (index - 1,) if block.inputs is None else block.inputs
        read = {owner[each] for each in inputs if each >= 0}
        if len(read) > 1:
            ends = {start - 1 for start in starts[1:]} | {index - 1}
            if ends != set(inputs) or any(each > index for each in starts):
                raise ValueError(f"{model.name}: {block.name} does not join the results of all chains; accepted is one join behind them")
            return tuple(zip(starts, (*starts[1:], index), strict=True)), index
        owner.append(index if index in starts else next(iter(read), index))
    if len(starts) > 1:
        raise ValueError(f"{model.name} ends in {len(starts)} chains that nothing joins; accepted is one join behind them")
    return ((0, len(model.blocks)),), len(model.blocks)
