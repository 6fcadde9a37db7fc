"""How a kernel is timed: on one core, warm, until the median is known well enough; and what speaks against the figure.

The median of repeats, with a distribution-free confidence interval, repeated until the interval is narrow: the practice that Hoefler &
Belli ask for (Scientific benchmarking of parallel computing systems, SC 2015). How wrong it can be: the interval covers what varies
between the repeats of one run, not what differs between runs (page placement, clock, neighbours); signs of the latter are looked
for and given as reasons not to trust the figure, but their absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from math import ceil
from statistics import median

import numpy as np

from edgewright.kernels.host import Host, ThisHost
from edgewright.kernels.intervals import least_samples, median_interval
from edgewright.kernels.spec import Kernel, Operands

__all__ = ["CANARY_TOLERANCE", "SHARE_TOLERANCE", "STEAL_TOLERANCE", "Effort", "Sample", "measure"]

CANARY_TOLERANCE = 0.05
"""A canary may take this much longer or shorter after the repeats than before them, relative, before a figure is in doubt."""
SHARE_TOLERANCE = 0.02
"""The part of the time in which the thread was not on a core, above which a figure is in doubt."""
STEAL_TOLERANCE = 0.01
"""The part of the time that a hypervisor gave to others, above which (and above one tick) a figure is in doubt."""


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
        seconds: median seconds per call, its dispatch from Python (some 0.2 microseconds) included.
        low: lower end of the median's confidence interval, seconds.
        high: upper end.
        repeats: repeats that the median is of.
        calls: calls in each repeat.
        first_seconds: seconds of the very first call: compiling (or loading what was compiled before) included.
        core: the core that it ran on, `None` if it could not be pinned.
        stolen: seconds taken by a hypervisor while it was timed, `None` if unknown.
        canaries: change of each canary from before to after, relative.
        reasons: what speaks against the figure, in words; none is known if empty.
    """

    kernel: str
    shape: tuple[int, ...]
    dtype: str
    seconds: float
    low: float
    high: float
    repeats: int
    calls: int
    first_seconds: float
    core: int | None
    stolen: float | None
    canaries: Mapping[str, float]
    reasons: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Nothing is known to speak against the figure."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class _Watched:
    """What was seen of the machine while the repeats ran: seconds of wall clock, on a core, and stolen."""

    wall: float
    busy: float
    stolen: float | None


def measure(
    kernel: Kernel,
    shape: tuple[int, ...],
    dtype: str = "fp32",
    *,
    effort: Effort = Effort(),
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
        core: the core to run on; `None` leaves the choice to the host. The thread's affinity is restored afterwards.
        seed: of the operands' values.
        host: the machine; `None` is this one.

    Raises:
        ValueError: for a shape or dtype that the kernel does not take, or a core that this process may not use.
    """
    kernel.checked(shape, dtype)
    machine = host or ThisHost()
    sets = _operand_sets(kernel, shape, dtype, effort.footprint, seed)
    with machine.pinned(core) as pinned:
        first = _repeat(kernel, sets[:1], machine)
        before = machine.canaries()
        rotation = cycle(sets)
        calls = _calls(kernel, rotation, effort.repeat_seconds, machine)
        times, watched = _repeats(kernel, rotation, calls, effort, machine, pinned)
        after = machine.canaries()
    drift = {name: after[name] / before[name] - 1 for name in before}
    low, high = median_interval(times, effort.confidence)
    seconds = median(times)
    reasons = [*_width_doubts(seconds, low, high, effort), *_machine_doubts(pinned, watched, drift, machine.tick())]
    shape = tuple(shape)
    return Sample(kernel.name, shape, dtype, seconds, low, high, len(times), calls, first, pinned, watched.stolen, drift, tuple(reasons))


def _operand_sets(kernel: Kernel, shape: tuple[int, ...], dtype: str, footprint: int, seed: int) -> list[Operands]:
    """One set of operands, and copies of it up to the footprint."""
    made = kernel.operands(shape, dtype, np.random.default_rng(seed))
    copies = ceil(footprint / sum(array.nbytes for array in made))
    return [made, *(tuple(array.copy() for array in made) for _ in range(copies - 1))]


def _repeat(kernel: Kernel, batch: list[Operands], host: Host) -> float:
    """Seconds per call of one call for each set of operands."""
    run = kernel.run
    start = host.now()
    for operands in batch:
        run(*operands)
    return (host.now() - start) / len(batch)


def _calls(kernel: Kernel, rotation: Iterator[Operands], seconds: float, host: Host) -> int:
    """How many calls last `seconds`, found by doubling; warms the caches up in passing."""
    calls = 1
    while _repeat(kernel, list(islice(rotation, calls)), host) * calls < seconds:
        calls *= 2
    return calls


def _repeats(
    kernel: Kernel, rotation: Iterator[Operands], calls: int, effort: Effort, host: Host, core: int | None
) -> tuple[list[float], _Watched]:
    """Seconds per call of each repeat, until the median is known well enough or the budget is spent."""
    stolen, busy, start = host.stolen(core), host.busy(), host.now()
    times: list[float] = []
    look = effort.least
    while len(times) < effort.least or host.now() - start < effort.budget:
        times.append(_repeat(kernel, list(islice(rotation, calls)), host))
        if len(times) == look:
            if _narrow(times, effort):
                break
            look = ceil(1.1 * look)
    wall, worked, taken = host.now() - start, host.busy() - busy, host.stolen(core)
    return times, _Watched(wall, worked, None if stolen is None or taken is None else taken - stolen)


def _narrow(times: list[float], effort: Effort) -> bool:
    low, high = median_interval(times, effort.confidence)
    return high - low <= 2 * effort.relative * median(times)


def _width_doubts(seconds: float, low: float, high: float, effort: Effort) -> Iterator[str]:
    if high - low > 2 * effort.relative * seconds:
        wide = (high - low) / 2 / seconds
        yield f"the median is known to {wide:.1%} only, not to {effort.relative:.1%}, when the budget of {effort.budget:g} s was spent"


def _machine_doubts(core: int | None, watched: _Watched, drift: Mapping[str, float], tick: float) -> Iterator[str]:
    if core is None:
        yield "the thread could not be pinned to a core"
    if watched.stolen is None:
        yield "steal time is unavailable"
    elif watched.stolen > max(STEAL_TOLERANCE * watched.wall, tick):
        yield f"a hypervisor took {watched.stolen / watched.wall:.1%} of the core's time"
    away = 1 - watched.busy / watched.wall
    if away > SHARE_TOLERANCE:
        yield f"the thread was off the core {away:.1%} of the time"
    for name, change in drift.items():
        if abs(change) > CANARY_TOLERANCE:
            yield f"the {name} canary changed by {change:+.1%} from before to after"
