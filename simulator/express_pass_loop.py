"""The serving loop of `express_passes` compiled: arrivals, batches, and records of a replica that computes each input in one pass.

It does what `lane` does with the agents of `policies.batching`, in the same order; of what happens at one moment, that comes first which
was scheduled first. Importing this module imports Numba and compiles on the first call, which is kept between processes.
"""

from __future__ import annotations

from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import PassBooks
from edgewright.simulator.express_jit import compiled
from edgewright.simulator.express_records import note_queue

__all__ = ["advance"]


@compiled
def _next_arrival(b: PassBooks) -> float:
    place = b.counts[at.NEXT]
    time: float = b.when[at.ARRIVAL, place] if place < b.when.shape[1] else float("inf")
    return time


@compiled
def _arrive(b: PassBooks) -> None:
    """The next job joins the queue."""
    time = b.when[at.ARRIVAL, b.counts[at.NEXT]]
    b.counts[at.NEXT] += 1
    b.counts[at.TAIL] += 1
    note_queue(b, time)


@compiled
def _room(b: PassBooks) -> int:
    """How many inputs the next step computes: of those that wait, or of the batch that has closed; 0: none yet (`WAKE` says till when)."""
    count, clock = b.counts, b.clock
    waiting = count[at.TAIL] - count[at.HEAD]
    clock[at.WAKE] = float("inf")
    if count[at.RULE] != at.FILLING:
        if count[at.LEFT] == 0 and waiting > 0:
            eldest = count[at.HEAD] if count[at.RULE] == at.DYNAMIC else count[at.TAIL] - 1
            due = b.when[at.ARRIVAL, eldest] + clock[at.TIMEOUT]
            if waiting < count[at.SIZE] and clock[at.NOW] < due:
                clock[at.WAKE] = clock[at.NOW] + (due - clock[at.NOW])
                return 0
            count[at.LEFT] = min(waiting, count[at.SIZE])
        waiting = count[at.LEFT]
    found: int = min(waiting, count[at.MOST], max(1, count[at.MAX_TOKENS]))
    return found


@compiled
def _decide(b: PassBooks) -> None:
    """Begin the next step, if there is one; where its price is not known yet, it is decided again."""
    count, clock, now = b.counts, b.clock, b.clock[at.NOW]
    chosen = _room(b)
    count[at.UNDECIDED] = 0
    if chosen == 0:
        return
    if b.seconds[chosen] != b.seconds[chosen]:
        count[at.UNPRICED], count[at.UNDECIDED] = chosen, 1
        return
    for job in range(count[at.HEAD], count[at.HEAD] + chosen):
        b.when[at.SCHEDULED, job] = now
        count[at.PROMPTS] += b.what[at.PROMPT, job]
    count[at.HEAD] += chosen
    count[at.RUNNING] = chosen
    count[at.LEFT] = max(0, count[at.LEFT] - chosen)
    note_queue(b, now)
    count[at.PHASE], count[at.WAITING] = 1, count[at.TAIL] - count[at.HEAD]
    clock[at.STARTED], clock[at.END] = now, now + b.seconds[chosen]


@compiled
def _finish(b: PassBooks) -> None:
    """A step has ended, and with it all of its jobs."""
    count, now, rows, row = b.counts, b.clock[at.NOW], b.steps, b.counts[at.STEPS]
    inputs = count[at.RUNNING]
    rows[row, 0], rows[row, 1], rows[row, 2] = b.clock[at.STARTED], now, 1
    rows[row, 3], rows[row, 4], rows[row, 5] = 0, inputs, 0
    rows[row, 6], rows[row, 7], rows[row, 8] = inputs, count[at.WAITING], 0
    count[at.STEPS] = row + 1
    b.passes[inputs] += 1
    for job in range(count[at.HEAD] - inputs, count[at.HEAD]):
        b.when[at.FIRST, job] = b.when[at.FINISHED, job] = now
        b.what[at.STATUS, job] = at.COMPLETED
        count[at.RUNNING] -= 1
        note_queue(b, now)
    count[at.PHASE] = 0


@compiled
def _has_room(b: PassBooks) -> bool:
    """Whether whatever happens next can be written down."""
    count = b.counts
    room: bool = max(count[at.STEPS], count[at.QUEUES]) + count[at.RUNNING] + 4 < b.steps.shape[0]
    return room


@compiled
def advance(b: PassBooks, until: float) -> bool:
    """Go on up to and including a time; False if the output rows are full, or a price (`UNPRICED`) is wanted."""
    clock, count = b.clock, b.counts
    while _has_room(b):
        arrival, next_change = _next_arrival(b), clock[at.END] if count[at.PHASE] else clock[at.WAKE]
        first = arrival < next_change
        if arrival == next_change and arrival < float("inf"):
            first = b.prompted[count[at.NEXT]] <= clock[at.STARTED] or count[at.PHASE] == 0
        if count[at.UNDECIDED]:
            if arrival > clock[at.NOW]:
                _decide(b)
                if count[at.UNPRICED]:
                    return False
            else:
                _arrive(b)
        elif min(arrival, next_change) > until:
            return True
        elif first:
            _arrive(b)
            if count[at.PHASE] == 0:
                clock[at.NOW], count[at.UNDECIDED] = arrival, 1
        else:
            clock[at.NOW], count[at.UNDECIDED] = next_change, 1
            if count[at.PHASE]:
                _finish(b)
    return False
