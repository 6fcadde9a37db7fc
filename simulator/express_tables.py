"""From the columns of an express replica to rows of the recorder's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import Books, Floats, PassBooks

if TYPE_CHECKING:
    from edgewright.simulator.express_jobs import Jobs
    from edgewright.simulator.recorder import Recorder
    from edgewright.workloads import Source

__all__ = ["job_rows", "record_rows"]

STATES = (
    ("in_flight", ""),
    ("completed", ""),
    ("rejected", "no replica can hold it"),
    ("failed", "KV cache full with this job alone"),
    ("failed", "KV cache smaller than what it has grown to"),
    ("failed", "KV cache full"),
)
"""Status and reason of a job, by `express_books.STATUS`."""

_NONE = np.empty((0, 2))
_STEPS = ("iterations", "decode", "prefill_tokens", "output_tokens", "context_tokens", "waiting", "kv_blocks")


def record_rows(recorder: Recorder, replica: str, service: str, capacity: int, taken: Mapping[str, Floats]) -> None:
    """Rows of the tables `steps`, `queue`, `kv` and `itl`; `capacity`: KV blocks that the replica has."""
    steps, queues, blocks, gaps = (taken.get(name, _NONE) for name in ("steps", "queues", "blocks", "gaps"))
    if len(steps):
        recorder.extend("steps", {"replica": replica, "start_s": steps[:, 0], "end_s": steps[:, 1]} | _integers(steps, _STEPS, 2))
    if len(queues):
        running = int(queues[:, 2].max())
        recorder.most_running[replica] = max(recorder.most_running.get(replica, 0), running)
        recorder.extend("queue", {"replica": replica, "time_s": queues[:, 0]} | _integers(queues, ("waiting", "running"), 1))
    if len(blocks):
        room = {"capacity_blocks": np.full(len(blocks), capacity)}
        recorder.extend("kv", {"replica": replica, "time_s": blocks[:, 0]} | _integers(blocks, ("blocks",), 1) | room)
    if len(gaps):
        recorder.weighted_gaps(service, gaps[:, 0], gaps[:, 1].astype(np.int64))


def _integers(rows: Floats, names: tuple[str, ...], first: int) -> dict[str, Any]:
    return {name: rows[:, place].astype(np.int64) for place, name in enumerate(names, start=first)}


def job_rows(books: Books | PassBooks, jobs: Jobs, which: slice, sources: Sequence[Source], replica: str) -> dict[str, Any]:
    """Rows of the table `jobs`, what is derived from the others left out (NaN)."""
    when, what, source = books.when[:, which], books.what[:, which], jobs.source[which]
    status, arrival = what[at.STATUS], when[at.ARRIVAL]
    count, taken = len(status), status != at.TOO_LONG
    zero, nothing = np.zeros(count, np.int64), np.full(count, np.nan)
    return {
        "job": jobs.number[which],
        "service": sources[0].service,
        "replica": (("", replica), taken.astype(np.int64)),
        "source": ([each.name for each in sources], source),
        "session": zero - 1,
        "status": ([state for state, _ in STATES], status),
        "reason": ([reason for _, reason in STATES], status),
        "measured": what[at.MEASURED] == 1,
        "arrival_s": arrival,
        "queued_s": np.where(taken, arrival, np.nan),
        "scheduled_s": when[at.SCHEDULED],
        "first_token_s": when[at.FIRST],
        "finished_s": when[at.FINISHED],
        "prompt_tokens": what[at.PROMPT],
        "output_tokens": what[at.GENERATED],
        "cached_tokens": zero,
        "preemptions": what[at.PREEMPTIONS],
        **dict.fromkeys(("interruptions", "retries", "resumes", "lost_tokens", "wasted_tokens"), zero),
        "priority": np.array([each.priority for each in sources], np.int64)[source],
        "deadline_s": arrival + np.array([np.nan if each.deadline is None else each.deadline for each in sources])[source],
        **dict.fromkeys(("ttft_s", "tpot_s", "e2e_s", "queue_s"), nothing),
        "missed": zero,
    }
