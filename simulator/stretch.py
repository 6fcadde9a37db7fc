"""Stretches: runs of steps jumped over in one event.

A stretch is a strand that is alone on its engines and resources, and never in its own way, over iterations whose inputs are known:
it follows the strand's `Timeline`, priced for all its iterations at once. It claims what it uses; whoever else wants any of it, or
changes a clock, cuts it: whole iterations are settled, and the current one goes on operation by operation from the fractions that the
timeline says. Accounts (energy, bytes, busy time) are settled lazily: reading them does not cut the stretch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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

__all__ = ["Course", "Stretch", "at_iteration", "can_stretch"]


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
        whole: by account (`Machine.sink`), the amounts of the first iteration, the first two, and so on.
        once: where the amounts of one iteration go, and how much, if there is one alone.
        parts: account, amount per iteration, and when it begins and ends to accrue.
    """

    __slots__ = ("engines", "line", "links", "messages", "once", "parts", "queues", "resources", "settles", "shared", "whole")

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
        self.parts: list[tuple[tuple[str, str], Any, Any, Any]] = []
        self.whole: dict[tuple[str, str], NDArray[np.float64]] = {}
        if self.settles:
            self._add_up(iterations)
        self.once = [(machine.sink(key), float(sums[0])) for key, sums in self.whole.items()] if iterations == 1 else []

    def _add_up(self, iterations: int) -> None:
        line = self.line
        sums: dict[tuple[str, str], Any] = {}
        for node, demand in enumerate(line.demands):
            for key, amount, begin in _entries(demand, line.start[node], line.end[node]):
                sums[key] = sums.get(key, 0.0) + amount
                self.parts.append((key, amount, begin, line.end[node]))
        for key, total in sums.items():
            self.whole[key] = np.cumsum(np.broadcast_to(np.asarray(total, dtype=float), (iterations,)))

    def add_partial(self, totals: dict[tuple[str, str], float], iteration: int, elapsed: float) -> None:
        """Add to each account what an iteration has put there so many seconds after it began."""
        for key, amount, begin, end in self.parts:
            first, last = at_iteration(begin, iteration), at_iteration(end, iteration)
            if elapsed >= last:
                totals[key] += at_iteration(amount, iteration)
            elif elapsed > first and key[0] != "sent":
                totals[key] += at_iteration(amount, iteration) * (elapsed - first) / (last - first)


class Stretch:
    """Iterations of a strand, jumped over.

    Attributes:
        runner: runs the strand's steps when they are not jumped over, and takes up an iteration that is cut.
        iterations: how many it will run; lowered by `stop_after_current`.
        resources, links: shared resources that its flows use, and links that its messages cross, however small.
        ends: simulated time at which each iteration ends.
        course: what follows from the strand's timeline at this step and these clocks (`line`); computed if not given.
        on_end: called with the number of whole iterations when it is over; the partial one, if it was cut in the middle, has been handed
            to the interpreter, whose token calls `on_token`.
    """

    def __init__(
        self,
        runner: PlanRunner,
        strand: Strand,
        step: Step,
        iterations: int,
        on_end: Callable[[Stretch, int, bool], None],
        on_token: Callable[[], None],
        step_at: Callable[[int], Step],
        course: Course | None = None,
    ) -> None:
        self.runner = runner
        self.machine = runner.scope.machine
        self.strand = strand
        self.iterations = iterations
        self.on_end = on_end
        self.on_token = on_token
        self.step_at = step_at
        machine = self.machine
        if course is None:
            course = Course(machine, timeline(strand, machine.cluster, step, machine.clocks, machine.capacities), iterations)
        self.course = course
        self.line = course.line
        self.started = self.machine.env.now
        self.ends = _ends(self.started, self.line.token, iterations)
        self.engines, self.resources, self.links = course.engines, course.resources, course.links
        self._settled: dict[tuple[str, str], float] = {}
        self._version = 0

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Seconds of each iteration."""
        return np.diff(np.concatenate(([self.started], self.ends)))

    def possible(self) -> bool:
        """Whether nothing else uses its engines and resources, all of them work, and nothing of an iteration outlives its token."""
        impair = self.machine.impair
        if not self.course.settles or (impair.dead and not impair.dead.keys().isdisjoint(self.links)):
            return False
        if self.course.messages and any(self.machine.resources[name].following is not None for name in self.course.messages):
            return False
        if impair.erring and any(f"{storage}.read" in self.resources for storage in impair.erring):
            return False
        return self.machine.free(self.course.queues, self.course.shared)

    def begin(self) -> Stretch:
        """Claim what it uses and jump to its end."""
        self.machine.claim(self.course.queues, self.course.shared, self.cut)
        self.machine.stretches[self] = None
        self._schedule()
        return self

    def _schedule(self) -> None:
        self._version += 1
        version = self._version

        def expire() -> None:
            if self._version == version:
                self._finish(self.iterations, partial=False)

        self.machine.at(float(self.ends[self.iterations - 1]), expire)

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
        execution = self.runner.resumed(self.strand, self.step_at(whole), self.on_token)
        self._finish(whole, partial=True)
        execution.resume(
            [at_iteration(time, whole) for time in self.line.start],
            [at_iteration(time, whole) for time in self.line.end],
            [at_iteration(demand.latency, whole) for demand in self.line.demands],
            now - began,
        )

    def began(self, iteration: int) -> float:
        """Simulated time at which an iteration begins."""
        return self.started if iteration == 0 else float(self.ends[iteration - 1])

    def _finish(self, whole: int, partial: bool) -> None:
        self._version += 1
        if whole and self.course.once and not self._settled:
            for put, amount in self.course.once:
                put(amount)
        else:
            self._account(self.machine.env.now, whole)
        self.machine.unclaim(self.course.queues, self.course.shared)
        del self.machine.stretches[self]
        self.on_end(self, whole, partial)

    def account(self, now: float) -> None:
        """Bring the machine's accounts up to now."""
        self._account(now, self.current(now))

    def _account(self, now: float, whole: int) -> None:
        """Put what came since the last time where it belongs; `whole` iterations have ended."""
        sink, settled = self.machine.sink, self._settled
        totals = {key: (float(sums[whole - 1]) if whole else 0.0) for key, sums in self.course.whole.items()}
        if whole < self.iterations:
            self.course.add_partial(totals, whole, now - self.began(whole))
        for key, total in totals.items():
            sink(key)(total - settled[key] if settled else total)
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


def _ends(started: float, token: Any, iterations: int) -> NDArray[np.float64]:
    """Times at which iterations end that begin one after another."""
    if iterations == 1:
        return np.array((started + at_iteration(token, 0),))
    lengths = np.broadcast_to(np.asarray(token, dtype=float), (iterations,))
    return np.cumsum(np.concatenate(((started,), lengths)))[1:]
