"""Energy by integration on every change of power, never by polling."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["PARTS", "Account", "Ledger", "Total"]

PARTS = ("idle", "sleep", "leakage", "static", "dynamic", "board", "supply", "battery")
"""Parts of energy: awake and idle; asleep; what leaks besides when hot; static while engines are busy; dynamic of work; boards around
modules; losses of supplies; losses of batteries."""


class Total:
    """Energy of many accounts together, which follows their changes: reading it costs nothing for those that do not change.

    How wrong: its power is a running sum, and off by the roundings of as many changes as there were.
    """

    __slots__ = ("_joules", "_since", "_watts")

    def __init__(self) -> None:
        self._watts = 0.0
        self._joules = 0.0
        self._since = 0.0

    def change(self, delta: float, now: float) -> None:
        """The power of one of them has changed."""
        self._joules += self._watts * (now - self._since)
        self._since = now
        self._watts += delta

    def put(self, joules: float) -> None:
        """One of them was given energy."""
        self._joules += joules

    def joules(self, now: float) -> float:
        """Energy so far, at a moment not before the last change."""
        return self._joules + self._watts * (now - self._since)


class Account:
    """Energy of one part of one owner: a piecewise constant power and its integral.

    Attributes:
        watts: power now.
        joules: energy up to `since`.
    """

    __slots__ = ("_gain", "_total", "joules", "since", "watts")

    def __init__(self, watts: float = 0.0) -> None:
        self.watts = watts
        self.joules = 0.0
        self.since = 0.0
        self._total: Total | None = None
        self._gain = 1.0

    def join(self, total: Total, gain: float, now: float) -> None:
        """From now on, `gain` times its energy, what it has had included, is in that total; `ValueError` if it is in one already."""
        if self._total is not None:
            raise ValueError("energy that is in a total already would be counted twice")
        total.put(self.settle(now) * gain)
        total.change(self.watts * gain, now)
        self._total, self._gain = total, gain

    def settle(self, now: float) -> float:
        """Integrate up to now; returns the energy so far."""
        self.joules += self.watts * (now - self.since)
        self.since = now
        return self.joules

    def change(self, delta: float, now: float) -> None:
        """Raise or lower the power from now on."""
        self.settle(now)
        self.watts += delta
        if self._total is not None:
            self._total.change(delta * self._gain, now)

    def put(self, joules: float) -> None:
        """Add energy spent between two settlings, computed elsewhere (by a stretch)."""
        self.joules += joules
        if self._total is not None:
            self._total.put(joules * self._gain)


class Ledger:
    """The accounts of all owners (devices, storages, links), by `(owner, part)`."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, str], Account] = {}

    def account(self, owner: str, part: str) -> Account:
        """The account of an owner's part, opened at zero on first use."""
        found = self.accounts.get((owner, part))
        if found is None:
            found = self.accounts[owner, part] = Account()
        return found

    def joules(self, owners: Iterable[str], now: float, parts: Iterable[str] = PARTS) -> float:
        """Energy of some owners over some parts, up to now."""
        keys = [(owner, part) for owner in owners for part in parts]
        return sum(self.accounts[key].settle(now) for key in keys if key in self.accounts)
