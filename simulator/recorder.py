"""What a run writes down: rows of the result's tables, as things happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.growing import Growing
from edgewright.simulator.recorder_sink import STREAMED, Sink
from edgewright.simulator.request import Request
from edgewright.simulator.stored import ROWS, rows_of
from edgewright.simulator.tables import Columns, Typed, with_latencies
from edgewright.simulator.uptime import UpTimes

if TYPE_CHECKING:
    from edgewright.simulator.blocks import BlockPool
    from edgewright.simulator.replica import Replica
    from edgewright.simulator.stretch import Times

__all__ = ["Recorder"]

NAN = float("nan")
DERIVED = (NAN, NAN, NAN, NAN, False)
"""The last columns of a job, until they are derived from the others."""

GAPS = 1 << 17
"""Gaps between tokens that are gathered at once: bounds memory, and what a row of `itl` can hold."""

Gaps: TypeAlias = "dict[str, tuple[list[NDArray[np.float64]], list[NDArray[np.int64]]]]"
"""Gaps and how often each occurred, by service."""


class Recorder:
    """Rows by table; `tables` gives them when the run is over, or as it stands.

    Attributes:
        window: `[start, stop)` of the measurement.
        rows: the columns of each table so far, by name; of streamed ones only what waits to be written.
        open: requests of every service that are not over, in order of submission, each with its number in that order.
        over: how many are, by what became of them.
        preemptions: by replica; `most_running`: the most jobs that each had in its batches at once.
        uptimes: how long things were up.
    """

    def __init__(self, window: tuple[float, float], sink: Sink | None = None) -> None:
        """`sink`: where streamed tables go; None: they stay here."""
        self.window = window
        self.growing = {name: Growing(name, None if sink is None else self._drain) for name in STREAMED}
        self.growing |= {name: Growing(name) for name in ("actuations", "operations", "power_events", "faults")}
        self.rows: dict[str, Mapping[str, Any]] = {name: each.columns for name, each in self.growing.items()}
        self.open: dict[Request, int] = {}
        self.over: Counter[str] = Counter()
        self.preemptions: dict[str, int] = {}
        self.most_running: dict[str, int] = {}
        self.uptimes = UpTimes()
        self._sink = sink
        self._submitted = 0
        self._early: dict[int, tuple[Any, ...]] = {}
        self._written = 0
        self._blocks: dict[str, int] = {}
        self._gaps: Gaps = {}
        self._gap_count = 0
        self._end = float("nan")

    def add(self, table: str, *row: Any) -> None:
        """Append a row, its cells in the order of the table's columns."""
        self.growing[table].add(row)

    def extend(self, table: str, columns: Mapping[str, Any]) -> None:
        """Append rows as columns (`Growing.extend`)."""
        self.growing[table].extend(columns)

    def _drain(self, rows: Growing, last: bool = False) -> None:
        """Write the groups of a streamed table that are full; `last`: the rest, too."""
        if self._sink is None:
            return
        while len(rows) >= ROWS or (last and len(rows)):
            taken = rows.take(min(ROWS, len(rows)))
            self._sink.put(rows.name, with_latencies(taken, self._end) if rows.name == "jobs" else taken)

    # -- requests --------------------------------------------------------------------------------------------------------------------------

    def submitted(self, request: Request) -> None:
        """A service has been asked."""
        self.open[request] = self._submitted
        self._submitted += 1

    def ended(self, request: Request) -> None:
        """It is over, and all that is said of it holds: its row follows those of all that came before it."""
        self.over[request.status] += 1
        number = self.open.pop(request)
        if number == self._written and not self._early:
            self._written += 1
            self.growing["jobs"].add(self._job(request))
            return
        self._early[number] = self._job(request)
        while self._written in self._early:
            self.growing["jobs"].add(self._early.pop(self._written))
            self._written += 1

    def measures(self, request: Request) -> bool:
        """Whether the request counts: asked by a user, within the window."""
        return request.caller is None and self.window[0] <= request.arrival < self.window[1]

    def step(
        self,
        replica: Replica,
        start: float,
        end: float,
        count: int,
        decoding: int,
        prefill: int,
        emits: int,
        waiting: int,
        ahead: int = 0,
    ) -> None:
        """A run of `count` steps has been computed, its requests not yet brought up to date.

        `decoding`: jobs that decode in each; `prefill`: tokens of prompts; `emits`: tokens that a step yields; `waiting`: jobs that waited
        at its start; `ahead`: blocks that the step after it has taken already.
        """
        context = sum([request.context for lane in replica.lanes for request in lane.running]) + prefill + decoding * count
        blocks = replica.kv.used - ahead if replica.kv is not None else 0
        output = decoding * count + (emits - decoding)
        self.growing["steps"].add((replica.name, start, end, count, decoding, prefill, output, context, waiting, blocks))
        if replica.machine.signals.stepped:
            replica.machine.signals.stepped(replica.name, start, end, count)

    def gaps(self, requests: Sequence[Request], ends: Times) -> None:
        """Every one of these requests gets a token at each of these times: note the time since its last, if users see it."""
        if not requests:
            return
        by_service: dict[str, list[float]] = {}
        for request in requests:
            if request.last_token is not None and request.streams and self.measures(request.root):
                by_service.setdefault(request.root.service, []).append(float(ends[0]) - request.last_token)
        rest = np.diff(ends)
        for service, first in by_service.items():
            self._put_gaps(service, np.asarray(first), 1)
            self._put_gaps(service, rest, len(first))

    def _put_gaps(self, service: str, gaps: NDArray[np.float64], weight: int) -> None:
        if len(gaps):
            self.weighted_gaps(service, gaps, np.full(len(gaps), weight, dtype=np.int64))

    def weighted_gaps(self, service: str, gaps: NDArray[np.float64], weights: NDArray[np.int64]) -> None:
        """Each of these gaps between tokens of a service's jobs has occurred so often."""
        noted = self._gaps.setdefault(service, ([], []))
        noted[0].append(gaps)
        noted[1].append(weights)
        self._gap_count += len(gaps)
        if self._gap_count >= GAPS:
            self._gather()

    def burst(self, request: Request, tokens: int, now: float) -> None:
        """A request gets several tokens at once, from a call that is worth them."""
        if tokens and request.last_token is not None and request.streams and self.measures(request.root):
            self._put_gaps(request.root.service, np.concatenate(([now - request.last_token], np.zeros(tokens - 1))), 1)

    def queue(self, replica: str, now: float, waiting: int, running: int) -> None:
        """A replica's queue or batch has changed to so many jobs."""
        self.growing["queue"].add((replica, now, waiting, running))

    def admitted(self, replica: str, running: int) -> None:
        """Jobs have joined a replica's batches, which hold so many now."""
        if running > self.most_running.get(replica, 0):
            self.most_running[replica] = running

    def blocks(self, replica: str, now: float, kv: BlockPool) -> None:
        """A replica's KV blocks may have changed."""
        held = kv.used + kv.retained
        if self._blocks.get(replica) != held:
            self._blocks[replica] = held
            self.add("kv", replica, now, held, kv.capacity)

    def held(self, replica: Replica, times: NDArray[np.float64], blocks: NDArray[np.int64]) -> None:
        """From each of these times on, a replica held that many KV blocks."""
        before = np.concatenate(([self._blocks.get(replica.name, -1)], blocks[:-1]))
        changed = np.flatnonzero(blocks != before)
        capacity = np.full(len(changed), replica.kv.capacity if replica.kv is not None else 0)
        rows = {"replica": replica.name, "time_s": times[changed], "blocks": blocks[changed], "capacity_blocks": capacity}
        self.extend("kv", rows)
        self._blocks[replica.name] = int(blocks[-1])

    def preempted(self, replica: Replica) -> None:
        """A replica has taken a request's memory away."""
        self.preemptions[replica.name] = self.preemptions.get(replica.name, 0) + 1

    def fault(self, name: str, kind: str, target: str, now: float) -> int:
        """A fault has befallen a target; returns its row."""
        self.add("faults", name, kind, target, now, NAN)
        return len(self.rows["faults"]["fault"]) - 1

    def fault_over(self, row: int, now: float) -> None:
        """The fault of that row is over."""
        self.rows["faults"]["end_s"][row] = now

    def operation(self, scope: str, name: str, kind: str, resource: str, start: float, end: float) -> None:
        """An operation has ended; a listener of the machine's signal."""
        self.add("operations", scope, name, kind, resource, start, end)

    def _gather(self) -> None:
        """Equal gaps of a service, of those noted since the last time, in one row."""
        for service, columns in _equal_gaps(self._gaps):
            self.extend("itl", {"service": service, **columns})
        self._gaps, self._gap_count = {}, 0

    # -- tables ----------------------------------------------------------------------------------------------------------------------------

    def tables(self, end: float) -> dict[str, Columns]:
        """What has been recorded up to now. Streamed tables are closed: nothing can be recorded any more."""
        if self._sink is not None:
            return self._closed(self._sink, end)
        self._gather()
        found: dict[str, Columns] = {
            name: rows.lend() if name in STREAMED else rows.first(len(rows)) for name, rows in self.growing.items()
        }
        unfinished = Growing("jobs")
        for row in self._unfinished():
            unfinished.add(row)
        found["jobs"] = Typed(with_latencies(_joined(found["jobs"], unfinished.first(len(unfinished))), end))
        return found

    def _closed(self, sink: Sink, end: float) -> dict[str, Columns]:
        self._end = end
        self._gather()
        for row in self._unfinished():
            self.growing["jobs"].add(row)
        for name in STREAMED:
            self._drain(self.growing[name], last=True)
        sink.close()
        return {name: rows.first(len(rows)) for name, rows in self.growing.items() if name not in STREAMED} | sink.stored()

    def _unfinished(self) -> list[tuple[Any, ...]]:
        """The rows of requests that are not over, and of those that are, but came after one that is not."""
        rows = self._early | {number: self._job(request) for request, number in self.open.items()}
        return [rows[number] for number in sorted(rows)]

    def _job(self, request: Request) -> tuple[Any, ...]:
        job = request.job
        return (
            job.id,
            job.service,
            request.replica,
            job.source,
            -1 if job.session is None else job.session,
            request.status,
            request.reason,
            self.measures(request),
            job.arrival,
            _time(request.queued),
            _time(request.scheduled),
            _time(request.first_token),
            _time(request.finished),
            job.prompt,
            request.generated if job.kind == "generate" else 0,
            request.cached,
            request.preemptions,
            request.interruptions,
            request.retries,
            request.resumes,
            request.lost,
            request.wasted,
            job.priority,
            _time(job.deadline),
            *DERIVED,
        )


def _time(value: float | None) -> float:
    return NAN if value is None else value


def _equal_gaps(gaps: Gaps) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """By service, its different gaps and how often each occurred."""
    for service, (values, weights) in gaps.items():
        found, index = np.unique(np.concatenate(values), return_inverse=True)
        yield service, {"gap_s": found, "tokens": np.bincount(index, weights=np.concatenate(weights)).astype(np.int64)}


def _joined(first: Columns, then: Columns) -> Columns:
    if not rows_of(then):
        return first
    return {name: np.concatenate((values, then[name])) for name, values in first.items()}
