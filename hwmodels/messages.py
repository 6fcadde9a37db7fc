"""Messages over links: what a transfer or a collective demands of the links that it crosses.

A message of n bytes takes `latency + n * seconds_per_byte` alone (Hockney, Parallel Computing 20(3), 1994); the slowest resource of
its route binds. Messages up to the smallest MTU on the way are no flows: they wait their turn for one packet at most, so their bytes
become latency and stay in the accounts.

    12 000 bytes over 1 Gbit/s (117 MB/s of payload, 120 us): 120 us + 103 us; 1 000 bytes: 120 us + 9 us, and the link is not used

How accurate is this model? Bulk transfers over a switched LAN: a few per cent (Velho et al., ACM TOMACS 23(4), 2013), without TCP's
slow start, which adds up to log2(n / 15 kB) round trips to a cold connection. Wi-Fi: 30 % and more, as its rate is seldom constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgewright.hwmodels.arrays import choose
from edgewright.hwmodels.collectives import phases
from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.topology import Hop
from edgewright.hwmodels.work import Quantity

__all__ = ["Bundle", "Round", "bundle", "compile_rounds", "merge", "rounds_demand"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Messages of one size sent at the same time, per byte of that size.

    Attributes:
        latency: seconds of the slowest route.
        seconds_per_byte: of the busiest resource.
        mtu: bytes; the smallest on any route.
        usage: amount of each resource per byte.
        traffic: bytes put on each link resource per byte.
        joules: per byte, by connection.
    """

    latency: float
    seconds_per_byte: float
    mtu: float
    usage: Mapping[str, float]
    traffic: Mapping[str, float]
    joules: Mapping[str, float]

    def demand(self, nbytes: Quantity) -> Demand:
        """What messages of `nbytes` each demand; nothing at all where `nbytes` is zero."""
        large = nbytes > self.mtu
        alone = nbytes * self.seconds_per_byte
        return Demand(
            latency=choose(nbytes > 0, choose(large, self.latency, self.latency + alone), 0.0),
            usage=_scaled(self.usage, choose(large, nbytes, 0.0)),
            joules=_scaled(self.joules, nbytes),
            traffic=_scaled(self.traffic, nbytes),
        )


class Round(NamedTuple):
    """A bundle whose messages are `fraction` of a collective's buffer, sent `repeat` times, one after another."""

    bundle: Bundle
    fraction: float
    repeat: int


def bundle(hops: Iterable[Hop], overhead: float = 0.0) -> Bundle:
    """One message along a route; `overhead`: seconds at its ends, added to the latency of the hops."""
    usage: dict[str, float] = {}
    traffic: dict[str, float] = {}
    joules: dict[str, float] = {}
    latency, seconds, mtu = overhead, 0.0, float("inf")
    for hop in hops:
        link, resource = hop.connection.link, hop.resource
        latency += link.latency + link.per_message
        mtu = min(mtu, link.mtu)
        usage[resource] = usage.get(resource, 0.0) + hop.usage_per_byte
        seconds = max(seconds, usage[resource] / hop.capacity)
        traffic[resource] = traffic.get(resource, 0.0) + 1.0
        joules[hop.connection.name] = joules.get(hop.connection.name, 0.0) + link.joules_per_byte
    return Bundle(latency, seconds, mtu, usage, traffic, joules)


def merge(bundles: Sequence[Bundle], capacities: Mapping[str, float]) -> Bundle:
    """Several messages of one size at the same time: the slowest latency, and every resource carries the sum."""
    usage = _summed(each.usage for each in bundles)
    return Bundle(
        latency=max(each.latency for each in bundles),
        seconds_per_byte=max(amount / capacities[resource] for resource, amount in usage.items()),
        mtu=min(each.mtu for each in bundles),
        usage=usage,
        traffic=_summed(each.traffic for each in bundles),
        joules=_summed(each.joules for each in bundles),
    )


def compile_rounds(
    kind: str, algorithm: str, paths: Mapping[tuple[int, int], Bundle], ranks: int, capacities: Mapping[str, float]
) -> tuple[Round, ...]:
    """The phases of a collective over given paths between its ranks; raises `ValueError` for an unknown kind or algorithm."""
    return tuple(
        Round(merge([paths[pair] for pair in phase.pairs], capacities), phase.fraction, phase.repeat)
        for phase in phases(kind, ranks, algorithm)
    )


def rounds_demand(rounds: Iterable[Round], nbytes: Quantity) -> Demand:
    """A whole collective as one coupled demand: alone, it takes exactly the sum of its rounds.

    Usage is the total over all rounds and `seconds` the sum of their fluid times, so that a resource that is busy in some rounds only is
    used at a part of its capacity throughout; a foreign flow is slowed (and slows) a little less than it would be round by round.
    """
    latency: Quantity = 0.0
    seconds: Quantity = 0.0
    usage: dict[str, Quantity] = {}
    joules: dict[str, Quantity] = {}
    traffic: dict[str, Quantity] = {}
    for step in rounds:
        size = nbytes * step.fraction
        demand = step.bundle.demand(size)
        latency = latency + demand.latency * step.repeat
        seconds = seconds + choose(size > step.bundle.mtu, size * step.bundle.seconds_per_byte, 0.0) * step.repeat
        for totals, parts in ((usage, demand.usage), (joules, demand.joules), (traffic, demand.traffic)):
            for owner, amount in parts.items():
                totals[owner] = totals.get(owner, 0.0) + amount * step.repeat
    return Demand(latency=latency, seconds=seconds, usage=usage, joules=joules, traffic=traffic)


def _scaled(rates: Mapping[str, float], amount: Quantity) -> dict[str, Quantity]:
    """Rates times an amount, without the entries that are zero everywhere."""
    if isinstance(amount, (int, float)) and amount == 0:
        return {}
    return {owner: rate * amount for owner, rate in rates.items() if rate}


def _summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for part in parts:
        for owner, amount in part.items():
            totals[owner] = totals.get(owner, 0.0) + amount
    return totals
