"""Sources in time: jobs sent when their arrivals come, and those that follow the completion of others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

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
        self._coming: Iterator[Job] = iter(())

    def start(self) -> None:
        """Begin to send."""
        self._coming = self.source.jobs(self.stream, 0.0, self.stop, self._numbers())
        self.simulation.machine.after(0.0, self._go_on)

    def _numbers(self) -> Iterator[int]:
        while True:
            yield self.simulation.next_number()

    def _go_on(self) -> None:
        """Send what is due, and wait for the next."""
        machine = self.simulation.machine
        for job in self._coming:
            if job.arrival > machine.env.now:
                machine.at(job.arrival, partial(self._due, job))
                return
            self._send(job)

    def _due(self, job: Job) -> None:
        self._send(job)
        self._go_on()

    def _send(self, job: Job) -> None:
        self.simulation.submit(job, self.entry, self._finished)

    def _finished(self, request: Request) -> None:
        if not self._followed or request.status != "completed" or request.finished is None:
            return
        following = self.source.after(self.stream, request.job, request.finished, self._numbers())
        if following is not None and following.arrival < self.stop:
            self.simulation.machine.at(following.arrival, partial(self._send, following))
