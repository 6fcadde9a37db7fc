"""A host's engine: a thread that runs real kernels, first come, first served, within a share of a core.

The share is a CPU quota of the control group that the thread is moved to (`quotas.py`); the thread that serves the sockets is not in it, as
a network card is not in a processor's budget. Kernels release the interpreter's lock while they run.
"""

from __future__ import annotations

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


class KernelCall(NamedTuple):
    """`count` calls of the kernel of that name at a shape, in fp32."""

    name: str
    shape: tuple[int, ...]
    count: int


def kernel_calls(work: Work) -> tuple[KernelCall, ...]:
    """The calls that do a work: products of fp32 whose extents are read back from operations and bytes.

    A product of r rows with a matrix of i x o has 2 r i o operations, 4 i o bytes of weights and 4 r (i + o) of activations. Which of i and o
    is the longer cannot be told and hardly matters: the longer one is taken to be summed over. Raises `ValueError` for any other work.
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
        thread: the identity of the thread in the operating system.
    """

    def __init__(self) -> None:
        self.bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._jobs: SimpleQueue[tuple[Work, Hashable] | None] = SimpleQueue()
        self._finished: deque[tuple[Hashable, float, float]] = deque()
        self._bound: dict[Work, tuple[tuple[Callable[[], None], int], ...]] = {}
        self._started = threading.Event()
        self.thread = 0
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()
        self._started.wait()

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
        self.thread = threading.get_native_id()
        self._started.set()
        while (job := self._jobs.get()) is not None:
            work, ticket = job
            start = time.perf_counter()
            for call, count in self._bound[work]:
                for _ in range(count):
                    call()
            self._finished.append((ticket, start, time.perf_counter()))
            os.eventfd_write(self.bell, 1)
