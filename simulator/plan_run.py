"""Run a plan or script on a cluster by itself: for learners, tests and what-if questions about one step.

trace = run_plan(plan, cluster, steps=3, pools={"window": 2})
trace.tokens        # when each step came to its token
trace.operations    # what ran where, from when to when
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgewright.hwmodels import Cluster
from edgewright.policies.compile import compile_plan
from edgewright.policies.families import Program
from edgewright.policies.plan import Plan
from edgewright.simulator.engines import MemoryPool
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.machine import Machine
from edgewright.simulator.plan_runner import PlanRunner
from edgewright.simulator.scripts import ScriptRun
from edgewright.workloads import Step

__all__ = ["PlanTrace", "RanOperation", "run_plan", "start_program"]


class RanOperation(NamedTuple):
    """An operation that has run: `kind` is `compute`, `transfer`, ...; `resource` the engine or first resource that it used."""

    scope: str
    name: str
    kind: str
    resource: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class PlanTrace:
    """What happened.

    Attributes:
        machine: the cluster as the run left it: accounts, pools, traffic.
        operations: those that ended, in order of their ends.
        tokens: when each step came to its token.
        cancelled: `(name, fraction done)` of operations that were cancelled.
    """

    machine: Machine
    operations: list[RanOperation] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    cancelled: list[tuple[str, float]] = field(default_factory=list)

    def times(self, name: str) -> list[tuple[float, float]]:
        """Start and end of every operation of that name."""
        return [(each.start, each.end) for each in self.operations if each.name == name]


def start_program(scope: Scope, program: Plan | Program, on_token: Callable[[], None]) -> Callable[[Step], None]:
    """What starts a step of the program in that scope; every step calls `on_token` at its token."""
    if isinstance(program, Program):
        script = program

        def begin(step: Step) -> None:
            ScriptRun(scope, script.step(step), step, on_token).begin()

        return begin
    runner = PlanRunner(scope, compile_plan(program))
    return lambda step: runner.step(step, on_token)


def run_plan(
    program: Plan | Program,
    cluster: Cluster,
    *,
    steps: int = 1,
    step: Callable[[int], Step] | Step | None = None,
    pools: Mapping[str, float] | None = None,
    outcomes: Callable[[str], Any] | None = None,
    call: Callable[[str, Mapping[str, Any], Callable[[Any], None]], None] | None = None,
    events: Sequence[tuple[float, Callable[[Machine], None]]] = (),
    until: float | None = None,
    machine: Machine | None = None,
) -> PlanTrace:
    """Run `steps` steps one after another, each starting at the token of the one before, until they and all they started have ended.

    Args:
        step: what the amounts are bound to, or a function of the step's number.
        pools: capacities of the replica's named pools.
        outcomes: supplies what operations reveal.
        call: serves `Call`s: `(service, overrides, done(result))`.
        events: `(time, action(machine))`: a clock that changes, a competing flow.
        until: simulated time at which to stop; None: when nothing is left to do (what waits for ever is left waiting).
        machine: where to run; a fresh one if not given.
    """
    found = machine if machine is not None else Machine(cluster)
    trace = PlanTrace(found)
    found.signals.operation.subscribe(lambda *row: trace.operations.append(RanOperation(*row)))
    found.signals.cancelled.subscribe(lambda _, name, fraction: trace.cancelled.append((name, fraction)))
    scope = Scope(found, "plan", {name: MemoryPool(name, size) for name, size in (pools or {}).items()}, call, outcomes)
    numbers = iter(range(1, steps))

    def bound(number: int) -> Step:
        return step(number) if callable(step) else step if step is not None else Step()

    def token() -> None:
        trace.tokens.append(float(found.env.now))
        following = next(numbers, None)
        if following is not None:
            begin(bound(following))

    begin = start_program(scope, program, token)
    _schedule(found, events)
    begin(bound(0))
    found.env.run(until=until)
    found.settle()
    return trace


def _schedule(machine: Machine, events: Iterable[tuple[float, Callable[[Machine], None]]]) -> None:
    for time, action in events:
        machine.at(time, lambda action=action: action(machine))  # type: ignore[misc]
