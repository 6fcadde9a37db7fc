"""Sources of faults in time: when each befalls what, and what it does to the machine.

A source is a renewal process per target (up times and down times of its own laws, Barlow and Proschan, Mathematical Theory of
Reliability, 1965), or a schedule. Draws are named by the source, the target and an ordinal: the same seed gives the same faults whatever
else runs. A target that something else holds down already goes on with its process; it is up when all causes are over.

How wrong: processes do not know load, heat or age; what fails by them fails at any time alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import gamma, log1p
from typing import TYPE_CHECKING

from edgewright.simulator.availability import Cause, Kind
from edgewright.simulator.impairments import Errors
from edgewright.simulator.machine import Machine
from edgewright.simulator.power_domain import Domain, Rail
from edgewright.workloads import Stream

if TYPE_CHECKING:
    from edgewright.simulator.recorder import Recorder
    from edgewright.simulator.schema_faults import FaultTable, LifetimeTable

__all__ = ["FaultSource", "drawn_seconds"]

_HELD: Mapping[str, Kind] = {"crash": "crashed", "leave": "absent"}


def drawn_seconds(table: LifetimeTable, default: str, stream: Stream, *index: int) -> float:
    """A draw of a lifetime: `fixed`, exponential, or Weibull with the same mean (by inversion)."""
    law = table.law or default
    if law == "fixed":
        return table.mean
    if law == "exponential":
        return stream.exponential(table.mean, *index)
    scale = table.mean / gamma(1.0 + 1.0 / table.shape)
    return scale * float((-log1p(-stream.uniform(*index))) ** (1.0 / table.shape))


class FaultSource:
    """One entry of the scenario's faults.

    Attributes:
        targets: instances by the name that the scenario gives, in its order: devices, connections, storages or power domains.
        domains: power domains by name, for `power_loss`.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        table: FaultTable,
        targets: Sequence[str],
        followers: Sequence[str],
        domains: Mapping[str, Domain | Rail],
        stream: Stream,
        recorder: Recorder,
    ) -> None:
        self.machine = machine
        self.name = name
        self.table = table
        self.targets = list(targets)
        self.followers = list(followers)
        self.domains = domains
        self.stream = stream
        self.recorder = recorder
        self._befallen: dict[str, int] = {}
        self._count: dict[str, int] = {}

    def start(self) -> None:
        """Begin: all that a schedule says, or the first draw of each process."""
        for time in self.table.at or ():
            self.machine.at(time, partial(self._scheduled, self.targets))
        if self.table.every is not None:
            groups = [self.targets] if self.table.together else [[target] for target in self.targets]
            for group in groups:
                self._next(group, self.table.start, 0)

    def _scheduled(self, group: Sequence[str]) -> None:
        self._all_at_once(group)

    def _next(self, group: Sequence[str], after: float, number: int) -> None:
        assert self.table.every is not None, "a process has a law"
        time = after + drawn_seconds(self.table.every, "exponential", self.stream.child(f"{group[0]}.up"), number)
        if self.table.stop is None or time <= self.table.stop:
            self.machine.at(time, partial(self._turn, group, number))

    def _turn(self, group: Sequence[str], number: int) -> None:
        lasts = self._all_at_once(group)
        if lasts is not None:
            self._next(group, float(self.machine.env.now) + lasts, number + 1)

    def _all_at_once(self, group: Sequence[str]) -> float | None:
        """The fault befalls a group; how long it lasts, None: for ever."""
        number = self._count[group[0]] = self._count.get(group[0], -1) + 1
        lasts = (
            None if self.table.lasts is None else drawn_seconds(self.table.lasts, "fixed", self.stream.child(f"{group[0]}.down"), number)
        )
        for target in group:
            self._befall(target, lasts)
        spread = self.table.spread
        for place, follower in enumerate(self.followers if spread is not None else ()):
            assert spread is not None
            if self.stream.child(f"{group[0]}.spread").bernoulli(spread.chance, number, place):
                self.machine.after(spread.delay, partial(self._befall, follower, lasts))
        return lasts

    def _befall(self, target: str, lasts: float | None) -> None:
        """One target, for so long; if it has the fault already, until the last of them is over."""
        self._befallen[target] = self._befallen.get(target, 0) + 1
        row = self.recorder.fault(self.name, self.table.kind, target, float(self.machine.env.now))
        if self._befallen[target] == 1:
            self._set(target, True)
        if lasts is not None:
            self.machine.after(lasts, partial(self._over, target, row))

    def _over(self, target: str, row: int) -> None:
        self._befallen[target] -= 1
        self.recorder.fault_over(row, float(self.machine.env.now))
        if self._befallen[target] == 0:
            self._set(target, False)

    # -- what it does ----------------------------------------------------------------------------------------------------------------------

    def _set(self, target: str, on: bool) -> None:
        table, machine, cause = self.table, self.machine, f"fault {self.name}"
        if table.kind in _HELD:
            self._hold(target, Cause(_HELD[table.kind], cause), on)
            return
        verbs: dict[str, Callable[[], None]] = {
            "power_loss": lambda: self._power(target, Cause("unpowered", f"{cause} {target}"), on),
            "link_down": lambda: (machine.impair.cut if on else machine.impair.mend)(target, cause),
            "link_slow": lambda: self._slow_link(target, cause, on),
            "storage_down": lambda: self._storage_down(target, cause, on),
            "storage_slow": lambda: self._derate(self._channels(target), cause, on),
            "storage_errors": lambda: machine.impair.err(target, f"{cause} {target}", self._errors(target) if on else None),
            "straggler": lambda: self._straggle(target, cause, on),
        }
        verbs[table.kind]()

    def _hold(self, name: str, cause: Cause, on: bool) -> None:
        (self.machine.up.hold if on else self.machine.up.release)(name, cause)

    def _power(self, target: str, cause: Cause, on: bool) -> None:
        domain = self.domains[target]
        assert isinstance(domain, Domain), "rails are no targets"
        (domain.cut if on else domain.restore)(cause)

    def _derate(self, resources: Sequence[str], cause: str, on: bool) -> None:
        factor = 1.0 if self.table.factor is None else self.table.factor
        for resource in resources:
            self.machine.derate(resource, cause, factor if on else 1.0)

    def _channels(self, storage: str) -> list[str]:
        return [name for name in (f"{storage}.read", f"{storage}.write") if name in self.machine.resources]

    def _slow_link(self, target: str, cause: str, on: bool) -> None:
        self._derate(self.machine.impair.resources_of(target), cause, on)
        if self.table.latency is not None:
            self.machine.impair.delay(target, cause, self.table.latency if on else 0.0)

    def _storage_down(self, target: str, cause: str, on: bool) -> None:
        self._hold(target, Cause("failed", cause), on)
        for channel in self._channels(target):
            self.machine.derate(channel, cause, 0.0 if on else 1.0)

    def _errors(self, target: str) -> Errors:
        assert self.table.chance is not None
        return Errors(self.table.chance, self.table.delay or 0.0, self.stream.child(f"{target}.reads"))

    def _straggle(self, target: str, cause: str, on: bool) -> None:
        assert self.table.factor is not None
        engines = self.machine.cluster.devices[target].engines
        for engine in engines if self.table.engine is None else (self.table.engine,):
            self.machine.impair.slow(f"{target}.{engine}", cause, self.table.factor if on else 1.0)
