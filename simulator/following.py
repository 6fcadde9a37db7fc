"""Resources that follow a profile of rates (`hwmodels.rates`): looked up when something uses them, and at each change while it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright.hwmodels import RateProfile

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.sharing import Resource

__all__ = ["PROFILE", "Following"]

PROFILE = "profile"
"""The cause under which a profile derates its resource."""


class Following:
    """A resource and the profile that it follows. While nothing uses the resource, no event is spent on it.

    Attributes:
        profile: its course; `until`: the time up to which what it said last holds.
        changed: called with the resource after its capacity has changed.
    """

    __slots__ = ("_armed", "changed", "machine", "profile", "resource", "until")

    def __init__(self, machine: Machine, resource: Resource, profile: RateProfile, changed: Callable[[Resource], None]) -> None:
        self.machine = machine
        self.resource = resource
        self.profile = profile
        self.changed = changed
        self.until = 0.0
        self._armed = False

    def refresh(self) -> None:
        """Bring the capacity up to now; raises `ValueError` for a profile that breaks its contract."""
        now = float(self.machine.env.now)
        if now < self.until:
            return
        factor, self.until = self.profile.at(now)
        if not (factor >= 0.0 and self.until > now):
            found = f"a factor of {factor:g} until {self.until:g} s"
            raise ValueError(
                f"{self.resource.name}: its profile says {found} at {now:g} s; a factor of 0 or more and a later time are asked"
            )
        if factor != self.resource.factors.get(PROFILE, 1.0):
            self.resource.derate(PROFILE, factor, now)
            self.changed(self.resource)

    def watch(self) -> None:
        """Something begins to use the resource: bring it up to now, and keep it so while it is used."""
        self.refresh()
        if not self._armed and self.until < float("inf"):
            self._armed = True
            self.machine.at(self.until, self._turn)

    def _turn(self) -> None:
        self._armed = False
        if self.resource.used:
            self.watch()
