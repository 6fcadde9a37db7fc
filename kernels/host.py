"""The machine that kernels are timed on, as far as the harness asks it: a clock, a core, and signs of somebody else on it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

__all__ = ["Host", "ThisHost"]


class Host(Protocol):
    """What the harness needs of a machine; a test puts a simulated one in its place."""

    def now(self) -> float:
        """Seconds on a clock that never runs backwards."""

    def busy(self) -> float:
        """Seconds that the calling thread has spent on a core."""

    def stolen(self, core: int | None) -> float | None:
        """Seconds that a hypervisor gave of that core (of all, if `None`) to others since the start; `None` if that is not known."""

    def others(self) -> float | None:
        """Seconds that all cores have worked for anything but this process since some moment; `None` if that is not known."""

    def tick(self) -> float:
        """Seconds that `stolen` and `others` are counted in."""

    def pinned(self, core: int | None) -> AbstractContextManager[int | None]:
        """Keep the calling thread on that core (`None`: one of the host's choice) while the context lasts.

        Gives the core, or `None` where threads cannot be pinned. Raises `ValueError` for a core that this process may not use.
        """

    def cores(self, count: int, first: int | None) -> tuple[int, ...]:
        """That many cores that this process may use, with `first` if it is given; raises `ValueError` if there are fewer."""

    def canaries(self) -> Mapping[str, float]:
        """Seconds that fixed pieces of work take now, by the part of the machine that they lean on."""


class ThisHost:
    """The machine that this process runs on. Pinning and steal time are Linux's; elsewhere they are unavailable, and said to be so."""

    def now(self) -> float:
        return time.perf_counter()

    def busy(self) -> float:
        return time.thread_time()

    def stolen(self, core: int | None) -> float | None:
        fields = _statistics("cpu" if core is None else f"cpu{core}")
        return fields[7] * self.tick() if len(fields) > 7 else None

    def others(self) -> float | None:
        fields = _statistics("cpu")
        worked = sum(fields[place] for place in (0, 1, 2, 5, 6)) if len(fields) > 6 else None
        return None if worked is None else worked * self.tick() - time.process_time()

    def tick(self) -> float:
        return 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01

    @contextmanager
    def pinned(self, core: int | None) -> Iterator[int | None]:
        if not hasattr(os, "sched_setaffinity"):
            yield None
            return
        allowed = os.sched_getaffinity(0)
        chosen = max(allowed) if core is None else core
        if chosen not in allowed:
            raise ValueError(f"core {chosen} is not among those this process may use: {sorted(allowed)}")
        os.sched_setaffinity(0, {chosen})
        try:
            yield chosen
        finally:
            os.sched_setaffinity(0, allowed)

    def cores(self, count: int, first: int | None) -> tuple[int, ...]:
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        if first is not None and first not in allowed:
            raise ValueError(f"core {first} is not among those this process may use: {sorted(allowed)}")
        if count > len(allowed):
            raise ValueError(f"{count} threads need a core each: this process may use {len(allowed)}")
        return tuple(sorted(allowed, key=lambda core: (core != first, -core))[:count])

    def canaries(self) -> Mapping[str, float]:
        from edgewright.kernels.canary import canaries

        return canaries(self.now)


def _statistics(name: str) -> list[int]:
    """What Linux has counted of a core (`cpu0`) or of all (`cpu`), in ticks: user, nice, system, idle, iowait, irq, softirq, steal."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return []
    return next(([int(each) for each in line.split()[1:]] for line in lines if line.split()[:1] == [name]), [])
