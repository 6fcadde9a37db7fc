"""Arrivals that wait for answers: a closed loop of users, and conversations of several turns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from edgewright.hwmodels.units import Seconds
from edgewright.workloads.arrivals_open import Poisson
from edgewright.workloads.arrivals_process import Arrival, Feedback
from edgewright.workloads.jobs_bounds import Count, Portion, Rate
from edgewright.workloads.streams import Stream

__all__ = ["ClosedLoop", "Sessions"]

Spread = Literal["exponential", "fixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop(Feedback):
    """A fixed number of users; each thinks, asks, waits for the answer, and thinks again. At most `users` jobs are ever in flight.

    Attributes:
        users: how many.
        think: mean seconds between an answer and the user's next question, and before the first question.
        spread: `exponential` thinking times, or all alike (`fixed`).
    """

    users: Count
    think: Seconds = 0.0
    spread: Spread = "exponential"
    process: Literal["closed"] = "closed"

    def first(self, stream: Stream, start: float, stop: float) -> Iterator[Arrival]:
        opening = (Arrival(start + _pause(stream, self.think, self.spread, user, 0), user) for user in range(self.users))
        return iter(sorted(arrival for arrival in opening if arrival.time < stop))

    def following(self, stream: Stream, entity: int, turn: int, completed_at: float) -> Arrival:
        return Arrival(completed_at + _pause(stream, self.think, self.spread, entity, turn + 1), entity, turn + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions(Feedback):
    """Conversations that begin as a Poisson process; each has a geometric number of turns.

    A turn comes a thinking time after the answer to the one before it. Its prompt holds the whole conversation so far
    (`Source.after` adds it).

    Attributes:
        rate: new conversations per second.
        turns: mean number of turns, at least 1.
        think: mean seconds between an answer and the next question.
        spread: `exponential` thinking times, or all alike (`fixed`).
        thin: fraction of conversations kept.
    """

    rate: Rate
    turns: Annotated[float, Interval(ge=1.0, lt=math.inf)]
    think: Seconds
    spread: Spread = "exponential"
    thin: Portion = 1.0
    process: Literal["sessions"] = "sessions"

    def first(self, stream: Stream, start: float, stop: float) -> Iterator[Arrival]:
        return Poisson(rate=self.rate, thin=self.thin).arrivals(stream, start, stop)

    def turns_of(self, stream: Stream, session: int) -> int:
        """The number of turns of a conversation, at least 1."""
        if self.turns == 1.0:
            return 1
        return 1 + int(math.log1p(-stream.child("turns").uniform(session)) / math.log1p(-1.0 / self.turns))

    def following(self, stream: Stream, entity: int, turn: int, completed_at: float) -> Arrival | None:
        if turn + 1 >= self.turns_of(stream, entity):
            return None
        return Arrival(completed_at + _pause(stream, self.think, self.spread, entity, turn + 1), entity, turn + 1)


def _pause(stream: Stream, mean: float, spread: Spread, entity: int, turn: int) -> float:
    return mean if spread == "fixed" else stream.child("think").exponential(mean, entity, turn)
