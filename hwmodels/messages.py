"""Messages over links: what a transfer or a collective demands of the links that it crosses.

A message of n bytes takes `latency + n * seconds_per_byte` alone (Hockney, Parallel Computing 20(3), 1994); the slowest resource of
its route binds, or what its transport makes of loss and windows (`hwmodels.transport`). Messages up to the smallest MTU on the way are
no flows: they wait their turn for one packet at most, so their bytes become latency (at nominal rates) and stay in the accounts.

    12 000 bytes over 1 Gbit/s (117 MB/s of payload, 120 us): 120 us + 103 us; 1 000 bytes: 120 us + 9 us, and the link is not used

Jitter and retransmission are priced at their means: the same for every message of a kind. Jitter is taken as exponential, so that of
m messages which wait for each other the slowest is late by 1 + 1/2 + ... + 1/m means.

How accurate is this model? Bulk transfers over a switched LAN: a few per cent (Velho et al., ACM TOMACS 23(4), 2013), without TCP's
slow start, which adds up to log2(n / 15 kB) round trips to a cold connection. Wi-Fi: 30 % and more, as its rate is seldom constant.
Means hide tails: the 99th percentile of a message with jitter j is 4.6 j behind its latency, not j.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgewright.hwmodels.arrays import choose
from edgewright.hwmodels.collectives import Phase
from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.topology import Hop
from edgewright.hwmodels.transport import expected_stall, path_bound, path_loss, retransmission_timeout
from edgewright.hwmodels.work import Quantity

__all__ = ["Bundle", "Round", "bundle", "compile_rounds", "merge", "rounds_demand"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Messages sent at the same time, per byte of the largest.

    Attributes:
        latency: seconds of the slowest route, if chance adds nothing; `jitter` and `stall` are what it adds on average, by queues and by
            retransmissions.
        seconds_per_byte: of the busiest resource, or of the slowest transport; `bound` is the transport's alone (0: it does not bind).
        mtu: bytes; the smallest on any route.
        usage: amount of each resource per byte.
        traffic: bytes of payload put on each link resource per byte.
        joules: per byte, by connection.
        losses: chance that a packet of each message is lost; `timeout`: seconds until it is sent again.
    """

    latency: float
    jitter: float
    stall: float
    seconds_per_byte: float
    bound: float
    mtu: float
    usage: Mapping[str, float]
    traffic: Mapping[str, float]
    joules: Mapping[str, float]
    losses: tuple[float, ...] = ()
    timeout: float = 0.0

    @property
    def delay(self) -> float:
        """Mean seconds before the first byte."""
        return self.latency + self.jitter + self.stall

    def demand(self, nbytes: Quantity) -> Demand:
        """What messages of `nbytes` (the largest) demand together; nothing at all where `nbytes` is zero."""
        large = nbytes > self.mtu
        alone = nbytes * self.seconds_per_byte
        return Demand(
            latency=choose(nbytes > 0, choose(large, self.delay, self.delay + alone), 0.0),
            seconds=choose(large, nbytes * self.bound, 0.0) if self.bound else 0.0,
            usage=_scaled(self.usage, choose(large, nbytes, 0.0)),
            joules=_scaled(self.joules, nbytes),
            traffic=_scaled(self.traffic, nbytes),
        )


class Round(NamedTuple):
    """A bundle whose largest messages are `fraction` of a collective's buffer, sent `repeat` times, one after another."""

    bundle: Bundle
    fraction: float
    repeat: int


def bundle(hops: Sequence[Hop], overhead: float = 0.0) -> Bundle:
    """One message along a route; `overhead`: seconds at its ends, added to the latency of the hops."""
    usage: dict[str, float] = {}
    traffic: dict[str, float] = {}
    joules: dict[str, float] = {}
    seconds = 0.0
    for place, hop in enumerate(hops):
        sent = 1.0 / (1.0 - path_loss(each.connection.link for each in hops[place:]))
        for resource in hop.resources:
            usage[resource] = usage.get(resource, 0.0) + hop.usage_per_byte * sent
            seconds = max(seconds, usage[resource] / hop.capacity)
            traffic[resource] = traffic.get(resource, 0.0) + 1.0
        joules[hop.connection.name] = joules.get(hop.connection.name, 0.0) + hop.connection.link.joules_per_byte * sent
    links = [hop.connection.link for hop in hops]
    jitter = sum(link.jitter for link in links)
    rtt = 2.0 * (sum(link.latency for link in links) + jitter)
    bound, losses = 1.0 / path_bound(links, rtt), tuple(filter(None, [path_loss(links)]))
    timeout = retransmission_timeout(rtt)
    stall = expected_stall(losses, timeout)
    latency = overhead + sum(link.latency + link.per_message for link in links)
    mtu = min((link.mtu for link in links), default=float("inf"))
    return Bundle(latency, jitter, stall, max(seconds, bound), bound, mtu, usage, traffic, joules, losses, timeout)


def merge(bundles: Sequence[Bundle], capacities: Mapping[str, float], shares: Sequence[float] = ()) -> Bundle:
    """Messages sent at the same time: the slowest latency, and every resource carries the sum.

    `shares`: size of each message as a share of the largest; all alike if there are none.
    """
    shares = shares or (1.0,) * len(bundles)
    usage = _summed((each.usage, share) for each, share in zip(bundles, shares, strict=True))
    bound = max(each.bound * share for each, share in zip(bundles, shares, strict=True))
    jitters = [each.jitter for each in bundles if each.jitter]
    jitter = max(jitters, default=0.0) * sum(1.0 / (rank + 1) for rank in range(len(jitters)))
    losses = tuple(loss for each in bundles for loss in each.losses)
    timeout = max(each.timeout for each in bundles)
    busiest = max((amount / capacities[resource] for resource, amount in usage.items()), default=0.0)
    return Bundle(
        latency=max(each.latency for each in bundles),
        jitter=jitter,
        stall=expected_stall(losses, timeout),
        seconds_per_byte=max(busiest, bound),
        bound=bound,
        mtu=min(each.mtu for each in bundles),
        usage=usage,
        traffic=_summed((each.traffic, share) for each, share in zip(bundles, shares, strict=True)),
        joules=_summed((each.joules, share) for each, share in zip(bundles, shares, strict=True)),
        losses=losses,
        timeout=timeout,
    )


def compile_rounds(steps: Iterable[Phase], paths: Mapping[tuple[int, int], Bundle], capacities: Mapping[str, float]) -> tuple[Round, ...]:
    """Phases of a collective over given paths between its ranks; those that send between the same ranks share one bundle."""
    bundles: dict[object, Bundle] = {}
    rounds = []
    for step in steps:
        key = (step.pairs, step.shares)
        if key not in bundles:
            bundles[key] = merge([paths[pair] for pair in step.pairs], capacities, step.shares)
        rounds.append(Round(bundles[key], step.fraction, step.repeat))
    return tuple(rounds)


def rounds_demand(rounds: Sequence[Round], nbytes: Quantity) -> Demand:
    """Rounds, one after another, as one coupled demand: alone, it takes exactly their sum.

    Rounds that all load the same resources alike are no more than one large message. Of others, usage is the total and `seconds` the sum of
    their fluid times at nominal capacities: a resource that is busy in some rounds only is used at a part of its capacity throughout, so a
    foreign flow is slowed (and slows) less than it would be round by round, and a resource that lost some capacity may not tell.
    """
    alike = all(step.bundle is rounds[0].bundle for step in rounds)
    latency: Quantity = 0.0
    seconds: Quantity = 0.0
    usage: dict[str, Quantity] = {}
    joules: dict[str, Quantity] = {}
    traffic: dict[str, Quantity] = {}
    for step in rounds:
        size = nbytes * step.fraction
        demand = step.bundle.demand(size)
        latency = latency + demand.latency * step.repeat
        fluid = demand.seconds if alike else choose(size > step.bundle.mtu, size * step.bundle.seconds_per_byte, 0.0)
        seconds = seconds + fluid * step.repeat
        for totals, parts in ((usage, demand.usage), (joules, demand.joules), (traffic, demand.traffic)):
            for owner, amount in parts.items():
                totals[owner] = totals.get(owner, 0.0) + amount * step.repeat
    return Demand(latency=latency, seconds=seconds, usage=usage, joules=joules, traffic=traffic)


def _scaled(rates: Mapping[str, float], amount: Quantity) -> dict[str, Quantity]:
    """Rates times an amount, without the entries that are zero everywhere."""
    if isinstance(amount, (int, float)) and amount == 0:
        return {}
    return {owner: rate * amount for owner, rate in rates.items() if rate}


def _summed(parts: Iterable[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for part, share in parts:
        for owner, amount in part.items():
            totals[owner] = totals.get(owner, 0.0) + amount * share
    return totals
