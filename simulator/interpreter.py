"""The one interpreter of plans: runs a strand's iterations operation by operation, under contention.

It knows no policy and no job: what a plan needs from its surroundings (named pools, flags, calls to other services, outcomes) comes
through a `Scope`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from edgewright.policies.compile import RaceEnd, Strand
from edgewright.policies.plan import (
    Alloc,
    Call,
    Cancel,
    Collective,
    Compute,
    Delay,
    Flow,
    Free,
    Join,
    Load,
    Mark,
    Signal,
    Store,
    Transfer,
    Wait,
)
from edgewright.policies.pricing import amount_of, demand_of
from edgewright.simulator.bound import Bound
from edgewright.simulator.engines import Flag, Line, MemoryPool
from edgewright.simulator.machine import Machine
from edgewright.simulator.operation import Operation
from edgewright.simulator.sharing import INSTANT
from edgewright.workloads import Step

__all__ = ["TIMED", "Execution", "Scope"]

TIMED = (Compute, Transfer, Collective, Load, Store, Delay)
"""Operations that demand time of the machine."""

WAITING, RUNNING, ENDED, CANCELLED = range(4)


class Scope:
    """What the plans of one replica (or one job's script) share.

    Attributes:
        name: dotted scope, for traces.
        pools: the replica's own pools by name; other names are looked up on the machine.
        call: submits a job to a service: `(service, overrides, done(result))`; returns what cancels it, if anything can.
        reveal: `(name) -> value` of an outcome that has become known.
        groups: detached plans by name, as `(execution, nodes)`; the latest of a name.
        weight, priority: of all its flows among those of others, on top of what the operations say themselves.
        live: iterations of which something has not ended; `closed`: whether the scope was abandoned.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        pools: Mapping[str, MemoryPool] | None = None,
        call: Callable[[str, Mapping[str, Any], Callable[[Any], None]], Callable[[], None] | None] | None = None,
        reveal: Callable[[str], Any] | None = None,
        *,
        weight: float = 1.0,
        priority: int = 0,
    ) -> None:
        self.machine = machine
        self.name = name
        self.weight = weight
        self.priority = priority
        self.pools = dict(pools or {})
        self.call = call
        self.reveal = reveal
        self.groups: dict[str, tuple[Execution, tuple[int, ...]]] = {}
        self.live: dict[Execution, None] = {}
        self.closed = False
        self._flags: dict[str, Flag] = {}
        self._lines: dict[tuple[str, str, str], Line] = {}
        self._taken: dict[MemoryPool, float] = {}

    def take(self, name: str, amount: float, granted: Callable[[], None]) -> Callable[[], None]:
        """Take of a pool, and call when it is granted; returns what withdraws the wish while it is not."""
        pool = self.pool(name)

        def note() -> None:
            self._taken[pool] = self._taken.get(pool, 0.0) + amount
            granted()

        pool.take(amount, note, self.name)
        return partial(pool.withdraw, note)

    def give(self, name: str, amount: float) -> None:
        """Give back to a pool."""
        pool = self.pool(name)
        self._taken[pool] = self._taken.get(pool, 0.0) - amount
        pool.give(amount, self.name)

    def abandon(self) -> None:
        """Stop all that runs here, with nobody called back: bytes moved stay in the accounts, and pools get back what was taken."""
        self.closed = True
        live, self.live = tuple(self.live), {}
        for execution in live:
            execution.abandon()
        taken, self._taken = self._taken, {}
        for pool, amount in taken.items():
            if amount > 0.0:
                pool.give(min(amount, pool.level), self.name)

    def pool(self, name: str) -> MemoryPool:
        """The pool of that name: the replica's own, or a device's as `device.pool`."""
        found = self.pools.get(name) or self.machine.pools.get(name)
        if found is None:
            known = ", ".join([*self.pools, *self.machine.pools])
            raise ValueError(f"{self.name}: no pool {name!r}; there are {known}")
        return found

    def line(self, op: Transfer) -> Line | None:
        """The connection that a transfer is sent over, None if it has one of its own."""
        return None if op.connection is None else self._lines.setdefault((op.src, op.dst, op.connection), Line())

    def flag(self, name: str) -> Flag:
        """The replica's counting flag of that name."""
        return self._flags.setdefault(name, Flag())


class Execution:
    """One iteration of a strand.

    Attributes:
        step: what its amounts are bound to.
        on_token: called once, when the `token` mark (or all that is not detached) has ended.
        on_end: called once, when all that is not detached has ended; what is detached may still run.
        reveal: `(name) -> value` of an outcome of this iteration; the scope's if not given.
        revealed: outcomes by name, as operations that reveal them end.
        started: simulated time of `begin`.
    """

    def __init__(
        self,
        scope: Scope,
        strand: Strand,
        step: Step,
        on_token: Callable[[], None] | None = None,
        on_end: Callable[[Execution], None] | None = None,
        reveal: Callable[[str], Any] | None = None,
    ) -> None:
        self.scope = scope
        self.strand = strand
        self.step = step
        self.on_token = on_token
        self.on_end = on_end
        self.reveal = reveal if reveal is not None else scope.reveal
        self.revealed: dict[str, Any] = {}
        self.results: dict[int, Any] = {}
        self.started = scope.machine.env.now
        size = len(strand.ops)
        self.state = bytearray(size)
        self.pending = [len(preds) for preds in strand.preds]
        self.handles: dict[int, Operation | Callable[[], None]] = {}
        self.open_main = size - len(strand.detached)
        self._open = size
        self._followers: dict[int, list[Callable[[], None]]] = {}
        self._ready: deque[int] = deque()
        self._draining = False
        self._prices: dict[int, Bound] = {}
        self._epoch = scope.machine.epoch
        self._open_exits = {
            (node, branch): len(exits)
            for node, op in enumerate(strand.ops)
            if isinstance(op, RaceEnd)
            for branch, exits in enumerate(op.exits)
        }

    # -- life --------------------------------------------------------------------------------------------------------------------------

    def begin(self, earlier: Sequence[Execution] = ()) -> Execution:
        """Start; `earlier` are the strand's previous iterations, latest last, for operations that lag behind them."""
        if self._open:
            self.scope.live[self] = None
        for name, nodes in self.strand.groups.items():
            self.scope.groups[name] = (self, nodes)
        for node, lagged in enumerate(self.strand.lagged):
            for other, lag in lagged:
                if lag <= len(earlier):
                    self._follow(earlier[-lag], other, node)
        for node, op in enumerate(self.strand.ops):
            if self.pending[node] == 0 and not isinstance(op, RaceEnd):
                self._ready.append(node)
        nothing_awaited = self.open_main == 0
        self._drain()
        if nothing_awaited:
            self._finish_main()
        return self

    def _follow(self, execution: Execution, other: int, node: int) -> None:
        if execution.state[other] < ENDED:
            self.pending[node] += 1
            execution.when_ended(other, partial(self._release, node))

    def when_ended(self, node: int, call: Callable[[], None]) -> None:
        """Call once the node has ended or was cancelled (at once if it has)."""
        if self.state[node] >= ENDED:
            call()
        else:
            self._followers.setdefault(node, []).append(call)

    def _release(self, node: int) -> None:
        self.pending[node] -= 1
        if self.pending[node] == 0 and self.state[node] == WAITING:
            self._ready.append(node)
            self._drain()

    def _drain(self) -> None:
        """Dispatch what is ready, without recursion through chains of instant operations."""
        if self._draining:
            return
        self._draining = True
        while self._ready:
            node = self._ready.popleft()
            if self.state[node] == WAITING:
                self.state[node] = RUNNING
                self._dispatch(node)
        self._draining = False

    # -- operations --------------------------------------------------------------------------------------------------------------------

    def _dispatch(self, node: int) -> None:
        op = self.strand.ops[node]
        if isinstance(op, TIMED):
            self._run(node)
            return
        ended = partial(self._ended, node)
        match op:
            case Alloc(pool=pool, amount=amount):
                withdraw = self.scope.take(pool, float(amount_of(amount, self.step)), ended)
                if self.state[node] < ENDED:
                    self.handles[node] = withdraw
            case Free(pool=pool, amount=amount):
                self.scope.give(pool, float(amount_of(amount, self.step)))
                ended()
            case Signal(flag=flag, count=count):
                self.scope.flag(flag).raise_by(count)
                ended()
            case Wait(flag=flag, count=count):
                self.handles[node] = partial(self.scope.flag(flag).withdraw, ended)
                self.scope.flag(flag).wait(count, ended)
            case Call(service=service, job=job):
                self._call(node, service, dict(job))
            case Join(target=target):
                self._join(target, ended)
            case Cancel(target=target):
                execution, nodes = self._group(target)
                execution.cancel(nodes)
                ended()
            case _:
                ended()

    def _run(self, node: int, left: float = 1.0, latency_left: float | None = None) -> None:
        op, machine = self.strand.ops[node], self.scope.machine
        line = self.scope.line(op) if isinstance(op, Transfer) else None
        operation = Operation(machine, partial(self.price, node), partial(self._operated, node), left, latency_left, line)
        self.handles[node] = operation
        operation.submit()

    def price(self, node: int) -> Bound:
        """What a node demands at the clocks of the moment; operations alike are priced once."""
        machine = self.scope.machine
        if self._epoch != machine.epoch:
            self._prices.clear()
            self._epoch = machine.epoch
        of_node, operations = self.strand.classes
        kind = of_node[node]
        found = self._prices.get(kind)
        if found is None:
            op = operations[kind]
            demand = demand_of(op, machine.cluster, self.step, machine.clocks)
            if isinstance(op, Flow):
                demand = demand.among(self.scope.weight, self.scope.priority)
            found = self._prices[kind] = Bound(machine, demand)
        return found

    def _operated(self, node: int, operation: Operation) -> None:
        signal = self.scope.machine.signals.operation
        if signal:
            op = self.strand.ops[node]
            resource = operation.demand.engine or next(iter(operation.demand.usage), "")
            signal(self.scope.name, op.name or "", type(op).__name__.lower(), resource, operation.started, self.scope.machine.env.now)
        self._ended(node)

    def _call(self, node: int, service: str, overrides: dict[str, Any]) -> None:
        if self.scope.call is None:
            raise ValueError(f"{self.scope.name}: a plan calls service {service!r}, but there are no services here")

        def returned(result: Any) -> None:
            self.results[node] = result
            self._ended(node)

        cancel = self.scope.call(service, overrides, returned)
        if cancel is not None and self.state[node] < ENDED:
            self.handles[node] = cancel

    def _group(self, target: str) -> tuple[Execution, tuple[int, ...]]:
        if target in self.strand.groups:
            return self, self.strand.groups[target]
        return self.scope.groups.get(target, (self, ()))

    def _join(self, target: str, ended: Callable[[], None]) -> None:
        execution, nodes = self._group(target)
        still = [node for node in nodes if execution.state[node] < ENDED]
        count = len(still)
        if count == 0:
            ended()

        def one_less() -> None:
            nonlocal count
            count -= 1
            if count == 0:
                ended()

        for node in still:
            execution.when_ended(node, one_less)

    # -- ends --------------------------------------------------------------------------------------------------------------------------

    def _ended(self, node: int) -> None:
        if self.state[node] >= ENDED:
            return
        self.state[node] = ENDED
        self.handles.pop(node, None)
        op = self.strand.ops[node]
        if op.reveals is not None and self.reveal is not None:
            self.revealed[op.reveals] = self.reveal(op.reveals)
        for follower in self.strand.succs[node]:
            self._release(follower)
        self._close(node)
        for race, branch in self.strand.races_of.get(node, ()):
            self._race(race, branch)
        if isinstance(op, Mark) and node == self.strand.token:
            self._token()
        self._drain()

    def _close(self, node: int) -> None:
        """A node has ended or was cancelled."""
        for call in self._followers.pop(node, ()):
            call()
        self._open -= 1
        if self._open == 0:
            self.scope.live.pop(self, None)
        if node not in self.strand.detached:
            self.open_main -= 1
            if self.open_main == 0:
                self._finish_main()

    def _race(self, race: int, branch: int) -> None:
        self._open_exits[race, branch] -= 1
        if self._open_exits[race, branch] == 0 and self.state[race] == WAITING:
            end = self.strand.ops[race]
            self.state[race] = RUNNING
            if isinstance(end, RaceEnd):
                self.cancel(tuple(node for other, nodes in enumerate(end.branches) if other != branch for node in nodes))
            self._ended(race)

    def _token(self) -> None:
        call, self.on_token = self.on_token, None
        if call is not None:
            call()

    def _finish_main(self) -> None:
        self._token()
        if self.on_end is not None:
            self.on_end(self)

    def cancel(self, nodes: tuple[int, ...]) -> None:
        """Cancel those of the nodes that have not ended; what waits for them waits no longer.

        Bytes moved stay in the accounts; what the nodes took of pools and had not given back is given back.
        """
        open_nodes = [node for node in nodes if self.state[node] < ENDED]
        taken = self._taken(nodes) if open_nodes else {}
        for node in nodes if open_nodes else ():
            self.state[node] = CANCELLED
        for node in open_nodes:
            handle = self.handles.pop(node, None)
            if isinstance(handle, Operation):
                fraction = handle.cancel()
                if self.scope.machine.signals.cancelled:
                    self.scope.machine.signals.cancelled(self.scope.name, self.strand.ops[node].name or "", fraction)
            elif handle is not None:
                handle()
            self._close(node)
        for node in open_nodes:
            for follower in self.strand.succs[node]:
                self._release(follower)
        for pool, amount in taken.items():
            self.scope.give(pool, amount)

    def abandon(self) -> None:
        """Stop; nobody is called back. Its scope gives back what it took of pools."""
        self.on_token = self.on_end = None
        self._followers.clear()
        self._ready.clear()
        for node, state in enumerate(self.state):
            if state < ENDED:
                self.state[node] = CANCELLED
        handles, self.handles = self.handles, {}
        for node, handle in handles.items():
            if isinstance(handle, Operation):
                fraction = handle.cancel()
                if self.scope.machine.signals.cancelled:
                    self.scope.machine.signals.cancelled(self.scope.name, self.strand.ops[node].name or "", fraction)
            else:
                handle()

    def _taken(self, nodes: tuple[int, ...]) -> dict[str, float]:
        """What those of the nodes that have ended took of each pool and did not give back."""
        taken: dict[str, float] = {}
        for node in nodes:
            op = self.strand.ops[node]
            if self.state[node] == ENDED and isinstance(op, Alloc | Free):
                amount = float(amount_of(op.amount, self.step))
                taken[op.pool] = taken.get(op.pool, 0.0) + (amount if isinstance(op, Alloc) else -amount)
        return {pool: amount for pool, amount in taken.items() if amount > 0.0}

    # -- resuming a stretch ----------------------------------------------------------------------------------------------------------

    def resume(self, start: list[float], end: list[float], latency: list[float], at: float) -> Execution:
        """Take up an iteration in the middle: `at` seconds after it began, with node times and latencies from its timeline."""
        over = at + self.started * INSTANT
        self.started -= at
        self.scope.live[self] = None
        live: list[tuple[int, float, float]] = []
        for node in range(len(self.strand.ops)):
            if end[node] <= over:
                self.state[node] = ENDED
                self.open_main -= 1
                self._open -= 1
                for follower in self.strand.succs[node]:
                    self.pending[follower] -= 1
            elif start[node] <= at and isinstance(self.strand.ops[node], TIMED):
                self.state[node] = RUNNING
                fluid = end[node] - start[node] - latency[node]
                elapsed = at - start[node]
                in_fluid = max(0.0, elapsed - latency[node])
                live.append((node, 1.0 - in_fluid / fluid if fluid > 0.0 else 1.0, max(0.0, latency[node] - elapsed)))
        if self.open_main == 0:
            self.scope.live.pop(self, None)
            self._finish_main()
        for node, left, latency_left in live:
            self._run(node, left, latency_left)
        for node, op in enumerate(self.strand.ops):
            if self.state[node] == WAITING and self.pending[node] == 0 and not isinstance(op, RaceEnd):
                self._ready.append(node)
        self._drain()
        return self
