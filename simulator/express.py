"""Express: a replica whose whole serving loop runs compiled, from one look at it to the next.

A stretch jumps over steps between two decisions; here decisions are made in the same compiled loop, too. Nothing of it is an event: the
loop is brought up to the moment at which somebody reads the machine's accounts (a meter, the end of the run), and what it writes down are
columns. `express_rule` says which scenarios may be run so: those in which nothing could tell the difference but by the clock on the wall.

There are two such loops: `express_tokens` for models that yield token after token, `express_passes` for those that compute an input in
one pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import Floats
from edgewright.simulator.express_jobs import Jobs, jobs_of
from edgewright.simulator.express_tables import job_rows, record_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.replica import Replica
    from edgewright.simulator.simulation import Simulation
    from edgewright.workloads import Source

__all__ = ["Express"]


class Express(ABC):
    """The serving loop of one replica, and the sources that feed it alone. Stands among the machine's stretches.

    Attributes:
        replica, sources: whose.
        engines, resources: what it uses, and nobody else may.
    """

    outputs: ClassVar[tuple[tuple[str, int, int], ...]] = (("steps", at.STEPS, at.STEPS), ("queues", at.QUEUES, at.QUEUES))
    """Output tables of the books, how many rows they have, and how many of them stand."""

    def __init__(self, simulation: Simulation, replica: Replica, sources: Sequence[Source]) -> None:
        self.replica = replica
        self.sources = sources
        self.machine = simulation.machine
        self.window = simulation.window
        self._stream = simulation.stream
        self._written = 0
        self.engines, self.resources = self._uses()

    @abstractmethod
    def _uses(self) -> tuple[Iterable[str], Iterable[str]]:
        """Engines and resources."""

    @abstractmethod
    def _open(self, jobs: Jobs, measured: NDArray[np.bool_]) -> Any:
        """Books of these jobs, in which nothing has been done."""

    @abstractmethod
    def _settle(self, now: float) -> None:
        """Bring the machine's accounts up to now, as the loop is."""

    @property
    @abstractmethod
    def _advance(self) -> Callable[[Any, float], bool]:
        """The compiled loop: brings the books up to a time; False if it needs something before. This imports Numba."""

    @cached_property
    def jobs(self) -> Jobs:
        """All jobs that will come."""
        return jobs_of(self.sources, self._stream, 0.0, self.window[1])

    @cached_property
    def books(self) -> Any:
        """The state of the loop."""
        arrival = self.jobs.columns.arrival
        return self._open(self.jobs, (arrival >= self.window[0]) & (arrival < self.window[1]))

    # -- running ---------------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the replica over; nothing else may touch its engines or its resources."""
        machine = self.machine
        engines, resources = map(machine.engines.__getitem__, self.engines), map(machine.resources.__getitem__, self.resources)
        machine.claim(engines, resources, self._disturbed)
        self.machine.stretches[self] = None

    def _disturbed(self) -> None:
        raise RuntimeError(f"{self.replica.name} runs express, and something else wants what it uses")

    def account(self, now: float) -> None:
        """Bring the loop, and the machine's accounts, up to now."""
        while not self._advance(self.books, now):
            self._provide()
        self._settle(now)

    def _provide(self) -> None:
        """Give the loop what it lacks: room for its rows."""
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the recorder the rows that stand; those of the run of steps under way move to the front."""
        books, counts, replica = self.books, self.books.counts, self.replica
        taken: dict[str, Floats] = {}
        for name, rows, stands in self.outputs:
            table, kept, written = getattr(books, name), int(counts[stands]), int(counts[rows])
            taken[name] = table[:kept].copy()
            table[: written - kept] = table[kept:written].copy()
            counts[rows], counts[stands] = written - kept, 0 if stands != rows else written - kept
        record_rows(replica.recorder, replica.name, replica.service, int(counts[at.CAPACITY]), taken)
        status = books.what[at.STATUS, self._written : self.arrived]
        running = np.flatnonzero(status == at.IN_FLIGHT)
        self._hand_over_jobs(self._written + int(running[0]) if len(running) else self.arrived)

    def _hand_over_jobs(self, stop: int) -> None:
        """Give the recorder the rows of jobs up to (not including) that one."""
        if stop > self._written:
            found = job_rows(self.books, self.jobs, slice(self._written, stop), self.sources, self.replica.name)
            self.replica.recorder.extend("jobs", found)
        self._written = stop

    # -- what it leaves --------------------------------------------------------------------------------------------------------------------

    @property
    def arrived(self) -> int:
        """Jobs submitted so far."""
        return int(self.books.counts[at.NEXT])

    @property
    def in_flight(self) -> int:
        """Jobs in the queue and in the batch."""
        count = self.books.counts
        return int(count[at.TAIL] - count[at.HEAD] + count[at.ASIDE] + count[at.RUNNING])

    @property
    def balanced(self) -> bool:
        """Whether jobs in = jobs over + jobs in flight, and blocks held = blocks of the batch."""
        books = self.books
        over = int(np.count_nonzero(books.what[at.STATUS, : self.arrived]))
        return self.arrived == over + self.in_flight and int(books.what[at.HELD, : self.arrived].sum()) == int(books.counts[at.USED])

    @property
    def drained(self) -> bool:
        """Whether every job of the sources has come and ended."""
        return self.arrived == len(self.jobs) and not self.in_flight

    def publish(self) -> None:
        """The run is over: all rows, and the counts of the whole run, go where results are gathered."""
        self._hand_over()
        self._hand_over_jobs(self.arrived)
        self.replica.prompt_tokens = int(self.books.counts[at.PROMPTS])
