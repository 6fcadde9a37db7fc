"""What the express loop (`express_loop`) reads and writes: arrays, and the names of their places.

Scalars live in two arrays, `clock` (seconds, joules, bytes) and `counts` (integers), so that the compiled loop can be left and entered at
any moment; jobs are columns, the batch and the queue are rows of job numbers. Output rows are floats, the integers among them exact.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgewright.workloads.jobs_columns import JobColumns
from edgewright.workloads.step_form import Case

__all__ = ["Books", "Floats", "Integers", "PassBooks", "open_books", "open_pass_books"]

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

CASES: tuple[Case, ...] = ((1, 0, 1, 0), (2, 0, 2, 0), *((0, prefill, emits, 0) for prefill in (1, 2) for emits in range(3)))
"""Cases of steps that are priced apart: one or more sequences decode; one or more prompt tokens with no, one or more results."""

NOW, STARTED, FIRST_END, ENDED, END = range(5)
"""Of `clock`: last decision; start of the run of steps, end of its first; end of the last step, and of the one under way."""

HOST, LATENCY, FLUID, STEP_ENGINE_J, STEP_BYTES = range(5, 10)
"""Of `clock`, of the step under way: host seconds, launch seconds, seconds of the roofs, joules of the engine, bytes on the bus."""

BUSY_S, FLUID_S, ENGINE_J, BYTES = range(10, 14)
"""Of `clock`: totals over all steps that have ended."""

SEEN = 14
"""Of `clock`: the same four totals with the share of the step under way, as of the last look."""

HOST_STEP, HOST_SEQUENCE, BANDWIDTH, CONTEXT = range(18, 22)
"""Of `clock`: what does not change; and the tokens cached by the batch when the run of steps began."""

TIMEOUT, WAKE = range(22, 24)
"""Of `clock`: seconds that a partial batch waits, and when the one that waits is decided on."""

CLOCKS = 24

PHASE, NEXT, HEAD, TAIL, ASIDE, RUNNING, DONE, ITERATIONS, HORIZON, WAITING, FRESH, PREFILL, EMITS = range(13)
"""Of `counts`: 0 idle, 1 prompts, 2 decoding; next arrival; the queue's ends, preempted jobs before it, jobs in the batch; steps done
of the run, steps in it, whether an arrival ends it; jobs waiting when it began; jobs whose prompts it computes, their tokens and results
(of decoding: jobs that are measured)."""

USED, PEAK, HOLDING, RECORDED, PROMPTS, PREEMPTED = range(13, 19)
"""Of `counts`: blocks held when the run began, the most ever, blocks held now, blocks last written down; prompt tokens, preemptions."""

STEPS, QUEUES, BLOCKS, GAPS, BLOCKS_KEPT, GAPS_KEPT = range(19, 25)
"""Of `counts`: rows written to each table, and of these, rows that stand whatever becomes of the run of steps under way."""

MOST, MAX_TOKENS, BLOCK, CAPACITY, RESERVE, REJECTS, LONGEST = range(25, 32)
"""Of `counts`, what does not change: sequences, tokens per step, tokens per block, blocks (-1: no cache), watermark, and so on."""

BENT = 32
"""Of `counts`: terms that are priced step by step."""

RULE, SIZE, LEFT, UNDECIDED, UNPRICED = range(33, 38)
"""Of `counts`: how batches form, jobs in a full one, jobs of the batch that has closed of which nothing has been computed; whether
something has happened on which the next step is to be decided; inputs of a pass whose price is wanted."""

COUNTS = 38

FILLING, CLOSING, DYNAMIC = range(3)
"""Values of `RULE`: whatever waits; a full batch, or what waits so long after the last arrival, or after the first."""

ARRIVAL, SCHEDULED, FIRST, LAST, FINISHED = range(5)
"""Rows of `when`: seconds by job, NaN before."""

PROMPT, OUTPUT, MEASURED, GENERATED, CACHED, HELD, PREEMPTIONS, STATUS = range(8)
"""Rows of `what`: by job; `CACHED` tokens of context, `HELD` blocks."""

IN_FLIGHT, COMPLETED, TOO_LONG, ALONE, OUTGROWN, REJECTED_FULL = range(6)
"""Values of `STATUS`: how it stands with a job, and why."""

QUEUE, BATCH, SET_ASIDE = range(3)
"""Rows of `lines`: job numbers in the queue, in the batch by admission, and preempted ones, the last first."""


ROWS = 1 << 15
"""Output rows that are gathered before the loop hands them over, besides four for every job of the largest batch."""


class Books(NamedTuple):
    """All arrays of one replica.

    Attributes:
        clock, counts: scalars, by the names above.
        when, what: `(5, jobs)` and `(8, jobs)`.
        lines: `(3, jobs)`.
        phases: by block phase: sequences of the batch that need a block then.
        roofs, serial, linear: `(CASES, 6, terms, 8)`, `(CASES, terms)` and `(CASES, 4, 8)`: see `RoofForm`.
        line, flat: the same roofs and linear rows for the run under way: `(2, 6, terms)` and `(2, 6)`, constant and per token of context;
            the last two of `flat` are seconds of roofs and bytes of activations over the terms whose binding roof stays the same.
        bent: the other terms; `point`: where the run begins.
        steps, queues, blocks, gaps: output rows, of 9, 3, 2 and 2 columns.
    """

    clock: Floats
    counts: Integers
    when: Floats
    what: Integers
    lines: Integers
    phases: Integers
    roofs: Floats
    serial: Floats
    linear: Floats
    line: Floats
    flat: Floats
    bent: Integers
    point: Floats
    steps: Floats
    queues: Floats
    blocks: Floats
    gaps: Floats


class PassBooks(NamedTuple):
    """All arrays of a replica of a model that computes an input in one pass; those named as in `Books` are the same.

    Attributes:
        prompted: by job: when its source began to wait for it.
        seconds, passes: by inputs of a step: how long it takes (NaN: not known yet), and how many such steps have ended.
    """

    clock: Floats
    counts: Integers
    when: Floats
    what: Integers
    prompted: Floats
    seconds: Floats
    passes: Integers
    steps: Floats
    queues: Floats


def open_pass_books(jobs: JobColumns, measured: NDArray[np.bool_], prompted: Floats, most: int) -> PassBooks:
    """Books of a replica that has done nothing yet, for batches of at most `most` inputs."""
    rows, counts, clock = ROWS + 4 * most, np.zeros(COUNTS, np.int64), np.zeros(CLOCKS)
    counts[CAPACITY], clock[WAKE] = -1, np.inf
    when, what = _job_columns(jobs, measured)
    return PassBooks(
        clock=clock,
        counts=counts,
        when=when,
        what=what,
        prompted=prompted,
        seconds=np.full(most + 1, np.nan),
        passes=np.zeros(most + 1, np.int64),
        steps=np.zeros((rows, 9)),
        queues=np.zeros((rows, 3)),
    )


def _job_columns(jobs: JobColumns, measured: NDArray[np.bool_]) -> tuple[Floats, Integers]:
    when, what = np.full((5, len(jobs)), np.nan), np.zeros((8, len(jobs)), np.int64)
    when[ARRIVAL] = jobs.arrival
    what[PROMPT], what[OUTPUT], what[MEASURED] = jobs.prompt, jobs.output, measured
    return when, what


def open_books(jobs: JobColumns, measured: NDArray[np.bool_], block: int, most: int, terms: int) -> Books:
    """Books of a replica that has done nothing yet, with room for batches of `most` jobs; limits and prices are to be filled in."""
    count, rows = len(jobs), ROWS + 4 * min(most, len(jobs))
    when, what = _job_columns(jobs, measured)
    counts, clock = np.zeros(COUNTS, np.int64), np.zeros(CLOCKS)
    counts[RECORDED], counts[BLOCK], clock[WAKE] = -1, block, np.inf
    return Books(
        clock=clock,
        counts=counts,
        when=when,
        what=what,
        lines=np.zeros((3, count + 1), np.int64),
        phases=np.zeros(block, np.int64),
        roofs=np.zeros((len(CASES), 6, terms, 8)),
        serial=np.zeros((len(CASES), terms)),
        linear=np.zeros((len(CASES), 4, 8)),
        line=np.zeros((2, 6, terms)),
        flat=np.zeros((2, 6)),
        bent=np.zeros(terms, np.int64),
        point=np.zeros(8),
        steps=np.zeros((rows, 9)),
        queues=np.zeros((rows, 3)),
        blocks=np.zeros((rows, 2)),
        gaps=np.zeros((rows, 2)),
    )
