"""The machine: a cluster in time. Engines, shared capacities, pools, clocks and energy, on one SimPy clock.

Replicas, controllers and tests run plans on it (`simulator.interpreter`); it knows nothing of models, jobs or policies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import simpy

from edgewright.hwmodels import Cluster, Demand, RateProfile, engine_static_W
from edgewright.simulator.availability import Availability
from edgewright.simulator.bound import Bound
from edgewright.simulator.clocks import ClockLimits
from edgewright.simulator.components import Sharing
from edgewright.simulator.energy import Ledger
from edgewright.simulator.engines import EngineQueue, MemoryPool
from edgewright.simulator.environment import Environment
from edgewright.simulator.following import PROFILE, Following
from edgewright.simulator.impairments import Impairments
from edgewright.simulator.operation import Operation
from edgewright.simulator.sharing import Activity, Resource
from edgewright.simulator.signals import Signals
from edgewright.simulator.states import DeviceStates

__all__ = ["Machine", "Traffic"]

REMEMBERED = 1 << 16
"""Messages of which a machine knows what they demand."""


class Traffic:
    """Bytes put on one link: sent = received + cancelled."""

    __slots__ = ("cancelled", "received", "sent")

    def __init__(self) -> None:
        self.sent = 0.0
        self.received = 0.0
        self.cancelled = 0.0

    def arrived(self, nbytes: float) -> None:
        """Bytes that were sent and received."""
        self.sent += nbytes
        self.received += nbytes


class _Timer(simpy.Event):
    """Calls once, after so many seconds: a timeout that is nobody's but its call's."""

    def __init__(self, env: Any, seconds: float, call: Callable[[], None]) -> None:
        if seconds < 0.0:
            raise ValueError(f"Negative delay {seconds:g}: nothing happens in the past")
        self.env = env
        self.callbacks = [_over]
        self.call = call
        self._ok, self._value = True, None
        env.schedule(self, delay=seconds)


def _over(timer: Any) -> None:
    timer.call()


class _Capacities(Mapping[str, float]):
    """What every resource has per second at the moment of asking."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self._resources = resources

    def __getitem__(self, name: str) -> float:
        return self._resources[name].capacity_now()

    def __iter__(self) -> Iterator[str]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)


class Machine:
    """A cluster in time.

    Attributes:
        env: the SimPy environment; `env.now` is the time in seconds.
        cluster: the specifications, under what is amiss at the moment.
        engines, resources, pools: what operations use, by scope.
        capacities: of all resources, as they are now.
        clocks: fraction of maximum by engine; absent means 1. `epoch` counts changes of clocks and cluster, on which demands depend.
        clock_limits: who holds clocks down.
        up: which devices, links and storages work; `states`: what devices draw because of that, and whether they sleep.
        sharing: how activities share resources.
        impair: what is slow, late, cut off or fails.
        ledger: energy accounts; `traffic`: bytes by link resource.
        signals: what others subscribe to.
        stretches: runs of steps that are being jumped over; settled before anything reads accounts.
        answers: jobs whose answer waits for a dead link.
    """

    def __init__(self, cluster: Cluster, env: simpy.Environment | None = None) -> None:
        self.env: Any = env if env is not None else Environment()
        self.cluster = cluster
        self.signals = Signals()
        self.up = Availability(self.signals)
        self.ledger = Ledger()
        self.sharing = Sharing(self.env, self.after)
        self.clocks: dict[str, float] = {}
        self.epoch = 0
        self.resources = {name: Resource(name, capacity) for name, capacity in cluster.capacities.items()}
        self.engines = {
            name: EngineQueue(name, engine, self.ledger.account(name, "static")) for name, (_, engine) in cluster.engines.items()
        }
        self.pools: dict[str, MemoryPool] = {
            f"{name}.{pool.name}": MemoryPool(f"{name}.{pool.name}", pool.capacity - pool.reserved)
            for name, device in cluster.devices.items()
            for pool in device.pools.values()
        }
        self.capacities: Mapping[str, float] = _Capacities(self.resources)
        self.traffic: dict[str, Traffic] = {}
        self._ways: dict[tuple[str, str, float, float, int], Bound] = {}
        self._ways_of = cluster
        self._sinks: dict[tuple[str, str], Callable[[float], None]] = {}
        self.stretches: dict[Any, None] = {}
        self.answers: dict[Any, None] = {}
        self.clock_limits = ClockLimits(self)
        self.impair = Impairments(self)
        self.states = DeviceStates(self)

    # -- operations ----------------------------------------------------------------------------------------------------------------

    def run(self, price: Callable[[], Demand], done: Callable[[Operation], None]) -> Operation:
        """Start an operation; `price` gives its demand at the clocks of the moment."""
        return Operation(self, lambda: Bound(self, price()), done).submit()

    def way(self, src: str, dst: str, nbytes: float, weight: float = 1.0, priority: int = 0) -> Bound:
        """What bytes from one node to another demand at the moment; the same message is looked up once."""
        if self._ways_of is not self.cluster or len(self._ways) >= REMEMBERED:
            self._ways_of = self.cluster
            self._ways.clear()
        found = self._ways.get((src, dst, nbytes, weight, priority))
        if found is None:
            demand = self.cluster.transfer(src, dst, nbytes).among(weight, priority)
            found = self._ways[src, dst, nbytes, weight, priority] = Bound(self, demand)
        return found

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, `seconds` from now."""
        _Timer(self.env, seconds, call)

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Call once, at that time."""
        self.after(time - self.env.now, call)

    def activity(self, bound: Bound, done: Callable[[], None], left: float, first: float) -> Activity | None:
        """The fluid phase of a demand, or None if it has none."""
        seconds = bound.seconds
        if bound.engine is not None and (sharers := len(bound.engine.running)) > 1:
            seconds *= sharers
        if not bound.usage and seconds <= 0.0:
            for account, spent in bound.joules:
                account.put(spent)
            return None
        size = seconds if bound.size is None else bound.size
        return Activity(bound.usage, seconds, size, bound.joules, done, left, first, bound.demand.weight, bound.demand.priority)

    def add(self, activity: Activity) -> None:
        """Start an activity and share anew where it touches; whoever claims any of that goes back to operation by operation."""
        for resource in activity.usage:
            if resource.following is not None:
                resource.following.watch()
            if resource.claim is not None:
                resource.claim()
        self.sharing.add(activity)

    def remove(self, activity: Activity) -> None:
        """Take an activity away and share anew what it leaves; its `left` is settled."""
        self.sharing.remove(activity)

    def delivered(self, bound: Bound, share: float) -> None:
        """Account a demand that has ended: its bytes as sent and received, and `share` of its amounts as moved since it was begun here."""
        for traffic, amount in bound.traffic:
            traffic.arrived(amount)
        self._accounted(bound, share)

    def dropped(self, bound: Bound, share: float, done: float) -> None:
        """Account a cancelled demand: the fraction `done` of its bytes as sent and cancelled, `share` of its amounts as moved here."""
        for traffic, amount in bound.traffic:
            traffic.sent += amount * done
            traffic.cancelled += amount * done
        self._accounted(bound, share)

    def _accounted(self, bound: Bound, share: float) -> None:
        for resource, amount in bound.moved:
            resource.accounted += amount * share

    def traffic_of(self, name: str) -> Traffic:
        """The account of a link resource's bytes."""
        found = self.traffic.get(name)
        if found is None:
            found = self.traffic[name] = Traffic()
        return found

    def sink(self, key: tuple[str, str]) -> Callable[[float], None]:
        """Where amounts of a stretch are put, by kind and name.

        `dynamic` joules of an owner, bytes `sent` on a link, amount `moved` over a resource and seconds that it was `busy`, seconds that an
        `engine` was held.
        """
        found = self._sinks.get(key)
        if found is None:
            found = self._sinks[key] = self._sink(*key)
        return found

    def _sink(self, kind: str, name: str) -> Callable[[float], None]:
        match kind:
            case "dynamic":
                return self.ledger.account(name, "dynamic").put
            case "engine":
                return self.engines[name].held
            case "sent":
                return self.traffic_of(name).arrived
            case "moved":
                return self.resources[name].progressed
            case _:
                return self.resources[name].occupied

    # -- claims of stretches -------------------------------------------------------------------------------------------------------

    def claim(self, engines: Iterable[EngineQueue], resources: Iterable[Resource], cut: Callable[[], None]) -> None:
        """These are a stretch's own from now on; `cut` is called when something else wants one of them, or one of them changes."""
        for engine in engines:
            engine.claim = cut
        for resource in resources:
            resource.settle(self.env.now)
            resource.claim = cut
            if resource.following is not None:
                resource.following.watch()

    def unclaim(self, engines: Iterable[EngineQueue], resources: Iterable[Resource]) -> None:
        """Nobody's own any more."""
        for engine in engines:
            engine.claim = None
        for resource in resources:
            resource.settle(self.env.now)
            resource.claim = None

    def cut_claims(self, bound: Bound) -> None:
        """Something else wants these resources: whoever claims them goes back to operation by operation."""
        if bound.engine is not None and (claim := bound.engine.claim) is not None:
            claim()
        for resource, _ in bound.moved:
            if (claim := resource.claim) is not None:
                claim()

    def free(self, engines: Iterable[EngineQueue], resources: Collection[Resource]) -> bool:
        """Whether nobody uses or claims any of these."""
        for engine in engines:
            if not engine.idle:
                return False
        return not resources or not [resource for resource in resources if resource.used]

    # -- state that others set and read ----------------------------------------------------------------------------------------------

    def set_clock(self, engine: str, fraction: float) -> None:
        """Set an engine's clock to a fraction of its maximum, now; work under way keeps the fraction done."""
        queue = self.engines[engine]
        if queue.claim is not None:
            queue.claim()
        self.clocks[engine] = fraction
        self.epoch += 1
        queue.draw(engine_static_W(queue.spec, fraction), self.env.now)
        for operation in tuple(queue.running):
            operation.reprice()
        if self.signals.clock:
            self.signals.clock(engine, fraction)

    def sleep(self, device: str, by: str) -> None:
        """Put a device to sleep on behalf of `by`: it is down (`asleep`) and draws `sleep_W`. Raises `ValueError` if it cannot sleep.

        What becomes of work under way on it is for those to say who listen to `signals.availability`.
        """
        self.states.sleep(device, by)

    def wake(self, device: str, by: str) -> None:
        """`by` no longer has the device sleep; once nobody does, it is up after its `wake_s`. Nothing happens if `by` did not."""
        self.states.wake(device, by)

    def derate(self, resource: str, cause: str, factor: float) -> None:
        """From now on, `cause` leaves this share of a resource's nominal capacity; 1 takes the cause away, 0 stops what uses it.

        Causes multiply, also with a profile that the resource follows. Work under way goes on at the new rates. Raises `ValueError` for a
        negative factor.
        """
        if factor < 0.0:
            raise ValueError(f"resource {resource} cannot be derated to {factor:g} of its capacity")
        found = self.resources[resource]
        found.derate(cause, factor, self.env.now)
        self._changed(found)
        self.impair.derated(found)

    def follow(self, resource: str, profile: RateProfile) -> None:
        """From now on, the resource has the share of its nominal capacity that the profile says (times what derates it besides).

        Looked up when something begins to use the resource or a stretch claims it, and at each change while that is so; otherwise it costs
        nothing. Raises `ValueError` if the resource follows a profile already, or for a profile that breaks its contract.
        """
        found = self.resources[resource]
        if found.following is not None:
            raise ValueError(f"resource {resource} follows a profile already")
        found.following = Following(self, found, profile, self._changed)
        found.following.refresh()
        if found.used:
            found.following.watch()

    def silent(self, bound: Bound, again: Callable[[], None]) -> bool:
        """Whether a link that messages of the demand cross without being flows stands still by its profile; `again` is called at its next
        change, if there is one."""
        for resource in bound.messages:
            following = resource.following
            if following is None:
                continue
            following.refresh()
            if following.resource.factors.get(PROFILE, 1.0) == 0.0:
                if following.until < float("inf"):
                    self.at(following.until, again)
                return True
        return False

    def refresh(self, resources: Iterable[str]) -> None:
        """Bring the capacities of these up to now where they follow a profile."""
        for name in resources:
            if (following := self.resources[name].following) is not None:
                following.refresh()

    def _changed(self, resource: Resource) -> None:
        """A capacity has changed: whoever claims it goes back to operation by operation, and those that use it share anew."""
        if resource.claim is not None:
            resource.claim()
        self.sharing.changed(resource)

    def settle_energy(self) -> None:
        """Bring the energy of everything up to now: stretches alone account theirs late, the rest is integrated as it changes."""
        for stretch in tuple(self.stretches):
            stretch.account(self.env.now)

    def settle(self) -> None:
        """Bring every account up to now without changing anything that runs."""
        now = self.env.now
        self.settle_energy()
        self.sharing.settle()
        for resource in self.resources.values():
            resource.settle(now)
        for engine in self.engines.values():
            engine.settle(now)

    def joules(self) -> Mapping[tuple[str, str], float]:
        """Energy so far by owner and part."""
        self.settle()
        return {key: account.settle(self.env.now) for key, account in self.ledger.accounts.items()}
