"""Sharing in time: after every change, those whose rates can depend on it share anew, and nobody else is looked at.

Activities joined by resources form a component; it is kept while its activities come and go. One that comes joins the components that it
touches. One that leaves may part its component, which is looked for once as many have left as make it worth while: a component that is
too large shares as its parts would, only slower. Few activities share one by one, in plain Python; many as arrays (`crowd`), compiled.
Each component has one timer, for its next end; what ends at that moment but for a rounding ends together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from math import inf
from operator import attrgetter
from typing import Any

from edgewright.simulator.crowd import Crowd
from edgewright.simulator.sharing import EXACT, Activity, Resource, fair_rates, partition

__all__ = ["Component", "Sharing"]

MANY = 32
"""Activities from which on a component is a crowd: compiled code is loaded then, which takes a second in the first run of a machine."""

FEW = 16
"""Activities of a crowd below which it is none any more."""

PATIENCE = 32
"""A component is looked through for parts when one in so many of its activities has left, the first of them between others."""


class Component:
    """Activities whose rates can depend on each other.

    Attributes:
        activities: in order of arrival here.
        crowd: the same as arrays, if there are many.
        due: simulated time for which its timer is set, None if it has none; `version` tells timers that are still wanted.
        gaps: activities that have left since one left a gap between others, and nobody looked for parts.
    """

    __slots__ = ("activities", "crowd", "due", "gaps", "version")

    def __init__(self) -> None:
        self.activities: dict[Activity, None] = {}
        self.crowd: Crowd | None = None
        self.due: float | None = None
        self.version = 0
        self.gaps = 0


class Sharing:
    """All components of a machine."""

    def __init__(self, env: Any, after: Callable[[float, Callable[[], None]], None]) -> None:
        self.env = env
        self.after = after
        self._crowds: dict[Component, None] = {}
        self._numbers = count()

    # -- changes -------------------------------------------------------------------------------------------------------------------------

    def add(self, activity: Activity) -> None:
        """Start an activity: it joins all that it touches."""
        now = self.env.now
        activity.since, activity.number = now, next(self._numbers)
        component: Component | None = None
        for resource in activity.usage:
            resource.settle(now)
            other = resource.component
            if other is not None and other is not component:
                component = other if component is None else self._merge(component, other)
        if component is None:
            component = Component()
        self._enter(activity, component)
        for resource, amount in activity.usage.items():
            resource.activities[activity] = amount
        self._share(component)

    def remove(self, activity: Activity) -> None:
        """Take an activity away; its `left` is settled. Nothing happens if it has ended, but that its `done` is not called any more."""
        component = activity.component
        if component is None:
            activity.ending = False
            return
        self._leave(activity, component)
        self._renew(component)

    def changed(self, resource: Resource) -> None:
        """A capacity has changed."""
        if resource.component is not None:
            self._share(resource.component)

    def settle(self) -> None:
        """Bring the progress and rate of all activities up to now where they are kept in arrays."""
        for component in self._crowds:
            if component.crowd is not None:
                component.crowd.publish(self.env.now)

    # -- membership ----------------------------------------------------------------------------------------------------------------------

    def _enter(self, activity: Activity, component: Component) -> None:
        component.activities[activity] = None
        activity.component = component
        for resource in activity.usage:
            resource.component = component
        if component.crowd is not None:
            component.crowd.settle(self.env.now)
            activity.settle(self.env.now)
            component.crowd.add(activity)

    def _merge(self, one: Component, other: Component) -> Component:
        """The smaller joins the larger."""
        large, small = (one, other) if len(one.activities) >= len(other.activities) else (other, one)
        self._disperse(small)
        for activity in small.activities:
            self._enter(activity, large)
        large.gaps += small.gaps
        small.version += 1
        return large

    def _leave(self, activity: Activity, component: Component) -> None:
        now = self.env.now
        del component.activities[activity]
        activity.component = None
        for resource in activity.usage:
            resource.settle(now)
        if component.crowd is not None:
            component.crowd.remove(activity, now)
        else:
            activity.settle(now)
            self._draw(activity, 0.0, now)
        occupied = 0
        for resource in activity.usage:
            others = resource.activities
            del others[activity]
            if not others:
                resource.component = None
            else:
                occupied += 1
            if component.crowd is None:
                resource.flow = sum([other.rate * amount for other, amount in others.items()]) if others else 0.0
        if occupied > 1 or component.gaps:
            component.gaps += 1

    def _renew(self, component: Component) -> None:
        """Some have left: part it if it has come apart, and share what is left anew."""
        if not component.activities and component.crowd is None:
            component.version += 1
            return
        parts: list[list[Activity]] = []
        if component.gaps * PATIENCE > len(component.activities):
            component.gaps = 0
            parts = sorted(partition(component.activities), key=len)[:-1]
        moved = [self._part(component, part) for part in parts]
        self._share(component)
        for each in moved:
            self._share(each)

    def _part(self, component: Component, activities: Iterable[Activity]) -> Component:
        """These become a component of their own."""
        part = Component()
        for activity in activities:
            del component.activities[activity]
            if component.crowd is not None:
                component.crowd.remove(activity, self.env.now)
            self._enter(activity, part)
        return part

    # -- rates ---------------------------------------------------------------------------------------------------------------------------

    def _share(self, component: Component) -> None:
        now, size = self.env.now, len(component.activities)
        if component.crowd is None and size > MANY:
            component.crowd = Crowd(component.activities, now)
            self._crowds[component] = None
        if component.crowd is not None:
            component.crowd.share(now)
            if size < FEW:
                self._disperse(component)
        elif size == 1:
            (activity,) = component.activities
            self._set_alone(activity, now)
        else:
            self._set_rates(fair_rates(component.activities), now)
        self._time(component)

    def _disperse(self, component: Component) -> None:
        """Back from arrays to activities one by one."""
        if component.crowd is not None:
            component.crowd.publish(self.env.now)
            component.crowd = None
            del self._crowds[component]

    def _set_alone(self, activity: Activity, now: float) -> None:
        """The rate of one that shares with nobody: the common case, hence apart."""
        rate = activity.alone
        if rate != activity.rate:
            activity.settle(now)
            self._draw(activity, rate, now)
            for resource, amount in activity.usage.items():
                resource.settle(now)
                resource.flow = rate * amount

    def _set_rates(self, rates: dict[Activity, float], now: float) -> None:
        """Those whose rate changes are settled before, and what they use besides."""
        changed: dict[Resource, None] = {}
        for activity, rate in rates.items():
            if rate != activity.rate:
                activity.settle(now)
                self._draw(activity, rate, now)
                changed.update(dict.fromkeys(activity.usage))
        for resource in changed:
            resource.settle(now)
            resource.flow = sum([other.rate * amount for other, amount in resource.activities.items()])

    def _draw(self, activity: Activity, rate: float, now: float) -> None:
        """Set a rate and the power that goes with it."""
        for account, joules in activity.joules:
            account.change((rate - activity.rate) * joules, now)
        activity.rate = rate

    # -- ends ----------------------------------------------------------------------------------------------------------------------------

    def _time(self, component: Component) -> None:
        """Set the timer for the next end; it stays where it is if that has not moved."""
        due = self._next_end(component)
        if due != component.due:
            component.due = due
            component.version += 1
            wait = due - self.env.now
            if wait < inf:
                self.after(wait if wait > 0.0 else 0.0, partial(self._expire, component, component.version))

    def _next_end(self, component: Component) -> float:
        if component.crowd is not None:
            return float(self.env.now) + component.crowd.first_end()
        if len(component.activities) == 1:
            (sole,) = component.activities
            return sole.end
        return min([each.end for each in component.activities], default=inf)

    def _expire(self, component: Component, version: int) -> None:
        if component.version != version:
            return
        over = self._ended(component)
        component.due = None
        for activity in over:
            self._leave(activity, component)
            activity.left = 0.0
            activity.ending = True
        self._renew(component)
        for activity in over:
            if activity.ending:
                activity.ending = False
                activity.done()

    def _ended(self, component: Component) -> list[Activity]:
        """Those that end now, in order of arrival."""
        now = self.env.now
        if component.crowd is not None:
            over = component.crowd.ended(now)
        elif len(component.activities) == 1:
            return list(component.activities)
        else:
            due = self._next_end(component)
            over = [each for each in component.activities if each.end <= due or each.left_at(now) <= EXACT]
        return sorted(over, key=attrgetter("number"))
