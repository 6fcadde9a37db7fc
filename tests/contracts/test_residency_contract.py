"""Every residency policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import pytest

from edgewright.policies.conformance import check_policy, check_residency
from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Load, Loop, Mark, Par, Plan, Seq, seq
from edgewright.policies.registry import policies_of
from edgewright.policies.residency import Lru, StreamingWindow
from edgewright.policies.views import ReplicaSpec


@pytest.mark.parametrize("name", policies_of("residency"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("residency")[name]())


@pytest.mark.parametrize("policy", [StreamingWindow(window=1), StreamingWindow(window=3, always=True, keep=())], ids=repr)
def test_other_hyper_parameters_conform(policy: StreamingWindow) -> None:
    check_policy(policy)


@dataclass(frozen=True)
class Broken:
    """`lru`, its placements spoilt by a function of placement and replica."""

    spoil: Callable[[Placement, ReplicaSpec], Placement]

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        return self.spoil(Lru().arrange(placement, replica), replica)


def rewritten(plan: Plan, change: Callable[[Plan], Plan | None]) -> Plan:
    """The plan with every operation changed, or left out where `change` gives None."""
    if isinstance(plan, Seq | Par):
        kept = [rewritten(child, change) for child in plan.children if isinstance(child, Seq | Par | Loop) or change(child) is not None]
        return replace(plan, children=tuple(kept))
    return change(plan) or plan


def without_reads(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=rewritten(placement.program, lambda op: None if isinstance(op, Load) else op))


def reading_twice(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=rewritten(placement.program, lambda op: seq(op, op) if isinstance(op, Load) else op))


def not_saying_who_reads(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, reads=())


def without_computing(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=rewritten(placement.program, lambda op: None if isinstance(op, Compute) else op))


def all_on_the_first(placement: Placement, replica: ReplicaSpec) -> Placement:
    def moved(op: Plan) -> Plan:
        return replace(op, device="board0") if isinstance(op, Compute) else op

    return replace(placement, program=rewritten(placement.program, moved))


def keeping_it_all(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, resident={device: sum(p.weight_bytes for p in parts) for device, parts in placement.parts.items()})


def silent_on_memory(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, resident=None)


def dropping_parts(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, parts={device: parts[:-1] for device, parts in placement.parts.items()})


def refusing(placement: Placement, replica: ReplicaSpec) -> Placement:
    raise ValueError("no")


def without_a_token(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=rewritten(placement.program, lambda op: None if isinstance(op, Mark) else op))


CALLS = count()


def never_the_same(placement: Placement, replica: ReplicaSpec) -> Placement:
    return replace(placement, lanes=next(CALLS))


BROKEN = [
    (without_reads, "stay and 0 are read"),
    (reading_twice, "per step of the"),
    (not_saying_who_reads, "is not in reads"),
    (without_computing, "not compute exactly once"),
    (all_on_the_first, "other FLOPs than before"),
    (keeping_it_all, "which has .* for weights"),
    (silent_on_memory, "not one figure for each"),
    (dropping_parts, "changes what devices hold"),
    (refusing, "refuses a placement that fits: no"),
    (without_a_token, "0 Mark"),
    (never_the_same, "arranging again"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_policies_are_rejected(spoil: Callable[[Placement, ReplicaSpec], Placement], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_residency(Broken(spoil))


def test_the_policy_that_the_broken_ones_are_made_from_conforms() -> None:
    check_residency(Broken(lambda placement, replica: placement))
