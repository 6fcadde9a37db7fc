"""A simulation: a scenario brought to life, run to the end of its window and drained, and made into a result."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import Cluster
from edgewright.simulator.answers import send_back
from edgewright.simulator.assemble import Setup
from edgewright.simulator.assemble_faults import fault_targets
from edgewright.simulator.assemble_memory import Capacity, set_aside
from edgewright.simulator.check import check
from edgewright.simulator.express_rule import express_of
from edgewright.simulator.faults import FaultSource
from edgewright.simulator.harvest import harvest
from edgewright.simulator.invariants import check_invariants
from edgewright.simulator.machine import Machine
from edgewright.simulator.meter import Meter
from edgewright.simulator.power_build import build_power
from edgewright.simulator.recorder import Recorder
from edgewright.simulator.recorder_sink import Sink
from edgewright.simulator.replica import Replica
from edgewright.simulator.request import Request
from edgewright.simulator.result_files import replacing
from edgewright.simulator.service import Service, child_request, orchestrator
from edgewright.simulator.sources import SourceProcess
from edgewright.simulator.watchdog import Watchdog
from edgewright.workloads import Job, Stream
from edgewright.workloads.outcomes import Outcomes

if TYPE_CHECKING:
    from edgewright.simulator.result import Result
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_faults import FaultTable

__all__ = ["Simulation", "simulate"]

LARGE = 2_000
"""Shared resources for each of which, beyond the first, the invariants of a run are checked one part later."""


def simulate(scenario: Scenario, progress: Callable[[float], None] | None = None, out: str | Path | None = None) -> Result:
    """Run a scenario to its end.

    `progress` is called now and then with the simulated time in seconds. `out`: a result directory, as `Result.write` makes it; rows go
    there as they come, so that memory does not grow with them, and the result reads them when they are asked for.

    Raises `ScenarioError` before the clock starts if the scenario cannot run, and `InvariantViolation` if the run breaks an invariant;
    FileExistsError if something that is not a result directory stands at `out`.
    """
    if out is None:
        with _few_searches():
            return _run(Simulation(scenario, express=True), progress)
    with replacing(Path(out)) as fresh, _few_searches():
        found = _run(Simulation(scenario, Sink(fresh), express=True), progress)
        found.complete(fresh)
    return found.moved(out)


@contextmanager
def _few_searches() -> Iterator[None]:
    """Fewer searches for garbage: a run leaves little of it, and to go through a large cluster again and again costs."""
    before = gc.get_threshold()
    gc.set_threshold(before[0] and max(before[0], 50_000), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run(simulation: Simulation, progress: Callable[[float], None] | None) -> Result:
    """In a hundred parts, the invariants checked after each; in the largest clusters, where that takes seconds, after each tenth."""
    end, stride = simulation.end, min(10, 1 + len(simulation.machine.resources) // LARGE)
    for part in range(1, 101):
        simulation.run_until(end * part / 100.0, check=part % stride == 0)
        if progress is not None:
            progress(simulation.now)
        if simulation.drained:
            break
    return simulation.result()


class Simulation:
    """A scenario in time, for those who want to look between two moments.

        simulation = Simulation(Scenario.load("hello"))
        simulation.run_until(10.0)
        simulation.services["chat"].servers[0].queued

    Attributes:
        scenario: what is simulated.
        machine: the cluster in time; `machine.signals` can be subscribed to.
        replicas, services, domains, controllers, sources, faults: by name; `power`: all that feeds, protects and controls the domains.
        end: simulated time at which the run ends at the latest: warm-up, window and drain.
    """

    def __init__(self, scenario: Scenario, sink: Sink | None = None, *, express: bool = False) -> None:
        """`sink`: where rows go as they come; None: they are kept. `express`: nobody looks but at the result, once, so that the one
        replica of a simple scenario may run compiled (`express_rule`). Raises `ScenarioError` if the scenario cannot run."""
        checked = check(scenario)
        self.scenario = scenario
        self.machine = Machine(checked.cluster)
        self.env = self.machine.env
        run = scenario.run
        self.window = (run.warmup, run.warmup + run.window)
        self.end = run.warmup + run.window + run.drain
        self.recorder = Recorder(self.window, sink)
        self.stream = Stream(scenario.seed)
        self._numbers = count()
        for resource, profile in checked.rates.items():
            self.machine.follow(resource, profile)
        self.replicas = {setup.scope: self._replica(setup, checked.capacities[setup.scope]) for setup in checked.setups}
        for device, nbytes in set_aside(checked.setups, checked.capacities).items():
            self.machine.pools[f"{device}.{checked.cluster.devices[device].main_pool.name}"].set_aside(nbytes)
        self.services = {name: self._service(name) for name in scenario.services}
        self.power = build_power(self.scenario, self.machine, self.recorder, self.stream)
        self.domains, self.controllers = self.power.domains, self.power.controllers
        heats = list(self.power.heats.values())
        self.meter = Meter(self.machine, list(self.domains.values()), self.recorder, scenario.record.period, scenario.record.peak, heats)
        self.sources = {name: SourceProcess(self, source, scenario.workloads[name].entry) for name, source in checked.sources.items()}
        self._trace_operations(scenario.record.operations)
        self.watchdog = Watchdog(self)
        self.faults = {name: self._faults(name, table, checked.cluster) for name, table in scenario.faults.items()}
        self.express = express_of(self) if express else None
        self._start()

    # -- building --------------------------------------------------------------------------------------------------------------------------

    def _replica(self, setup: Setup, capacity: Capacity) -> Replica:
        stream = self.stream.child(f"services.{setup.service}.outcomes")
        outcomes = Outcomes(setup.tables[0].outcomes, stream)
        return Replica(self.machine, setup, capacity, outcomes, self.stream.child(setup.scope), self.recorder)

    def _service(self, name: str) -> Service:
        table = self.scenario.services[name]
        stream = self.stream.child(f"services.{name}")
        replicas = [replica for replica in self.replicas.values() if replica.service == name]
        return Service(
            self,
            name,
            replicas,
            table.routing.start(name, stream),
            orchestrator(table.orchestration, name, stream.child("orchestration")),
            Outcomes(table.outcomes, stream.child("outcomes")),
            table.failure.start(name, stream.child("failure")),
            table.scaling.start(name, stream.child("scaling")),
        )

    def _faults(self, name: str, table: FaultTable, cluster: Cluster) -> FaultSource:
        key = ("faults", name)
        targets = fault_targets(self.scenario, cluster, table, table.targets, (*key, "targets"))
        others = () if table.spread is None else table.spread.targets
        followers = fault_targets(self.scenario, cluster, table, others, (*key, "spread", "targets"))
        stream = self.stream.child(f"faults.{name}")
        return FaultSource(self.machine, name, table, targets, followers, self.domains, stream, self.recorder)

    def _trace_operations(self, most: int) -> None:
        """Keep the first operations of the window for the timeline."""
        left = most

        def listen(scope: str, name: str, kind: str, resource: str, start: float, end: float) -> None:
            nonlocal left
            if left > 0 and start >= self.window[0]:
                left -= 1
                self.recorder.operation(scope, name, kind, resource, start, end)

        if most:
            self.machine.signals.operation.subscribe(listen)

    def _start(self) -> None:
        for replica in self.replicas.values() if self.express is None else ():
            replica.start()
        for service in self.services.values():
            if service.servers:
                service.scaler.act()
        self.power.start(self.env)
        self.env.process(self.meter.run())
        for fault in self.faults.values():
            fault.start()
        if self.express is not None:
            self.express.start()
            return
        for source in self.sources.values():
            source.start()

    # -- running ---------------------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.env.now)

    def run_until(self, time: float, *, check: bool = True) -> None:
        """Run up to that simulated time (no further than the end); checks the invariants there, unless told not to."""
        until = min(time, self.end)
        if until > self.now:
            self.env.run(until=until)
        if check:
            check_invariants(self)

    @property
    def drained(self) -> bool:
        """Whether the window is over and every job that counts has ended."""
        if self.now < self.window[1] or self.recorder.open:
            return False
        return self.express is None or self.express.drained

    def submit(self, job: Job, entry: str | None, finish: Callable[[Request], None]) -> None:
        """A source sends a job; its answer goes back to where it entered, and then `finish` is called."""
        request = Request(job, self.now, partial(self._answered, entry, finish))
        request.location = entry
        self.services[job.service].submit(request)

    def _answered(self, entry: str | None, finish: Callable[[Request], None], request: Request) -> None:
        send_back(self.machine, request, entry, partial(self._closed, request, finish))

    def _closed(self, request: Request, finish: Callable[[Request], None]) -> None:
        self.recorder.ended(request)
        if self.machine.signals.finished:
            self.machine.signals.finished(request)
        finish(request)

    def replicas_on(self, device: str) -> list[Replica]:
        """The replicas that cannot do without a device."""
        return [replica for replica in self.replicas.values() if device in replica.life.devices]

    def next_number(self) -> int:
        """A number for a job, unique in the run."""
        return next(self._numbers)

    def call(self, service: str, parent: Request, overrides: Mapping[str, Any], done: Callable[[Any], None]) -> Callable[[], None]:
        """A script calls a service on behalf of a job; returns what cancels the call. If the call fails, the job's service is told."""
        home = next(each for each in self.services.values() if parent in each.scripts)

        def ended(request: Request) -> None:
            self.recorder.ended(request)
            if request.cancelled or parent not in home.scripts:
                return
            if request.status != "completed":
                home.call_failed(parent, service, request)
                return
            parent.location = request.location
            if request.emits is None and request.generated:
                parent.first_token = parent.first_token if parent.first_token is not None else request.first_token
                parent.last_token = request.last_token
                parent.generated += request.generated
            elif request.emits:
                self._burst(parent, min(request.emits, parent.remaining))
            done(request.result())

        child = child_request(parent, service, self.next_number(), overrides, ended, self.now)
        self.services[service].submit(child)
        return partial(self._cancel, child)

    def _cancel(self, request: Request) -> None:
        """The caller of a request is over: nothing becomes of it any more."""
        if request.finished is not None or request.cancelled:
            return
        request.cancelled = True
        holder = next((each for each in self.services.values() if each.holds(request)), None)
        if holder is not None:
            holder.take_away(request, partial(holder.recovery.interrupted, request, "call", holder.name, "calling"))

    def _burst(self, request: Request, tokens: int) -> None:
        """A call was worth some of the caller's tokens, all at its end."""
        self.recorder.burst(request, tokens, self.now)
        request.emit(tokens, self.now, self.now)

    def result(self) -> Result:
        """What has been recorded up to now; runs of steps that are being jumped over are cut, so that it holds their whole steps."""
        for lane in (lane for replica in self.replicas.values() for lane in replica.lanes):
            lane.cut()
        self.meter.close()
        check_invariants(self)
        return harvest(self)
