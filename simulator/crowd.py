"""Many activities that share, as arrays: what a change of one does to the rates of all costs microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.energy import Account
from edgewright.simulator.sharing import EXACT, INSTANT, Activity, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Crowd"]


class _Column:
    """An array that grows at its end."""

    __slots__ = ("_data", "size")

    def __init__(self, dtype: type) -> None:
        self._data: NDArray[Any] = np.empty(64, dtype)
        self.size = 0

    def append(self, value: float) -> None:
        """One value more."""
        if self.size == len(self._data):
            self._data = np.concatenate((self._data, np.empty_like(self._data)))
        self._data[self.size] = value
        self.size += 1

    @property
    def values(self) -> NDArray[Any]:
        """What has been appended; may be written to."""
        return self._data[: self.size]


class Crowd:
    """The activities of one component, settled together. Who leaves stays in the arrays, without a rate, until they are rebuilt."""

    def __init__(self, activities: Iterable[Activity], now: float) -> None:
        self._since = now
        self._open()
        for activity in activities:
            activity.settle(now)
            self.add(activity)

    def _open(self) -> None:
        """Empty arrays: by activity, by edge to a resource, by edge to an owner of energy, by resource and by owner."""
        self._members: list[Activity | None] = []
        self._alive, self._priority = _Column(np.bool_), _Column(np.int64)
        self._weight, self._bound, self._left, self._rate = (_Column(np.float64) for _ in range(4))
        self._begin, self._used, self._amount, self._holder = _Column(np.int64), _Column(np.int64), _Column(np.float64), _Column(np.int64)
        self._burner, self._owner, self._joules = _Column(np.int64), _Column(np.int64), _Column(np.float64)
        self._resources: dict[Resource, int] = {}
        self._owners: dict[Account, int] = {}
        self._flows, self._watts = _Column(np.float64), _Column(np.float64)
        self._begin.append(0)
        self._gone = 0

    def add(self, activity: Activity) -> None:
        """One more, settled now, at the rate that it has; rates are not shared anew."""
        slot = activity.slot = len(self._members)
        self._members.append(activity)
        self._alive.append(True)
        self._priority.append(activity.priority)
        self._weight.append(activity.weight)
        self._bound.append(activity.bound)
        self._left.append(activity.left)
        self._rate.append(activity.rate)
        for resource, amount in activity.usage.items():
            self._used.append(self._index_of(resource))
            self._amount.append(amount)
            self._holder.append(slot)
        self._begin.append(self._used.size)
        for owner, joules in activity.joules:
            if owner not in self._owners:
                self._owners[owner] = len(self._owners)
                self._watts.append(0.0)
            self._burner.append(slot)
            self._owner.append(self._owners[owner])
            self._joules.append(joules)
            self._watts.values[self._owners[owner]] += joules * activity.rate

    def _index_of(self, resource: Resource) -> int:
        index = self._resources.get(resource)
        if index is None:
            index = self._resources[resource] = len(self._resources)
            self._flows.append(resource.flow)
        else:
            self._flows.values[index] = resource.flow
        return index

    def remove(self, activity: Activity, now: float) -> None:
        """One leaves, with what is left of it; rates are not shared anew, and its power is drawn until they are."""
        self.settle(now)
        slot = activity.slot
        activity.left, activity.rate, activity.since = float(self._left.values[slot]), 0.0, now
        self._members[slot] = None
        self._alive.values[slot] = False
        self._rate.values[slot] = 0.0
        self._gone += 1

    def settle(self, now: float) -> None:
        """Account the progress of all up to now, as `Activity.left_at` does."""
        if now > self._since:
            left = self._left.values
            left -= self._rate.values * (now - self._since)
            left[left <= self._rate.values * (now * INSTANT)] = 0.0
        self._since = now

    def publish(self, now: float) -> None:
        """Write progress and rates to the activities themselves."""
        self.settle(now)
        for activity, left, rate in zip(self._members, self._left.values.tolist(), self._rate.values.tolist(), strict=True):
            if activity is not None:
                activity.left, activity.rate, activity.since = left, rate, now

    def share(self, now: float) -> None:
        """Share anew; the flows of resources and the power of owners follow."""
        from edgewright.simulator.filling import fill

        self.settle(now)
        self._rate.values[:] = fill(
            self._alive.values,
            self._priority.values,
            self._weight.values,
            self._bound.values,
            self._begin.values,
            self._used.values,
            self._amount.values,
            np.array([resource.capacity for resource in self._resources]),
        )
        self._set_flows(now)
        self._set_watts(now)
        if self._gone > max(64, len(self._members) // 2):
            self._rebuild(now)

    def _set_flows(self, now: float) -> None:
        flows = np.bincount(self._used.values, self._rate.values[self._holder.values] * self._amount.values, len(self._resources))
        changed = np.flatnonzero(flows != self._flows.values)
        self._flows.values[:] = flows
        resources = list(self._resources)
        for index in changed.tolist():
            resources[index].settle(now)
            resources[index].flow = float(flows[index])

    def _set_watts(self, now: float) -> None:
        watts = np.bincount(self._owner.values, self._rate.values[self._burner.values] * self._joules.values, len(self._owners))
        rise = watts - self._watts.values
        self._watts.values[:] = watts
        owners = list(self._owners)
        for index in np.flatnonzero(rise).tolist():
            owners[index].change(float(rise[index]), now)

    def _rebuild(self, now: float) -> None:
        """Arrays without those that have left, in the same order."""
        self.publish(now)
        staying, watts = [each for each in self._members if each is not None], dict(zip(self._owners, self._watts.values, strict=True))
        self._open()
        for activity in staying:
            self.add(activity)
        self._watts.values[:] = [watts[owner] for owner in self._owners]

    def first_end(self) -> float:
        """Seconds from the last settling until the first of them ends; infinity if none moves. The rule is that of `Activity.end`."""
        from edgewright.simulator.filling import first_end

        return first_end(self._alive.values, self._left.values, self._rate.values)

    def ended(self, now: float) -> list[Activity]:
        """Those that end now, by the clock or but for a rounding: at least the one that is the next to end."""
        self.settle(now)
        left, rate = self._left.values, self._rate.values
        ends = now + np.divide(left, rate, out=np.full(left.size, np.inf), where=rate > 0.0)
        over = np.flatnonzero((ends <= now + self.first_end()) | (left <= EXACT))
        return [each for slot in over.tolist() if (each := self._members[slot]) is not None]
