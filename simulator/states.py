"""States of devices that change what they draw: awake, asleep, waking, without power.

    without power or absent     nothing: neither the module, nor its board, nor its storages
    asleep                      `sleep_W` instead of `idle_W`; board and storages draw on
    waking                      `idle_W` for `wake_s` seconds, and still down
    crashed                     `idle_W`: the board stays on
    awake                       `idle_W`, and what its engines draw

Either end of a link draws half of the link's `idle_W`; the end at a device without power, or that is not there, nothing.

A card is as its host is: what holds the host down holds the cards in it down, too.

How wrong: falling asleep takes no time, and waking draws idle power; real boards take tenths of a second to suspend, and wake with a
burst of a second or two near their peak. A carrier board is taken to stay on; many boards turn their regulators down, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.simulator.availability import Cause

if TYPE_CHECKING:
    from edgewright.hwmodels import Connection
    from edgewright.simulator.machine import Machine

__all__ = ["DARK", "DeviceStates"]

DARK = frozenset({"unpowered", "absent"})
"""Kinds of causes under which a device draws nothing."""


class DeviceStates:
    """Draws of a machine's devices by state, and the way to sleep and back."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._waking: dict[str, tuple[str, int]] = {}
        self._wakings = 0
        self._drawn: dict[tuple[str, str], float] = {}
        self._cards: dict[str, list[str]] = {}
        for card, host in machine.cluster.hosts.items():
            self._cards.setdefault(host, []).append(card)
        self._links: dict[str, list[Connection]] = {}
        for connection in machine.cluster.connections:
            for end in connection.ends:
                self._links.setdefault(end, []).append(connection)
            self._draw_link(connection)
        for name in machine.cluster.devices:
            self._draw(name)
        machine.signals.causes.subscribe(self._changed)

    def powered(self, device: str) -> bool:
        """Whether it has power and is there: asleep, crashed or awake."""
        return all(cause.kind not in DARK for cause in self.machine.up.causes(device))

    def asleep(self, device: str) -> bool:
        """Whether somebody has it sleep; not while it wakes."""
        return device not in self._waking and any(cause.kind == "asleep" for cause in self.machine.up.causes(device))

    def sleep(self, device: str, by: str) -> None:
        """Put it to sleep on behalf of `by`; if it was waking, it goes back to sleep. Raises `ValueError` if it cannot sleep."""
        if self.machine.cluster.device(device).sleep_W is None:
            raise ValueError(f"device {device} cannot sleep: its sleep_W is unknown")
        woken_by, _ = self._waking.pop(device, (by, 0))
        self.machine.up.hold(device, Cause("asleep", by))
        if woken_by != by:
            self.machine.up.release(device, Cause("asleep", woken_by))
        self._draw(device)

    def wake(self, device: str, by: str) -> None:
        """`by` no longer has it sleep. When nobody does, it wakes, and is up `wake_s` seconds later unless put to sleep again."""
        mine = Cause("asleep", by)
        causes = self.machine.up.causes(device)
        if mine not in causes or device in self._waking:
            return
        if any(cause.kind == "asleep" and cause != mine for cause in causes):
            self.machine.up.release(device, mine)
            return
        self._wakings += 1
        waking = self._waking[device] = (by, self._wakings)
        self._draw(device)

        def awake() -> None:
            if self._waking.get(device) == waking:
                del self._waking[device]
                self.machine.up.release(device, mine)

        seconds = self.machine.cluster.devices[device].wake_s
        if seconds > 0.0:
            self.machine.after(seconds, awake)
        else:
            awake()

    def _changed(self, name: str, cause: Cause, holds: bool) -> None:
        if name in self.machine.cluster.devices:
            self._draw(name)
            for connection in self._links.get(name, ()):
                self._draw_link(connection)
        for card in self._cards.get(name, ()):
            self._follow(card, name, cause, holds)

    def _follow(self, card: str, host: str, cause: Cause, holds: bool) -> None:
        """The same befalls a card; one that cannot sleep waits for its sleeping host, and draws on."""
        still = cause.kind == "asleep" and self.machine.cluster.devices[card].sleep_W is None
        mine = Cause("failed" if still else cause.kind, f"host {host}: {cause.by}")
        if holds:
            self.machine.up.hold(card, mine)
        else:
            self.machine.up.release(card, mine)

    def _draw(self, device: str) -> None:
        """Set every constant draw of a device to what its state asks."""
        spec = self.machine.cluster.devices[device]
        lit, asleep = self.powered(device), self.asleep(device)
        self._set(device, "idle", spec.idle_W if lit and not asleep else 0.0)
        self._set(device, "sleep", (spec.sleep_W or 0.0) if lit and asleep else 0.0)
        self._set(device, "board", spec.board_W if lit else 0.0)
        for attachment in self.machine.cluster.own_storages(device):
            self._set(f"{device}.{attachment.name}", "idle", attachment.storage.idle_W if lit else 0.0)

    def _draw_link(self, connection: Connection) -> None:
        """Half of its idle power at each end that has power; switches and entry points have."""
        lit = [end not in self.machine.cluster.devices or self.powered(end) for end in connection.ends]
        self._set(connection.name, "idle", connection.link.idle_W * sum(lit) / len(lit))

    def _set(self, owner: str, part: str, watts: float) -> None:
        before = self._drawn.get((owner, part), 0.0)
        if watts != before:
            self._drawn[owner, part] = watts
            self.machine.ledger.account(owner, part).change(watts - before, float(self.machine.env.now))
