"""A source: who sends jobs to a service, when, and how long they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgewright.workloads.arrivals_process import Arrival, Feedback, OpenProcess
from edgewright.workloads.jobs import Job, Kind
from edgewright.workloads.lengths_joint import LengthProcess
from edgewright.workloads.prefixes import Prefixes
from edgewright.workloads.sessions import Sessions
from edgewright.workloads.streams import Stream

__all__ = ["Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Jobs of one kind, from one place.

    Attributes:
        name: unique in a scenario.
        service: the service that is asked.
        arrivals: when.
        lengths: how long. In a conversation the drawn prompt is what the user adds in that turn; the history comes on top.
        kind: `generate` or `infer`.
        prefixes: how their prompts begin alike; None: they do not. What comes before the drawn prompt is kept at the service: it does not
            travel.
        priority: higher is more urgent.
        deadline: seconds after arrival; None if there is none.
        ingress_bytes: bytes sent with each request, and `ingress_bytes_per_token` more for each new prompt token.
        egress_bytes_per_token: bytes sent back per generated token; per result for a one-shot job.
    """

    name: str
    service: str
    arrivals: OpenProcess | Feedback
    lengths: LengthProcess
    kind: Kind = "generate"
    prefixes: Prefixes | None = None
    priority: int = 0
    deadline: float | None = None
    ingress_bytes: float = 0.0
    ingress_bytes_per_token: float = 0.0
    egress_bytes_per_token: float = 0.0

    def jobs(self, stream: Stream, start: float, stop: float, ids: Iterator[int]) -> Iterator[Job]:
        """Jobs that wait for no other, in order of arrival, lazily; each takes the next of `ids` when it is asked for.

        `stream` is the source's own; the same one goes to `after`.
        """
        process, drawn = self.arrivals, stream.child("arrivals")
        opening = process.first(drawn, start, stop) if isinstance(process, Feedback) else process.arrivals(drawn, start, stop)
        lengths = stream.child("lengths")
        return (self._job(stream, lengths, arrival, next(ids), history=0) for arrival in opening)

    def after(self, stream: Stream, job: Job, completed_at: float, ids: Iterator[int]) -> Job | None:
        """What follows the completion of a job of this source; None if nothing does.

        The next turn of a conversation repeats the whole prompt and answer of the one that completed; a user of a closed loop starts anew.
        """
        if not isinstance(self.arrivals, Feedback):
            return None
        arrival = self.arrivals.following(stream.child("arrivals"), job.index, job.turn, completed_at)
        if arrival is None:
            return None
        history = job.prompt + job.output if isinstance(self.arrivals, Sessions) else 0
        return self._job(stream, stream.child("lengths"), arrival, next(ids), history)

    def _job(self, stream: Stream, drawn: Stream, arrival: Arrival, number: int, history: int) -> Job:
        lengths = self.lengths.draw(drawn, *self._index(arrival))
        name, before, prefix = self._prefix(stream, arrival, history, lengths.prompt)
        return Job(
            id=number,
            service=self.service,
            source=self.name,
            arrival=arrival.time,
            prompt=history + before + lengths.prompt,
            output=lengths.output,
            kind=self.kind,
            index=arrival.entity,
            priority=self.priority,
            deadline=None if self.deadline is None else arrival.time + self.deadline,
            session=arrival.entity if isinstance(self.arrivals, Sessions) else None,
            turn=arrival.turn,
            history=history,
            prefix=prefix,
            prefix_name=name,
            ingress_bytes=self.ingress_bytes + self.ingress_bytes_per_token * lengths.prompt,
            egress_bytes_per_token=self.egress_bytes_per_token,
        )

    def _prefix(self, stream: Stream, arrival: Arrival, history: int, drawn: int) -> tuple[str, int, int]:
        """A prompt's beginning: its name, its tokens that come before the history or the drawn prompt, and how many it has in all."""
        if self.prefixes is None:
            return "", 0, 0
        index = (arrival.entity,) if isinstance(self.arrivals, Sessions) else self._index(arrival)
        name = self.prefixes.of(stream, self.name, *index)
        if not name:
            return "", 0, 0
        before = 0 if history or self.prefixes.included else self.prefixes.tokens
        return name, before, min(self.prefixes.tokens, history + before + drawn)

    def _index(self, arrival: Arrival) -> tuple[int, ...]:
        return (arrival.entity, arrival.turn) if isinstance(self.arrivals, Feedback) else (arrival.entity,)
