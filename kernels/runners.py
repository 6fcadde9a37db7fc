"""Who makes the calls that are timed: the calling thread, or a team of threads, each on a core and on operands of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import cycle, islice
from threading import Barrier
from typing import Protocol, TypeAlias

from edgewright.kernels.host import Host

__all__ = ["TEAM_SECONDS", "Call", "Runner", "running"]

Call: TypeAlias = "Callable[[], object]"
"""One call of a kernel on operands that it is bound to."""

TEAM_SECONDS = 2e-2
"""A repeat of a team lasts at least this long: threads start some tens of microseconds apart, which must vanish in it."""


class Runner(Protocol):
    """Makes calls, and keeps account of the time they took."""

    @property
    def wall(self) -> float:
        """Seconds in calls so far, summed over threads."""

    @property
    def busy(self) -> float:
        """Seconds of those in which the threads were on a core."""

    @property
    def cores(self) -> tuple[int | None, ...]:
        """The core of each thread; `None` where it could not be pinned."""

    def __call__(self, calls: int) -> float:
        """Seconds per call when each thread makes that many, from the first start to the last end."""


class _Member:
    """One thread's part: its rotation of calls, and what they took."""

    def __init__(self, calls: Sequence[Call], host: Host) -> None:
        self._rotation, self._host = cycle(calls), host
        self.wall = self.busy = 0.0

    def work(self, calls: int) -> tuple[float, float]:
        batch = list(islice(self._rotation, calls))
        host = self._host
        busy, start = host.busy(), host.now()
        for call in batch:
            call()
        end = host.now()
        self.busy += host.busy() - busy
        self.wall += end - start
        return start, end


class _Solo:
    """The calling thread alone."""

    def __init__(self, member: _Member, core: int | None) -> None:
        self._member, self._core = member, core

    @property
    def cores(self) -> tuple[int | None, ...]:
        return (self._core,)

    @property
    def wall(self) -> float:
        return self._member.wall

    @property
    def busy(self) -> float:
        return self._member.busy

    def __call__(self, calls: int) -> float:
        start, end = self._member.work(calls)
        return (end - start) / calls


class _Team:
    """Threads that begin together."""

    def __init__(self, members: Sequence[_Member], pool: ThreadPoolExecutor, cores: tuple[int | None, ...]) -> None:
        self._members, self._pool, self._cores = members, pool, cores
        self._barrier = Barrier(len(members))

    @property
    def cores(self) -> tuple[int | None, ...]:
        return self._cores

    @property
    def wall(self) -> float:
        return sum(member.wall for member in self._members)

    @property
    def busy(self) -> float:
        return sum(member.busy for member in self._members)

    def __call__(self, calls: int) -> float:
        def work(member: _Member) -> tuple[float, float]:
            self._barrier.wait()
            return member.work(calls)

        spans = list(self._pool.map(work, self._members))
        return (max(end for _, end in spans) - min(start for start, _ in spans)) / calls


@contextmanager
def running(host: Host, calls: Sequence[Sequence[Call]], core: int | None) -> Iterator[Runner]:
    """A runner with one thread for each sequence of calls; a single one is the calling thread itself, on `core`.

    Raises `ValueError` for a core that this process may not use, and for more threads than cores.
    """
    if len(calls) == 1:
        with host.pinned(core) as pinned:
            yield _Solo(_Member(calls[0], host), pinned)
        return
    cores = host.cores(len(calls), core)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(calls)))
        settle = Barrier(len(calls))

        pins = [host.pinned(each) for each in cores]  # never left: the threads end with the pool

        def pin(each: AbstractContextManager[int | None]) -> int | None:
            settle.wait()  # every thread of the pool takes exactly one core
            return each.__enter__()

        yield _Team([_Member(each, host) for each in calls], pool, tuple(pool.map(pin, pins)))
        del pins
