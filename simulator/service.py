"""Services: jobs in, results out. A service routes to its replicas, or serves by a script that calls other services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from edgewright.policies.families import FailureAgent, OrchestrationAgent, OrchestrationPolicy, Remembering, RoutingAgent, ScalingAgent
from edgewright.policies.views import Stage
from edgewright.simulator.assemble_memory import kv_bytes_per_token
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.operation import Operation
from edgewright.simulator.recovery import Recovery
from edgewright.simulator.replica import Replica
from edgewright.simulator.request import Request
from edgewright.simulator.scaling import Scaler
from edgewright.simulator.scripts import ScriptRun
from edgewright.workloads import Step, Stream
from edgewright.workloads.outcomes import Outcomes

if TYPE_CHECKING:
    from edgewright.simulator.simulation import Simulation

__all__ = ["Service", "child_request", "orchestrator"]


class Service:
    """One service in time. Implements `RoutingView`.

    Attributes:
        servers: its replicas, in the scenario's order.
        outcomes: named sources of what only the run reveals.
        traffic: how its flows stand among others.
        carrying: jobs whose input is on its way to a replica; `scripts`: jobs served by a script of calls, and the script's scope.
        pending: jobs that wait for a replica to start.
        recovery: decides what becomes of jobs that cannot go on; `scaler`: starts and stops replicas.
        arrivals: jobs submitted so far.
    """

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        replicas: list[Replica],
        routing: RoutingAgent,
        orchestration: OrchestrationAgent | None,
        outcomes: Outcomes,
        failure: FailureAgent,
        scaling: ScalingAgent,
    ) -> None:
        self.simulation = simulation
        self.machine = simulation.machine
        self.name = name
        self.servers = replicas
        self.by_name = {replica.name: replica for replica in replicas}
        self.routing = routing
        self.orchestration = orchestration
        self.outcomes = outcomes
        self.traffic = simulation.scenario.services[name].traffic
        self.carrying: dict[Request, Operation] = {}
        self.scripts: dict[Request, Scope] = {}
        self.pending: dict[Request, None] = {}
        self.recovery = Recovery(self, failure)
        for replica in replicas:
            replica.checkpoints.every = failure.limits.checkpoint
        self.arrivals = 0
        self.scaler = Scaler(self, scaling)

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.machine.env.now)

    @property
    def generates(self) -> bool:
        """Whether its jobs yield token after token; a service that calls others is taken to."""
        return not self.servers or self.servers[0].model.generates

    def submit(self, request: Request) -> None:
        """Take a request: route it, carry its input from where it is to the replica, and queue it."""
        self.simulation.recorder.submitted(request)
        self.arrivals += 1
        if self.machine.signals.submitted:
            self.machine.signals.submitted(request)
        self.attempt(request)
        if request not in self.pending:
            self.scaler.arrived()

    # -- attempts --------------------------------------------------------------------------------------------------------------------------

    def attempt(self, request: Request, to: str | None = None, resume: bool = False) -> None:
        """Serve a request, from the beginning or again.

        `to`: at that replica, even if it is down; `resume`: with what it has cached there.
        """
        self.recovery.begun(request)
        if self.orchestration is not None:
            self._orchestrate(self.orchestration, request)
        elif to is not None and to in self.by_name:
            self._send(request, self.by_name[to], resume)
        else:
            self._route(request)

    def _route(self, request: Request) -> None:
        chosen = self.routing.route(request, self)
        if chosen is not None:
            self._send(request, self.by_name[chosen])
            return
        able = [server for server in self.servers if server.can_hold(request)]
        if all(server.available for server in able):
            request.end("rejected", self.now, "no replica can hold it")
            return
        self.pending[request] = None
        self.scaler.arrived()
        if request in self.pending and not any(server.life.expected for server in able):
            del self.pending[request]
            self.recovery.interrupted(request, "unavailable", self.name, "routing")

    def reconsider(self) -> None:
        """A replica has changed its state: those at the door look again."""
        self.scaler.changed()
        pending, self.pending = self.pending, {}
        for request in pending:
            if request.finished is None:
                self._route(request)

    def _send(self, request: Request, replica: Replica, resume: bool = False) -> None:
        """Carry the request's input to a replica, and queue it there."""
        source, nbytes = request.location, request.job.ingress_bytes
        if request.kv_from:
            source, nbytes = self._kv(request, replica)
        if resume or source is None or nbytes <= 0.0:
            self._arrived(request, replica, resume)
        else:
            request.replica = replica.name
            self._carry(request, replica, source, nbytes)

    def _arrived(self, request: Request, replica: Replica, resume: bool, _: Operation | None = None) -> None:
        """A request's input is where it is served."""
        self.carrying.pop(request, None)
        request.location = replica.devices[0]
        replica.enqueue(request, first=resume)

    def _kv(self, request: Request, replica: Replica) -> tuple[str | None, float]:
        """Where the keys and values that come with a request are, and their bytes; if they are lost, its own input in their place."""
        holder = self.simulation.replicas[request.kv_from]
        if holder.serving:
            return holder.devices[0], request.cached * float(sum(kv_bytes_per_token(replica.setup).values()))
        request.lost += request.cached
        request.forget()
        return request.location, request.job.ingress_bytes

    def _carry(self, request: Request, replica: Replica, src: str, nbytes: float) -> None:
        price = partial(self.machine.way, src, replica.devices[0], nbytes, self.traffic.weight, self.traffic.priority)
        operation = Operation(self.machine, price, partial(self._arrived, request, replica, False))
        self.carrying[request] = operation
        operation.submit()
        if self.machine.impair.dead:
            self.recovery.watch()

    # -- interruptions ---------------------------------------------------------------------------------------------------------------------

    def holds(self, request: Request) -> bool:
        """Whether the request is in this service's hands."""
        here = self.by_name.get(request.replica)
        places = (self.carrying, self.scripts, self.pending, self.recovery.aside)
        return any(request in place for place in places) or (here is not None and here.holds(request))

    def stage_of(self, request: Request) -> Stage:
        """How far a request in its hands has come."""
        if request in self.scripts:
            return "calling"
        if request in self.carrying:
            return "input"
        if request in self.pending or request in self.recovery.aside:
            return "routing"
        return "queued" if request in self.by_name[request.replica].waiting else "running"

    def take_away(self, request: Request, then: Callable[[], None]) -> None:
        """Take a request that is in its hands from where it is, as soon as that can be, and call."""
        if request in self.carrying:
            self.carrying.pop(request).cancel()
        elif request in self.scripts:
            self.scripts.pop(request).abandon()
        elif request in self.pending or request in self.recovery.aside:
            self.pending.pop(request, None)
            self.recovery.aside.pop(request, None)
        else:
            self.by_name[request.replica].leave(request, then)
            return
        self.scaler.changed()
        then()

    def replica_lost(self, replica: Replica, kind: str, where: str, served: bool, memory: bool) -> None:
        """A device of a replica is down. If it `served`, all that was there, or on the way there, is interrupted.

        `memory`: what the device held is lost; jobs that wait for a replica that was down before lose their keys and values alone.
        """
        found: list[tuple[Request, Stage]] = replica.hand_over() if served else [(request, "queued") for request in replica.waiting]
        if memory:
            for request, _ in found:
                replica.drop_kv(request, kept=request.saved)
            replica.wipe()
        for request, stage in found if served else ():
            self.recovery.interrupted(request, kind, where, stage, request.cached)
        for service in self.simulation.services.values():
            for request in service.bound_to(replica, served, memory):
                service.take_away(request, partial(service.recovery.interrupted, request, kind, where, "input"))

    def bound_to(self, replica: Replica, target: bool, source: bool) -> list[Request]:
        """Jobs whose input is on its way to a replica (`target`), or their keys and values from it (`source`)."""
        found = self.carrying
        return [each for each in found if (target and each.replica == replica.name) or (source and each.kv_from == replica.name)]

    # -- orchestration ---------------------------------------------------------------------------------------------------------------------

    def _orchestrate(self, policy: OrchestrationAgent, request: Request) -> None:
        if request.queued is None:
            request.queued = request.scheduled = self.now
        draws: dict[str, int] = {}

        def reveal(name: str) -> Any:
            draws[name] = draws.get(name, -1) + 1
            return self.outcomes.draw(name, request.job.index, draws[name], key=request.job.key)

        def call(service: str, overrides: Mapping[str, Any], done: Callable[[Any], None]) -> Callable[[], None]:
            return self.simulation.call(service, request, overrides, done)

        weight, priority = self.traffic.weight, self.traffic.priority
        name = f"{self.name}.job{request.id}"
        scope = self.scripts[request] = Scope(self.machine, name, call=call, reveal=reveal, weight=weight, priority=priority)
        ScriptRun(scope, policy.serve(request), Step(), lambda: None, lambda: self._served(request)).begin()

    def _served(self, request: Request) -> None:
        self.scripts.pop(request, None)
        request.end("completed", self.now)

    def call_failed(self, request: Request, service: str, call: Request) -> None:
        """A service that a request's script called has failed it: the script goes no further, its other calls are cancelled."""
        self.scripts.pop(request).abandon()
        self.recovery.interrupted(request, "call", f"{service}: {call.reason}", "calling", status=call.status)


def child_request(
    parent: Request, service: str, number: int, overrides: Mapping[str, Any], finish: Callable[[Request], None], now: float
) -> Request:
    """The request of a call: its caller's job, with what the call overrides (`policies.orchestration.calls`).

    Its input travels from where the caller's data is: all of it the first time, then the tokens that are not cached there.
    """
    unknown = set(overrides) - {"prompt", "output", "prefilled", "kv_from", "emits"}
    if unknown:
        raise ValueError(
            f"a call to {service!r} overrides {', '.join(sorted(unknown))}; accepted are prompt, output, prefilled, kv_from, emits"
        )
    prompt, cached = overrides.get("prompt", parent.job.prompt), overrides.get("prefilled", 0)
    fresh = parent.job.ingress_bytes if parent.last_token is None else (prompt - cached) * parent.job.egress_bytes_per_token
    job = replace(
        parent.job,
        id=number,
        service=service,
        source=f"call.{parent.service}",
        ingress_bytes=fresh,
        prompt=prompt,
        output=overrides.get("output", parent.remaining),
        session=None,
        prefix=0 if cached else parent.job.prefix,
    )
    request = Request(job, now, finish, parent)
    request.cached = cached
    request.location = parent.location
    request.emits = overrides.get("emits")
    request.kv_from = overrides.get("kv_from", "")
    return request


def orchestrator(policy: OrchestrationPolicy | None, name: str, stream: Stream) -> OrchestrationAgent | None:
    """What serves the jobs of a service that calls others: the policy, or its agent where it remembers."""
    return policy.start(name, stream) if isinstance(policy, Remembering) else policy
