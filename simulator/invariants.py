"""What must hold in every run, checked as it goes and at its end. A violation stops the run and says where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isclose
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.simulator.request import Request
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
    _sources(simulation)


def _require(holds: bool, what: str, simulation: Simulation) -> None:
    if not holds:
        raise InvariantViolation(f"at {simulation.now:g} s: {what}")


def _jobs(simulation: Simulation) -> None:
    """Jobs in = completed + rejected + failed + in flight; and those in flight are where they say."""
    recorder = simulation.recorder
    odd = [f"job {request.id} {request.status}" for request in recorder.open if request.status != "in_flight"]
    odd += [status for status in recorder.over if status not in ("completed", "rejected", "failed")]
    _require(not odd, f"jobs are neither in flight nor over: {odd[:5]}", simulation)
    came, known = sum(service.arrivals for service in simulation.services.values()), recorder.over.total() + len(recorder.open)
    _require(came == known, f"{came} jobs came in, but {dict(recorder.over)} are over and {len(recorder.open)} in flight", simulation)
    if simulation.express is not None:
        _require(simulation.express.balanced, "jobs that came in are neither over nor in flight", simulation)
    places = Counter(request.id for _, request in _places(simulation))
    known_ids = {request.id for request in recorder.open}
    twice = sorted(number for number, count in places.items() if count > 1)
    _require(not twice, f"jobs {twice[:5]} are in two places at once", simulation)
    lost, ghosts = sorted(known_ids - set(places)), sorted(set(places) - known_ids)
    _require(not lost, f"jobs {lost[:5]} are in flight, but nowhere", simulation)
    _require(not ghosts, f"jobs {ghosts[:5]} are held, but over", simulation)
    for where, request in _places(simulation):
        mine = where == "" or request.replica == where
        _require(mine, f"job {request.id} is at {where}, but says {request.replica}", simulation)


def _places(simulation: Simulation) -> Iterator[tuple[str, Request]]:
    """Every job in flight with the replica that holds it, empty if it is on its way or back, aside, at the door or in a script."""
    for replica in simulation.replicas.values():
        yield from ((replica.name, request) for request in replica.waiting)
        yield from ((replica.name, request) for lane in replica.lanes for request in lane.running)
    for service in simulation.services.values():
        for place in (service.carrying, service.scripts, service.pending, service.recovery.aside):
            yield from (("", request) for request in place)
    yield from (("", request) for request in simulation.machine.answers)


def _bytes(simulation: Simulation) -> None:
    """Bytes sent = received + cancelled on every link; and what operations say they moved is the integral of the rates."""
    for name, traffic in simulation.machine.traffic.items():
        accounted = traffic.received + traffic.cancelled
        same = isclose(traffic.sent, accounted, rel_tol=1e-9, abs_tol=1e-3)
        _require(same, f"link {name} sent {traffic.sent:g} B, but {accounted:g} B were received or cancelled", simulation)
    for name, resource in simulation.machine.resources.items():
        live = sum((activity.first - activity.left_at(simulation.now)) * amount for activity, amount in resource.activities.items())
        said = resource.accounted + live
        same = isclose(resource.moved, said, rel_tol=1e-6, abs_tol=1e-6 * resource.nominal)
        _require(same, f"{name} moved {resource.moved:g}, but operations account for {said:g}", simulation)


def _pools(simulation: Simulation) -> None:
    """No pool above its capacity, and no resource or engine, now or on the whole."""
    own = (replica.scope.pools for replica in simulation.replicas.values())
    for pool in (pool for pools in (simulation.machine.pools, *own) for pool in pools.values()):
        held = pool.level + pool.aside
        _require(held <= pool.capacity * (1 + 1e-9), f"pool {pool.name} holds {held:g} of {pool.capacity:g}", simulation)
    for replica in simulation.replicas.values():
        if replica.kv is not None:
            kv, swap = replica.kv, replica.swap
            held = sum(kv.held.values()) + sum(shared.blocks for shared in kv.shared.values() if shared.users)
            fits = held == kv.used and kv.used + kv.retained <= kv.capacity
            _require(fits, f"{replica.name}: {held} KV blocks held, {kv.used} counted, of {kv.capacity}", simulation)
            fits = swap is None or sum(swap.held.values()) == swap.used <= swap.capacity
            _require(fits, f"{replica.name}: swap space holds other blocks than it counts", simulation)
    most = simulation.now * (1 + 1e-9) + 1e-9
    for name, resource in simulation.machine.resources.items():
        used = sum(activity.rate * amount for activity, amount in resource.activities.items())
        _require(
            used <= resource.capacity * (1 + 1e-9) + 1e-12 * resource.nominal,
            f"{name} carries {used:g} of {resource.capacity:g} per second",
            simulation,
        )
        within = resource.moved <= resource.offered * (1 + 1e-9) + 1e-9 * resource.nominal
        _require(within, f"{name} moved {resource.moved:g}, but could have moved {resource.offered:g}", simulation)
        _require(resource.busy_s <= most, f"{name} was busy for {resource.busy_s:g} s", simulation)
    for name, engine in simulation.machine.engines.items():
        _require(engine.busy_s <= most, f"{name} was busy for {engine.busy_s:g} s", simulation)


def _energy(simulation: Simulation) -> None:
    """The parts of all domains add up to what the outermost plugs drew, they are all that was drawn, and none is negative."""
    rows = [row for domain in simulation.domains.values() for row in domain.energy_rows()]
    inner = {child.name for domain in simulation.domains.values() for child in domain.children}
    inner |= {rail.name for domain in simulation.domains.values() for rail in domain.rails}
    whole = sum(domain.joules() for domain in simulation.domains.values() if domain.name not in inner)
    parts = sum(joules for *_, joules in rows)
    _require(isclose(whole, parts, rel_tol=1e-9, abs_tol=1e-6), f"plugs drew {whole:g} J, the parts behind them {parts:g} J", simulation)
    paid = {(owner, part) for owner, part, _ in rows}
    unpaid = {key: joules for key, joules in simulation.machine.joules().items() if joules > 0.0 and key not in paid}
    _require(not unpaid, f"no domain pays for {unpaid}", simulation)
    negative = [row for row in rows if row[2] < -1e-6]
    _require(not negative, f"energy is negative: {negative[:3]}", simulation)


def _sources(simulation: Simulation) -> None:
    """What the sources of a site gave = what its load drew + what its battery lost and stored; no battery is emptier than empty."""
    for name, feed in simulation.power.feeds.items():
        sums = feed.sums
        given, taken = sums.sun + sums.grid + sums.unmet, sums.load + sums.lost + feed.stored - feed.initial
        same = isclose(given, taken, rel_tol=1e-9, abs_tol=1e-6 + 1e-9 * feed.capacity)
        _require(same, f"sources of {name} gave {given:g} J, but {taken:g} J were drawn, lost or stored", simulation)
        bounded = -1e-9 * feed.capacity <= feed.stored <= feed.capacity * (1 + 1e-9)
        _require(bounded, f"the battery of {name} holds {feed.stored:g} of {feed.capacity:g} J", simulation)
