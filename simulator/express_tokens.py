"""Express for models that yield token after token, by the rules of continuous batching and paged memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgewright.policies.plan import Compute, Delay
from edgewright.policies.pricing import part_form
from edgewright.simulator import express_books as at
from edgewright.simulator.express import Express
from edgewright.simulator.express_batching import set_batching
from edgewright.simulator.express_books import Books, open_books
from edgewright.simulator.program import HostSeconds
from edgewright.workloads import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgewright.hwmodels.roofline_form import RoofForm
    from edgewright.simulator.express_jobs import Jobs
    from edgewright.simulator.replica import Replica

__all__ = ["TokenExpress"]


class TokenExpress(Express):
    """The serving loop of a replica whose steps are host time and one computation."""

    outputs = (*Express.outputs, ("blocks", at.BLOCKS, at.BLOCKS_KEPT), ("gaps", at.GAPS, at.GAPS_KEPT))

    def _uses(self) -> tuple[Iterable[str], Iterable[str]]:
        host, compute = _operations(self.replica)
        self._host = (host.per_step, host.per_sequence) if host is not None else (0.0, 0.0)
        engine = self.machine.cluster.engine_name(compute.device, compute.engine)
        self._bus = f"{compute.device}.{self.machine.engines[engine].spec.bus}"
        self._used = self.machine.engines[engine], self.machine.resources[self._bus]
        self._dynamic = [self.machine.ledger.account(owner, "dynamic") for owner in (engine, self._bus)]
        self._settled = [0.0] * 4
        self._joules_per_byte = 0.0
        return [engine], [self._bus]

    def _open(self, jobs: Jobs, measured: NDArray[np.bool_]) -> Books:
        replica, kv, preset, forms = self.replica, self.replica.kv, self.replica.preset, _forms(self.replica, self.machine.clocks)
        terms = max(len(form.serial) for form in forms)
        block, most = (1, replica.most) if kv is None else (kv.block_size, min(replica.most, kv.capacity))
        books = open_books(jobs.columns, measured, block, most, terms)
        count, clock = books.counts, books.clock
        count[at.CAPACITY], count[at.RESERVE] = (-1, 0) if kv is None else (kv.capacity, kv.reserve)
        count[at.REJECTS], count[at.LONGEST] = preset.preemption == "reject", replica.most_iterations
        set_batching(books, replica)
        clock[at.HOST_STEP], clock[at.HOST_SEQUENCE] = self._host
        clock[at.BANDWIDTH] = self.machine.capacities[self._bus]
        self._joules_per_byte = forms[0].joules_per_byte
        for case, form in enumerate(forms):
            books.roofs[case, :, : len(form.serial)] = form.roofs
            books.serial[case, : len(form.serial)] = form.serial
            books.linear[case] = form.linear
        return books

    @cached_property
    def _advance(self) -> Callable[[Books, float], bool]:
        from edgewright.simulator.express_loop import advance

        return advance

    def _settle(self, now: float) -> None:
        seen, last = self.books.clock[at.SEEN : at.SEEN + 4].tolist(), self._settled
        busy, nbytes, (engine, bus) = seen[0] - last[0], seen[3] - last[3], self._used
        engine.busy_s += busy
        engine.static.put(busy * engine.static_W)
        self._dynamic[0].put(seen[2] - last[2])
        self._dynamic[1].put(nbytes * self._joules_per_byte)
        bus.moved += nbytes
        bus.accounted += nbytes
        bus.busy_s += seen[1] - last[1]
        self._settled = seen

    def publish(self) -> None:
        """See `Express`; the jobs of a run of steps under way have the tokens of its whole steps so far."""
        from edgewright.simulator.express_loop import cut

        cut(self.books)
        super().publish()
        counts, replica = self.books.counts, self.replica
        if replica.kv is not None:
            replica.kv.peak = int(counts[at.PEAK])
        replica.recorder.preemptions[replica.name] = int(counts[at.PREEMPTED])


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
