"""What speaks against a timing: a wide interval, a core that was shared or stolen, a canary whose time changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["CANARY_TOLERANCE", "SHARE_TOLERANCE", "STEAL_TOLERANCE", "Watched", "machine_doubts", "width_doubts"]

CANARY_TOLERANCE = 0.05
"""A canary may take this much longer or shorter after the repeats than before them, relative, before a figure is in doubt."""
SHARE_TOLERANCE = 0.02
"""The part of the time in which the thread was not on a core, above which a figure is in doubt."""
STEAL_TOLERANCE = 0.01
"""The part of the time that a hypervisor gave to others, above which (and above one tick) a figure is in doubt."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of the cores while the repeats ran.

    Attributes:
        wall: seconds by the wall clock.
        worked: seconds in calls, summed over the threads that were watched.
        busy: seconds of those on a core.
        stolen: seconds taken by a hypervisor; None if unknown.
        cores: how many cores `stolen` is a sum over.
    """

    wall: float
    worked: float
    busy: float
    stolen: float | None
    cores: int


def width_doubts(found: tuple[float, float, float], relative: float, budget: float) -> Iterator[str]:
    """Whether an interval (median, low, high) is wider than asked for."""
    seconds, low, high = found
    if high - low > 2 * relative * seconds:
        wide = (high - low) / 2 / seconds
        yield f"the median is known to {wide:.1%} only, not to {relative:.1%}, when the budget of {budget:g} s was spent"


def machine_doubts(watched: Watched, drift: Mapping[str, float], tick: float) -> Iterator[str]:
    """Whether others were on the cores, or the machine changed its speed; `tick` is what stolen seconds are counted in."""
    if watched.stolen is None:
        yield "steal time is unavailable"
    elif watched.stolen > max(STEAL_TOLERANCE * watched.wall * watched.cores, tick):
        yield f"a hypervisor took {watched.stolen / watched.wall / watched.cores:.1%} of the core's time"
    away = 1 - watched.busy / watched.worked
    if away > SHARE_TOLERANCE:
        yield f"the thread was off the core {away:.1%} of the time"
    for name, change in drift.items():
        if abs(change) > CANARY_TOLERANCE:
            yield f"the {name} canary changed by {change:+.1%} from before to after"
