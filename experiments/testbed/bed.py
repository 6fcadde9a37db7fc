"""The testbed: host processes and a switch process, set up, asked, and taken down whatever happens."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from typing import Any

from edgewright.experiments.testbed.executor import RanPart
from edgewright.experiments.testbed.host import serve_host
from edgewright.experiments.testbed.namespaces import outlive_nobody
from edgewright.experiments.testbed.wire import serve_wire
from edgewright.policies.families import Program
from edgewright.policies.plan import Plan
from edgewright.workloads import Step

__all__ = ["Testbed", "host_names", "open_testbed"]

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
        cores: that all its processes share.
    """

    def __init__(self, names: Sequence[str], hosts: Sequence[Connection], wire: Connection, pids: Sequence[int], cores: int) -> None:
        self.names = tuple(names)
        self.cores = cores
        self._pids = tuple(pids)
        self._hosts = tuple(hosts)
        self._wire = wire
        self._runs = 0

    def ask(self, method: str, *arguments: Any, ranks: Sequence[int] | None = None) -> list[Any]:
        """Ask hosts (all, if not said) the same and wait for all answers; raises `RuntimeError` with what a host says went wrong."""
        asked = [self._hosts[rank] for rank in (range(len(self._hosts)) if ranks is None else ranks)]
        for each in asked:
            each.send((method, arguments))
        return [self._answer(each, method) for each in asked]

    def each(self, requests: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Ask each of the first hosts something of its own, all at once."""
        for control, request in zip(self._hosts, requests, strict=False):
            control.send(request)
        return [self._answer(control, method) for control, (method, _) in zip(self._hosts, requests, strict=False)]

    def shape(self, rate: float | None, latency: float = 0.0) -> None:
        """Let every link have that many bits per second and seconds of latency; `None`: as fast as they can."""
        self.ask("shape", rate)
        self._wire.send((rate, latency))
        if not self._wire.poll(PATIENCE_S):
            raise RuntimeError("the switch does not answer")
        self._wire.recv()

    def run(
        self,
        program: Plan | Program,
        step: Step,
        *,
        ranks: Sequence[int] | None = None,
        steps: int = 1,
        lanes: int = 1,
        outcomes: Callable[[str], Any] | None = None,
    ) -> list[list[RanPart]]:
        """Run a program on hosts (all, if not said) at once; the parts of each host in the order in which they ended."""
        start = perf_counter() + LEAD_S
        self._runs += 1
        return self.ask("run", program, step, start, self._runs, steps, lanes, outcomes, ranks=ranks)

    def processor_seconds(self) -> float:
        """Seconds that the testbed's processes have spent on cores so far; what keeps the cores awake is one of them."""
        return sum(_processor_seconds(pid) for pid in self._pids)

    @staticmethod
    def _answer(control: Connection, method: str) -> Any:
        if not control.poll(PATIENCE_S):
            raise RuntimeError(f"a host does not answer {method!r}")
        result, error = control.recv()
        if error is not None:
            raise RuntimeError(f"a host failed at {method!r}:\n{error}")
        return result


@contextmanager
def open_testbed(count: int) -> Iterator[Testbed]:
    """`count` connected hosts, unshaped; processes and namespaces are gone afterwards. Needs root: see `why_unavailable`."""
    names = host_names(count)
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        awake = [_start(stack, _keep_awake, core) for core in cores]
        hosts = [_start(stack, serve_host, rank, names) for rank in range(count)]
        pids = [control.recv() for control, _ in hosts]
        wire, switch = _start(stack, serve_wire, pids)
        wire.recv()
        bed = Testbed(names, [control for control, _ in hosts], wire, [os.getpid(), switch, *pids, *(pid for _, pid in awake)], len(cores))
        bed.ask("connect")
        yield bed


def _start(stack: ExitStack, target: Callable[..., None], *arguments: Any) -> tuple[Connection, int]:
    """Start a process; gives a pipe to it and its id. It is killed when the stack closes."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=target, args=(its, *arguments), daemon=True)
    process.start()
    its.close()
    stack.callback(_end, process, mine)
    return mine, process.pid or 0


def _end(process: BaseProcess, control: Connection) -> None:
    control.close()
    process.kill()
    process.join(10.0)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _keep_awake(_: Connection, core: int) -> None:
    """Use what nobody else wants of a core, so that it is awake when a frame is due.

    On a virtual machine an idle core takes 50 to 150 microseconds to answer a timer. The idle scheduling class yields to everything.
    """
    outlive_nobody()
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass
