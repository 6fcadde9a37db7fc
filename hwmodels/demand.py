"""What one operation asks of the shared parts of a cluster, and the time it takes when nothing else is there.

The one form in which computing, sending, collective communication and storage access reach the simulator: a latency that nothing
can stretch, then a fluid phase that moves fixed amounts over shared resources. A coupled activity over several resources is
SimGrid's parallel task (L07 model; Velho et al., ACM TOMACS 23(4), 2013): all its parts progress in step, so the slowest resource binds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgewright.hwmodels.work import Quantity

__all__ = ["Demand"]


@dataclass(frozen=True, slots=True)
class Demand:
    """One operation, priced: all quantities are floats, or arrays with one entry per priced point.

    Attributes:
        latency: seconds before the fluid phase; not stretched by contention.
        seconds: the least time of the fluid phase, whatever the resources (an engine's own roofline); 0 if only resources bind.
        usage: amount moved over each resource during the fluid phase, in the unit of the resource's capacity per second
            (bytes for buses, links and storage channels; seconds of airtime for a shared medium).
        joules: dynamic energy by the owner that dissipates it (an engine, a bus, a link or a storage). Static and idle power are
            not in it: power domains integrate those.
        traffic: bytes put on each link resource, for the accounts (also of messages too small to be flows).
        engine: the engine resource that the operation occupies, or None.
        weight: its share of what it uses, in proportion to the weights of others there.
        priority: its class: classes above it are served first, classes below share what it leaves.
    """

    latency: Quantity = 0.0
    seconds: Quantity = 0.0
    usage: Mapping[str, Quantity] = field(default_factory=dict)
    joules: Mapping[str, Quantity] = field(default_factory=dict)
    traffic: Mapping[str, Quantity] = field(default_factory=dict)
    engine: str | None = None
    weight: float = 1.0
    priority: int = 0

    def alone(self, capacity: Mapping[str, float]) -> Quantity:
        """Seconds from start to end when every resource is free; `capacity` is in amount per second.

        Infinite where a resource that it uses has no capacity.
        """
        import numpy as np

        fluid = self.seconds
        for resource, amount in self.usage.items():
            rate = capacity[resource]
            fluid = np.maximum(fluid, amount / rate if rate > 0.0 else np.where(np.asarray(amount) > 0.0, np.inf, 0.0))
        return self.latency + fluid

    def among(self, weight: float, priority: int) -> Demand:
        """The same with its weight times this one, and its priority that much higher."""
        if weight == 1.0 and priority == 0:
            return self
        return replace(self, weight=self.weight * weight, priority=self.priority + priority)
