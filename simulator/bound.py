"""A demand on one machine: what it uses, who pays for it and where its bytes are counted, found by name once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.hwmodels import Demand

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine

__all__ = ["Bound"]


class Bound:
    """A demand with what it means on a machine.

    Attributes:
        demand: what was priced; `latency`, `seconds` of it.
        engine: the engine that it occupies, None if none.
        moved: resources with the amounts that it moves over them; `usage`: the same without zeros.
        joules: accounts of dynamic energy with what it adds to them.
        traffic: accounts of links' bytes with what it sends.
        messages: links that it crosses without being a flow there.
        crossed: all that it uses or crosses.
        size: bytes by which its share among others is measured, None if it has none.
    """

    __slots__ = ("crossed", "demand", "engine", "joules", "latency", "messages", "moved", "seconds", "size", "traffic", "usage")

    def __init__(self, machine: Machine, demand: Demand) -> None:
        resources, account = machine.resources, machine.ledger.account
        self.demand = demand
        self.latency = float(demand.latency)
        self.seconds = float(demand.seconds)
        self.engine = None if demand.engine is None else machine.engines[demand.engine]
        self.moved = [(resources[name], float(amount)) for name, amount in demand.usage.items()]
        self.usage = {resource: amount for resource, amount in self.moved if amount > 0.0}
        self.joules = [(account(owner, "dynamic"), float(amount)) for owner, amount in demand.joules.items() if amount > 0.0]
        self.traffic = [(machine.traffic_of(name), float(amount)) for name, amount in demand.traffic.items()]
        self.messages = [resources[name] for name in demand.traffic if name not in demand.usage]
        self.crossed = [*self.usage, *self.messages]
        self.size = max(map(float, (demand.traffic or demand.usage).values()), default=None)

    def alone(self) -> float:
        """Seconds that it takes where nobody else is, at capacities as last asked for (`Resource.capacity_now`), none of them 0."""
        fluid = self.seconds
        for resource, amount in self.usage.items():
            seconds = amount / resource.capacity
            if seconds > fluid:
                fluid = seconds
        return self.latency + fluid
