"""One operation under way: queued at its engine, in its latency, in its fluid phase, ended or cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright.simulator.bound import Bound
from edgewright.simulator.sharing import Activity

if TYPE_CHECKING:
    from edgewright.hwmodels import Demand
    from edgewright.simulator.engines import Line
    from edgewright.simulator.machine import Machine

__all__ = ["Operation"]


class Operation:
    """An operation that a machine runs for somebody.

    Attributes:
        price: gives what it demands at the clocks of the moment (`bound`); asked again if these have changed when the operation leaves its
            queue, and when one changes while it runs.
        done: called with the operation when it has ended; never after `cancel`.
        left: fraction of the fluid phase still to do; `first`: that at its start here (a stretch has done the rest).
        latency_left: seconds of latency, None until priced.
        line: the connection whose messages it is one of, None if it waits for no other.
        started: when it left its engine's queue.
    """

    __slots__ = ("_epoch", "activity", "bound", "done", "ended", "first", "latency_left", "left", "line", "machine", "price", "started")

    def __init__(
        self,
        machine: Machine,
        price: Callable[[], Bound],
        done: Callable[[Operation], None],
        left: float = 1.0,
        latency_left: float | None = None,
        line: Line | None = None,
    ) -> None:
        self.machine = machine
        self.price = price
        self.done = done
        self.first = left
        self.left = left
        self.latency_left = latency_left
        self.line = line
        self.bound = price()
        self._epoch = machine.epoch
        self.started = machine.env.now
        self.activity: Activity | None = None
        self.ended = False

    @property
    def demand(self) -> Demand:
        """What it demands, by name."""
        return self.bound.demand

    def submit(self) -> Operation:
        """Queue at the engine, or start at once if there is none."""
        self.machine.cut_claims(self.bound)
        if self.bound.engine is None:
            self.begin()
        else:
            self.bound.engine.submit(self)
        return self

    def begin(self) -> None:
        """Leave the queue: the latency, then the fluid phase."""
        self.started = self.machine.env.now
        if self._epoch != self.machine.epoch:
            self.bound = self.price()
        latency = self.bound.latency if self.latency_left is None else self.latency_left
        if latency > 0.0:
            self.machine.after(latency, self.go_on)
        else:
            self.go_on()

    def go_on(self) -> None:
        """The latency is over: move, or wait until what is in the way is gone."""
        if self.ended or (self.line is not None and not self.line.admits(self)):
            return
        if self.machine.impair.holds(self) or (self.bound.messages and self.machine.silent(self.bound, self.go_on)):
            return
        self.activity = self.machine.activity(self.bound, self._finish, self.left, self.first)
        if self.activity is None:
            self._finish()
        else:
            self.machine.add(self.activity)

    def reprice(self) -> None:
        """A clock has changed: keep the fraction done, price the rest anew."""
        if self.ended:
            return
        if self.activity is None:
            self.bound = self.price()
            return
        self.machine.remove(self.activity)
        self.left = self.activity.left
        self.bound = self.price()
        self.go_on()

    def _finish(self) -> None:
        self.machine.delivered(self.bound, self.first)
        if self.machine.impair.erring and (delay := self.machine.impair.read_again(self)) is not None:
            self.activity, self.left, self.first = None, 1.0, 1.0
            self.machine.after(delay + self.bound.latency, self.go_on)
            return
        self.ended = True
        self.activity = None  # which knows this operation: a cycle, for the garbage collector to find
        if self.bound.engine is not None:
            self.bound.engine.release(self)
        if self.line is not None:
            self.line.leave(self)
        self.done(self)

    def cancel(self) -> float:
        """Stop it; what was moved so far is accounted as cancelled. Returns the fraction of the fluid phase done."""
        if self.ended:
            return 1.0
        self.ended = True
        if self.activity is not None:
            self.machine.remove(self.activity)
            self.left = self.activity.left
            self.activity = None
        self.machine.dropped(self.bound, self.first - self.left, 1.0 - self.left)
        if self.bound.engine is not None:
            self.bound.engine.release(self)
        if self.line is not None:
            self.line.leave(self)
        return 1.0 - self.left
