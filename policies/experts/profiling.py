"""Policies that need a profile, given one."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from edgewright.policies.experts.affinity import Affinity
from edgewright.policies.experts.popularity import Popularity
from edgewright.workloads.routing_markov import MarkovRouting
from edgewright.workloads.routing_stats import RoutingProcess

__all__ = ["profiled"]

Policy = TypeVar("Policy")


def profiled(policy: Policy, process: RoutingProcess | MarkovRouting) -> Policy:
    """The policy with the service's own routing process as its profile, if it cannot do without one and was given none.

    `prefetch` without a profile stays as it is: it learns from the routes that it serves.
    """
    if isinstance(policy, Affinity | Popularity) and policy.profile is None:
        return replace(policy, profile=process)
    return policy
