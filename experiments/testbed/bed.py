"""The testbed: host processes and a switch process, set up, asked, and taken down whatever happens."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import Any

from edgewright.experiments.testbed.executor import RanPart
from edgewright.experiments.testbed.host import serve_host
from edgewright.experiments.testbed.namespaces import outlive_nobody
from edgewright.experiments.testbed.quotas import quotas
from edgewright.experiments.testbed.wire import serve_wire
from edgewright.policies.families import Program
from edgewright.policies.plan import Plan
from edgewright.workloads import Step

__all__ = ["Testbed", "host_names", "testbed"]

LEAD_S = 4e-3
"""Seconds from the command to run until the run starts: every host must have heard it by then."""
PATIENCE_S = 120.0
"""Seconds after which a process that does not answer is given up."""


def host_names(count: int) -> tuple[str, ...]:
    """The names of the hosts, as plans and clusters know them."""
    return tuple(f"host{rank}" for rank in range(count))


class Testbed:
    """A running testbed.

    Attributes:
        names: of the hosts.
    """

    def __init__(self, names: Sequence[str], hosts: Sequence[Connection], wire: Connection) -> None:
        self.names = tuple(names)
        self._hosts = tuple(hosts)
        self._wire = wire

    def ask(self, method: str, *arguments: Any, ranks: Sequence[int] | None = None) -> list[Any]:
        """Ask hosts (all, if not said) the same and wait for all answers; raises `RuntimeError` with what a host says went wrong."""
        asked = [self._hosts[rank] for rank in (range(len(self._hosts)) if ranks is None else ranks)]
        for each in asked:
            each.send((method, arguments))
        return [self._answer(each, method) for each in asked]

    def each(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Ask each of the first hosts with arguments of its own."""
        for control, own in zip(self._hosts, arguments, strict=False):
            control.send((method, own))
        return [self._answer(control, method) for control, _ in zip(self._hosts, arguments, strict=False)]

    def shape(self, rate: float | None, latency: float = 0.0) -> None:
        """Let every link have that many bits per second and seconds of latency; `None`: as fast as they can."""
        self.ask("shape", rate)
        self._wire.send((rate, latency))
        if not self._wire.poll(PATIENCE_S):
            raise RuntimeError("the switch does not answer")
        self._wire.recv()

    def run(
        self, program: Plan | Program, step: Step, *, steps: int = 1, lanes: int = 1, outcomes: Callable[[str], Any] | None = None
    ) -> list[list[RanPart]]:
        """Run a program on all hosts at once; the parts of each host in the order in which they ended."""
        start = perf_counter() + LEAD_S
        return self.ask("run", program, step, start, steps, lanes, outcomes)

    @staticmethod
    def _answer(control: Connection, method: str) -> Any:
        if not control.poll(PATIENCE_S):
            raise RuntimeError(f"a host does not answer {method!r}")
        result, error = control.recv()
        if error is not None:
            raise RuntimeError(f"a host failed at {method!r}:\n{error}")
        return result


@contextmanager
def testbed(count: int) -> Iterator[Testbed]:
    """`count` connected hosts, unshaped; processes, namespaces and groups are gone afterwards. Needs root: see `why_unavailable`."""
    names = host_names(count)
    with ExitStack() as stack:
        limits = stack.enter_context(quotas())
        for core in sorted(os.sched_getaffinity(0)):
            _start(stack, _keep_awake, core)
        hosts = [_start(stack, serve_host, rank, names, limits) for rank in range(count)]
        pids = [each.recv() for each in hosts]
        wire = _start(stack, serve_wire, pids)
        wire.recv()
        bed = Testbed(names, hosts, wire)
        bed.ask("connect")
        yield bed


def _start(stack: ExitStack, target: Callable[..., None], *arguments: Any) -> Connection:
    """Start a process with a pipe to it; it is killed when the stack closes."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=target, args=(its, *arguments), daemon=True)
    process.start()
    its.close()
    stack.callback(_end, process, mine)
    return mine


def _end(process: BaseProcess, control: Connection) -> None:
    control.close()
    process.kill()
    process.join(10.0)


def _keep_awake(_: Connection, core: int) -> None:
    """Use what nobody else wants of a core, so that it is awake when a frame is due.

    On a virtual machine an idle core takes 50 to 150 microseconds to answer a timer. The idle scheduling class yields to everything.
    """
    outlive_nobody()
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass
