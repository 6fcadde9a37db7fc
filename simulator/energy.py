"""Energy by integration on every change of power, never by polling."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["PARTS", "Account", "Ledger"]

PARTS = ("idle", "sleep", "leakage", "static", "dynamic", "board", "supply", "battery")
"""Parts of energy: awake and idle; asleep; what leaks besides when hot; static while engines are busy; dynamic of work; boards around
modules; losses of supplies; losses of batteries."""


class Account:
    """Energy of one part of one owner: a piecewise constant power and its integral.

    Attributes:
        watts: power now.
        joules: energy up to `since`.
    """

    __slots__ = ("joules", "since", "watts")

    def __init__(self, watts: float = 0.0) -> None:
        self.watts = watts
        self.joules = 0.0
        self.since = 0.0

    def settle(self, now: float) -> float:
        """Integrate up to now; returns the energy so far."""
        self.joules += self.watts * (now - self.since)
        self.since = now
        return self.joules

    def change(self, delta: float, now: float) -> None:
        """Raise or lower the power from now on."""
        self.settle(now)
        self.watts += delta

    def put(self, joules: float) -> None:
        """Add energy spent between two settlings, computed elsewhere (by a stretch)."""
        self.joules += joules


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
