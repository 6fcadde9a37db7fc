"""Sources in time: jobs sent when their arrivals come, and those that follow the completion of others."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from edgewright.simulator.request import Request
from edgewright.workloads import Job, Source
from edgewright.workloads.arrivals_process import Feedback

if TYPE_CHECKING:
    from edgewright.simulator.simulation import Simulation

__all__ = ["SourceProcess"]


class SourceProcess:
    """One workload in time: arrivals run from the start of the warm-up to the end of the window.

    What follows a completion (the next turn, the user's next question) does not follow a rejection or failure: that user leaves.

    Attributes:
        source: its jobs; `entry`: the node where they enter, None at the replica itself.
    """

    def __init__(self, simulation: Simulation, source: Source, entry: str | None) -> None:
        self.simulation = simulation
        self.source = source
        self.entry = entry
        self.stream = simulation.stream.child(f"workloads.{source.name}")
        self.stop = simulation.window[1]
        self._followed = isinstance(source.arrivals, Feedback)

    def start(self) -> None:
        """Begin to send."""
        self.simulation.env.process(self._run())

    def _numbers(self) -> Iterator[int]:
        while True:
            yield self.simulation.next_number()

    def _run(self) -> Generator[Any, Any, None]:
        env = self.simulation.env
        for job in self.source.jobs(self.stream, 0.0, self.stop, self._numbers()):
            if job.arrival > env.now:
                yield env.timeout(job.arrival - env.now)
            self._send(job)

    def _send(self, job: Job) -> None:
        self.simulation.submit(job, self.entry, self._finished)

    def _finished(self, request: Request) -> None:
        if not self._followed or request.status != "completed" or request.finished is None:
            return
        following = self.source.after(self.stream, request.job, request.finished, self._numbers())
        if following is not None and following.arrival < self.stop:
            self.simulation.machine.at(following.arrival, partial(self._send, following))
