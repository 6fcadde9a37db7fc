"""From a number of replicas that are wanted to commands: which to start, which to let go."""

from __future__ import annotations

from typing import Literal

from edgewright.policies.families import Scale
from edgewright.policies.views import ScaledView, ScalingView

__all__ = ["ON", "commands", "running"]

ON = ("ready", "starting", "down")
"""States of replicas that serve, or will when they can."""


def running(view: ScalingView) -> list[ScaledView]:
    """The replicas that are on, in the view's order."""
    return [replica for replica in view.replicas if replica.state in ON]


def commands(view: ScalingView, wanted: int, rest: Literal["stop", "sleep"] = "stop") -> tuple[Scale, ...]:
    """What makes `wanted` replicas run: draining ones come back first, then sleeping ones, then stopped ones, in the view's order; those
    that are let go are the ones with least to do, the last of equals first. `rest`: what becomes of them."""
    on = running(view)
    if len(on) < wanted:
        ranks = {"draining": 0, "asleep": 1, "stopped": 2}
        off = sorted((replica for replica in view.replicas if replica.state in ranks), key=lambda replica: ranks[replica.state])
        return tuple(Scale(replica.name, "wake" if replica.state == "asleep" else "start") for replica in off[: wanted - len(on)])
    places = {replica.name: place for place, replica in enumerate(on)}
    leaving = sorted(on, key=lambda replica: (_load(replica), -places[replica.name]))[: len(on) - wanted]
    return tuple(Scale(replica.name, "drain" if rest == "stop" else "sleep") for replica in leaving)


def _load(replica: ScaledView) -> int:
    return replica.queued + replica.running
