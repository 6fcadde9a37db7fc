"""How a kernel is timed: on cores of its own, warm, until the median is known well enough; and what speaks against the figure.

The median of repeats, with a distribution-free confidence interval, repeated until the interval is narrow: the practice that Hoefler &
Belli ask for (Scientific benchmarking of parallel computing systems, SC 2015). How wrong it can be: the interval covers what varies
between the repeats of one run, not what differs between runs (page placement, clock, neighbours); signs of the latter are looked
for and given as reasons not to trust the figure, but their absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from statistics import median

import numpy as np

from edgewright.kernels.arrays import aligned
from edgewright.kernels.doubts import Watched, machine_doubts, width_doubts
from edgewright.kernels.host import Host, ThisHost
from edgewright.kernels.intervals import least_samples, median_interval
from edgewright.kernels.runners import TEAM_SECONDS, Call, Runner, running
from edgewright.kernels.spec import Kernel

__all__ = ["TEAM_CALL_SECONDS", "Effort", "Sample", "measure"]

TEAM_CALL_SECONDS = 1e-4
"""Calls of a team that are shorter wait for each other's turn in the interpreter, which calls them: their figure is in doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """When to stop repeating.

    Attributes:
        relative: half the width of the median's confidence interval, over the median, that is narrow enough.
        confidence: probability that the interval encloses the median.
        budget: seconds after which repeating ends, narrow or not; the least repeats are made in any case.
        repeats: the least number of repeats (never fewer than the confidence needs).
        repeat_seconds: a repeat makes as many calls as last this long, so that the clock's grain and cost vanish in it.
        footprint: bytes of operands to go through before any is used again: 0 times a warm cache; more than the last-level
            cache times a cold one.
    """

    relative: float = 0.02
    confidence: float = 0.95
    budget: float = 1.0
    repeats: int = 7
    repeat_seconds: float = 2e-4
    footprint: int = 0

    @property
    def least(self) -> int:
        """The fewest repeats that are made."""
        return max(self.repeats, least_samples(self.confidence))


@dataclass(frozen=True, slots=True)
class Sample:
    """The time of one call of a kernel, and how far to trust it.

    Attributes:
        kernel: its name.
        shape: extents along the kernel's axes.
        dtype: number format.
        threads: threads that made such calls at once, each on operands of its own.
        implementation: `native` or `numba`.
        seconds: median seconds per call (of every thread), its dispatch from Python (0.2 to 0.4 microseconds) included.
        low: lower end of the median's confidence interval, seconds.
        high: upper end.
        repeats: repeats that the median is of.
        calls: calls in each repeat.
        first_seconds: seconds of the very first call: compiling (or loading what was compiled before) included.
        cores: the core that each thread ran on, `None` if it could not be pinned.
        stolen: seconds of those cores taken by a hypervisor while it was timed, `None` if unknown.
        canaries: change of each canary from before to after, relative.
        reasons: what speaks against the figure, in words; none is known if empty.
    """

    kernel: str
    shape: tuple[int, ...]
    dtype: str
    threads: int
    implementation: str
    seconds: float
    low: float
    high: float
    repeats: int
    calls: int
    first_seconds: float
    cores: tuple[int | None, ...]
    stolen: float | None
    canaries: Mapping[str, float]
    reasons: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Nothing is known to speak against the figure."""
        return not self.reasons


def measure(
    kernel: Kernel,
    shape: tuple[int, ...],
    dtype: str = "fp32",
    *,
    effort: Effort = Effort(),
    threads: int = 1,
    core: int | None = None,
    seed: int = 0,
    host: Host | None = None,
) -> Sample:
    """Time `kernel` at `shape`.

    Args:
        kernel: what to call.
        shape: extents along `kernel.axes`.
        dtype: one of `kernel.dtypes`.
        effort: when to stop.
        threads: how many threads make such calls at once, each pinned to a core and with operands of its own: what they take from
            each other (bandwidth, cache, clock) is in the figure. No call is divided between threads.
        core: the (first) core to run on; `None` leaves the choice to the host. The thread's affinity is restored afterwards.
        seed: of the operands' values.
        host: the machine; `None` is this one.

    Raises:
        ValueError: for a shape or dtype that the kernel does not take, a core that this process may not use, or too few cores.
    """
    kernel.checked(shape, dtype)
    machine = host or ThisHost()
    calls = [_operand_calls(kernel, shape, dtype, effort.footprint, seed) for _ in range(threads)]
    with running(machine, calls, core) as runner:
        first = runner(1)
        before = machine.canaries()
        least = effort.repeat_seconds if threads == 1 else max(effort.repeat_seconds, TEAM_SECONDS)
        count = _calls(runner, least)
        times, watched = _repeats(runner, count, effort, machine)
        after = machine.canaries()
    drift = {name: after[name] / before[name] - 1 for name in before}
    low, high = median_interval(times, effort.confidence)
    seconds = median(times)
    reasons = [*width_doubts((seconds, low, high), effort.relative, effort.budget), *machine_doubts(watched, drift, machine.tick())]
    if None in runner.cores:
        reasons.append("the thread could not be pinned to a core")
    if threads > 1 and seconds < TEAM_CALL_SECONDS:
        reasons.append(f"calls of {seconds * 1e6:.0f} us from {threads} threads wait for each other in the interpreter")
    return Sample(
        kernel.name, tuple(shape), dtype, threads, kernel.implementation, seconds, low, high,
        len(times), count, first, runner.cores, watched.stolen, drift, tuple(reasons),
    )  # fmt: skip


def _operand_calls(kernel: Kernel, shape: tuple[int, ...], dtype: str, footprint: int, seed: int) -> list[Call]:
    """Calls on copies of one set of operands: one, or as many as reach the footprint."""
    made = kernel.operands(shape, dtype, np.random.default_rng(seed))
    copies = max(1, ceil(footprint / sum(array.nbytes for array in made)))
    return [kernel.bound(tuple(map(aligned, made))) for _ in range(copies)]


def _calls(runner: Runner, seconds: float) -> int:
    """How many calls last `seconds`, found by doubling; warms the caches up in passing."""
    calls = 1
    while runner(calls) * calls < seconds:
        calls *= 2
    return calls


def _repeats(runner: Runner, calls: int, effort: Effort, host: Host) -> tuple[list[float], Watched]:
    """Seconds per call of each repeat, until the median is known well enough or the budget is spent."""
    stolen, worked, busy, start = _stolen(runner, host), runner.wall, runner.busy, host.now()
    times: list[float] = []
    look = effort.least
    while len(times) < effort.least or host.now() - start < effort.budget:
        times.append(runner(calls))
        if len(times) == look:
            if _narrow(times, effort):
                break
            look = ceil(1.1 * look)
    wall, taken = host.now() - start, _stolen(runner, host)
    lost = None if stolen is None or taken is None else taken - stolen
    return times, Watched(wall, runner.wall - worked, runner.busy - busy, lost, len(runner.cores))


def _stolen(runner: Runner, host: Host) -> float | None:
    """Seconds stolen from the runner's cores since the start; `None` if that is not known of one."""
    known = [seconds for seconds in map(host.stolen, runner.cores) if seconds is not None]
    return sum(known) if len(known) == len(runner.cores) else None


def _narrow(times: list[float], effort: Effort) -> bool:
    low, high = median_interval(times, effort.confidence)
    return high - low <= 2 * effort.relative * median(times)
