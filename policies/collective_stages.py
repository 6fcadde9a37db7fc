"""A collective as a plan: its stages, and the arithmetic of its reductions.

How wrong: the additions of a stage are computed after its last message and not between its phases, so nothing of them overlaps with
sending; libraries that pipeline hide most of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from edgewright.hwmodels import Quantity, Work
from edgewright.hwmodels.collectives import Phase, loads, phases, stages
from edgewright.policies.plan import Amount, Collective, Compute, Par, Plan
from edgewright.workloads import Step

__all__ = ["Additions", "staged"]

_BYTES: Mapping[str, float] = MappingProxyType({"fp64": 8.0, "fp32": 4.0, "tf32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "fp8": 1.0})


@dataclass(frozen=True, slots=True)
class Additions:
    """The work of adding a `fraction` of `nbytes`, received in so many messages, to what a device has: two operands read, a sum written.

    Attributes:
        dtype: arithmetic; `element`: bytes per element.
    """

    nbytes: Amount
    fraction: float
    messages: int
    dtype: str
    element: float

    def __call__(self, step: Step) -> Work:
        nbytes: Quantity = self.nbytes(step) if callable(self.nbytes) else self.nbytes
        received = nbytes * self.fraction
        return Work.of("elementwise", self.dtype, received / self.element, activations=3.0 * received, launches=self.messages)


def staged(op: Collective) -> list[Plan]:
    """The stages of a collective as operations that follow one another; raises `ValueError` for a collective that there is not."""
    if op.arithmetic not in (None, *_BYTES):
        raise ValueError(f"unknown number format {op.arithmetic!r} of additions: accepted are {', '.join(_BYTES)}")
    ranks = {device: rank for rank, device in enumerate(op.devices)}
    groups = [[ranks.get(device, -1) for device in group] for group in op.groups]
    parts = stages(phases(op.kind, len(op.devices), op.algorithm, groups, op.shares))
    found: list[Plan] = []
    for stage, steps in enumerate(parts):
        last = stage == len(parts) - 1
        part = replace(op, stage=stage, after=() if stage else op.after, reveals=op.reveals if last else None)
        found.append(part if last else replace(part, name=op.name and f"{op.name}:{stage}"))
        found += _additions(op, steps)
    return found or [replace(op, stage=0)]


def _additions(op: Collective, steps: tuple[Phase, ...]) -> list[Plan]:
    if op.arithmetic is None:
        return []
    adding = loads(steps, reducing=True)
    if not adding:
        return []
    element = _BYTES[op.arithmetic] if op.element is None else op.element
    works = {rank: Additions(op.nbytes, fraction, messages, op.arithmetic, element) for rank, (fraction, messages) in adding.items()}
    return [Par(tuple(Compute(op.devices[rank], work if callable(op.nbytes) else work(Step())) for rank, work in works.items()))]
