"""What a run writes down: rows of the result's tables, as things happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.simulator.request import Request
from edgewright.simulator.tables import empty, with_latencies
from edgewright.simulator.uptime import UpTimes
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.replica import Replica

__all__ = ["Recorder"]

NAN = float("nan")


class Recorder:
    """Rows by table; `tables()` gives them when the run is over.

    Attributes:
        window: `[start, stop)` of the measurement.
        requests: every request of every service, in order of submission.
        preemptions: by replica.
        uptimes: how long things were up.
    """

    def __init__(self, window: tuple[float, float]) -> None:
        self.window = window
        self.requests: list[Request] = []
        self.rows: dict[str, dict[str, list[Any]]] = {
            name: empty(name)
            for name in (
                *("steps", "kv", "queue", "actuations", "operations", "power", "usage"),
                *("power_events", "sources", "thermal", "faults"),
            )
        }
        self.preemptions: dict[str, int] = {}
        self.uptimes = UpTimes()
        self._blocks: dict[str, int] = {}
        self._gaps: dict[str, tuple[list[NDArray[np.float64]], list[NDArray[np.int64]]]] = {}

    def add(self, table: str, *row: Any) -> None:
        """Append a row, its cells in the order of the table's columns."""
        for column, cell in zip(self.rows[table].values(), row, strict=True):
            column.append(cell)

    def measures(self, request: Request) -> bool:
        """Whether the request counts: asked by a user, within the window."""
        return request.caller is None and self.window[0] <= request.arrival < self.window[1]

    def step(
        self,
        replica: Replica,
        start: float,
        ends: NDArray[np.float64],
        decoding: int,
        prefill: int,
        step: Step,
        waiting: int,
        ahead: int = 0,
    ) -> None:
        """A step, or a run of steps, has been computed, its requests not yet brought up to date; `waiting` jobs waited at its start.

        `ahead`: blocks that the step after it has taken already.
        """
        count = len(ends)
        context = sum(request.context for lane in replica.lanes for request in lane.running) + prefill + decoding * count
        blocks = replica.kv.used - ahead if replica.kv is not None else 0
        output = decoding * count + (step.emits - decoding)
        self.add("steps", replica.name, start, float(ends[-1]), count, decoding, prefill, output, context, waiting, blocks)
        if replica.machine.signals.stepped:
            replica.machine.signals.stepped(replica.name, start, float(ends[-1]), count)

    def gaps(self, requests: Sequence[Request], ends: NDArray[np.float64]) -> None:
        """Every one of these requests gets a token at each of these times: note the time since its last, if users see it."""
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
            values, weights = self._gaps.setdefault(service, ([], []))
            values.append(gaps)
            weights.append(np.full(len(gaps), weight, dtype=np.int64))

    def burst(self, request: Request, tokens: int, now: float) -> None:
        """A request gets several tokens at once, from a call that is worth them."""
        if tokens and request.last_token is not None and request.streams and self.measures(request.root):
            self._put_gaps(request.root.service, np.concatenate(([now - request.last_token], np.zeros(tokens - 1))), 1)

    def queue(self, replica: Replica) -> None:
        """A replica's queue or batch has changed."""
        self.add("queue", replica.name, float(replica.env.now), len(replica.waiting), replica.running)

    def blocks(self, replica: Replica) -> None:
        """A replica's KV blocks may have changed."""
        if replica.kv is None:
            return
        held = replica.kv.used + replica.kv.retained
        if self._blocks.get(replica.name) != held:
            self._blocks[replica.name] = held
            self.add("kv", replica.name, float(replica.env.now), held, replica.kv.capacity)

    def held(self, replica: Replica, times: NDArray[np.float64], blocks: NDArray[np.int64]) -> None:
        """From each of these times on, a replica held that many KV blocks."""
        before = np.concatenate(([self._blocks.get(replica.name, -1)], blocks[:-1]))
        for index in np.flatnonzero(blocks != before):
            self.add("kv", replica.name, float(times[index]), int(blocks[index]), replica.kv.capacity if replica.kv is not None else 0)
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

    # -- tables ----------------------------------------------------------------------------------------------------------------------------

    def jobs(self, end: float) -> dict[str, Any]:
        """The table of jobs."""
        table = empty("jobs")
        for request in sorted(self.requests, key=lambda request: request.id):
            self._job(table, request)
        return with_latencies(table, end)

    def _job(self, table: dict[str, list[Any]], request: Request) -> None:
        job = request.job
        cells = {
            "job": job.id,
            "service": job.service,
            "replica": request.replica,
            "source": job.source,
            "session": -1 if job.session is None else job.session,
            "status": request.status,
            "reason": request.reason,
            "measured": self.measures(request),
            "arrival_s": job.arrival,
            "queued_s": _time(request.queued),
            "scheduled_s": _time(request.scheduled),
            "first_token_s": _time(request.first_token),
            "finished_s": _time(request.finished),
            "prompt_tokens": job.prompt,
            "output_tokens": request.generated if job.kind == "generate" else 0,
            "cached_tokens": request.cached,
            "preemptions": request.preemptions,
            "interruptions": request.interruptions,
            "retries": request.retries,
            "resumes": request.resumes,
            "lost_tokens": request.lost,
            "wasted_tokens": request.wasted,
            "priority": job.priority,
            "deadline_s": _time(job.deadline),
        }
        for name, cell in cells.items():
            table[name].append(cell)
        for name in ("ttft_s", "tpot_s", "e2e_s", "queue_s", "missed"):
            table[name].append(NAN)

    def itl(self) -> dict[str, Any]:
        """The table of gaps between tokens: equal gaps of a service in one row."""
        table: dict[str, list[Any]] = empty("itl")
        for service, (values, weights) in self._gaps.items():
            gaps, index = np.unique(np.concatenate(values), return_inverse=True)
            counts = np.bincount(index, weights=np.concatenate(weights)).astype(np.int64)
            table["service"] += [service] * len(gaps)
            table["gap_s"] += gaps.tolist()
            table["tokens"] += counts.tolist()
        return table


def _time(value: float | None) -> float:
    return NAN if value is None else value
