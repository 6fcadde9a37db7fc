"""Max-min fair sharing of resources by activities: the rule of buses, links, storage channels and shared media alike.

An activity moves fixed amounts over one or several resources, all in step (SimGrid's parallel task, see `hwmodels.demand`). Its
progress is a fraction from 0 to 1. Rates are weighted max-min fair by progressive filling (Bertsekas and Gallager, Data Networks,
2nd ed., section 6.5): every activity's rate, in bytes per second times its weight, rises alike until one of its resources is full or its
own bound is met. Classes of priority are filled one after another, the highest first, each with what those above it leave.

The rule is here; `components` applies it to what a change touches, `filling` to many activities at once.

How wrong: real transports reach their fair share only after some round trips, and favour short ones; here it is instantaneous. A strict
priority takes effect at once and starves who stands below it, as a switch with strict queues does; senders that slow down by themselves
would leave a little more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.simulator.components import Component
    from edgewright.simulator.energy import Account
    from edgewright.simulator.following import Following

__all__ = ["EXACT", "FULL", "INSTANT", "Activity", "Resource", "fair_rates", "partition"]

EXACT = 1e-12
"""Relative difference below which two shares are the same, and part of an activity that is nothing: a thousand roundings."""

INSTANT = 1e-14
"""Part of the time now that is no time at all: fifty roundings of the clock (1 ns after a day)."""

FULL = 1e-12
"""Share of a capacity that is left over only by rounding: who stands below the class that filled the resource gets none of it."""


class Resource:
    """A shared capacity, in amount per second.

    Attributes:
        name: dotted scope.
        nominal: amount per second when nothing derates it.
        capacity: amount per second now: `nominal` times every factor of `factors`.
        factors: by cause, what derates it now (a fault, a trace of rates); 0 stops what uses it.
        following: the profile that it follows, None if none; its capacity is then that of the last moment at which somebody asked.
        activities: those that use it now with their amounts, in order of arrival; `component`: where they share, None if there are none.
        flow: amount per second over it now.
        moved: amount moved so far, settled up to `since`: the integral of `flow`.
        accounted: amount that operations which ended or were cancelled say they moved.
        offered: the most that could have been moved so far: the integral of the capacity while it was used or claimed, settled likewise.
        busy_s: seconds during which at least one activity used it, settled likewise.
        claim: set while a stretch owns the resource: called to cut it.
    """

    __slots__ = (
        "accounted",
        "activities",
        "busy_s",
        "capacity",
        "claim",
        "component",
        "factors",
        "flow",
        "following",
        "moved",
        "name",
        "nominal",
        "offered",
        "since",
    )

    def __init__(self, name: str, capacity: float) -> None:
        self.name = name
        self.nominal = capacity
        self.capacity = capacity
        self.factors: dict[str, float] = {}
        self.offered = 0.0
        self.activities: dict[Activity, float] = {}
        self.component: Component | None = None
        self.flow = 0.0
        self.moved = 0.0
        self.accounted = 0.0
        self.busy_s = 0.0
        self.since = 0.0
        self.claim: Callable[[], None] | None = None
        self.following: Following | None = None

    @property
    def used(self) -> bool:
        """Whether an activity uses it or a stretch claims it."""
        return bool(self.activities) or self.claim is not None

    def capacity_now(self) -> float:
        """Amount per second at this moment, where it follows a profile."""
        if self.following is not None:
            self.following.refresh()
        return self.capacity

    def settle(self, now: float) -> None:
        """Account what has been moved up to now at the present rates."""
        elapsed = now - self.since
        if elapsed > 0.0:
            if self.activities:
                self.offered += elapsed * self.capacity
                self.busy_s += elapsed
                self.moved += elapsed * self.flow
            elif self.claim is not None:
                self.offered += elapsed * self.capacity
        self.since = now

    def progressed(self, amount: float) -> None:
        """A stretch has moved that much over it."""
        self.moved += amount
        self.accounted += amount

    def occupied(self, seconds: float) -> None:
        """A stretch has used it for so long."""
        self.busy_s += seconds

    def derate(self, cause: str, factor: float, now: float) -> None:
        """From now on, `cause` leaves this share of the nominal capacity (1: it no longer derates it)."""
        self.settle(now)
        if factor == 1.0:
            self.factors.pop(cause, None)
        else:
            self.factors[cause] = factor
        self.capacity = self.nominal * prod(self.factors.values())


class Activity:
    """A fluid phase under way.

    Attributes:
        usage: amount over each resource for the whole activity.
        bound: the most it can progress, in fractions per second (the engine's own roof); inf if only resources bind.
        weight: fractions per second per unit of fair share: its weight among others over its `size` in bytes, so that equals get equal
            bytes per second.
        priority: classes above it are served first, classes below get what it leaves.
        first: fraction that was to do when its operation began; `left`: still to do, settled up to `since`.
        rate: fractions per second; like `left` that of the last settling (`Sharing.settle`, or its removal).
        joules: dynamic energy of the whole activity, by the account that it goes to.
        done: called when it ends.
        number: its place in the order of arrival.
        slot: its place in the arrays of a crowd.
        ending: it has come to its end, and `done` has not been called yet.
    """

    __slots__ = (
        "bound",
        "component",
        "done",
        "ending",
        "first",
        "joules",
        "left",
        "number",
        "priority",
        "rate",
        "since",
        "slot",
        "usage",
        "weight",
    )

    def __init__(
        self,
        usage: dict[Resource, float],
        seconds: float,
        size: float,
        joules: Sequence[tuple[Account, float]],
        done: Callable[[], None],
        left: float = 1.0,
        first: float = 1.0,
        weight: float = 1.0,
        priority: int = 0,
    ) -> None:
        if not usage and seconds <= 0.0:
            raise ValueError("an activity with neither a bound nor a resource has no rate")
        self.usage = usage
        self.bound = 1.0 / seconds if seconds > 0.0 else inf
        self.weight = weight / size if size > 0.0 else weight
        self.priority = priority
        self.joules = joules
        self.done = done
        self.first = first
        self.left = left
        self.rate = 0.0
        self.since = 0.0
        self.number = 0
        self.slot = 0
        self.ending = False
        self.component: Component | None = None

    @property
    def alone(self) -> float:
        """Its rate where nobody else uses its resources."""
        rate = self.bound
        for resource, amount in self.usage.items():
            most = resource.capacity / amount
            if most < rate:
                rate = most
        return rate

    @property
    def end(self) -> float:
        """When it ends at its present rate, infinity if it stands still.

        A rounding may be left of what ends just as its rate changes: it has ended then, even if it would stand still from now on.
        """
        if self.left <= EXACT:
            return self.since
        return self.since + self.left / self.rate if self.rate > 0.0 else inf

    def left_at(self, now: float) -> float:
        """Fraction still to do at a moment not before `since`; none if the clock cannot tell that moment from the end."""
        left = self.left - self.rate * (now - self.since)
        return left if left > self.rate * now * INSTANT else 0.0

    def settle(self, now: float) -> None:
        """Account progress up to now."""
        if now > self.since:
            self.left = self.left_at(now)
            self.since = now


def partition(activities: Iterable[Activity]) -> list[list[Activity]]:
    """The groups whose rates can depend on each other: joined, at any remove, by resources that they share; in a deterministic order."""
    groups: list[list[Activity]] = []
    found: set[Activity] = set()
    seen: set[Resource] = set()
    for first in activities:
        if first in found:
            continue
        found.add(first)
        group = [first]
        groups.append(group)
        for activity in group:
            for resource in activity.usage:
                if resource not in seen:
                    seen.add(resource)
                    fresh = [other for other in resource.activities if other not in found]
                    found.update(fresh)
                    group += fresh
    return groups


def fair_rates(activities: Iterable[Activity]) -> dict[Activity, float]:
    """Weighted max-min fair rates (fractions per second) of activities that use no resource outside of the group's.

    Guarantees: no resource above its capacity, no activity above its bound, and none can be raised without lowering one of a higher
    priority, or one of its own that has no larger share.
    """
    everybody = list(activities)
    room = {resource: resource.capacity for activity in everybody for resource in activity.usage}
    rates: dict[Activity, float] = {}
    classes = {activity.priority for activity in everybody}
    for priority in sorted(classes, reverse=True):
        growing = everybody if len(classes) == 1 else [activity for activity in everybody if activity.priority == priority]
        rates.update(_filled(dict.fromkeys(growing), room))
    return rates


def _filled(growing: dict[Activity, None], room: dict[Resource, float]) -> dict[Activity, float]:
    """Rates of one class, given what those above it leave of each resource; what it takes is taken from there."""
    rates: dict[Activity, float] = {}
    while growing:
        pull = _pull(growing)
        level = min([room[resource] / wanted for resource, wanted in pull.items()], default=inf)
        level = min(level, *[activity.bound / activity.weight for activity in growing])
        for activity in _frozen(growing, pull, room, level):
            rate = rates[activity] = min(activity.bound, level * activity.weight)
            del growing[activity]
            for resource, amount in activity.usage.items():
                left = room[resource] - rate * amount
                room[resource] = 0.0 if left < FULL * resource.capacity else left
    return rates


def _pull(growing: Iterable[Activity]) -> dict[Resource, float]:
    """Demand on each resource per unit of fair share."""
    pull: dict[Resource, float] = {}
    for activity in growing:
        weight = activity.weight
        for resource, amount in activity.usage.items():
            pull[resource] = pull.get(resource, 0.0) + weight * amount
    return pull


def _frozen(growing: Iterable[Activity], pull: dict[Resource, float], room: dict[Resource, float], level: float) -> list[Activity]:
    """Those that stop rising at this fair share: at their bound, or on a resource that is full."""
    limit = level * (1.0 + EXACT)
    full = {resource for resource, wanted in pull.items() if room[resource] <= limit * wanted}
    return [activity for activity in growing if activity.bound <= limit * activity.weight or not full.isdisjoint(activity.usage)]
