"""Engines, pools and flags: what operations queue for besides shared capacities."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright.hwmodels import Engine, engine_static_W

if TYPE_CHECKING:
    from edgewright.simulator.energy import Account
    from edgewright.simulator.operation import Operation

__all__ = ["EngineQueue", "Flag", "Line", "MemoryPool", "PoolOverflow"]


class EngineQueue:
    """An engine's operations: first come, first served, or shared alike by all that are there.

    Attributes:
        running: operations on the engine, in order of start (one at most, unless shared).
        waiting: operations queued, in order of arrival.
        claim: set while a stretch owns the engine: called to cut it.
        busy_s: seconds with something running, settled up to `since`.
    """

    __slots__ = ("busy_s", "claim", "name", "running", "since", "spec", "static", "static_W", "waiting")

    def __init__(self, name: str, spec: Engine, static: Account) -> None:
        self.name = name
        self.spec = spec
        self.static = static
        self.static_W = engine_static_W(spec)
        self.running: list[Operation] = []
        self.waiting: deque[Operation] = deque()
        self.claim: Callable[[], None] | None = None
        self.busy_s = 0.0
        self.since = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing runs, waits or claims."""
        return not self.running and not self.waiting and self.claim is None

    def submit(self, operation: Operation) -> None:
        """Run the operation now, or when its turn comes."""
        if self.spec.shared or not self.running:
            self._start(operation)
        else:
            self.waiting.append(operation)

    def release(self, operation: Operation) -> None:
        """The operation has ended or was cancelled; the next begins."""
        if operation not in self.running:
            if operation in self.waiting:
                self.waiting.remove(operation)
            return
        self.settle(operation.machine.env.now)
        self.running.remove(operation)
        if not self.running:
            self.static.change(-self.static_W, self.since)
        self._share()
        self.serve()

    def serve(self) -> None:
        """Start what can start."""
        while self.waiting and (self.spec.shared or not self.running):
            self._start(self.waiting.popleft())

    def settle(self, now: float) -> None:
        """Account busy time up to now."""
        if self.running:
            self.busy_s += now - self.since
        self.since = now

    def held(self, seconds: float) -> None:
        """A stretch had the engine for so long."""
        self.busy_s += seconds
        self.static.put(seconds * self.static_W)

    def draw(self, static_W: float, now: float) -> None:
        """Static power while busy changes (a clock was set)."""
        if self.running:
            self.static.change(static_W - self.static_W, now)
        self.static_W = static_W

    def _start(self, operation: Operation) -> None:
        now = operation.machine.env.now
        self.settle(now)
        if not self.running:
            self.static.change(self.static_W, now)
        self.running.append(operation)
        self._share()
        operation.begin()

    def _share(self) -> None:
        if self.spec.shared:
            for operation in tuple(self.running):
                operation.reprice()


class PoolOverflow(ValueError):
    """More was asked of a pool than it can ever hold, or more was given back than was taken."""


class MemoryPool:
    """A bounded amount (bytes or slots) taken and given back; requests wait first come, first served.

    Attributes:
        capacity: what there is; `aside`: what of it is somebody's for good; `level`: what is taken; `peak`: the most that was taken.
        owners: what is taken by whom, by name; `peaks`: the most that each had at once. Who gives back what another took leaves its name.
    """

    __slots__ = ("aside", "capacity", "level", "name", "owners", "peak", "peaks", "waiting")

    def __init__(self, name: str, capacity: float) -> None:
        self.name = name
        self.capacity = capacity
        self.aside = 0.0
        self.level = 0.0
        self.peak = 0.0
        self.owners: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self.waiting: deque[tuple[float, Callable[[], None], str]] = deque()

    @property
    def _room(self) -> float:
        return (self.capacity - self.aside) * (1.0 + 1e-12)

    def set_aside(self, amount: float) -> None:
        """Keep `amount` back for good; raises `PoolOverflow` if there is not so much."""
        if self.aside + amount > self.capacity * (1.0 + 1e-9):
            raise PoolOverflow(f"pool {self.name}: {amount:g} to be set aside besides {self.aside:g}, capacity is {self.capacity:g}")
        self.aside += amount

    def take(self, amount: float, granted: Callable[[], None], owner: str = "") -> None:
        """Take `amount` for `owner` when there is room, then call `granted` (now, if there is room and nobody waits)."""
        if amount > self._room:
            others = f", of which {self.aside:g} are set aside" if self.aside else ""
            raise PoolOverflow(f"pool {self.name}: {amount:g} asked, capacity is {self.capacity:g}{others}")
        self.waiting.append((amount, granted, owner))
        self._grant()

    def give(self, amount: float, owner: str = "") -> None:
        """Give `amount` back."""
        if amount > self.level + 1e-9 * self.peak:
            raise PoolOverflow(f"pool {self.name}: {amount:g} given back, {self.level:g} was taken")
        self.level = max(0.0, self.level - amount)
        self.owners[owner] = max(0.0, self.owners.get(owner, 0.0) - amount)
        self._grant()

    def withdraw(self, granted: Callable[[], None]) -> None:
        """Forget a waiting request."""
        self.waiting = deque(entry for entry in self.waiting if entry[1] is not granted)
        self._grant()

    def _grant(self) -> None:
        while self.waiting and self.level + self.waiting[0][0] <= self._room:
            amount, granted, owner = self.waiting.popleft()
            self.level += amount
            self.peak = max(self.peak, self.level)
            self.owners[owner] = self.owners.get(owner, 0.0) + amount
            self.peaks[owner] = max(self.peaks.get(owner, 0.0), self.owners[owner])
            granted()


class Flag:
    """A counting flag: raised by signals, lowered by the waits that it releases, first come, first served."""

    __slots__ = ("count", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def raise_by(self, count: int) -> None:
        """Raise the flag and release whom it is enough for."""
        self.count += count
        self._release()

    def wait(self, count: int, released: Callable[[], None]) -> None:
        """Call `released` once the flag stands at `count`, taking it."""
        self.waiting.append((count, released))
        self._release()

    def withdraw(self, released: Callable[[], None]) -> None:
        """Forget a waiting request."""
        self.waiting = deque(entry for entry in self.waiting if entry[1] is not released)
        self._release()

    def _release(self) -> None:
        while self.waiting and self.count >= self.waiting[0][0]:
            count, released = self.waiting.popleft()
            self.count -= count
            released()


class Line:
    """A connection that carries one message at a time, in the order in which they come to it."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: dict[Operation, None] = {}

    def admits(self, operation: Operation) -> bool:
        """Whether it is the operation's turn; if not, it is told to go on when it is."""
        self._messages.setdefault(operation)
        return next(iter(self._messages)) is operation

    def leave(self, operation: Operation) -> None:
        """The operation has ended or was cancelled; the next goes on if it was this one's turn."""
        if operation in self._messages:
            first = next(iter(self._messages)) is operation
            del self._messages[operation]
            if first and self._messages:
                next(iter(self._messages)).go_on()
