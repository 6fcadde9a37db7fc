"""The uncontended timeline of a plan: when each operation would start and end if nothing else ran.

`Timeline` prices one iteration of a strand at one or many points at once; the simulator's stretches jump along it, `explain` draws it.
`makespan` gives the end of a plan or script without contention. Both price operations as the interpreter does, so where nothing contends
they agree with it to rounding (a property test says so).

How wrong: two operations of one plan that share an engine or a link are not made to wait for each other here; `conflicts` tells
whether a strand has such a pair, and the simulator then interprets it. Pools are taken as unbounded, and calls to other services,
whose time is not the plan's, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.hwmodels import Cluster, Demand, Quantity
from edgewright.policies.compile import PlanError, RaceEnd, Strand, compile_plan
from edgewright.policies.families import Outcome, Program
from edgewright.policies.plan import Call, Join, Plan, Signal, Wait
from edgewright.policies.pricing import demand_of
from edgewright.workloads import Step

__all__ = ["Timeline", "conflicts", "makespan", "price_classes", "timeline"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One iteration of a strand, alone, from time 0; times are floats, or arrays over priced points.

    Attributes:
        strand: whose nodes the lists follow.
        demands: demand of each node.
        start, end: seconds by node.
        token: when the step ends for its sequences: the `token` mark, or the last operation that is not detached.
        last: when the last operation ends.
    """

    strand: Strand
    demands: list[Demand]
    start: list[Quantity]
    end: list[Quantity]
    token: Quantity
    last: Quantity


def price_classes(strand: Strand, cluster: Cluster, step: Step, clocks: Mapping[str, float]) -> list[Demand]:
    """The demand of each node; operations alike are priced once."""
    of_node, operations = strand.classes
    priced = [demand_of(op, cluster, step, clocks) for op in operations]
    return [priced[index] for index in of_node]


def timeline(strand: Strand, cluster: Cluster, step: Step, clocks: Mapping[str, float]) -> Timeline:
    """Price one iteration of a strand; waits end with the signal that they match, in program order."""
    demands = price_classes(strand, cluster, step, clocks)
    alone = _durations(demands, cluster)
    start: list[Quantity] = []
    end: list[Quantity] = []
    signalled = _signals(strand)
    for node, op in enumerate(strand.ops):
        if isinstance(op, Call):
            raise PlanError("a plan that calls another service has no makespan of its own")
        begun: Quantity = _latest(end[pred] for pred in strand.preds[node])
        if isinstance(op, RaceEnd):
            begun = _earliest(_latest(end[node] for node in exits) for exits in op.exits)
        elif isinstance(op, Join):
            begun = _later(begun, _latest(end[member] for member in strand.groups.get(op.target, ()) if member < node))
        elif isinstance(op, Wait):
            begun = _later(begun, _latest(end[source] for source in signalled.get(node, ())))
        start.append(begun)
        end.append(begun + alone[node])
    awaited = (end[node] for node in range(len(end)) if node not in strand.detached)
    token = _latest(awaited) if strand.token is None else end[strand.token]
    return Timeline(strand, demands, start, end, token, _latest(end))


def _durations(demands: list[Demand], cluster: Cluster) -> list[Quantity]:
    known: dict[int, Quantity] = {}
    for demand in demands:
        if id(demand) not in known:
            known[id(demand)] = demand.alone(cluster.capacities)
    return [known[id(demand)] for demand in demands]


def _signals(strand: Strand) -> dict[int, tuple[int, ...]]:
    """For each wait, the signals of its flag whose counts it takes, in program order."""
    raised: dict[str, list[int]] = {}
    for node, op in enumerate(strand.ops):
        if isinstance(op, Signal):
            raised.setdefault(op.flag, []).extend([node] * op.count)
    taken: dict[str, int] = {}
    matched = {}
    for node, op in enumerate(strand.ops):
        if isinstance(op, Wait):
            first = taken.get(op.flag, 0)
            taken[op.flag] = first + op.count
            matched[node] = tuple(source for source in raised.get(op.flag, [])[first : first + op.count] if source < node)
    return matched


def _later(a: Quantity, b: Quantity) -> Quantity:
    if isinstance(a, float) and isinstance(b, float):
        return a if a >= b else b
    import numpy as np

    return np.maximum(a, b)


def _latest(times: Any) -> Quantity:
    found: Quantity = 0.0
    for time in times:
        found = _later(found, time)
    return found


def _earliest(times: Iterator[Quantity]) -> Quantity:
    import numpy as np

    found = next(times)
    for time in times:
        found = np.minimum(found, time)
    return found


def conflicts(strand: Strand, demands: list[Demand]) -> bool:
    """Whether two operations that may run at once share an engine or a resource, so that the timeline would be optimistic."""
    users: dict[str, int] = {}
    for node, demand in enumerate(demands):
        for resource in _touched(demand):
            others = users.get(resource, 0)
            if others & ~strand.ancestors[node]:
                return True
            users[resource] = others | (1 << node)
    return False


def _touched(demand: Demand) -> Iterator[str]:
    yield from demand.usage
    if demand.engine is not None:
        yield demand.engine


def makespan(
    program: Plan | Program,
    cluster: Cluster,
    step: Step,
    outcomes: Callable[[str], Any] | None = None,
    clocks: Mapping[str, float] | None = None,
) -> float:
    """Seconds from the start of a step to its token when nothing contends.

    `outcomes(name)` supplies what a script's operations reveal. Plans with strands that run ahead are priced by their paced strand
    (what they wait for is there already).
    """
    if isinstance(program, Program):
        return _script_makespan(program, cluster, step, outcomes, clocks or {})
    return max(float(timeline(strand, cluster, step, clocks or {}).token) for strand in compile_plan(program).paced)


def _script_makespan(
    program: Program, cluster: Cluster, step: Step, outcomes: Callable[[str], Any] | None, clocks: Mapping[str, float]
) -> float:
    now = 0.0
    groups: dict[str, float] = {}
    script = program.step(step)
    plan = next(script, None)
    while plan is not None:
        (strand,) = compile_plan(plan).strands
        line = timeline(strand, cluster, step, clocks)
        for name, nodes in strand.groups.items():
            groups[name] = now + float(_latest(line.end[node] for node in nodes))
        joined = [groups.get(op.target, 0.0) for op in strand.ops if isinstance(op, Join)]
        started, now = now, max([now + float(line.token), *joined])
        revealed = {op.reveals: outcomes(op.reveals) for op in strand.ops if op.reveals and outcomes}
        try:
            plan = script.send(Outcome(revealed, started, now))
        except StopIteration:
            plan = None
    return now
