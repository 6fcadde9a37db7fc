"""Fixed pieces of work whose time should not change: when it does, the machine did, and what was timed in between is in doubt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled

if TYPE_CHECKING:
    from edgewright.kernels.spec import Array

__all__ = ["canaries"]

STEPS = 100_000
"""Dependent multiply-adds of the core canary: about 0.2 ms at 3 GHz."""
STREAM = 2**24
"""Bytes that the memory canary sums: more than most second-level caches."""
REPEATS = 7


@compiled
def _chain(steps: int) -> int:
    """A chain of dependent integer operations: its time follows the clock of the core and nothing else."""
    value = 1
    for i in range(steps):
        value = (value * 5 + i) & 0xFFFF
    return value


@compiled
def _stream(values: Array) -> float:
    """A sum over an array: its time follows memory."""
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


def canaries(clock: Callable[[], float]) -> Mapping[str, float]:
    """Median seconds of each canary on `clock`: `core` and `memory`. Compiles them on first use, outside what is timed."""
    values = _values()
    return {"core": _timed(clock, lambda: _chain(STEPS)), "memory": _timed(clock, lambda: _stream(values))}


@cache
def _values() -> Array:
    return np.ones(STREAM // 8)


def _timed(clock: Callable[[], float], work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        start = clock()
        work()
        times.append(clock() - start)
    return median(times)
