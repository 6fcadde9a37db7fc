"""Decisions: pure. Plans, and the families of policies that make and steer them.

Read first: `plan.py` (what a step does, as a value), `families.py` (the seams), `views.py` (what a policy may see).
Then: `compile.py` and `timeline.py` (plans as arrays, and alone), `registry.py` (policies by name), one folder per family, and
`conformance` (the battery that every policy passes, yours too).
May import: `workloads`, `hwmodels`, `kernels`.
"""

from edgewright.policies.compile import CompiledPlan, PlanError, compile_plan
from edgewright.policies.registry import family_names, lookup, policies_of, register, registered
from edgewright.policies.timeline import Timeline, makespan

__all__ = [
    "CompiledPlan",
    "PlanError",
    "Timeline",
    "compile_plan",
    "family_names",
    "lookup",
    "makespan",
    "policies_of",
    "register",
    "registered",
]
