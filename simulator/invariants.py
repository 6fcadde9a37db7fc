"""What must hold in every run, checked as it goes and at its end. A violation stops the run and says where."""

from __future__ import annotations

from collections import Counter
from math import isclose
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.simulator.simulation import Simulation

__all__ = ["InvariantViolation", "check_invariants"]


class InvariantViolation(AssertionError):
    """The run broke a law of its own; the message says which, where and by how much."""


def check_invariants(simulation: Simulation) -> None:
    """Check jobs, bytes, pools and energy at this moment; raises `InvariantViolation`."""
    simulation.machine.settle()
    _jobs(simulation)
    _bytes(simulation)
    _pools(simulation)
    _energy(simulation)


def _require(holds: bool, what: str, simulation: Simulation) -> None:
    if not holds:
        raise InvariantViolation(f"at {simulation.now:g} s: {what}")


def _jobs(simulation: Simulation) -> None:
    """Jobs in = completed + rejected + failed + in flight; and those in flight are where they say."""
    by_status = Counter(request.status for request in simulation.recorder.requests)
    known = ("completed", "rejected", "failed", "in_flight")
    total = len(simulation.recorder.requests)
    _require(sum(by_status[status] for status in known) == total, f"{total} jobs came in, but {dict(by_status)}", simulation)
    for replica in simulation.replicas.values():
        here = len(replica.waiting) + replica.running
        arrived = sum(
            1 for r in simulation.recorder.requests if r.replica == replica.name and r.queued is not None and r.status == "in_flight"
        )
        _require(here == arrived, f"{replica.name} holds {here} jobs, but {arrived} are in flight there", simulation)


def _bytes(simulation: Simulation) -> None:
    """Bytes sent = received + cancelled."""
    for name, traffic in simulation.machine.traffic.items():
        accounted = traffic.received + traffic.cancelled
        same = isclose(traffic.sent, accounted, rel_tol=1e-9, abs_tol=1e-3)
        _require(same, f"link {name} sent {traffic.sent:g} B, but {accounted:g} B were received or cancelled", simulation)


def _pools(simulation: Simulation) -> None:
    """No pool above its capacity."""
    for pool in simulation.machine.pools.values():
        _require(pool.level <= pool.capacity * (1 + 1e-9), f"pool {pool.name} holds {pool.level:g} of {pool.capacity:g}", simulation)
    for replica in simulation.replicas.values():
        if replica.kv is not None:
            held = sum(replica.kv.held.values())
            fits = held == replica.kv.used and replica.kv.used + replica.kv.retained <= replica.kv.capacity
            _require(fits, f"{replica.name}: {held} KV blocks held, {replica.kv.used} counted, of {replica.kv.capacity}", simulation)
    for resource in simulation.machine.resources.values():
        used = sum(activity.rate * amount for activity, amount in resource.activities.items())
        _require(
            used <= resource.capacity * (1 + 1e-9), f"{resource.name} carries {used:g} of {resource.capacity:g} per second", simulation
        )


def _energy(simulation: Simulation) -> None:
    """Energy of the parts = energy of the domains, at their plugs."""
    outer = [d for d in simulation.domains.values() if not any(d in other.children for other in simulation.domains.values())]
    whole = sum(domain.joules() for domain in outer)
    parts = sum(_at_plug(simulation, joules, domain.name) for domain in simulation.domains.values() for *_, joules in domain.energy_rows())
    _require(isclose(whole, parts, rel_tol=1e-9, abs_tol=1e-6), f"domains drew {whole:g} J, their parts {parts:g} J", simulation)
    _require(all(j >= -1e-9 for d in simulation.domains.values() for *_, j in d.energy_rows()), "a part's energy is negative", simulation)


def _at_plug(simulation: Simulation, joules: float, domain: str) -> float:
    """Energy at a domain's plug as seen at the plug of the outermost domain that it draws through."""
    for outer in simulation.domains.values():
        if any(child.name == domain for child in outer.children):
            return _at_plug(simulation, joules / outer.efficiency, outer.name)
    return joules
