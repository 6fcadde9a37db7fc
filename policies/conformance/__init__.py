"""Conformance suites: what every policy of a family promises, checked on one policy. Yours too.

    from edgewright.policies.conformance import check_policy
    check_policy(MyRouting(slack=0.5), family="routing")     # raises AssertionError, saying what was promised and what happened

Read first: `battery.py` (the entry), then the suite of your family; `toy_engine.py` and `fakes.py` are the world that the suites play.
May import: everything below `simulator`. Nothing in `policies` imports this package: it costs nothing unless it is used.

Passing says that a policy keeps its contract, not that it is any good.
"""

from edgewright.policies.conformance.batching import check_batching
from edgewright.policies.conformance.battery import check_policy
from edgewright.policies.conformance.experts import check_experts
from edgewright.policies.conformance.failure import check_failure
from edgewright.policies.conformance.kv import check_kv
from edgewright.policies.conformance.orchestration import check_orchestration
from edgewright.policies.conformance.partitioning import check_partitioning
from edgewright.policies.conformance.power import check_power
from edgewright.policies.conformance.residency import check_residency
from edgewright.policies.conformance.routing import check_routing
from edgewright.policies.conformance.scaling import check_scaling

__all__ = [
    "check_batching",
    "check_experts",
    "check_failure",
    "check_kv",
    "check_orchestration",
    "check_partitioning",
    "check_policy",
    "check_power",
    "check_residency",
    "check_routing",
    "check_scaling",
]
