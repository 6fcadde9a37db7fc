"""The suite of the `partitioning` seam: small models on replicas of one to four boards."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.accounts import check_computed_once, check_places, operations, shares_of
from edgewright.policies.conformance.sites import dense_model, expert_model, one_shot_model, site, steps_of
from edgewright.policies.families import PartitioningPolicy, Placement, Program
from edgewright.policies.plan import Compute
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part

__all__ = ["check_partitioning", "check_placement"]


def check_partitioning(policy: PartitioningPolicy) -> None:
    """Require of a partitioning policy, over small models on one to four boards:

    - it accepts at least one of them, and refuses the others by `ValueError`;
    - a plan compiles, marks one token, and runs where the replica is;
    - **every block is computed exactly once per step**, whole or as shards that add up;
    - what a device computes it holds, and all devices together hold the model;
    - planning again gives the same plan.

    Plans that are scripts are held to the last two only. Raises `AssertionError` saying for which model and replica.
    """
    accepted = 0
    for model in (dense_model(), dense_model(layers=5), expert_model(), one_shot_model()):
        for devices in (1, 2, 3, 4):
            replica = site(devices)
            with situation(policy, f"{model.name} on {devices} board(s)"):
                accepted += _try(policy, model, replica)
    require(accepted, f"{policy!r} refuses every one of the suite's models on one to four boards")


def _try(policy: PartitioningPolicy, model: Model, replica: ReplicaSpec) -> bool:
    try:
        placement = policy.plan(model, replica)
    except ValueError:
        return False
    require(isinstance(placement, Placement), f"plan returned {placement!r}, not a Placement")
    require(placement == policy.plan(model, replica), "planning again gives another placement")
    check_placement(placement, model, replica)
    return True


def check_placement(placement: Placement, model: Model, replica: ReplicaSpec) -> None:
    """Require the laws of one placement of a model: places, parts and, unless it is a script, that each block is computed once."""
    require(placement.lanes >= 1, f"lanes is {placement.lanes}, must be 1 or more")
    strangers = sorted(set(placement.parts) - set(replica.devices))
    require(not strangers, f"parts are held by {strangers}; the replica's devices are {list(replica.devices)}")
    _check_held(placement, model)
    if isinstance(placement.program, Program):
        return
    ops = operations(placement.program)
    check_places(ops, replica)
    check_computed_once(ops, model, replica.format, steps_of(model))
    for op in ops:
        if isinstance(op, Compute) and isinstance(op.work, Part):
            held = placement.parts.get(op.device, ())
            require(_holds(held, op.work), f"{op.device} computes {op.work!r} and holds {held}")


def _check_held(placement: Placement, model: Model) -> None:
    shares = shares_of(part for parts in placement.parts.values() for part in parts)
    missing = {block.name: str(shares.get(index, 0)) for index, block in enumerate(model.blocks) if shares.get(index, Fraction(0)) < 1}
    require(not missing, f"blocks that nobody holds the whole of, and how much is held: {missing}")


def _holds(held: Sequence[Part], part: Part) -> bool:
    """Whether parts that a device holds contain each block of the part, in at least as large a shard."""
    blocks = {index for each in held if each.shards <= part.shards for index in range(each.start, each.stop)}
    return blocks.issuperset(range(part.start, part.stop))
