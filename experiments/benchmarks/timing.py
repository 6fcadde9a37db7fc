"""Seconds of CPU on one pinned core, of two rivals in turn, and what a run in a process of its own needs.

How wrong: CPU time leaves out waiting, but not what neighbours do to shared caches and to the clock of the core. That is why rivals take
turns and their ratio is what counts: a slow minute slows both. The figures are medians over the turns.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, TypeVar

__all__ = ["cpu_seconds", "in_own_process", "in_turn", "peak_bytes", "pinned"]

T = TypeVar("T")


def pinned() -> int | None:
    """Keep this process on the last of its cores from now on; returns which, None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def cpu_seconds(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of CPU that a call takes, and what it returns; garbage of earlier calls is gone before."""
    gc.collect()
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


def in_turn(rivals: Mapping[str, Callable[[], Any]], turns: int = 3) -> dict[str, float]:
    """Median seconds of CPU of each rival, called in turn; a first turn warms up and is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(turns + 1):
        for name, call in rivals.items():
            seconds, _ = cpu_seconds(call)
            if turn:
                taken[name].append(seconds)
    return {name: median(seconds) for name, seconds in taken.items()}


def peak_bytes() -> int:
    """The most memory that this process has held, in bytes (resident set); what it does not say on this system raises `OSError`."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def in_own_process(*arguments: str) -> str:
    """What `python ARGUMENTS` prints, run in a process of its own; raises `CalledProcessError` if it fails."""
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stdout
