"""Scripts without a clock: played to their end, one second per plan, with outcomes that the player makes up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from edgewright.hwmodels.conformance import require
from edgewright.policies.compile import PlanError, compile_plan
from edgewright.policies.families import Outcome, Script
from edgewright.policies.plan import Op, Plan

__all__ = ["Answer", "flat", "known", "plans_of"]

MOST_PLANS = 10_000

Answer: TypeAlias = Callable[[Sequence[Op]], Mapping[str, Any]]
"""What the operations of a plan reveal once it has ended."""


def plans_of(script: Script, answer: Answer) -> list[Plan]:
    """The plans that a script yields, in order; `AssertionError` if it does not end, or for a plan that does not compile."""
    plans: list[Plan] = []
    try:
        plan = next(script)
        while True:
            plans.append(plan)
            require(len(plans) <= MOST_PLANS, f"the script has not ended after {MOST_PLANS} plans")
            plan = script.send(Outcome(answer(flat(plan)), float(len(plans) - 1), float(len(plans))))
    except StopIteration:
        return plans


def known(outcomes: Mapping[str, Any]) -> Answer:
    """Reveals what is known beforehand, by name; `AssertionError` for an operation that reveals something else."""

    def answer(ops: Sequence[Op]) -> Mapping[str, Any]:
        names = [op.reveals for op in ops if op.reveals is not None]
        unknown = [name for name in names if name not in outcomes]
        require(not unknown, f"the script waits for {unknown}; known are {sorted(outcomes)}")
        return {name: outcomes[name] for name in names}

    return answer


def flat(*plans: Plan) -> list[Op]:
    """The operations of all these plans, in order; `AssertionError` for a plan that does not compile."""
    try:
        return [op for plan in plans for strand in compile_plan(plan).strands for op in strand.ops]
    except PlanError as error:
        raise AssertionError(f"the plan does not compile: {error}") from error
