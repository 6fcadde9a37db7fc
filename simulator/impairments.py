"""What is amiss with a machine: links and storages that are down or slow, engines that are slow, reads that fail.

A link or storage that is down moves nothing: flows over it stand still, and messages too small to be flows wait for it. Operations begun
while a link is down take another way if there is one; those under way keep theirs, and go on when it is back.

How wrong: real routes turn after seconds of convergence, here at once; real transports find a mended link after a back-off of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.hwmodels import Condition
from edgewright.simulator.availability import Cause
from edgewright.simulator.following import PROFILE
from edgewright.simulator.sharing import INSTANT, Resource

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.operation import Operation
    from edgewright.workloads import Stream

__all__ = ["Errors", "Impairments"]


class Errors(NamedTuple):
    """Reads that fail: each with probability `chance`, noticed at its end, and begun anew after `delay` seconds; drawn from `stream`."""

    chance: float
    delay: float
    stream: Stream


class Impairments:
    """The impairments of one machine, each by its cause; causes of one kind multiply (shares) or add up (delays).

    Attributes:
        dead: resources that a cause (no profile of rates) has left without capacity, and since when.
        erring: storages whose reads fail, by name (`device.storage`).
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.dead: dict[str, float] = {}
        self.erring: dict[str, dict[str, Errors]] = {}
        self._specified = machine.cluster
        self._slow: dict[str, dict[str, float]] = {}
        self._late: dict[str, dict[str, float]] = {}
        self._waiting: dict[Operation, float] = {}
        self._reads: dict[str, int] = {}

    # -- verbs -------------------------------------------------------------------------------------------------------------------------

    def slow(self, engine: str, cause: str, factor: float) -> None:
        """From now on, `cause` leaves this share of an engine's speed, in (0, 1]; 1 takes the cause away. Work under way goes on slower."""
        if not 0.0 < factor <= 1.0:
            raise ValueError(f"engine {engine} cannot run at {factor:g} of its speed: accepted are shares above 0 and up to 1")
        queue = self.machine.engines[engine]
        if queue.claim is not None:
            queue.claim()
        _note(self._slow.setdefault(engine, {}), cause, factor, 1.0)
        self._condition()
        for operation in tuple(queue.running):
            operation.reprice()

    def delay(self, connection: str, cause: str, seconds: float) -> None:
        """From now on, `cause` adds this much latency to a connection's messages; 0 takes it away. Those under way keep theirs."""
        _note(self._late.setdefault(connection, {}), cause, seconds, 0.0)
        self._turn()

    def cut(self, connection: str, by: str) -> None:
        """The connection is down: nothing crosses it, and routes avoid it."""
        self.machine.up.hold(connection, Cause("failed", by))
        for name in self.resources_of(connection):
            self.machine.derate(name, f"{connection} {by}", 0.0)
        self._turn()

    def mend(self, connection: str, by: str) -> None:
        """What `by` did to the connection is over."""
        self.machine.up.release(connection, Cause("failed", by))
        for name in self.resources_of(connection):
            self.machine.derate(name, f"{connection} {by}", 1.0)
        self._turn()

    def err(self, storage: str, cause: str, errors: Errors | None) -> None:
        """From now on, reads from a storage fail as said; None takes the cause away."""
        self._cut(lambda stretch: f"{storage}.read" in stretch.resources)
        found = self.erring.setdefault(storage, {})
        found.pop(cause, None)
        if errors is not None:
            found[cause] = errors
        if not found:
            del self.erring[storage]

    # -- what the machine asks and tells -------------------------------------------------------------------------------------------------

    def derated(self, resource: Resource) -> None:
        """A cause has changed a resource's capacity: what crosses it as messages stops, or goes on."""
        dead = any(factor == 0.0 for cause, factor in resource.factors.items() if cause != PROFILE)
        if dead and resource.name not in self.dead:
            self.dead[resource.name] = float(self.machine.env.now)
            self._cut(lambda stretch: resource.name in stretch.links)
        elif not dead and resource.name in self.dead:
            del self.dead[resource.name]
            self._retry()

    def holds(self, operation: Operation) -> bool:
        """Whether an operation's messages cannot begin to cross: it will be asked to again when that may have changed."""
        if self.dead and self._stuck(operation):
            self._waiting.setdefault(operation, float(self.machine.env.now))
            return True
        if self._waiting:
            self._waiting.pop(operation, None)
        return False

    def hanging_since(self, operation: Operation) -> float | None:
        """Since when an operation under way has been moving nothing because a resource of its is dead; None if it moves."""
        if operation.ended or not self.dead:
            return None
        if operation in self._waiting:
            return self._waiting[operation]
        if operation.activity is None:
            return None
        since = [self.dead[name] for name in operation.demand.usage if name in self.dead]
        return max(operation.started, min(since)) if since else None

    def read_again(self, operation: Operation) -> float | None:
        """Of an operation that has ended: the seconds after which it must be done again because a read failed; None if all is well."""
        for storage, causes in self.erring.items():
            if f"{storage}.read" in operation.demand.usage:
                for cause, errors in causes.items():
                    number = self._reads[cause] = self._reads.get(cause, -1) + 1
                    if errors.stream.bernoulli(errors.chance, number):
                        return errors.delay
        return None

    def resources_of(self, connection: str) -> tuple[str, ...]:
        """The shared resources of a connection's own."""
        return next(each for each in self._specified.connections if each.name == connection).resources

    def _stuck(self, operation: Operation) -> bool:
        """Whether a link that its messages cross is dead; one that dies in the moment in which they arrive comes too late to stop them."""
        demand = operation.demand
        dead = [self.dead[name] for name in demand.traffic if name in self.dead and not demand.usage.get(name)]
        if operation in self._waiting:
            return bool(dead)
        latest = max(operation.started, self.machine.env.now * (1.0 - INSTANT))
        return any(since <= latest for since in dead)

    def _turn(self) -> None:
        """Routes or delays have changed: nothing is jumped over across that, and what waits for a link looks for another way."""
        self._cut(lambda stretch: True)
        self._condition()
        self._retry()

    def _cut(self, concerned: Callable[[Any], bool]) -> None:
        for stretch in tuple(self.machine.stretches):
            if stretch in self.machine.stretches and concerned(stretch):
                stretch.cut()

    def _condition(self) -> None:
        links = [each.name for each in self._specified.connections]
        condition = Condition(
            {engine: prod(causes.values()) for engine, causes in self._slow.items() if causes},
            {link: sum(causes.values()) for link, causes in self._late.items() if causes},
            frozenset(link for link in links if not self.machine.up(link)),
        )
        self.machine.cluster = self._specified if condition == Condition() else self._specified.under(condition)
        self.machine.epoch += 1

    def _retry(self) -> None:
        for operation in tuple(self._waiting):
            if operation.ended:
                del self._waiting[operation]
            else:
                operation.reprice()
                operation.go_on()


def _note(causes: dict[str, float], cause: str, value: float, nothing: float) -> None:
    if value == nothing:
        causes.pop(cause, None)
    else:
        causes[cause] = value
