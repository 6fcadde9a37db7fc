"""What an operation of a plan demands of a cluster: the one place where operations meet prices.

The interpreter, the stretches that jump over steps, `makespan` and `explain` all price through here.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.hwmodels import Cluster, Demand, Quantity
from edgewright.policies.plan import Amount, Collective, Compute, Delay, Flow, Load, Op, Store, Transfer
from edgewright.workloads import Step

__all__ = ["NOTHING", "amount_of", "demand_of"]

NOTHING = Demand()
"""The demand of operations that only order others (marks, signals, pools)."""


def amount_of(amount: Amount, step: Step) -> Quantity:
    """The amount for this step."""
    return amount(step) if callable(amount) else amount


def demand_of(op: Op, cluster: Cluster, step: Step, clocks: Mapping[str, float]) -> Demand:
    """The operation's demand at this step, with engines at `clocks` (fraction of their maximum by engine resource; 1 if absent)."""
    demand = _priced(op, cluster, step, clocks)
    return demand.among(op.weight, op.priority) if isinstance(op, Flow) else demand


def _priced(op: Op, cluster: Cluster, step: Step, clocks: Mapping[str, float]) -> Demand:
    match op:
        case Compute(device=device, work=work, engine=engine):
            asked = work(step) if callable(work) else work
            return cluster.compute(device, asked, engine, clocks.get(cluster.engine_name(device, engine), 1.0))
        case Transfer(src=src, dst=dst, nbytes=nbytes):
            return cluster.transfer(src, dst, amount_of(nbytes, step))
        case Collective(kind=kind, devices=devices, nbytes=nbytes, algorithm=algorithm):
            amount = amount_of(nbytes, step)
            return cluster.collective(kind, devices, amount, algorithm, groups=op.groups, shares=op.shares, stage=op.stage)
        case Load(device=device, nbytes=nbytes, storage=storage, random=random, block=block, depth=depth):
            return cluster.load(device, amount_of(nbytes, step), storage, random, block, depth)
        case Store(device=device, nbytes=nbytes, storage=storage, random=random, block=block, depth=depth):
            return cluster.store(device, amount_of(nbytes, step), storage, random, block, depth)
        case Delay(seconds=seconds):
            return Demand(latency=amount_of(seconds, step))
        case _:
            return NOTHING
