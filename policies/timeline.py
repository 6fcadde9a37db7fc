"""The uncontended timeline of a plan: when each operation would start and end if nothing else ran.

`Timeline` prices one iteration of a strand at one or many points at once; the simulator's stretches jump along it, `explain` draws it.
`makespan` gives the end of a plan or script without contention. Both price operations as the interpreter does, so where nothing contends
they agree with it to rounding (a property test says so).

How wrong: two operations of one plan that share an engine or a link are not made to wait for each other here; `conflicts` tells
whether a strand has such a pair, and the simulator then interprets it. Pools are taken as unbounded, and calls to other services,
whose time is not the plan's, are refused. Signals of a cancelled branch count as raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.hwmodels import Cluster, Demand, Quantity
from edgewright.policies.compile import PlanError, RaceEnd, Strand, compile_plan
from edgewright.policies.families import Outcome, Program
from edgewright.policies.plan import Call, Cancel, Join, Plan, Signal, Wait
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


@dataclass(frozen=True, slots=True)
class _Past:
    """What earlier plans of a script left: when their detached plans end, and when flags not yet taken are raised; the start is 0."""

    ends: Mapping[str, float] = field(default_factory=dict)
    raised: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def timeline(
    strand: Strand, cluster: Cluster, step: Step, clocks: Mapping[str, float], capacities: Mapping[str, float] | None = None
) -> Timeline:
    """Price one iteration of a strand; waits end with the signal that they match, in program order.

    `capacities`: of the moment, where some resources have less than the cluster's own (`Cluster.capacities`) or more.
    """
    return _timeline(strand, cluster, step, clocks, _Past(), capacities)


def _timeline(
    strand: Strand,
    cluster: Cluster,
    step: Step,
    clocks: Mapping[str, float],
    past: _Past,
    capacities: Mapping[str, float] | None = None,
) -> Timeline:
    demands = price_classes(strand, cluster, step, clocks)
    alone = _durations(demands, cluster.capacities if capacities is None else capacities)
    start, end, finish = _times(strand, alone, {}, past)
    cancelled: dict[int, Quantity] = {}
    for _ in strand.ops:  # each pass settles the next cancellation in time
        found = _cancelled(strand, finish)
        if _alike(found, cancelled):
            break
        cancelled = found
        start, end, finish = _times(strand, alone, cancelled, past)
    token = _main_end(strand, end) if strand.token is None else end[strand.token]
    return Timeline(strand, demands, start, end, token, _latest(end))


def _times(
    strand: Strand, alone: list[Quantity], cancelled: Mapping[int, Quantity], past: _Past
) -> tuple[list[Quantity], list[Quantity], list[Quantity]]:
    """Start and end of each node, if these nodes are cancelled at these times; and the end again, infinity if it was cancelled before."""
    start: list[Quantity] = []
    end: list[Quantity] = []
    finish: list[Quantity] = []
    signalled, left = _signals(strand, past), dict(past.ends)
    for node, op in enumerate(strand.ops):
        if isinstance(op, Call):
            raise PlanError("a plan that calls another service has no makespan of its own")
        begun: Quantity = _latest(end[pred] for pred in strand.preds[node])
        if isinstance(op, RaceEnd):
            begun = _earliest(_exits(op, finish))
        elif isinstance(op, Join):
            members = (end[member] for member in strand.groups.get(op.target, ()) if member < node)
            begun = _later(_later(begun, left.get(op.target, 0.0)), _latest(members))
        elif isinstance(op, Wait):
            begun = _later(begun, _latest(end[source] if isinstance(source, int) else source for source in signalled[node]))
        start.append(begun)
        end.append(begun + alone[node])
        finish.append(end[node])
        if isinstance(op, Cancel) and op.target in left:
            left[op.target] = min(left[op.target], float(end[node]))
        if node in cancelled:
            import numpy as np

            shared = (pred for pred in strand.preds[node] if pred in cancelled)
            together = (np.where(cancelled[pred] >= cancelled[node], finish[pred], 0.0) for pred in shared)
            natural = _later(end[node], _latest(together))
            finish[node] = np.where(natural > cancelled[node], np.inf, natural)
            start[node], end[node] = _earliest((begun, cancelled[node])), _earliest((end[node], cancelled[node]))
    return start, end, finish


def _exits(race: RaceEnd, finish: list[Quantity]) -> list[Quantity]:
    """When each branch of a race has ended, infinity if it was cancelled before."""
    return [_latest(finish[node] for node in exits) for exits in race.exits]


def _cancelled(strand: Strand, finish: list[Quantity]) -> dict[int, Quantity]:
    """When nodes are cancelled, by the races that their branches lose and by `Cancel`; infinity where a branch wins."""
    found: dict[int, Quantity] = {}
    losers: Iterator[tuple[int, Quantity]]
    for node, op in enumerate(strand.ops):
        if isinstance(op, RaceEnd):
            import numpy as np

            won = np.argmin(np.broadcast_arrays(*_exits(op, finish)), axis=0)
            losers = ((each, np.where(won == branch, np.inf, finish[node])) for branch, nodes in enumerate(op.branches) for each in nodes)
        elif isinstance(op, Cancel):
            losers = ((each, finish[node]) for each in strand.groups.get(op.target, ()))
        else:
            continue
        for each, time in losers:
            found[each] = _earliest((found[each], time)) if each in found else time
    return found


def _alike(a: Mapping[int, Quantity], b: Mapping[int, Quantity]) -> bool:
    import numpy as np

    return a.keys() == b.keys() and all(np.array_equal(a[node], b[node]) for node in a)


def _main_end(strand: Strand, end: list[Quantity]) -> Quantity:
    """When all that is not detached has ended."""
    return _latest(end[node] for node in range(len(end)) if node not in strand.detached)


def _durations(demands: list[Demand], capacities: Mapping[str, float]) -> list[Quantity]:
    known: dict[int, Quantity] = {}
    for demand in demands:
        if id(demand) not in known:
            known[id(demand)] = demand.alone(capacities)
    return [known[id(demand)] for demand in demands]


def _signals(strand: Strand, past: _Past) -> dict[int, tuple[int | float, ...]]:
    """For each wait, the signals of its flag whose counts it takes, in program order: nodes, or times of earlier plans' signals."""
    raised: dict[str, list[int | float]] = {flag: list(times) for flag, times in past.raised.items()}
    for node, op in enumerate(strand.ops):
        if isinstance(op, Signal):
            raised.setdefault(op.flag, []).extend([node] * op.count)
    taken: dict[str, int] = {}
    matched = {}
    for node, op in enumerate(strand.ops):
        if isinstance(op, Wait):
            first = taken.get(op.flag, 0)
            taken[op.flag] = first + op.count
            sources = raised.get(op.flag, [])[first : first + op.count]
            matched[node] = tuple(source for source in sources if isinstance(source, float) or source < node)
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


def _earliest(times: Iterable[Quantity]) -> Quantity:
    import numpy as np

    first, *others = times
    for time in others:
        first = np.minimum(first, time)
    return first


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
    now, token, past = 0.0, None, _Past()
    script = program.step(step)
    plan = next(script, None)
    while plan is not None:
        (strand,) = compile_plan(plan).strands
        line = _timeline(strand, cluster, step, clocks, past)
        if token is None and strand.token is not None:
            token = now + float(line.token)
        started, length = now, float(_main_end(strand, line.end))
        now, past = started + length, _after(line, past, length)
        revealed = {op.reveals: outcomes(op.reveals) for op in strand.ops if op.reveals and outcomes}
        try:
            plan = script.send(Outcome(revealed, started, now))
        except StopIteration:
            plan = None
    return now if token is None else token


def _after(line: Timeline, past: _Past, length: float) -> _Past:
    """What is left when the script goes on, `length` seconds after the start of this plan."""
    strand, raised = line.strand, {flag: list(times) for flag, times in past.raised.items()}
    ends = dict(past.ends)
    for node, op in enumerate(strand.ops):
        if isinstance(op, Cancel) and op.target in ends:
            ends[op.target] = min(ends[op.target], float(line.end[node]))
        elif isinstance(op, Signal):
            raised.setdefault(op.flag, []).extend([float(line.end[node])] * op.count)
    for op in strand.ops:
        if isinstance(op, Wait):
            del raised.get(op.flag, [])[: op.count]
    ends |= {name: float(_latest(line.end[node] for node in nodes)) for name, nodes in strand.groups.items()}
    return _Past({name: end - length for name, end in ends.items()}, {flag: tuple(t - length for t in ts) for flag, ts in raised.items()})
