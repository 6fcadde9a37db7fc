"""The way of an answer back to where its job came from: one small message per token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright.simulator.operation import Operation

if TYPE_CHECKING:
    from edgewright.simulator.bound import Bound
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.request import Request

__all__ = ["send_back"]


def send_back(machine: Machine, request: Request, entry: str | None, arrived: Callable[[], None]) -> None:
    """Each message of a completed answer is later by the time of one over the links as they are now, and all are accounted.

    If a link on the way is dead, the last message waits until it is mended, and the job with it; so does the first, if it came since then.

    How wrong: messages meet no other traffic on the way, and those between the first and the last are not looked at one by one. A
    message below one MTU takes the time that it takes at the link's full rate.
    """
    nbytes = request.job.egress_bytes_per_token
    if request.status != "completed" or entry is None or request.location is None or nbytes <= 0.0:
        arrived()
        return
    bound, origin, now = machine.way(request.location, entry, nbytes), request.location, float(machine.env.now)
    messages = max(request.generated, 1)
    dead = [each.name for each in bound.crossed if each.capacity_now() <= 0.0]
    if not dead:
        late = bound.alone()
        request.first_token = None if request.first_token is None else request.first_token + late
        request.last_token = None if request.last_token is None else request.last_token + late
        request.finished = now + late
        _account(bound, messages)
        arrived()
        return
    since = min(machine.impair.dead.get(name, now) for name in dead)

    def crossed() -> None:
        there, first = float(machine.env.now), request.first_token
        if first is not None:
            waited = first == request.last_token or first >= since
            request.first_token = there if waited else first + bound.alone()
            request.last_token = there
        _account(bound, messages - 1)
        request.status, request.finished = "completed", there
        del machine.answers[request]
        arrived()

    machine.answers[request] = None
    request.status, request.finished = "in_flight", None
    Operation(machine, lambda: machine.way(origin, entry, nbytes), lambda _: crossed()).submit()


def _account(bound: Bound, messages: int) -> None:
    for traffic, amount in bound.traffic:
        traffic.arrived(amount * messages)
    for account, joules in bound.joules:
        account.put(joules * messages)
