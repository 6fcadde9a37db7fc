"""Every partitioning policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import pytest

from edgewright.policies.conformance import check_partitioning, check_policy
from edgewright.policies.families import Placement
from edgewright.policies.partitioning import Pipeline, Single, TensorParallel
from edgewright.policies.plan import Compute, Mark, Par, Plan, Prev, Seq, Transfer, par, seq
from edgewright.policies.registry import policies_of
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model


@pytest.mark.parametrize("name", policies_of("partitioning"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("partitioning")[name]())


@dataclass(frozen=True)
class Broken:
    """`sound`, its placements spoilt by a function of placement, model and replica."""

    spoil: Callable[[Placement, Model, ReplicaSpec], Placement]
    sound: Single | Pipeline | TensorParallel

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        return self.spoil(self.sound.plan(model, replica), model, replica)


def children_of(placement: Placement) -> tuple[Plan, ...]:
    assert isinstance(placement.program, Seq)
    return placement.program.children


def without_the_first(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(*children_of(placement)[1:]))


def the_first_twice(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    first = children_of(placement)[0]
    assert isinstance(first, Compute)
    return replace(placement, program=seq(replace(first, name=None), *children_of(placement)))


def one_shard_short(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    thinned = (par(*child.children[1:]) if isinstance(child, Par) else child for child in children_of(placement))
    return replace(placement, program=seq(*thinned))


def without_a_token(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(*(child for child in children_of(placement) if not isinstance(child, Mark))))


def on_a_stranger(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(Compute("elsewhere", model.part(replica.format)), Mark()))


def holding_nothing(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, parts=dict.fromkeys(placement.parts, ()))


def held_by_the_others(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    names = list(placement.parts)
    return replace(placement, parts=dict(zip(names, [*list(placement.parts.values())[1:], placement.parts[names[0]]], strict=True)))


def held_by_a_stranger(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, parts={**placement.parts, "elsewhere": ()})


def without_lanes(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, lanes=0)


def refusing(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    raise ValueError("no")


def sending_it_nowhere(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(Transfer("board0", "nowhere", 1.0), *children_of(placement)))


def on_an_engine_that_is_not_there(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(Compute("board0", model.part(replica.format), "gpu"), Mark()))


def after_what_does_not_exist(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(Compute("board0", model.part(replica.format), after=(Prev("ghost"),)), Mark()))


CALLS = count()


def never_the_same(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, lanes=next(CALLS) + 1)


BROKEN = [
    (Broken(without_the_first, TensorParallel()), "not compute exactly once"),
    (Broken(the_first_twice, Pipeline(lanes=1)), "not compute exactly once"),
    (Broken(one_shard_short, TensorParallel()), "not compute exactly once, and how often it does: .*'1/2'"),
    (Broken(without_a_token, Single()), "0 Mark"),
    (Broken(on_a_stranger, Single()), "Compute on \\['elsewhere'\\]"),
    (Broken(holding_nothing, Single()), "nobody holds"),
    (Broken(held_by_the_others, Pipeline()), "computes .* and holds"),
    (Broken(held_by_a_stranger, Single()), "parts are held by"),
    (Broken(without_lanes, Single()), "lanes is 0"),
    (Broken(refusing, Single()), "refuses every one"),
    (Broken(never_the_same, Single()), "planning again"),
    (Broken(sending_it_nowhere, Single()), "Transfer cannot run: .*nowhere"),
    (Broken(on_an_engine_that_is_not_there, Single()), "Compute cannot run: .*gpu"),
    (Broken(after_what_does_not_exist, Single()), "does not compile: .*ghost"),
]


@pytest.mark.parametrize(("policy", "message"), BROKEN, ids=lambda value: getattr(getattr(value, "spoil", None), "__name__", ""))
def test_broken_policies_are_rejected(policy: Broken, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_partitioning(policy)
