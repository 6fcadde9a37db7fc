"""Progressive filling of many activities at once, compiled.

The rule is that of `sharing.fair_rates`, in another order: a resource is full, whatever happens elsewhere, if it fills at no higher a share
than any other resource or bound of those that use it. All such resources are closed in one pass, so that the passes are as many as
bottlenecks hang on one another, not as many as there are (Ros-Giralt et al., On the bottleneck structure of congestion-controlled
networks, POMACS 3(3), 2019, derive both orders and their equality). A pass costs in proportion to the activities that are left.

Importing this module imports Numba and compiles on the first call (kept between processes, see `kernels.jit`), so it is imported once
many activities share. Operations are carried out as written, without reordering.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from edgewright.simulator.sharing import EXACT, FULL

__all__ = ["fill", "first_end"]

Function = TypeVar("Function", bound=Callable[..., Any])
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


def _compiled(function: Function) -> Function:
    return cast(Function, njit(function, cache=True, nogil=True, error_model="numpy"))


@_compiled
def _close(
    growing: Integers,
    count: int,
    room: Floats,
    level: Floats,
    rates: Floats,
    weight: Floats,
    bound: Floats,
    begin: Integers,
    used: Integers,
    amount: Floats,
) -> int:
    """One pass: rates of those whose resource or bound closes; they leave the first `count` of `growing`. Returns how many are left."""
    lowest = np.full(room.size, np.inf)
    share = np.empty(count)
    for place in range(count):
        each = growing[place]
        most = bound[each] / weight[each]
        for edge in range(begin[each], begin[each + 1]):
            most = min(most, level[used[edge]])
        share[place] = most
        for edge in range(begin[each], begin[each + 1]):
            lowest[used[edge]] = min(lowest[used[edge]], most)
    taken = np.zeros(room.size)
    left = 0
    for place in range(count):
        each = growing[place]
        closed = bound[each] / weight[each] <= share[place] * (1.0 + EXACT)
        for edge in range(begin[each], begin[each + 1]):
            closed = closed or level[used[edge]] <= lowest[used[edge]] * (1.0 + EXACT)
        if closed:
            rates[each] = min(bound[each], share[place] * weight[each])
            for edge in range(begin[each], begin[each + 1]):
                taken[used[edge]] += rates[each] * amount[edge]
        else:
            growing[left] = each
            left += 1
    for resource in range(room.size):
        room[resource] -= taken[resource]
    return left


@_compiled
def fill(
    alive: Flags,
    priority: Integers,
    weight: Floats,
    bound: Floats,
    begin: Integers,
    used: Integers,
    amount: Floats,
    capacity: Floats,
) -> Floats:
    """Rates of activities (0 where not `alive`), of each class of priority in turn.

    Args:
        alive, priority, weight, bound: by activity, as in `sharing.Activity`.
        begin: activity i has the edges `begin[i]` to `begin[i + 1]`.
        used, amount: by edge: the index of the resource, and the amount over it.
        capacity: by resource.
    """
    rates = np.zeros(weight.size)
    room = capacity.copy()
    level = np.empty(capacity.size)
    growing = np.empty(weight.size, np.int64)
    above = np.iinfo(np.int64).max
    while True:
        highest = np.iinfo(np.int64).min
        for each in range(weight.size):
            if alive[each] and highest < priority[each] < above:
                highest = priority[each]
        count = 0
        for each in range(weight.size):
            if alive[each] and priority[each] == highest:
                growing[count] = each
                count += 1
        if count == 0:
            return rates
        while count > 0:
            level[:] = 0.0
            for place in range(count):
                each = growing[place]
                for edge in range(begin[each], begin[each + 1]):
                    level[used[edge]] += weight[each] * amount[edge]
            for resource in range(capacity.size):
                level[resource] = room[resource] / level[resource] if level[resource] > 0.0 else np.inf
            count = _close(growing, count, room, level, rates, weight, bound, begin, used, amount)
            for resource in range(capacity.size):
                if room[resource] < FULL * capacity[resource]:
                    room[resource] = 0.0
        above = highest


@_compiled
def first_end(alive: Flags, left: Floats, rates: Floats) -> float:
    """Seconds until the first that is `alive` ends, as in `sharing.Activity.end`; infinity if none moves."""
    soonest = np.inf
    for each in range(left.size):
        if alive[each] and left[each] <= EXACT:
            return 0.0
        if rates[each] > 0.0:
            soonest = min(soonest, left[each] / rates[each])
    return soonest
