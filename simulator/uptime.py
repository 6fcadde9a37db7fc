"""How long everything was up: devices, links, storages, replicas (ready or draining) and services (a replica of theirs is)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["UpTime", "UpTimes"]


@dataclass(slots=True)
class UpTime:
    """The record of one thing.

    Attributes:
        what: `device`, `link`, `storage`, `replica` or `service`.
        up: whether it is up now, since `since`.
        up_s: seconds up, up to `since`; `outages`: how often it went down.
        down: seconds of each outage that is over.
    """

    what: str
    up: bool = True
    since: float = 0.0
    up_s: float = 0.0
    outages: int = 0
    down: list[float] = field(default_factory=list)

    def turn(self, up: bool, now: float) -> None:
        """It is up, or not, from now on."""
        if up == self.up:
            return
        if self.up:
            self.up_s += now - self.since
            self.outages += 1
        else:
            self.down.append(now - self.since)
        self.up, self.since = up, now

    def fraction(self, now: float) -> float:
        """Share of the time up to now; NaN at time 0."""
        total = self.up_s + (now - self.since if self.up else 0.0)
        return total / now if now > 0.0 else float("nan")

    @property
    def repair_s(self) -> float:
        """Mean seconds of the outages that are over; NaN if none is."""
        return sum(self.down) / len(self.down) if self.down else float("nan")


class UpTimes:
    """Records by name."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], UpTime] = {}

    def watch(self, what: str, name: str) -> None:
        """From the start of the run, with the thing up."""
        self.records[what, name] = UpTime(what)

    def turn(self, what: str, name: str, up: bool, now: float) -> None:
        """A thing is up, or not, from now on."""
        self.records.setdefault((what, name), UpTime(what)).turn(up, now)
