"""Services: jobs in, results out. A service routes to its replicas, or serves by a script that calls other services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgewright.policies.families import OrchestrationPolicy, RoutingAgent
from edgewright.policies.plan import Transfer
from edgewright.policies.pricing import demand_of
from edgewright.simulator.assemble_memory import kv_bytes_per_token
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.replica import Replica
from edgewright.simulator.request import Request
from edgewright.simulator.scripts import ScriptRun
from edgewright.workloads import Step
from edgewright.workloads.outcomes import Outcomes

if TYPE_CHECKING:
    from edgewright.simulator.simulation import Simulation

__all__ = ["Service", "child_request"]


class Service:
    """One service in time. Implements `RoutingView`.

    Attributes:
        servers: its replicas, in the scenario's order.
        outcomes: named sources of what only the run reveals.
        traffic: how its flows stand among others.
    """

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        replicas: list[Replica],
        routing: RoutingAgent,
        orchestration: OrchestrationPolicy | None,
        outcomes: Outcomes,
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
        self.simulation.recorder.requests.append(request)
        if self.machine.signals.submitted:
            self.machine.signals.submitted(request)
        if self.orchestration is not None:
            self._orchestrate(self.orchestration, request)
            return
        chosen = self.routing.route(request, self)
        if chosen is None:
            request.end("rejected", self.now, "no replica can hold it")
            return
        replica = self.by_name[chosen]
        source, nbytes = request.location, request.job.ingress_bytes
        if request.kv_from:
            source = self.simulation.replicas[request.kv_from].devices[0]
            nbytes = request.cached * sum(kv_bytes_per_token(replica.setup).values())
        root = replica.devices[0]

        def arrive() -> None:
            request.location = root
            replica.enqueue(request)

        if source is None or nbytes <= 0.0:
            arrive()
        else:
            self._carry(source, root, nbytes, arrive)

    def _carry(self, src: str, dst: str, nbytes: float, done: Callable[[], None]) -> None:
        operation = Transfer(src, dst, nbytes, weight=self.traffic.weight, priority=self.traffic.priority)
        self.machine.run(lambda: demand_of(operation, self.machine.cluster, Step(), self.machine.clocks), lambda _: done())

    # -- orchestration ---------------------------------------------------------------------------------------------------------------------

    def _orchestrate(self, policy: OrchestrationPolicy, request: Request) -> None:
        request.queued = request.scheduled = self.now
        draws: dict[str, int] = {}

        def reveal(name: str) -> Any:
            draws[name] = draws.get(name, -1) + 1
            return self.outcomes.draw(name, request.job.index, draws[name], key=request.job.key)

        def call(service: str, overrides: Mapping[str, Any], done: Callable[[Any], None]) -> None:
            self.simulation.call(service, request, overrides, done)

        weight, priority = self.traffic.weight, self.traffic.priority
        scope = Scope(self.machine, f"{self.name}.job{request.id}", call=call, reveal=reveal, weight=weight, priority=priority)
        ScriptRun(scope, policy.serve(request), Step(), lambda: None, lambda: self._served(request)).begin()

    def _served(self, request: Request) -> None:
        if request.finished is None:
            request.end("completed", self.now)


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
