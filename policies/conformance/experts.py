"""The suite of the `experts` seam: three layers of eight experts, on boards that hold the model whole, in stages, in shards or by tokens.

Routes are drawn at random, without the structure of a real router: what a policy's predictions are worth is not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.accounts import check_computed_once, check_places, check_token, loaded_bytes, operations
from edgewright.policies.conformance.scripts import flat, known, plans_of
from edgewright.policies.conformance.sites import expert_model, site, steps_of
from edgewright.policies.experts.keys import routes_key
from edgewright.policies.families import ExpertsAgent, ExpertsPolicy, PartitioningPolicy, Placement, Program
from edgewright.policies.partitioning import DataParallel, Pipeline, Single, TensorParallel
from edgewright.policies.plan import Op, Plan
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Step, Stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Routes = NDArray[np.int64]

__all__ = ["check_experts"]

PARTITIONINGS: tuple[tuple[PartitioningPolicy, int], ...] = (
    (Single(), 1),
    (Pipeline(), 2),
    (TensorParallel(), 2),
    (DataParallel(), 2),
    (DataParallel(), 3),
)


def check_experts(policy: ExpertsPolicy) -> None:
    """Require of an experts policy, over placements of a small model, each with its agent:

    - it accepts at least one of them, and refuses the others by `ValueError`;
    - plans compile and run where the replica is, and a step still computes the whole model once (scripts too, as they are played);
    - devices keep no more in memory than the model, and only those in `reads` read;
    - an agent's outcomes are finite numbers from 0 up, named `moe<layer>.<what>`, and the same from another agent;
    - **a layer's outcomes depend on no later layer's routes**;
    - a block of steps bound at once gives what binding them one by one gives; a restored agent goes on as if nothing had been bound.

    Raises `AssertionError` saying for which partitioning.
    """
    accepted = 0
    model = expert_model()
    for partitioning, devices in PARTITIONINGS:
        replica = site(devices)
        with situation(policy, f"after {partitioning!r} on {devices} board(s)"):
            accepted += _try(policy, model, partitioning.plan(model, replica), replica)
    require(accepted, f"{policy!r} refuses every placement that the suite has")


def _try(policy: ExpertsPolicy, model: Model, before: Placement, replica: ReplicaSpec) -> bool:
    try:
        after = policy.arrange(model, before, replica)
    except ValueError:
        return False
    require(after == policy.arrange(model, before, replica), "arranging again gives another placement")
    _check_memory(after, model, replica)
    for number, step in enumerate(steps_of(model)):
        agent = _started(policy, model, replica)
        outcomes = dict(agent.bind(_routes(number, model, step.tokens)))
        _check_step(agent, after, model, replica, replace(step, outcomes=outcomes))
    _check_agent(policy, model, replica)
    return True


def _started(policy: ExpertsPolicy, model: Model, replica: ReplicaSpec) -> ExpertsAgent:
    return policy.start(replica.name, Stream(1, "conformance"), model, replica)


def _routes(seed: int, model: Model, tokens: int) -> Routes:
    """Distinct experts per token and layer, drawn evenly."""
    import numpy as np

    shape = model.experts
    if shape is None:
        raise ValueError(f"{model.name} has no experts")
    order = np.random.default_rng(seed).random((len(shape.blocks), tokens, shape.count)).argsort(axis=2)
    return order[:, :, : shape.top_k]


# -- placements ----------------------------------------------------------------------------------------------------------------------


def _check_memory(after: Placement, model: Model, replica: ReplicaSpec) -> None:
    whole = sum(part.weight_bytes for part in model.part(replica.format).split())
    for device, nbytes in (after.resident or {}).items():
        require(device in replica.devices, f"resident names {device}; the replica's devices are {list(replica.devices)}")
        require(0 <= nbytes <= whole * (1 + 1e-9), f"keeps {nbytes:.9g} bytes on {device} of a model of {whole:.9g}")


def _check_step(agent: ExpertsAgent, after: Placement, model: Model, replica: ReplicaSpec, step: Step) -> None:
    program = agent if isinstance(agent, Program) else after.program
    ops = _played(program, step) if isinstance(program, Program) else operations(program)
    check_places(ops, replica)
    check_computed_once(ops, model, replica.format, (step,))
    readers = {device for device, nbytes in loaded_bytes(ops, step).items() if nbytes > 0}
    require(readers <= set(after.reads), f"{sorted(readers)} read from storage, and reads names {list(after.reads)}")


def _played(program: Program, step: Step) -> list[Op]:
    return check_token(flat(*plans_of(program.step(step), known(step.outcomes))))


# -- agents --------------------------------------------------------------------------------------------------------------------------


def _check_agent(policy: ExpertsPolicy, model: Model, replica: ReplicaSpec) -> None:
    steps, tokens = 12, 3
    routes = _routes(99, model, steps * tokens)
    agent, other = _started(policy, model, replica), _started(policy, model, replica)
    single = [dict(agent.bind(each)) for each in _cut(routes, tokens)]
    for outcomes in single:
        _check_outcomes(outcomes)
    require(_same(single, [other.bind(each) for each in _cut(routes, tokens)]), "a second agent binds the same routes to other outcomes")
    _check_block(_started(policy, model, replica), routes, single)
    _check_snapshot(_started(policy, model, replica), routes, single)
    _check_foresight(policy, model, replica, routes[:, :tokens])


def _cut(routes: Routes, tokens: int) -> Iterator[Routes]:
    return (routes[:, first : first + tokens] for first in range(0, routes.shape[1], tokens))


def _check_outcomes(outcomes: Mapping[str, Any]) -> None:
    for key, value in outcomes.items():
        require(_layer_of(key) is not None, f"outcome {key!r} is not named moe<layer>.<what>")
        if key != routes_key(_layer_of(key) or 0):
            require(0 <= float(value) < float("inf"), f"outcome {key} is {value!r}, not a finite number from 0 up")


def _layer_of(key: str) -> int | None:
    head = key.partition(".")[0].removeprefix("moe")
    return int(head) if key.startswith("moe") and head.isdigit() else None


def _check_block(agent: ExpertsAgent, routes: Routes, single: list[dict[str, Any]]) -> None:
    block = agent.bind_block(routes, len(single))
    require(set(block) == set(single[0]), f"a block of steps has outcomes {sorted(block)}, single steps {sorted(single[0])}")
    steps = [{key: values[step] for key, values in block.items()} for step in range(len(single))]
    require(_same(steps, single), f"a block of steps is bound to {steps}, its steps one by one to {single}")


def _check_snapshot(agent: ExpertsAgent, routes: Routes, single: list[dict[str, Any]]) -> None:
    half = len(single) // 2
    agent.bind_block(routes[:, : routes.shape[1] // 2], half)
    state = agent.snapshot()
    agent.bind_block(routes[:, ::-1], len(single))
    agent.restore(state)
    again = [agent.bind(each) for each in _cut(routes[:, routes.shape[1] // 2 :], routes.shape[1] // len(single))]
    require(_same(again, single[half:]), "a restored agent does not go on from where its snapshot was taken")


def _same(found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> bool:
    import numpy as np

    pairs = zip(found, expected, strict=True)
    return all(one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one) for one, other in pairs)


def _check_foresight(policy: ExpertsPolicy, model: Model, replica: ReplicaSpec, routes: Routes) -> None:
    for layers in range(1, len(routes)):
        past = sorted(_layers(model))[:layers]
        changed = routes.copy()
        changed[layers:] = _routes(7, model, routes.shape[1])[layers:]
        agents = [_started(policy, model, replica) for _ in range(2)]
        expected, found = (agent.bind(each) for agent, each in zip(agents, (routes, changed), strict=True))
        seen = [key for key in expected if _layer_of(key) in past and not _same([{key: expected[key]}], [{key: found[key]}])]
        require(not seen, f"{seen} depend on the routes of layers after {past[-1]}")
        scripts = [_script(agent, each, routes.shape[1]) for agent, each in zip(agents, (expected, found), strict=True)]
        require(scripts[0][: layers + 1] == scripts[1][: layers + 1], f"a script depends on the routes of layers after {past[-1]}")


def _script(agent: ExpertsAgent, outcomes: Mapping[str, Any], tokens: int) -> list[Plan]:
    """The plans of a step of an agent that is a program; none of another."""
    step = Step.of(decode=range(5, 5 + tokens))
    return plans_of(agent.step(replace(step, outcomes=outcomes)), known(outcomes)) if isinstance(agent, Program) else []


def _layers(model: Model) -> list[int]:
    return [model.blocks[block].layer for block in model.experts.blocks] if model.experts else []
