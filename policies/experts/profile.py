"""What is known offline about a router: routes of other tokens, sampled before the run.

A profile is the routing process that the tokens were collected from. It is never the run's own stream: a policy sees other tokens of
the same statistics, as ExFlow and EdgeMoE do with traces of a corpus.
"""

from __future__ import annotations

from functools import lru_cache

from edgewright.policies.experts.routes import Routes, checked, shape_of
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Stream
from edgewright.workloads.routing_markov import MarkovRouting
from edgewright.workloads.routing_stats import RoutingProcess

__all__ = ["profiled_routes"]


def profiled_routes(policy: str, profile: RoutingProcess | MarkovRouting | None, tokens: int, model: Model, replica: ReplicaSpec) -> Routes:
    """`tokens` tokens of the profile, `(layers, tokens, top_k)`.

    Raises `ValueError` if there is no profile, or if it is not one of the model's layers and experts.
    """
    if profile is None:
        raise ValueError(
            f"{replica.name}: experts {policy!r} places by what was seen before the run: accepted is `profile:`, a routing process"
        )
    shape = shape_of(model)
    layers, experts = len(shape.blocks), shape.count
    if (profile.layers, profile.experts) != (layers, experts):
        given = f"{profile.layers} layers of {profile.experts} experts"
        raise ValueError(f"{replica.name}: the profile is of {given}, {model.name} has {layers} of {experts}")
    return _sampled(profile, tokens)


@lru_cache(maxsize=16)
def _sampled(profile: RoutingProcess | MarkovRouting, tokens: int) -> Routes:
    """`arrange` and `start` ask for the same tokens: they are drawn once."""
    routes = checked(profile.routes(Stream(profile.seed, "profile"), tokens), profile.layers, profile.experts)
    routes.setflags(write=False)
    return routes
