"""What is up: devices, connections and storages, each held down by any number of causes at once.

A device that has crashed on a rack without power is up again when both are over. The core knows states only: what a state does to work
in flight, to power and to rates is done by those who listen to `signals.availability`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from edgewright.simulator.signals import Signals

__all__ = ["Availability", "Cause", "Kind"]

Kind: TypeAlias = Literal["crashed", "unpowered", "asleep", "absent", "failed"]
"""Why something is down: a device has crashed, has no power, sleeps, or is not part of the cluster now; a link or storage has failed."""


class Cause(NamedTuple):
    """Why something is down, and on whose account: only who holds it down can let it up."""

    kind: Kind
    by: str


class Availability:
    """The causes that hold things down, by the name of the device, connection or storage (`device.storage`)."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._causes: dict[str, dict[Cause, None]] = {}

    def __call__(self, name: str) -> bool:
        """Whether it is up."""
        return not self._causes.get(name)

    def causes(self, name: str) -> tuple[Cause, ...]:
        """What holds it down, the oldest first."""
        return tuple(self._causes.get(name, ()))

    def hold(self, name: str, cause: Cause) -> None:
        """Hold it down; nothing happens if this cause already does."""
        causes = self._causes.setdefault(name, {})
        was_up = not causes
        if cause in causes:
            return
        causes[cause] = None
        self.signals.causes(name, cause, True)
        if was_up and self.signals.availability:
            self.signals.availability(name, False, cause.kind)

    def release(self, name: str, cause: Cause) -> None:
        """A cause is over; nothing happens if it did not hold."""
        causes = self._causes.get(name, {})
        if cause in causes:
            del causes[cause]
            self.signals.causes(name, cause, False)
            if not causes and self.signals.availability:
                self.signals.availability(name, True, cause.kind)
