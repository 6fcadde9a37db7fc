"""A host's engine: a thread that runs real kernels, first come, first served, at a share of a core's speed.

Hosts share cores. A host of share s is made as slow as s of a core by pacing: after every kernel call its engine sleeps until the time that
it has spent on a core is s of the time since the work began. Time that another process had the core is part of those sleeps and not added
to them, so hosts slow each other down only if the shares of those that compute sum up to more than the cores; the sockets and the switch
need room beside. A CPU quota of a control group does not do that: within its period (5 ms) a short work runs at full speed, or not,
depending on how many others do. Kernels release the interpreter's lock while they run; the thread that serves the sockets is not paced.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from math import sqrt
from queue import SimpleQueue
from typing import NamedTuple

from edgewright.hwmodels import Term, Work

__all__ = ["KernelCall", "KernelEngine", "kernel_calls"]


_TIMER_SLACK = 29


class KernelCall(NamedTuple):
    """`times` calls of the kernel of that name at a shape, in fp32."""

    name: str
    shape: tuple[int, ...]
    times: int


def kernel_calls(work: Work) -> tuple[KernelCall, ...]:
    """The calls that do a work: products of fp32 whose extents are read back from operations and bytes.

    A product of r rows with a matrix of i x o has 2 r i o operations, 4 i o bytes of weights and 4 r (i + o) of activations. Which of i and
    o is the longer cannot be told and hardly matters: the longer one is taken to be summed over. Raises `ValueError` for any other work.
    """
    return tuple(_call(term) for term in work.terms)


def _call(term: Term) -> KernelCall:
    launches = float(term.launches)
    numbers, flops, activations = (float(each) / launches for each in (term.weights / 4, term.flops, term.activations / 4))
    rows = round(flops / 2 / numbers) if numbers else 0
    if term.kernel not in ("gemm", "gemv") or term.dtype != "fp32" or not rows or (term.kernel == "gemv" and rows != 1):
        raise ValueError(f"the testbed runs products of fp32, not {term}")
    total = activations / rows
    longer = round((total + sqrt(max(0.0, total * total - 4 * numbers))) / 2)
    shorter = round(numbers / longer)
    shape = (shorter, longer) if term.kernel == "gemv" else (rows, shorter, longer)
    return KernelCall(term.kernel, shape, round(launches))


class KernelEngine:
    """Runs works in a thread of its own.

    Attributes:
        bell: a file descriptor that is readable when something has finished.
        share: of a core; 1 does not pace.
    """

    def __init__(self) -> None:
        self.bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._jobs: SimpleQueue[tuple[Work, Hashable] | None] = SimpleQueue()
        self._finished: deque[tuple[Hashable, float, float]] = deque()
        self._bound: dict[Work, tuple[tuple[Callable[[], None], int], ...]] = {}
        self.share = 1.0
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    def prepare(self, work: Work) -> None:
        """Make operands for a work and run it once, so that it is compiled and warm."""
        import numpy as np

        from edgewright.kernels import kernel

        if work in self._bound:
            return
        bound = []
        for name, shape, count in kernel_calls(work):
            found = kernel(name)
            call = found.bound(found.operands(shape, "fp32", np.random.default_rng(0)))
            call()
            bound.append((call, count))
        self._bound[work] = tuple(bound)

    def submit(self, work: Work, ticket: Hashable) -> None:
        """Queue a work; `ticket` names it when it has finished."""
        self.prepare(work)
        self._jobs.put((work, ticket))

    def finished(self) -> list[tuple[Hashable, float, float]]:
        """What has finished since the last call, as (ticket, start, end) in seconds of the monotonic clock."""
        try:
            os.eventfd_read(self.bell)
        except BlockingIOError:
            return []
        return [self._finished.popleft() for _ in range(len(self._finished))]

    def close(self) -> None:
        """End the thread."""
        self._jobs.put(None)
        self._worker.join()
        os.close(self.bell)

    def _work(self) -> None:
        _wake_on_time()
        while (job := self._jobs.get()) is not None:
            work, ticket = job
            start, used = time.perf_counter(), time.thread_time()
            for call, count in self._bound[work]:
                for _ in range(count):
                    call()
                    left = (time.thread_time() - used) / self.share - (time.perf_counter() - start)
                    if left > 0.0:
                        time.sleep(left)
            self._finished.append((ticket, start, time.perf_counter()))
            os.eventfd_write(self.bell, 1)


def _wake_on_time() -> None:
    """Let the sleeps of the calling thread end when they should: by default Linux lets them last 50 microseconds longer."""
    ctypes.CDLL(None).prctl(_TIMER_SLACK, 1)
