"""Signals: what cross-cutting concerns (tracing, metrics, faults) subscribe to. The core does not know who listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec

__all__ = ["Signal", "Signals"]

P = ParamSpec("P")


class Signal(Generic[P]):
    """A moment that can be subscribed to. False while nobody listens, so that emitters can skip building arguments."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: list[Callable[P, None]] = []

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def subscribe(self, listener: Callable[P, None]) -> Callable[P, None]:
        """Call `listener` at every emission, in order of subscription; returns it."""
        self._listeners.append(listener)
        return listener

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for listener in self._listeners:
            listener(*args, **kwargs)


class Signals:
    """All signals of a machine and what runs on it.

    Attributes:
        operation: `(scope, name, kind, resource, start, end)` of an operation that has ended.
        availability: `(name, up, kind)` when a device, link or storage goes down (kind of the first cause) or comes up (of the last).
        causes: `(name, cause, holds)` when a cause (`availability.Cause`) begins or ceases to hold something down, whatever else does.
        clock: `(engine, fraction)` after a change of clock.
        cancelled: `(scope, name, fraction done)` of an operation that was cancelled.
        submitted, finished: `(request)` as it reaches a service, and when it is over (completed, rejected or failed).
        stepped: `(replica, start, end, iterations)` after a step, or a run of steps jumped over.
    """

    def __init__(self) -> None:
        self.operation: Signal[[str, str, str, str, float, float]] = Signal()
        self.clock: Signal[[str, float]] = Signal()
        self.availability: Signal[[str, bool, str]] = Signal()
        self.causes: Signal[[str, Any, bool]] = Signal()
        self.cancelled: Signal[[str, str, float]] = Signal()
        self.submitted: Signal[[object]] = Signal()
        self.finished: Signal[[object]] = Signal()
        self.stepped: Signal[[str, float, float, int]] = Signal()
