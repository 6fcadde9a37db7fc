"""Every experts policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest

from edgewright.policies.conformance import check_experts, check_policy
from edgewright.policies.experts import Affinity, OnDemand, Popularity, Prefetch, RoundRobin
from edgewright.policies.families import ExpertsAgent, ExpertsPolicy, Placement
from edgewright.policies.plan import Compute, Mark, seq
from edgewright.policies.registry import policies_of
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Stream
from edgewright.workloads.routing_stats import RoutingProcess

PROFILE = RoutingProcess(layers=3, experts=8, top_k=2, skew=0.7, affinity=0.5)
GIVEN = {"affinity": Affinity(profile=PROFILE, exact_limit=0), "popularity": Popularity(profile=PROFILE)}
"""Policies that must be told what was seen before the run; `exact_limit=0` leaves out the integer program, which takes seconds."""


@pytest.mark.parametrize("name", policies_of("experts"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(GIVEN[name] if name in GIVEN else policies_of("experts")[name]())


VARIANTS = [OnDemand(slots=0), OnDemand(slots=2), Prefetch(slots=4, depth=1, history=2, profile=PROFILE), Prefetch(slots=0, depth=0)]


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@dataclass(frozen=True)
class Broken:
    """`sound`, its placements or its agents' outcomes spoilt."""

    sound: ExpertsPolicy
    place: Callable[[Placement, Model, ReplicaSpec], Placement] = lambda placement, model, replica: placement
    spoil: Callable[[dict[str, Any], Any, int], dict[str, Any]] = lambda outcomes, routes, call: outcomes
    backwards: bool = False

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        return self.place(self.sound.arrange(model, placement, replica), model, replica)

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ExpertsAgent:
        return _Agent(self, self.sound.start(scope, stream, model, replica))


class _Agent:
    def __init__(self, policy: Broken, sound: ExpertsAgent) -> None:
        self.policy, self.sound, self.calls = policy, sound, count()

    def bind(self, routes: Any) -> Mapping[str, Any]:
        return self.policy.spoil(dict(self.sound.bind(routes)), routes, next(self.calls))

    def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
        outcomes = dict(self.sound.bind_block(routes, steps))
        return {key: values[::-1] for key, values in outcomes.items()} if self.policy.backwards else outcomes

    def snapshot(self) -> object:
        return self.sound.snapshot()

    def restore(self, state: Any) -> None:
        self.sound.restore(state)


class _Forgetful(_Agent):
    def restore(self, state: Any) -> None:
        pass


@dataclass(frozen=True)
class NeverGoingBack(Broken):
    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ExpertsAgent:
        return _Forgetful(self, self.sound.start(scope, stream, model, replica))


def dropping_a_device(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, program=seq(Compute(replica.devices[0], model.part(replica.format, 0, 2)), Mark()))


def keeping_too_much(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, resident={replica.devices[0]: 1e9})


def not_saying_who_reads(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    return replace(placement, reads=())


def refusing(placement: Placement, model: Model, replica: ReplicaSpec) -> Placement:
    raise ValueError("no")


def losing_rows(outcomes: dict[str, Any], routes: Any, call: int) -> dict[str, Any]:
    return {key: 0.9 * value if key.endswith(".rows") else value for key, value in outcomes.items()}


def below_zero(outcomes: dict[str, Any], routes: Any, call: int) -> dict[str, Any]:
    return {**outcomes, "moe0.missing": -1.0}


def unnamed(outcomes: dict[str, Any], routes: Any, call: int) -> dict[str, Any]:
    return {**outcomes, "hits": 1.0}


SHARED = count()


def sharing_state(outcomes: dict[str, Any], routes: Any, call: int) -> dict[str, Any]:
    return {**outcomes, "moe0.missing": float(next(SHARED))}


BROKEN = [
    (Broken(OnDemand(), place=dropping_a_device), "not compute exactly once"),
    (Broken(OnDemand(), place=keeping_too_much), "of a model of"),
    (Broken(OnDemand(slots=1), place=not_saying_who_reads), "read from storage, and reads names"),
    (Broken(OnDemand(), place=refusing), "refuses every placement"),
    (Broken(RoundRobin(), spoil=losing_rows), "FLOPs where the model has"),
    (Broken(OnDemand(), spoil=below_zero), "not a finite number from 0 up"),
    (Broken(OnDemand(), spoil=unnamed), "is not named moe<layer>"),
    (Broken(OnDemand(), spoil=sharing_state), "a second agent binds"),
    (Broken(OnDemand(slots=2), backwards=True), "a block of steps is bound to"),
    (NeverGoingBack(OnDemand(slots=2)), "does not go on from where its snapshot was taken"),
]


@pytest.mark.parametrize(("policy", "message"), BROKEN, ids=lambda value: "" if isinstance(value, str) else "broken")
def test_broken_policies_are_rejected(policy: Broken, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_experts(policy)


def test_the_policies_that_the_broken_ones_are_made_from_conform() -> None:
    check_experts(Broken(OnDemand(slots=2)))


def test_looking_at_a_later_layer_is_found_out() -> None:
    class Foreseeing(_Agent):
        def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
            outcomes = dict(self.sound.bind_block(routes, steps))
            outcomes["moe0.missing"] = routes[-1].reshape(steps, -1).sum(axis=1).astype(float)
            return outcomes

        def bind(self, routes: Any) -> Mapping[str, Any]:
            return {key: float(values[0]) for key, values in self.bind_block(routes, 1).items()}

    class Policy(Broken):
        def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ExpertsAgent:
            return Foreseeing(self, self.sound.start(scope, stream, model, replica))

    with pytest.raises(AssertionError, match=r"\['moe0.missing'\] depend on the routes of layers after 0"):
        check_experts(Policy(OnDemand()))
