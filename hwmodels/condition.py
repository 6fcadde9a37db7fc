"""What of a cluster is not as specified at the moment: engines that are slow, links that add delay, links that routes avoid.

A condition is a value, and `Cluster.under(condition)` another cluster: all that prices operations prices them under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.topology import Connection

__all__ = ["AS_SPECIFIED", "Condition"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Departures from the specification.

    Attributes:
        slowed: by engine resource (`orin0.gpu`), the share of its speed that is left, in (0, 1].
        delayed: by connection, seconds of latency on top of the link's own.
        avoided: connections that a route takes only where no other leads there.

    How wrong: a slow engine is slow alike in all it does, overheads included, and draws what it always draws while busy: right for
    another process that takes its turns on it, pessimistic for memory-bound work under a lowered clock (that is a clock, not a condition).
    """

    slowed: Mapping[str, float] = field(default_factory=dict)
    delayed: Mapping[str, float] = field(default_factory=dict)
    avoided: frozenset[str] = frozenset()

    def on_engine(self, demand: Demand, bandwidth: float) -> Demand:
        """A demand on an engine, whose bus moves `bandwidth` per second: stretched by what slows the engine down."""
        share = self.slowed.get(demand.engine or "", 1.0)
        if share == 1.0:
            return demand
        import numpy as np

        alone = np.maximum(demand.seconds, sum(demand.usage.values()) / bandwidth)
        return replace(demand, latency=demand.latency / share, seconds=alone / share)

    def of_link(self, connection: Connection) -> Connection:
        """The connection with its added latency."""
        extra = self.delayed.get(connection.name, 0.0)
        return connection if extra == 0.0 else replace(connection, link=replace(connection.link, latency=connection.link.latency + extra))


AS_SPECIFIED = Condition()
"""Nothing amiss."""
