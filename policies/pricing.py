"""What an operation of a plan demands of a cluster: the one place where operations meet prices.

The interpreter, the stretches that jump over steps, `makespan` and `explain` all price through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from edgewright.hwmodels import Cluster, Demand, Quantity
from edgewright.policies.plan import Amount, Collective, Compute, Delay, Flow, Load, Op, Store, Transfer
from edgewright.workloads import Part, Step
from edgewright.workloads.step_form import Case, case_of, point_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgewright.hwmodels.roofline import Price
    from edgewright.hwmodels.roofline_form import RoofForm

__all__ = ["NOTHING", "amount_of", "decode_prices", "demand_of", "part_form"]

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
        case Compute():
            return _computed(op, cluster, step, clocks)
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


def _computed(op: Compute, cluster: Cluster, step: Step, clocks: Mapping[str, float]) -> Demand:
    """The demand of a computation; that of a part of a model by its form, which is kept."""
    resource = cluster.engine_name(op.device, op.engine)
    clock, work = clocks.get(resource, 1.0), op.work
    if isinstance(work, Part) and step.roles is None and (form := part_form(work, cluster, resource, clock, case_of(step))) is not None:
        points = point_of(step, work.model.windows)
        return cluster.occupied(resource, form.price(points) if len(points) > 1 else form.price_one(points[0]))
    return cluster.compute(op.device, work(step) if callable(work) else work, op.engine, clock)


def part_form(part: Part, cluster: Cluster, resource: str, clock: float, case: Case) -> RoofForm | None:
    """How the price of a part of a model on an engine (its resource name) follows the sums of a step of that case; kept by the cluster.

    None if it is not affine in them. Steps of which operators see different roles have none.
    """
    spec, unit = cluster.engines[resource]
    key = (part, id(spec), id(unit), clock, case)  # engines alike share what they are specified by, which the cluster keeps
    forms = cluster.forms
    if key not in forms:
        work = part.affine_work(case)
        variables = 7 + 3 * len(part.model.windows)
        forms[key] = None if work is None else cluster.compute_form(resource, work, clock, variables)
    return forms[key]


def decode_prices(
    part: Part, cluster: Cluster, resource: str, batches: NDArray[np.int64], contexts: NDArray[np.float64], clock: float = 1.0
) -> Price:
    """Prices of decode steps on an engine (its resource name), as arrays: `batches` sequences, each with `contexts` cached tokens.

    Both arrays are of one length, batches 1 or more. What does not depend on contexts is priced once per size of a batch. Raises
    `ValueError` for a part whose work is not affine in the sums of a step.
    """
    import numpy as np

    from edgewright.hwmodels.roofline import Price

    windows = part.model.windows
    count = batches.astype(np.float64)
    sums: list[NDArray[np.float64]] = [count * contexts, *(count * np.minimum(contexts, float(window)) for window in windows)]
    columns = [(0,), (1, 3), *((5 + 3 * number,) for number in range(len(sums)))]
    forms = [part_form(part, cluster, resource, clock, case) for case in ((2, 0, 2, 0), (1, 0, 1, 0))]
    if forms[0] is None or forms[1] is None:
        raise ValueError(f"{part!r} has no price that is affine in the sums of a step")
    many, single = forms[0].over(columns), forms[1].over(columns)
    found = _batched(many, batches, sums)
    ones = np.flatnonzero(batches == 1)
    for field, alone in zip(found, _batched(single, batches[ones], [each[ones] for each in sums]), strict=True):
        field[ones] = alone
    return Price(*found)


def _batched(form: RoofForm, batches: NDArray[np.int64], sums: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The fields of `Price` of a form in the size of the batch and in sums of contexts."""
    import numpy as np

    still, moving = form.parted()
    sizes = np.zeros((int(batches.max(initial=0)) + 1, 2 + len(sums)))
    sizes[:, 0], sizes[:, 1] = 1.0, np.arange(len(sizes))
    table, rest = still.price(sizes), moving.price(np.stack([np.ones(len(batches)), batches, *sums], axis=1))
    return [getattr(table, each.name)[batches] + getattr(rest, each.name) for each in fields(table)]
