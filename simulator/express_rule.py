"""Which scenarios run express: those in which nothing could tell.

One service with one replica, fed by open sources where its jobs are; nobody else uses what it uses. Batches are filled as jobs
come (`continuous`), or closed (`static`, `dynamic`). Models that yield tokens: on one engine, all keys and values kept, in pages or in no
memory at all. Models that compute an input in one pass: whatever plan can be jumped over. Nobody listens, nothing fails, scales, governs or
cuts power; nothing waits for a job's end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgewright.policies.kv import Full
from edgewright.policies.plan import Compute, Delay, Mark
from edgewright.policies.registry import lookup
from edgewright.policies.scaling import Fixed
from edgewright.policies.timeline import conflicts
from edgewright.simulator.express_batching import BATCHINGS
from edgewright.simulator.express_books import CASES
from edgewright.simulator.express_passes import PassExpress, courses_at_both_ends
from edgewright.simulator.express_tokens import TokenExpress
from edgewright.simulator.program import HostSeconds
from edgewright.workloads import OpenProcess, Part

if TYPE_CHECKING:
    from edgewright.simulator.express import Express
    from edgewright.simulator.replica import Replica
    from edgewright.simulator.simulation import Simulation

__all__ = ["express_of", "obstacles"]

WORTH = {True: 1000, False: 10_000}
"""Expected jobs from which on a compiled loop pays for being loaded (0.6 s), of models that yield tokens (True) and others: a job costs
the general path about a millisecond, and 60 microseconds."""


def express_of(simulation: Simulation) -> Express | None:
    """What runs the simulation's one replica express; None if there are obstacles."""
    if any(obstacles(simulation)):
        return None
    (replica,) = simulation.replicas.values()
    sources = [process.source for process in simulation.sources.values()]
    return (TokenExpress if replica.model.generates else PassExpress)(simulation, replica, sources)


def obstacles(simulation: Simulation) -> Iterator[str]:
    """What keeps a scenario from running express, in words; nothing if it may."""
    rates, worth = [], WORTH[any(replica.model.generates for replica in simulation.replicas.values())]
    for process in simulation.sources.values():
        arrivals = process.source.arrivals
        rates.append(arrivals.mean_rate if isinstance(arrivals, OpenProcess) else None)
        if not isinstance(arrivals, OpenProcess) or process.source.prefixes is not None or process.entry is not None:
            yield "jobs follow others, begin alike, or travel"
    if None in rates or sum(rate for rate in rates if rate is not None) * simulation.window[1] < worth:
        yield f"fewer than {worth} jobs are expected"
    yield from _around(simulation)
    replicas = list(simulation.replicas.values())
    if len(simulation.services) != 1 or len(replicas) != 1:
        yield "more than one service or replica"
    elif replicas[0].model.generates:
        yield from _inside_tokens(replicas[0])
    else:
        yield from _inside_passes(replicas[0])


def _around(simulation: Simulation) -> Iterator[str]:
    """Who could act on the replica from outside, or watch it."""
    power, signals = simulation.power, simulation.machine.signals
    if not all(isinstance(table.policy, lookup("power", "none")) for table in simulation.scenario.power.values()):
        yield "a power policy commands"
    if power.breakers or power.ports or power.feeds or power.heats or simulation.faults:
        yield "power, heat or a fault may interfere"
    if signals.submitted or signals.finished or signals.stepped:
        yield "somebody listens to jobs or steps"
    for service in simulation.services.values():
        table = simulation.scenario.services[service.name]
        limits = service.recovery.limits
        if service.orchestration is not None or not isinstance(table.scaling, Fixed) or table.scaling.replicas == 0:
            yield "calls, or scaling"
        if limits.attempt != float("inf") or limits.checkpoint is not None or type(table.routing).__module__.split(".")[0] != "edgewright":
            yield "limits of attempts, checkpoints, or routing of others' making"


def _inside_passes(replica: Replica) -> Iterator[str]:
    """What the replica of a model that computes an input in one pass does that its compiled loop does not."""
    machine = replica.machine
    if type(replica.setup.tables[0].batching) not in BATCHINGS:
        yield "another batching policy than `continuous`, `static` and `dynamic`"
    elif replica.kv is not None or replica.experts is not None or replica.preset.padding or replica.preset.instances:
        yield "keys and values, experts, padding, or an instance per sequence"
    elif replica.strand is None:
        yield "a plan that cannot be jumped over"
    else:
        courses = courses_at_both_ends(replica)
        if not all(course.settles and not conflicts(replica.strand, course.line.demands) for course in courses):
            yield "a plan that is in its own way, or outlives its steps"
        if any(machine.resources[name].following for course in courses for name in course.resources | course.links):
            yield "a link whose rate varies"


def _inside_tokens(replica: Replica) -> Iterator[str]:
    """What the replica of a model that yields tokens does that its compiled loop does not."""
    tables, preset = replica.setup.tables[0], replica.preset
    if type(tables.batching) not in BATCHINGS or type(tables.kv) is not Full:
        yield "another batching policy than `continuous`, `static` and `dynamic`, or another KV policy than `full`"
    if preset.memory != "paged" or preset.preemption == "swap" or replica.experts is not None or replica.capacity.sequences is not None:
        yield "slots, swapping, experts or recurrent state"
    if preset.padding or preset.instances:
        yield "padding, or an instance per sequence"
    if replica.model.windows:
        yield "a model that attends to windows"
    ops = replica.strand.ops if replica.strand is not None else ()
    computes = [op for op in ops if isinstance(op, Compute)]
    plain = len(computes) == 1 and all(
        isinstance(op, Compute | Mark) or (isinstance(op, Delay) and isinstance(op.seconds, HostSeconds)) for op in ops
    )
    if not plain or not isinstance(ops[-2], Compute):
        yield "a plan that is more than host time and one computation"
    elif not _affine(computes[0]):
        yield "work that is not affine in the sums of a step"


def _affine(compute: Compute) -> bool:
    part = compute.work
    return isinstance(part, Part) and all(part.affine_work(case) is not None for case in CASES)
