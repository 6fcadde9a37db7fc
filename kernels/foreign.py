"""Calls of software that brings threads (or a device) of its own: timed by the harness's rules, but not pinned to a core.

A library that runs a call on a pool of its threads, or on a GPU, cannot be pinned from outside, and what its threads were kept from is
seen only in part. The rest is `harness.measure`: warm, until the interval of the median is narrow, with canaries before and after.

How wrong: on several threads the time off the cores is not looked for (threads that wait for each other sleep, and that is no noise); that
other processes worked meanwhile is, on all cores, whether they were in the way or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from statistics import median

from edgewright.kernels.doubts import SHARE_TOLERANCE, Watched, machine_doubts, width_doubts
from edgewright.kernels.harness import Effort
from edgewright.kernels.host import Host, ThisHost
from edgewright.kernels.intervals import median_interval

__all__ = ["CallTime", "time_calls"]

_EFFORT = Effort()


@dataclass(frozen=True, slots=True)
class CallTime:
    """The time of one call.

    Attributes:
        seconds, low, high: the median, and its confidence interval.
        repeats, calls: how many repeats the median is of, and the calls in each.
        reasons: what speaks against the figure.
    """

    seconds: float
    low: float
    high: float
    repeats: int
    calls: int
    reasons: tuple[str, ...]


def time_calls(
    call: Callable[[], object],
    *,
    effort: Effort = _EFFORT,
    threads: int = 1,
    finish: Callable[[], object] = lambda: None,
    host: Host | None = None,
) -> CallTime:
    """Time `call`, which has been made before (warm) or is made once now, not counted.

    Args:
        call: what is timed; it takes care itself that its operands are cold, where they should be.
        effort: when to stop; its `footprint` is not used.
        threads: how many cores the call works on.
        finish: waits for what calls have started, at the end of each repeat (a device's queue).
        host: the machine; None is this one.
    """
    machine = host or ThisHost()

    def repeat(calls: int) -> float:
        start = machine.now()
        for _ in range(calls):
            call()
        finish()
        return (machine.now() - start) / calls

    repeat(1)
    before, stolen, others = machine.canaries(), machine.stolen(None), machine.others()
    busy, start = machine.busy(), machine.now()
    calls, times = _repeats(repeat, effort, lambda: machine.now() - start)
    wall, worked = machine.now() - start, machine.busy() - busy
    lost, crowd = _passed(stolen, machine.stolen(None)), _passed(others, machine.others())
    after = machine.canaries()
    watched = Watched(wall, wall, worked if threads == 1 else wall, lost, threads)
    found = (median(times), *median_interval(times, effort.confidence))
    drift = {name: after[name] / before[name] - 1 for name in before}
    reasons = [*width_doubts(found, effort.relative, effort.budget), *machine_doubts(watched, drift, machine.tick())]
    if crowd is not None and crowd > max(SHARE_TOLERANCE * wall, 2 * machine.tick()):
        reasons.append(f"other processes worked {crowd / wall:.1%} of the time")
    return CallTime(*found, len(times), calls, tuple(reasons))


def _repeats(repeat: Callable[[int], float], effort: Effort, spent: Callable[[], float]) -> tuple[int, list[float]]:
    """The calls of a repeat, and seconds per call of each, until the median is known well enough or the budget is spent."""
    calls = 1
    while (once := repeat(calls)) * calls < effort.repeat_seconds:
        calls = max(calls + 1, min(2 * calls, ceil(effort.repeat_seconds / once)))
    times, look = [once], effort.least
    while len(times) < effort.least or spent() < effort.budget:
        times.append(repeat(calls))
        if len(times) >= look:
            low, high = median_interval(times, effort.confidence)
            if high - low <= 2 * effort.relative * median(times):
                break
            look = ceil(1.1 * look)
    return calls, times


def _passed(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
