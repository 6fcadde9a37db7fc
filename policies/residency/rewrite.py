"""Plans, transformed: every `Compute` of a `Part` replaced by other operations, the shape around it kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from edgewright.policies.families import Placement, Program
from edgewright.policies.plan import Compute, Detach, Loop, Op, Par, Plan, Race, Seq, seq
from edgewright.workloads import Part

__all__ = ["Rewrite", "chained", "plan_of", "rewrite_parts"]

Rewrite: TypeAlias = Callable[[Compute, Part], Sequence[Op]]
"""The operations, in order, that take the place of a compute of a part."""


def plan_of(placement: Placement, policy: str) -> Plan:
    """The placement's plan, if it is one of single steps that nobody has arranged yet.

    Raises `ValueError` for scripts and loops, which cannot be transformed again, and where an `experts` policy has already said what is
    resident.
    """
    if isinstance(placement.program, Program):
        raise ValueError(f"{policy!r} transforms plans, and this program is a script: {type(placement.program).__name__}")
    if isinstance(placement.program, Loop):
        raise ValueError(f"{policy!r} transforms plans of single steps, and this plan already is a loop")
    if placement.resident is not None:
        raise ValueError(f"{policy!r} and the `experts` policy both decide what stays in memory: accepted is 'all_resident'")
    return placement.program


def rewrite_parts(plan: Plan, rewrite: Rewrite) -> Plan:
    """The plan with each compute of a part replaced; `chained` keeps what others refer to."""
    match plan:
        case Compute(work=Part() as part):
            return chained(plan, rewrite(plan, part))
        case Seq(children=children) | Par(children=children) | Race(children=children):
            return replace(plan, children=tuple(rewrite_parts(child, rewrite) for child in children))
        case Detach(child=child):
            return replace(plan, child=rewrite_parts(child, rewrite))
        case _:
            return plan


def chained(original: Op, pieces: Sequence[Op]) -> Plan:
    """The pieces one after another in place of the original: the first waits for what it waited for, the last has its name and outcome."""
    if not pieces:
        raise ValueError(f"nothing takes the place of {original!r}")
    first, *others = pieces
    ordered = [replace(first, after=original.after), *others]
    ordered[-1] = replace(ordered[-1], name=original.name, reveals=original.reveals)
    return ordered[0] if len(ordered) == 1 else seq(*ordered)
