"""The suite of the `residency` seam: placements of a small model, arranged under ample and tight memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.accounts import check_computed_once, check_places, loaded_bytes, matrix_flops, operations
from edgewright.policies.conformance.sites import dense_model, one_shot_model, site, steps_of
from edgewright.policies.families import Placement, Program, ResidencyPolicy
from edgewright.policies.plan import Collective, Compute, Mark, Op, par, seq
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Step

__all__ = ["check_residency"]

ROUNDING = 1e-6
"""Bytes by which sums of bytes may differ."""


def check_residency(policy: ResidencyPolicy) -> None:
    """Require of a residency policy, over a model whole, in stages and in shards, with memory for all, most, half and little of it:

    - it accepts at least where everything fits, and refuses by `ValueError` what it cannot arrange;
    - what a step computes, and where, stays the same; so do the parts that each device holds;
    - `resident` is within the device's weight budget, and names every device;
    - **no byte is lost**: what a device holds is in memory or read in every step, and only devices in `reads` read;
    - arranging again gives the same placement.

    Placements that become scripts are held to the rest without counting operations. Raises `AssertionError` saying in which case.
    """
    for what, model, placement, replica, ample in _cases():
        with situation(policy, what):
            try:
                arranged = policy.arrange(placement, replica)
            except ValueError as refusal:
                require(not ample, f"refuses a placement that fits: {refusal}")
                continue
            require(arranged == policy.arrange(placement, replica), "arranging again gives another placement")
            _check(placement, arranged, model, replica)


def _cases() -> Iterator[tuple[str, Model, Placement, ReplicaSpec, bool]]:
    for model in (dense_model(), one_shot_model()):
        for devices, build in ((1, _whole), (2, _staged), (3, _sharded)):
            if build is _sharded and not model.generates:
                continue
            largest = max(_held(build(model, site(devices))).values())
            for fraction in (1.5, 0.9, 0.5, 0.1):
                replica = site(devices, weight_budget=fraction * largest)
                name = f"{model.name} {build.__name__.strip('_')} on {devices} board(s), memory for {fraction} of the largest share"
                yield name, model, build(model, replica), replica, fraction > 1


def _whole(model: Model, replica: ReplicaSpec) -> Placement:
    part = model.part(replica.format)
    return Placement(seq(Compute("board0", part), Mark()), {"board0": (part,)})


def _staged(model: Model, replica: ReplicaSpec) -> Placement:
    cut = model.cuts[len(model.cuts) // 2]
    parts = (model.part(replica.format, 0, cut), model.part(replica.format, cut))
    computes = (Compute(device, part) for device, part in zip(replica.devices, parts, strict=True))
    return Placement(seq(*computes, Mark()), {device: (part,) for device, part in zip(replica.devices, parts, strict=True)})


def _sharded(model: Model, replica: ReplicaSpec) -> Placement:
    first, *middle, last = model.part(replica.format).split()
    ways = len(replica.devices)
    shards = [model.part(replica.format, part.start, part.stop, ways) for part in middle]
    summed = Collective("allreduce", replica.devices, 96.0)
    layers = [seq(par(*(Compute(device, shard) for device in replica.devices)), summed) for shard in shards]
    parts = {device: (first, *shards, last) if device == "board0" else tuple(shards) for device in replica.devices}
    return Placement(seq(Compute("board0", first), *layers, Compute("board0", last), Mark()), parts)


def _held(placement: Placement) -> dict[str, float]:
    return {device: sum(part.weight_bytes for part in parts) for device, parts in placement.parts.items()}


def _check(before: Placement, after: Placement, model: Model, replica: ReplicaSpec) -> None:
    held, resident = _held(before), after.resident
    require(after.parts == before.parts, f"changes what devices hold from {before.parts} to {after.parts}")
    if resident is None or set(resident) != set(held):
        raise AssertionError(f"resident is {resident}, which is not one figure for each of {sorted(held)}")
    for device, nbytes in resident.items():
        budget = (replica.weight_budget or {}).get(device, float("inf"))
        require(0 <= nbytes <= budget + ROUNDING, f"keeps {nbytes:.9g} bytes on {device}, which has {budget:.9g} for weights")
    if not isinstance(before.program, Program) and not isinstance(after.program, Program):
        ops = operations(after.program)
        check_places(ops, replica)
        check_computed_once(ops, model, replica.format, steps_of(model))
        _check_moved(operations(before.program), ops, model)
        _check_read(ops, after, held, model)


def _check_moved(before: list[Op], after: list[Op], model: Model) -> None:
    for step in steps_of(model):
        then, now = _flops_by_device(before, step), _flops_by_device(after, step)
        moved = {device: (then.get(device, 0.0), now.get(device, 0.0)) for device in {*then, *now}}
        wrong = {device: pair for device, pair in moved.items() if abs(pair[0] - pair[1]) > 1e-9 * pair[0]}
        require(not wrong, f"devices compute other FLOPs than before: {wrong}")


def _flops_by_device(ops: list[Op], step: Step) -> dict[str, float]:
    totals: dict[str, float] = {}
    for op in ops:
        if isinstance(op, Compute):
            totals[op.device] = totals.get(op.device, 0.0) + matrix_flops(op, step)
    return totals


def _check_read(ops: list[Op], after: Placement, held: Mapping[str, float], model: Model) -> None:
    resident = after.resident or {}
    for step in steps_of(model):
        loaded = loaded_bytes(ops, step)
        for device, nbytes in held.items():
            read, kept = loaded.get(device, 0.0), resident[device]
            require(read == 0.0 or device in after.reads, f"{device} reads {read:.9g} bytes per step and is not in reads: {after.reads}")
            require(kept + read >= nbytes - ROUNDING, f"of {nbytes:.9g} bytes on {device} {kept:.9g} stay and {read:.9g} are read")
            require(read <= nbytes + ROUNDING, f"{device} reads {read:.9g} bytes per step of the {nbytes:.9g} that it holds")
