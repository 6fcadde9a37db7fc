"""One call that runs the suite of a policy's family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgewright.policies.conformance.batching import check_batching
from edgewright.policies.conformance.experts import check_experts
from edgewright.policies.conformance.failure import check_failure
from edgewright.policies.conformance.hyperparameters import check_hyperparameters
from edgewright.policies.conformance.kv import check_kv
from edgewright.policies.conformance.orchestration import check_orchestration
from edgewright.policies.conformance.partitioning import check_partitioning
from edgewright.policies.conformance.power import check_power
from edgewright.policies.conformance.residency import check_residency
from edgewright.policies.conformance.routing import check_routing
from edgewright.policies.conformance.scaling import check_scaling
from edgewright.policies.registry import family_names, policies_of

__all__ = ["SUITES", "check_policy"]

SUITES: Mapping[str, Callable[[Any], None]] = {
    "batching": check_batching,
    "experts": check_experts,
    "failure": check_failure,
    "kv": check_kv,
    "orchestration": check_orchestration,
    "partitioning": check_partitioning,
    "power": check_power,
    "residency": check_residency,
    "routing": check_routing,
    "scaling": check_scaling,
}
"""The suite of each family that has one."""


def check_policy(policy: object, family: str | None = None) -> None:
    """Run the conformance suite of `family` on a policy; None: the family under which its class is registered.

    Raises `AssertionError` for a broken promise, `ValueError` if the family is unknown or has no suite.
    """
    found = family if family is not None else _family_of(policy)
    if found not in SUITES:
        raise ValueError(f"no conformance suite for the family {found!r}: accepted are {', '.join(sorted(SUITES))}")
    check_hyperparameters(policy)
    SUITES[found](policy)


def _family_of(policy: object) -> str:
    for family in family_names():
        if type(policy) in policies_of(family).values():
            return family
    raise ValueError(f"{type(policy).__name__} is registered under no family: pass family=")
