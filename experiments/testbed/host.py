"""A host: a process in a network of its own that does what the testbed asks over a pipe."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from edgewright.experiments.testbed.engine import KernelEngine
from edgewright.experiments.testbed.executor import Executor, RanPart
from edgewright.experiments.testbed.mesh import Mesh, Tag, connect_mesh
from edgewright.experiments.testbed.namespaces import address, configure, enter_network, outlive_nobody, shape
from edgewright.hwmodels import Work
from edgewright.kernels import Effort
from edgewright.kernels.network import RoundTrip, answer, round_trip, trips
from edgewright.policies.families import Program
from edgewright.policies.plan import Plan
from edgewright.workloads import Step

__all__ = ["Host", "MeshEndpoint", "serve_host"]


PAUSE_S = 5e-3
"""Seconds before a work that is timed alone."""


class MeshEndpoint:
    """A host's connection to another, as the timing harness takes it: the same messages that plans are executed with."""

    def __init__(self, mesh: Mesh, peer: int) -> None:
        self.mesh = mesh
        self.peer = peer
        self._sent = 0
        self._received = 0

    def send(self, nbytes: int) -> None:
        """Post a message."""
        self._sent += 1
        self.mesh.post([(self.peer, Tag(0, 0, nbytes % 2**31, 0, self._sent), bytes(nbytes))])

    def receive(self, nbytes: int) -> None:
        """Wait for the next message."""
        self._received += 1
        while self.mesh.take(self.peer, Tag(0, 0, nbytes % 2**31, 0, self._received)) is None:
            self.mesh.wait(20.0)


class Host:
    """What the testbed may ask of a host.

    Attributes:
        rank: among the hosts; `names` are those of all, as plans know them.
    """

    def __init__(self, rank: int, names: Sequence[str]) -> None:
        self.rank = rank
        self.names = tuple(names)
        self.engine = KernelEngine()
        self.executor: Executor

    def connect(self) -> None:
        """Take an address and connect to the other hosts."""
        configure(self.rank, len(self.names))
        mesh = connect_mesh(self.rank, [address(each) for each in range(len(self.names))])
        self.executor = Executor(self.names, mesh, self.engine)

    def shape(self, rate: float | None) -> None:
        """Send at that many bits per second."""
        shape(rate)

    def limit(self, share: float) -> None:
        """Let the engine have that share of a core."""
        self.engine.share = share

    def prepare(self, plans: Sequence[Plan], step: Step) -> None:
        """Make ready for plans that are to be run."""
        for plan in plans:
            self.executor.prepare(plan, step)

    def run(
        self, program: Plan | Program, step: Step, start: float, run: int, steps: int, lanes: int, outcomes: Callable[[str], Any] | None
    ) -> list[RanPart]:
        """Do this host's part."""
        return self.executor.run(program, step, start, run=run, steps=steps, lanes=lanes, outcomes=outcomes)

    def time_work(self, work: Work, repeats: int) -> list[float]:
        """Seconds of a work alone, from its submission until the host knows that it has ended, after pauses as between messages."""
        self.engine.prepare(work)
        times = []
        for ticket in range(repeats):
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            self.engine.submit(work, ticket)
            while not self.engine.finished():
                self.executor.mesh.wait(20.0)
            times.append(time.perf_counter() - start)
        return times

    def ping(self, peer: int, nbytes: int, effort: Effort) -> RoundTrip:
        """Time round trips to a host that `answer`s."""
        return round_trip(MeshEndpoint(self.executor.mesh, peer), nbytes, effort=effort)

    def answer(self, peer: int, nbytes: int, effort: Effort) -> None:
        """The other end of `ping`."""
        answer(MeshEndpoint(self.executor.mesh, peer), nbytes, trips(effort))


def serve_host(control: Connection, rank: int, names: Sequence[str]) -> None:
    """The host process: answers `(method, arguments)` with `(result, None)` or `(None, what went wrong)`."""
    outlive_nobody()
    enter_network()
    host = Host(rank, names)
    control.send(os.getpid())
    while True:
        try:
            method, arguments = control.recv()
        except EOFError:
            return
        try:
            control.send((getattr(host, method)(*arguments), None))
        except Exception:
            control.send((None, traceback.format_exc()))
