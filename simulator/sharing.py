"""Max-min fair sharing of resources by activities: the rule of buses, links, storage channels and shared media alike.

An activity moves fixed amounts over one or several resources, all in step (SimGrid's parallel task, see `hwmodels.demand`). Its
progress is a fraction from 0 to 1. Rates are weighted max-min fair by progressive filling (Bertsekas and Gallager, Data Networks,
2nd ed., section 6.5): every activity's rate, in bytes per second, rises alike until one of its resources is full or its own bound is met.

How wrong: real transports reach their fair share only after some round trips, and favour short ones; here it is instantaneous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.simulator.following import Following

__all__ = ["Activity", "Resource", "component_of", "fair_rates"]


class Resource:
    """A shared capacity, in amount per second.

    Attributes:
        name: dotted scope.
        nominal: amount per second when nothing derates it.
        capacity: amount per second now: `nominal` times every factor of `factors`.
        factors: by cause, what derates it now (a fault, a trace of rates); 0 stops what uses it.
        following: the profile that it follows, None if none; its capacity is then that of the last moment at which somebody asked.
        activities: those that use it now, in order of arrival.
        moved: amount moved so far, settled up to `since`: the integral of the rates.
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
        "factors",
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

    def settle(self, now: float) -> None:
        """Account what has been moved up to now at the present rates."""
        elapsed = now - self.since
        if self.used:
            self.offered += elapsed * self.capacity
        if self.activities and elapsed > 0.0:
            self.busy_s += elapsed
            self.moved += elapsed * sum(activity.rate * amount for activity, amount in self.activities.items())
        self.since = now

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
        weight: fractions per second per unit of fair share: one over its `size` in bytes, so that equals get equal bytes per second.
        first: fraction that was to do when its operation began; `left`: still to do, settled up to `since`.
        rate: fractions per second now.
        joules: dynamic energy of the whole activity by owner.
        done: called when it ends.
        version: counts changes of rate, so that stale timers are told apart.
    """

    __slots__ = ("bound", "done", "first", "joules", "left", "rate", "since", "usage", "version", "weight")

    def __init__(
        self,
        usage: dict[Resource, float],
        seconds: float,
        size: float,
        joules: dict[str, float],
        done: Callable[[], None],
        left: float = 1.0,
        first: float = 1.0,
    ) -> None:
        self.usage = usage
        self.bound = 1.0 / seconds if seconds > 0.0 else inf
        self.weight = 1.0 / size if size > 0.0 else 1.0
        self.joules = joules
        self.done = done
        self.first = first
        self.left = left
        self.rate = 0.0
        self.since = 0.0
        self.version = 0

    def left_at(self, now: float) -> float:
        """Fraction still to do at a moment not before `since`."""
        return max(0.0, self.left - self.rate * (now - self.since))

    def settle(self, now: float) -> None:
        """Account progress up to now."""
        self.left = self.left_at(now)
        self.since = now


def component_of(activity: Activity) -> list[Activity]:
    """The activities whose rates can depend on this one's: those joined to it by shared resources, in a deterministic order."""
    found = {activity: None}
    seen: set[Resource] = set()
    frontier = [activity]
    while frontier:
        for resource in frontier.pop().usage:
            if resource in seen:
                continue
            seen.add(resource)
            for other in resource.activities:
                if other not in found:
                    found[other] = None
                    frontier.append(other)
    return list(found)


def fair_rates(activities: Iterable[Activity]) -> dict[Activity, float]:
    """Weighted max-min fair rates (fractions per second) of activities that use no resource outside of the group's.

    Guarantees: no resource above its capacity, no activity above its bound, and none can be raised without lowering one that has
    no larger share. Raises `ValueError` if an activity has neither a bound nor a resource.
    """
    rates: dict[Activity, float] = {}
    growing = dict.fromkeys(activities)
    room: dict[Resource, float] = {}
    for activity in growing:
        if not activity.usage and activity.bound == inf:
            raise ValueError("an activity with neither a bound nor a resource has no rate")
        for resource in activity.usage:
            room.setdefault(resource, resource.capacity)
    while growing:
        pull = _pull(growing)
        level = min((room[resource] / wanted for resource, wanted in pull.items()), default=inf)
        tight = min((activity.bound / activity.weight for activity in growing), default=inf)
        frozen = _frozen(growing, pull, room, min(level, tight))
        for activity in frozen:
            rate = min(activity.bound, min(level, tight) * activity.weight)
            rates[activity] = rate
            del growing[activity]
            for resource, amount in activity.usage.items():
                room[resource] = max(0.0, room[resource] - rate * amount)
    return rates


def _pull(growing: Iterable[Activity]) -> dict[Resource, float]:
    """Demand on each resource per unit of fair share."""
    pull: dict[Resource, float] = {}
    for activity in growing:
        for resource, amount in activity.usage.items():
            pull[resource] = pull.get(resource, 0.0) + activity.weight * amount
    return pull


def _frozen(growing: Iterable[Activity], pull: dict[Resource, float], room: dict[Resource, float], level: float) -> list[Activity]:
    """Those that stop rising at this fair share: at their bound, or on a resource that is full."""
    limit = level * (1.0 + 1e-12)
    full = {resource for resource, wanted in pull.items() if room[resource] <= limit * wanted}
    return [
        activity
        for activity in growing
        if activity.bound <= limit * activity.weight or any(resource in full for resource in activity.usage)
    ]
