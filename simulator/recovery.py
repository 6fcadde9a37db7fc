"""What becomes of jobs that cannot go on as they are: the failure agent of their service decides, and this does it.

A job is in exactly one place at any time: at a replica (in its queue or a batch), with its input on the way, in a script of calls, or
aside (waiting for its next attempt, or for a replica to start). Whatever takes it away from there hands it to `interrupted`, which ends
it or puts it into another place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from edgewright.policies.families import FailureAgent, Remedy
from edgewright.policies.views import Interruption, Stage
from edgewright.simulator.request import Request

if TYPE_CHECKING:
    from edgewright.simulator.service import Service

__all__ = ["Recovery"]


class Recovery:
    """The failure agent of one service, and the hands that carry out what it decides.

    Attributes:
        aside: jobs that wait for their next attempt.
    """

    def __init__(self, service: Service, agent: FailureAgent) -> None:
        self.service = service
        self.agent = agent
        self.limits = agent.limits
        self.aside: dict[Request, None] = {}

    # -- limits ------------------------------------------------------------------------------------------------------------------------

    def begun(self, request: Request) -> None:
        """An attempt has begun."""
        if isfinite(self.limits.attempt):
            self.service.machine.after(self.limits.attempt, partial(self._expired, request, request.attempt))

    def _expired(self, request: Request, attempt: int) -> None:
        if request.finished is None and request.attempt == attempt and self.service.holds(request):
            stage = self.service.stage_of(request)
            kept = stage in ("queued", "running")
            then = lambda: self.interrupted(request, "timeout", self.service.name, stage, request.cached if kept else 0)  # noqa: E731
            self.service.take_away(request, then)

    def watch(self) -> None:
        """A link or storage has died, or a job has met a dead one: look, when patience is over, for what still hangs."""
        if isfinite(self.limits.stall):
            self.service.machine.after(self.limits.stall, self._stalled)

    def _stalled(self) -> None:
        """Interrupt what has hung for as long as patience lasts."""
        service, impair = self.service, self.service.machine.impair
        latest = service.now - self.limits.stall * (1.0 - 1e-12)
        for request, operation in tuple(service.carrying.items()):
            since = impair.hanging_since(operation)
            if since is not None and since <= latest:
                service.take_away(request, partial(self.interrupted, request, "stalled", service.name, "input"))
        for replica in service.servers:
            since = replica.hanging_since()
            if since is not None and since <= latest:
                replica.abort()
                for request in replica.clear_batches():
                    self.interrupted(request, "stalled", replica.name, "running", request.cached)

    # -- decisions ---------------------------------------------------------------------------------------------------------------------

    def interrupted(self, request: Request, cause: str, where: str, stage: Stage, cached: int = 0, status: str = "failed") -> None:
        """A job has been taken from where it was; `cached` of its context survive at its replica. `status`: what it is if dropped."""
        request.interruptions += 1
        if request.cancelled:
            self._end(request, status, "its caller is over")
            return
        told = Interruption(
            self.service.now,
            request,
            cause,
            where,
            stage,
            request.attempt,
            request.generated,
            cached,
            request.replica if stage in ("queued", "running") else "",
            tuple(self.service.servers),
        )
        self._do(request, self.agent.decide(told), told, status)

    def _do(self, request: Request, remedy: Remedy, told: Interruption, status: str) -> None:
        if remedy.action == "drop":
            reason = f"{told.cause}: {told.where}" if told.where else told.cause
            self._end(request, status, f"{reason} ({remedy.reason})" if remedy.reason else reason)
            return
        request.attempt += 1
        if remedy.action == "resume" and told.replica:
            request.resumes += 1
            self._wait(request, remedy.after, lambda: self.service.attempt(request, told.replica, resume=True))
            return
        if told.stage in ("queued", "running"):
            self._let_go(request)
        if not remedy.keep or told.stage == "calling":
            request.discard()
        request.retries += 1
        target = self.service
        if remedy.action == "failover":
            target = self.service.simulation.services.get(str(remedy.to), self.service)
        to = remedy.to if remedy.action == "retry" else None
        self._wait(request, remedy.after, lambda: target.attempt(request, to))

    def _end(self, request: Request, status: str, reason: str) -> None:
        self._let_go(request)
        request.end(status, self.service.now, reason)

    def _let_go(self, request: Request) -> None:
        """Its keys and values, if any survive, are given up."""
        replica = self.service.simulation.replicas.get(request.replica)
        if replica is not None:
            replica.drop_kv(request)
        else:
            request.forget()

    def _wait(self, request: Request, seconds: float, then: Callable[[], None]) -> None:
        self.aside[request] = None
        attempt = request.attempt

        def over() -> None:
            if request in self.aside and request.attempt == attempt:
                del self.aside[request]
                then()

        self.service.machine.after(seconds, over)
