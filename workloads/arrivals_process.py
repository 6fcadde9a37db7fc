"""What an arrival process is: open processes say when jobs come; feedback processes also ask when the earlier ones were done.

A process is a frozen set of hyper-parameters. Its draws are named by the stream it is given and by ordinals, so two calls agree, and
thinning keeps or drops each arrival by a draw of its own: a higher fraction keeps a superset, at the same times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from edgewright.workloads.jobs_bounds import Portion
from edgewright.workloads.streams import Stream

__all__ = ["Arrival", "Feedback", "OpenProcess"]


class Arrival(NamedTuple):
    """One arrival.

    Attributes:
        time: seconds.
        entity: what it is numbered by, before thinning: the arrival itself, a user, or a session. Names the draws that belong to it.
        turn: 0; for users and sessions, how many came before it.
    """

    time: float
    entity: int
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProcess(ABC):
    """Arrivals that do not depend on how the system fares.

    Attributes:
        thin: fraction of arrivals kept, in (0, 1].
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    thin: Portion = 1.0

    @property
    @abstractmethod
    def unthinned_rate(self) -> float | None:
        """Long-run arrivals per second before thinning; None where there is no such thing."""

    @property
    def mean_rate(self) -> float | None:
        """Long-run arrivals per second; None where there is no such thing."""
        rate = self.unthinned_rate
        return None if rate is None else rate * self.thin

    @abstractmethod
    def raw_times(self, stream: Stream, start: float) -> Iterator[float]:
        """Times before thinning, never falling. A process that has to begin somewhere begins at `start`; others may yield earlier times."""

    def arrivals(self, stream: Stream, start: float, stop: float) -> Iterator[Arrival]:
        """The kept arrivals with `start <= time < stop`, in order; lazy, and the same for the same stream and `start`."""
        keep = stream.child("thin")
        for ordinal, time in enumerate(self.raw_times(stream, start)):
            if time >= stop:
                return
            if time >= start and (self.thin >= 1.0 or keep.bernoulli(self.thin, ordinal)):
                yield Arrival(time, ordinal)

    def times(self, stream: Stream, start: float, stop: float) -> Iterator[float]:
        """The times of `arrivals`."""
        return (arrival.time for arrival in self.arrivals(stream, start, stop))


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(ABC):
    """Arrivals of which some wait for earlier ones to complete: users of a closed loop, turns of a conversation."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    @abstractmethod
    def first(self, stream: Stream, start: float, stop: float) -> Iterator[Arrival]:
        """Turn 0 of each entity that begins with `start <= time < stop`, in order of time."""

    @abstractmethod
    def following(self, stream: Stream, entity: int, turn: int, completed_at: float) -> Arrival | None:
        """What `entity` sends next when its `turn` completed at that time; None if that was its last.

        The caller drops what lies after the end of its horizon. Times are `>= completed_at`.
        """
