"""Express: a replica whose whole serving loop runs compiled, from one look at it to the next.

A stretch jumps over steps between two decisions; here decisions are made in the same compiled loop, too, by the rules of continuous
batching and paged memory. Nothing of it is an event: the loop is brought up to the moment at which somebody reads the machine's accounts
(a meter, the end of the run), and what it writes down are columns. `express_rule` says which scenarios may be run so: those in which
nothing could tell the difference but by the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.policies.plan import Compute, Delay
from edgewright.policies.pricing import part_form
from edgewright.simulator import express_books as at
from edgewright.simulator.express_books import Books, Floats, open_books
from edgewright.simulator.express_tables import job_rows, record_rows
from edgewright.simulator.program import HostSeconds
from edgewright.workloads import Part, Source
from edgewright.workloads.jobs_columns import job_columns

if TYPE_CHECKING:
    from edgewright.hwmodels.roofline_form import RoofForm
    from edgewright.simulator.replica import Replica
    from edgewright.simulator.simulation import Simulation

__all__ = ["Express"]


class Express:
    """The serving loop of one replica, and the source that feeds it alone. Stands among the machine's stretches.

    Attributes:
        replica, source: whose.
        engine, bus: resources that it uses.
    """

    def __init__(self, simulation: Simulation, replica: Replica, source: Source) -> None:
        self.replica = replica
        self.source = source
        self.machine = simulation.machine
        self.window = simulation.window
        self._stream = simulation.stream.child(f"workloads.{source.name}")
        self._written = 0
        self._settled = [0.0] * 4
        self._joules_per_byte = 0.0
        host, compute = _operations(replica)
        self._host = (host.per_step, host.per_sequence) if host is not None else (0.0, 0.0)
        self.engine = self.machine.cluster.engine_name(compute.device, compute.engine)
        self.bus = f"{compute.device}.{self.machine.engines[self.engine].spec.bus}"
        self._used = self.machine.engines[self.engine], self.machine.resources[self.bus]
        self._dynamic = [self.machine.ledger.account(owner, "dynamic") for owner in (self.engine, self.bus)]

    @cached_property
    def books(self) -> Books:
        """The state of the loop, with all jobs that will come."""
        jobs = job_columns(self.source, self._stream, 0.0, self.window[1])
        measured = (jobs.arrival >= self.window[0]) & (jobs.arrival < self.window[1])
        replica, kv, preset = self.replica, self.replica.kv, self.replica.preset
        terms = max(len(form.serial) for form in self._forms)
        block, most = (1, replica.most) if kv is None else (kv.block_size, min(replica.most, kv.capacity))
        books = open_books(jobs, measured, block, most, terms)
        count, clock = books.counts, books.clock
        count[at.MOST], count[at.MAX_TOKENS] = replica.most, preset.max_tokens
        count[at.CAPACITY], count[at.RESERVE] = (-1, 0) if kv is None else (kv.capacity, kv.reserve)
        count[at.REJECTS], count[at.LONGEST] = preset.preemption == "reject", replica.most_iterations
        clock[at.HOST_STEP], clock[at.HOST_SEQUENCE] = self._host
        clock[at.BANDWIDTH] = self.machine.capacities[self.bus]
        self._joules_per_byte = self._forms[0].joules_per_byte
        for case, form in enumerate(self._forms):
            books.roofs[case, :, : len(form.serial)] = form.roofs
            books.serial[case, : len(form.serial)] = form.serial
            books.linear[case] = form.linear
        return books

    @cached_property
    def _forms(self) -> list[RoofForm]:
        return _forms(self.replica, self.machine.clocks)

    # -- running ---------------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the replica over; nothing else may touch its engine or its bus."""
        self.machine.claim([self.engine], [self.bus], self._disturbed)
        self.machine.stretches[self] = None

    def _disturbed(self) -> None:
        raise RuntimeError(f"{self.replica.name} runs express, and something else wants its engine or its bus")

    def account(self, now: float) -> None:
        """Bring the loop, and the machine's accounts, up to now."""
        books = self.books
        while not self._advance(books, now):
            self._hand_over()
        seen, last = books.clock[at.SEEN : at.SEEN + 4].tolist(), self._settled
        busy, nbytes, (engine, bus) = seen[0] - last[0], seen[3] - last[3], self._used
        engine.busy_s += busy
        engine.static.put(busy * engine.static_W)
        self._dynamic[0].put(seen[2] - last[2])
        self._dynamic[1].put(nbytes * self._joules_per_byte)
        bus.moved += nbytes
        bus.accounted += nbytes
        bus.busy_s += seen[1] - last[1]
        self._settled = seen

    @cached_property
    def _advance(self) -> Callable[[Books, float], bool]:
        """The compiled loop; this imports Numba."""
        from edgewright.simulator.express_loop import advance

        return advance

    def _hand_over(self) -> None:
        """Give the recorder the rows that stand; those of the run of steps under way move to the front."""
        books, counts, replica = self.books, self.books.counts, self.replica
        taken: dict[str, Floats] = {}
        for name, rows, stands in _OUTPUTS:
            table, kept, written = getattr(books, name), int(counts[stands]), int(counts[rows])
            taken[name] = table[:kept].copy()
            table[: written - kept] = table[kept:written].copy()
            counts[rows], counts[stands] = written - kept, 0 if stands != rows else written - kept
        record_rows(replica.recorder, replica.name, self.source.service, int(counts[at.CAPACITY]), taken)
        status = books.what[at.STATUS, self._written : self.arrived]
        running = np.flatnonzero(status == at.IN_FLIGHT)
        self._hand_over_jobs(self._written + int(running[0]) if len(running) else self.arrived)

    def _hand_over_jobs(self, stop: int) -> None:
        """Give the recorder the rows of jobs up to (not including) that one."""
        if stop > self._written:
            found = job_rows(self.books, slice(self._written, stop), self.source, self.replica.name)
            self.replica.recorder.extend("jobs", found)
        self._written = stop

    # -- what it leaves --------------------------------------------------------------------------------------------------------------------

    @property
    def arrived(self) -> int:
        """Jobs submitted so far."""
        return int(self.books.counts[at.NEXT])

    @property
    def in_flight(self) -> int:
        """Jobs in the queue and in the batch."""
        count = self.books.counts
        return int(count[at.TAIL] - count[at.HEAD] + count[at.ASIDE] + count[at.RUNNING])

    @property
    def balanced(self) -> bool:
        """Whether jobs in = jobs over + jobs in flight, and blocks held = blocks of the batch."""
        books = self.books
        over = int(np.count_nonzero(books.what[at.STATUS, : self.arrived]))
        return self.arrived == over + self.in_flight and int(books.what[at.HELD, : self.arrived].sum()) == int(books.counts[at.USED])

    @property
    def drained(self) -> bool:
        """Whether every job of the source has come and ended."""
        return self.arrived == self.books.when.shape[1] and not self.in_flight

    def publish(self) -> None:
        """The run is over: all rows, and the counts of the whole run, go where results are gathered."""
        from edgewright.simulator.express_loop import cut

        cut(self.books)
        self._hand_over()
        self._hand_over_jobs(self.arrived)
        counts, replica = self.books.counts, self.replica
        if replica.kv is not None:
            replica.kv.peak = int(counts[at.PEAK])
        replica.prompt_tokens = int(counts[at.PROMPTS])
        replica.recorder.preemptions[replica.name] = int(counts[at.PREEMPTED])


_OUTPUTS = (
    ("steps", at.STEPS, at.STEPS),
    ("queues", at.QUEUES, at.QUEUES),
    ("blocks", at.BLOCKS, at.BLOCKS_KEPT),
    ("gaps", at.GAPS, at.GAPS_KEPT),
)
"""Output tables of the books, how many rows they have, and how many of them stand."""


def _operations(replica: Replica) -> tuple[HostSeconds | None, Compute]:
    """The host's time before each step, and the computation of the model: all that its plan consists of."""
    assert replica.strand is not None, "an express replica's plan is one strand"
    hosts: list[Any] = [op.seconds for op in replica.strand.ops if isinstance(op, Delay)]
    (compute,) = (op for op in replica.strand.ops if isinstance(op, Compute))
    return (hosts[0] if hosts else None), compute


def _forms(replica: Replica, clocks: Any) -> list[RoofForm]:
    """Prices by case (`express_books.CASES`)."""
    _, compute = _operations(replica)
    assert isinstance(compute.work, Part), "an express replica computes a model"
    cluster = replica.machine.cluster
    resource = cluster.engine_name(compute.device, compute.engine)
    found = [part_form(compute.work, cluster, resource, clocks.get(resource, 1.0), case) for case in at.CASES]
    return [form for form in found if form is not None]
