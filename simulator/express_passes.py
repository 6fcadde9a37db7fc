"""Express for models that compute an input in one pass: images, classifiers, windows of samples.

A step is one pass over the inputs of its batch, and costs what its `Course` says: the same whenever it has as many inputs. So any plan that
can be jumped over will do, whatever devices and links it spans, as long as nobody else uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edgewright.simulator import express_books as at
from edgewright.simulator.express import Express
from edgewright.simulator.express_batching import largest_batch, set_batching
from edgewright.simulator.express_books import PassBooks, open_pass_books
from edgewright.simulator.stretch import Course
from edgewright.workloads import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.express_jobs import Jobs
    from edgewright.simulator.replica import Replica

__all__ = ["PassExpress", "courses_at_both_ends"]


class PassExpress(Express):
    """The serving loop of a replica that computes each input in one pass, in batches that are filled, or wait for company."""

    def _uses(self) -> tuple[Iterable[str], Iterable[str]]:
        self._settled: dict[tuple[str, str], float] = {}
        self._courses: dict[int, Course] = {}
        used = courses_at_both_ends(self.replica)
        return set().union(*(each.engines for each in used)), set().union(*(each.resources for each in used))

    def _open(self, jobs: Jobs, measured: NDArray[np.bool_]) -> PassBooks:
        books = open_pass_books(jobs.columns, measured, jobs.prompted, largest_batch(self.replica))
        set_batching(books, self.replica)
        return books

    @cached_property
    def _advance(self) -> Callable[[PassBooks, float], bool]:
        from edgewright.simulator.express_pass_loop import advance

        return advance

    def _provide(self) -> None:
        """Room for rows, or the seconds of a pass over a number of inputs of which there has been none yet."""
        inputs = int(self.books.counts[at.UNPRICED])
        if not inputs:
            self._hand_over()
            return
        course = self._courses[inputs] = _course(self.replica, inputs)
        self.books.seconds[inputs] = course.line.token
        self.books.counts[at.UNPRICED] = 0

    def _settle(self, now: float) -> None:
        books, totals = self.books, dict[tuple[str, str], float]()
        for inputs, course in self._courses.items():
            amounts = int(books.passes[inputs]) * course.whole[:, 0]
            if books.counts[at.PHASE] and inputs == books.counts[at.RUNNING]:
                amounts = amounts + course.partial(0, now - float(books.clock[at.STARTED]))
            for key, amount in zip(course.keys, amounts.tolist(), strict=True):
                totals[key] = totals.get(key, 0.0) + amount
        for key, total in totals.items():
            self.machine.sink(key)(total - self._settled.get(key, 0.0))
        self._settled = totals


def courses_at_both_ends(replica: Replica) -> list[Course]:
    """The courses of the smallest and of the largest batch: messages of those between are no smaller, no larger."""
    return [_course(replica, inputs) for inputs in dict.fromkeys((1, largest_batch(replica)))]


def _course(replica: Replica, inputs: int) -> Course:
    found = replica.known_course(Step(items=inputs))
    assert found is not None, "the replica's plan can be jumped over"
    return found
