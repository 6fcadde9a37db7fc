"""Stretches: runs of steps jumped over in one event.

A stretch is a strand that is alone on its engines and resources, and never in its own way, over iterations whose inputs are known:
it follows the strand's `Timeline`, priced for all its iterations at once. It claims what it uses; whoever else wants any of it, or
changes a clock, cuts it: whole iterations are settled, and the current one goes on operation by operation from the fractions that the
timeline says. Accounts (energy, bytes, busy time) are settled lazily: reading them does not cut the stretch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Demand
from edgewright.policies.compile import Barrier, Strand, uses_only
from edgewright.policies.plan import Mark
from edgewright.policies.timeline import Timeline, timeline
from edgewright.simulator.interpreter import TIMED
from edgewright.simulator.plan_runner import PlanRunner
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine

__all__ = ["Course", "Stretch", "Times", "at_iteration", "can_stretch"]

Times: TypeAlias = "NDArray[np.float64] | tuple[float, ...]"
"""Simulated times, in order."""


def can_stretch(strand: Strand) -> bool:
    """Whether the strand's operations are all of the kinds that a timeline settles, with nothing detached, lagging or revealed."""
    return (
        uses_only(strand, (*TIMED, Mark, Barrier))
        and not strand.groups
        and not any(strand.lagged)
        and not any(op.reveals for op in strand.ops)
    )


class Course:
    """What of a stretch follows from its timeline and the number of its iterations alone; of steps that are alike it is the same.

    Attributes:
        line: the strand's timeline.
        engines, resources, links: what it uses, by name; see `Stretch`. `messages`: links that carry messages alone.
        queues, shared: the engines and resources themselves.
        settles: whether everything ends, and nothing of an iteration outlives its token.
        keys: accounts that it touches (`Machine.sink`), and `sinks`, where their amounts go.
        whole: amounts of the first iteration, the first two, and so on, shape `(accounts, iterations)`; `once`: by sink, if there is one.
    """

    __slots__ = (
        "_length",
        "_parts",
        "_table",
        "engines",
        "keys",
        "line",
        "links",
        "messages",
        "once",
        "queues",
        "resources",
        "settles",
        "shared",
        "sinks",
        "whole",
    )

    def __init__(self, machine: Machine, line: Timeline, iterations: int) -> None:
        self.line = line
        self.engines = {demand.engine for demand in line.demands if demand.engine is not None}
        self.resources = frozenset(name for demand in line.demands for name in demand.usage)
        self.links = {name for demand in line.demands for name in demand.traffic}
        self.messages = self.links - self.resources
        self.queues = [machine.engines[name] for name in sorted(self.engines)]
        self.shared = [machine.resources[name] for name in sorted(self.resources)]
        within = np.all(np.asarray(line.last) <= np.asarray(line.token) * (1.0 + 1e-12))
        self.settles = bool(within and np.all(np.isfinite(line.last)))
        self._parts: list[tuple[tuple[str, str], Any, Any, Any]] = []
        self._table: _Table | None = None
        if self.settles:
            for node, demand in enumerate(line.demands):
                self._parts += [(*entry, line.end[node]) for entry in _entries(demand, line.start[node], line.end[node])]
        self.keys = tuple(dict.fromkeys(key for key, *_ in self._parts))
        self.sinks = [machine.sink(key) for key in self.keys]
        self.whole = self._added_up(iterations)
        self.once = list(zip(self.sinks, self.whole[:, 0].tolist(), strict=True)) if iterations == 1 else []
        self._length = at_iteration(line.token, 0) if iterations == 1 else None

    def ends(self, started: float) -> Times:
        """Simulated times at which the iterations end if they begin at that time, one after another."""
        if self._length is not None:
            return (started + self._length,)
        lengths = np.broadcast_to(np.asarray(self.line.token, dtype=float), self.whole.shape[1:])
        return np.cumsum(np.concatenate(((started,), lengths)))[1:]

    def _added_up(self, iterations: int) -> NDArray[np.float64]:
        sums = np.zeros((len(self.keys), iterations))
        rows = dict(zip(self.keys, sums, strict=True))
        for key, amount, *_ in self._parts:
            rows[key] += amount
        return np.cumsum(sums, axis=1)

    def partial(self, iteration: int, elapsed: float) -> NDArray[np.float64]:
        """By account, what an iteration has put there so many seconds after it began: bytes when they are sent, all else evenly."""
        if self._table is None:
            self._table = _Table(self._parts, self.keys, self.whole.shape[1])
        return self._table.by(iteration, elapsed)


class _Table:
    """The parts of which a course's amounts are made, as arrays over parts and iterations."""

    __slots__ = ("amounts", "begins", "count", "ends", "places", "sent")

    def __init__(self, parts: Sequence[tuple[tuple[str, str], Any, Any, Any]], keys: Sequence[tuple[str, str]], iterations: int) -> None:
        places = {key: place for place, key in enumerate(keys)}
        self.count = len(keys)
        self.places = np.array([places[key] for key, *_ in parts], np.int64)
        self.sent = np.array([key[0] == "sent" for key, *_ in parts], np.bool_)
        self.amounts, self.begins, self.ends = (np.empty((len(parts), iterations)) for _ in range(3))
        for row, (_, amount, begin, end) in enumerate(parts):
            self.amounts[row], self.begins[row], self.ends[row] = amount, begin, end

    def by(self, iteration: int, elapsed: float) -> NDArray[np.float64]:
        """By account, the amounts of an iteration up to so many seconds after it began."""
        amounts, begins, ends = self.amounts[:, iteration], self.begins[:, iteration], self.ends[:, iteration]
        found = np.where(elapsed >= ends, amounts, 0.0)
        under_way = (elapsed > begins) & (elapsed < ends) & ~self.sent
        found[under_way] = amounts[under_way] * (elapsed - begins[under_way]) / (ends[under_way] - begins[under_way])
        return np.bincount(self.places, found, self.count).astype(np.float64, copy=False)


class Stretch:
    """Iterations of a strand, jumped over.

    Attributes:
        runner: runs the strand's steps when they are not jumped over, and takes up an iteration that is cut.
        step: of all iterations; `step_at(step, number)`: of one of them.
        iterations: how many it will run; lowered by `stop_after_current`.
        ends: simulated time at which each iteration ends.
        course: what follows from the strand's timeline at this step and these clocks; computed if not given.
        on_end: called with the number of whole iterations when it is over; the partial one, if it was cut in the middle, has been handed
            to the interpreter, whose token calls `on_token`.
    """

    __slots__ = (
        "_looked",
        "_settled",
        "course",
        "ends",
        "iterations",
        "machine",
        "on_end",
        "on_token",
        "runner",
        "started",
        "step",
        "step_at",
        "strand",
    )

    def __init__(
        self,
        runner: PlanRunner,
        strand: Strand,
        step: Step,
        iterations: int,
        on_end: Callable[[Stretch, int, bool], None],
        on_token: Callable[[], None],
        step_at: Callable[[Step, int], Step],
        course: Course | None = None,
    ) -> None:
        self.runner = runner
        self.machine = machine = runner.scope.machine
        self.strand = strand
        self.step = step
        self.iterations = iterations
        self.on_end = on_end
        self.on_token = on_token
        self.step_at = step_at
        if course is None:
            course = Course(machine, timeline(strand, machine.cluster, step, machine.clocks, machine.capacities), iterations)
        self.course = course
        self.started: float = machine.env.now
        self.ends = course.ends(self.started)
        self._settled: NDArray[np.float64] | None = None
        self._looked = -1.0

    @property
    def resources(self) -> frozenset[str]:
        """Shared resources that its flows use."""
        return self.course.resources

    @property
    def links(self) -> set[str]:
        """Links that its messages cross, however small."""
        return self.course.links

    def possible(self) -> bool:
        """Whether nothing else uses its engines and resources, all of them work, and nothing of an iteration outlives its token."""
        machine, course = self.machine, self.course
        impair = machine.impair
        if not course.settles or (impair.dead and not impair.dead.keys().isdisjoint(course.links)):
            return False
        if course.messages and any(machine.resources[name].following is not None for name in course.messages):
            return False
        if impair.erring and any(f"{storage}.read" in course.resources for storage in impair.erring):
            return False
        return machine.free(course.queues, course.shared)

    def begin(self) -> Stretch:
        """Claim what it uses and jump to its end."""
        self.machine.claim(self.course.queues, self.course.shared, self.cut)
        self.machine.stretches[self] = None
        self._schedule()
        return self

    def _schedule(self) -> None:
        self.machine.at(float(self.ends[self.iterations - 1]), self._expire)

    def _expire(self) -> None:
        """Its end has come, unless it came before: as often as it was scheduled."""
        if self in self.machine.stretches:
            self._finish(self.iterations, partial=False)

    def current(self, now: float) -> int:
        """Whole iterations that have ended by now."""
        return min(bisect_right(self.ends, now, hi=self.iterations), self.iterations)

    def stop_after_current(self) -> None:
        """A decision may differ at the next step: end when the current iteration does."""
        whole = self.current(self.machine.env.now)
        if whole + 1 < self.iterations and self in self.machine.stretches:
            self.iterations = whole + 1
            self._schedule()

    def stop_by(self, time: float) -> None:
        """End with the first iteration that ends at `time` or later. Called before `begin`."""
        self.iterations = min(self.iterations, bisect_left(self.ends, time) + 1)

    def cut(self) -> None:
        """Give up the claims now; the current iteration goes on operation by operation."""
        now = self.machine.env.now
        whole = self.current(now)
        if whole == self.iterations:
            self._finish(whole, partial=False)
            return
        began = self.began(whole)
        execution, line = self.runner.resumed(self.strand, self.step_at(self.step, whole), self.on_token), self.course.line
        self._finish(whole, partial=True)
        execution.resume(
            [at_iteration(time, whole) for time in line.start],
            [at_iteration(time, whole) for time in line.end],
            [at_iteration(demand.latency, whole) for demand in line.demands],
            now - began,
        )

    def began(self, iteration: int) -> float:
        """Simulated time at which an iteration begins."""
        return self.started if iteration == 0 else float(self.ends[iteration - 1])

    def _finish(self, whole: int, partial: bool) -> None:
        machine, course = self.machine, self.course
        if whole and course.once and self._settled is None:
            for put, amount in course.once:
                put(amount)
        else:
            self._account(machine.env.now, whole)
        machine.unclaim(course.queues, course.shared)
        del machine.stretches[self]
        self.on_end(self, whole, partial)

    def account(self, now: float) -> None:
        """Bring the machine's accounts up to now; at one moment, once is enough for all that ask."""
        if now != self._looked:
            self._looked = now
            self._account(now, self.current(now))

    def _account(self, now: float, whole: int) -> None:
        """Put what came since the last time where it belongs; `whole` iterations have ended."""
        totals = self.course.whole[:, whole - 1] if whole else np.zeros(len(self.course.keys))
        if whole < self.iterations:
            totals = totals + self.course.partial(whole, now - self.began(whole))
        since = totals if self._settled is None else totals - self._settled
        for put, amount in zip(self.course.sinks, since.tolist(), strict=True):
            put(amount)
        self._settled = totals


def _entries(demand: Demand, start: Any, end: Any) -> list[tuple[tuple[str, str], Any, Any]]:
    """The accounts that a demand touches: key, amount per iteration, and when it begins to accrue (until the operation's end)."""
    fluid = start + demand.latency
    found: list[tuple[tuple[str, str], Any, Any]] = [(("dynamic", owner), joules, fluid) for owner, joules in demand.joules.items()]
    found += [(("sent", name), amount, fluid) for name, amount in demand.traffic.items()]
    for name, amount in demand.usage.items():
        busy = np.where(np.asarray(amount) > 0.0, end - fluid, 0.0)
        found += [(("moved", name), amount, fluid), (("busy", name), busy, fluid)]
    if demand.engine is not None:
        found.append((("engine", demand.engine), end - start, start))
    return found


def at_iteration(quantity: Any, iteration: int) -> float:
    """A quantity of one iteration: an element of an array, or the number that holds for all."""
    if isinstance(quantity, np.ndarray) and quantity.ndim:
        return float(quantity[iteration])
    return float(quantity)
