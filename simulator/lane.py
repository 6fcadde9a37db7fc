"""One batch on its way through a replica: decide, compute, account, again.

A replica has one lane, or as many as it keeps steps in flight (pipelines). Lanes share the replica's queue and KV memory; each has a
batch of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.policies.families import Batch, BatchingAgent
from edgewright.simulator.request import Request
from edgewright.simulator.stepping import decode_run, mixed_step, step_at
from edgewright.simulator.stretch import Stretch
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.replica import Replica

__all__ = ["EngineRefusal", "Lane"]

LONGEST_STRETCH = 4096
"""Iterations priced at once: bounds the arrays of a stretch, changes no result."""


class EngineRefusal(RuntimeError):
    """A batching policy asked for what the engine cannot do; the message names the policy's decision."""


class Lane:
    """A batch and the loop that drives it; the view that its batching agent decides on.

    Attributes:
        running: admitted requests in order of admission.
        max_sequences, max_tokens: the engine's limits for this lane.
    """

    def __init__(self, replica: Replica, agent: BatchingAgent, index: int, max_sequences: int) -> None:
        self.replica = replica
        self.agent = agent
        self.index = index
        self.running: list[Request] = []
        self.max_sequences = max_sequences
        self.max_tokens = replica.preset.max_tokens
        self._stretch: Stretch | None = None
        self._horizon_arrival = True
        self._wake: Any = None
        self._done: Any = None

    # -- view ----------------------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.replica.env.now)

    @property
    def waiting(self) -> Sequence[Request]:
        """The replica's queue."""
        return self.replica.waiting

    @property
    def generates(self) -> bool:
        """Whether jobs decode token by token."""
        return self.replica.model.generates

    def fits(self, jobs: Sequence[Any]) -> bool:
        """Whether the KV of these waiting jobs together could be allocated now."""
        return self.replica.kv is None or self.replica.kv.fits(jobs)

    # -- loop ----------------------------------------------------------------------------------------------------------------------------

    def run(self) -> Generator[Any, Any, None]:
        """The lane's SimPy process."""
        while True:
            batch = self.agent.next_batch(self)
            if not batch.prefill and not (batch.decode and self._decoding()):
                yield from self._idle(batch.wake_at)
                continue
            chunks = self._admit(batch)
            decoding = self._secure(chunks) if batch.decode else []
            if not chunks and not decoding:
                continue
            self._done = self.replica.env.event()
            self._horizon_arrival = batch.until.arrival
            self._compute(batch, chunks, decoding)
            yield self._done

    def _idle(self, wake_at: float | None) -> Generator[Any, Any, None]:
        env = self.replica.env
        self._wake = env.event()
        if wake_at is not None and wake_at <= env.now:
            raise EngineRefusal(f"{self.replica.name}: batching asked to be woken at {wake_at:g} s, but it is {env.now:g} s already")
        yield self._wake if wake_at is None else self._wake | env.timeout(wake_at - env.now)
        self._wake = None

    def arrived(self) -> None:
        """A request has joined the queue."""
        if self._wake is not None and not self._wake.triggered:
            self._wake.succeed()
        elif self._stretch is not None and self._horizon_arrival:
            self._stretch.stop_after_current()

    def _decoding(self) -> list[Request]:
        return [request for request in self.running if request.prompt_left == 0]

    def _admit(self, batch: Batch) -> list[tuple[Request, int]]:
        """Take the prefilled jobs into the batch; returns the chunks to compute."""
        chunks = []
        by_id = {request.id: request for request in self.running}
        for job, tokens in batch.prefill:
            request = by_id.get(job) or self.replica.take(job, self)
            if tokens > request.prompt_left:
                raise EngineRefusal(
                    f"{self.replica.name}: batching asked for {tokens} prompt tokens of job {job}, {request.prompt_left} are left"
                )
            chunks.append((request, tokens))
        if len(self.running) > self.max_sequences:
            raise EngineRefusal(f"{self.replica.name}: batching admitted {len(self.running)} jobs, the engine takes {self.max_sequences}")
        return [(request, tokens) for request, tokens in chunks if tokens]

    def _secure(self, chunks: Sequence[tuple[Request, int]]) -> list[Request]:
        """The jobs that decode, each with room for one token more; the last admitted are preempted until there is."""
        kv = self.replica.kv
        busy = {request.id for request, _ in chunks}
        decoding = [request for request in self._decoding() if request.id not in busy]
        if kv is None:
            return decoding
        while decoding and kv.short_by(decoding) > 0:
            victim = max((r for r in self.running if r.id not in busy), key=lambda request: request.admitted_order)
            if len(self.running) == 1:
                self.replica.fail(victim, self, "KV cache full with this job alone")
            else:
                self.replica.preempt(victim, self)
            decoding = [request for request in decoding if request is not victim]
        return decoding

    # -- computing -----------------------------------------------------------------------------------------------------------------------

    def _compute(self, batch: Batch, chunks: list[tuple[Request, int]], decoding: list[Request]) -> None:
        iterations = 1
        if not chunks:
            most = min(LONGEST_STRETCH, batch.until.steps, self.replica.most_iterations, *(request.remaining for request in decoding))
            iterations = int(most)
            if self.replica.kv is not None and iterations > 1:
                iterations = max(1, self.replica.kv.steps_until_full(decoding, iterations))
        step = self._step(chunks, decoding, iterations)
        work = _StepWork(self, chunks, decoding, step)
        if self.replica.strand is not None and self.replica.alone():
            stretch = Stretch(
                self.replica.scope,
                self.replica.strand,
                step,
                iterations,
                work.stretched,
                work.token,
                lambda k: step_at(step, k),
                self.replica.known_timeline(step),
            )
            if stretch.settles():
                stretch.stop_by(batch.until.time)
                self._stretch = stretch.begin()
                return
        self.replica.interpret(step_at(step, 0), [*decoding, *(request for request, _ in chunks)], work.token)

    def _step(self, chunks: list[tuple[Request, int]], decoding: list[Request], iterations: int) -> Step:
        replica = self.replica
        if not self.generates:
            return Step(items=len(chunks))
        if chunks:
            step = mixed_step(decoding, chunks, replica.model.windows, replica.kv_policy)
        else:
            step = decode_run(decoding, iterations, replica.model.windows, replica.kv_policy)
        return replica.experts.bind(step, decoding, chunks, iterations) if replica.experts is not None else step

    def settled(self) -> None:
        """The step (or the run of steps) is over: the loop decides anew."""
        self._stretch = None
        self._done.succeed()

    def stretch_over(self) -> None:
        """The stretch has handed its current iteration to the interpreter."""
        self._stretch = None


class _StepWork:
    """What is to be done when a step, or a run of steps, has come to its token."""

    def __init__(self, lane: Lane, chunks: list[tuple[Request, int]], decoding: list[Request], step: Step) -> None:
        self.lane = lane
        self.replica = lane.replica
        self.chunks = chunks
        self.decoding = decoding
        self.step = step
        self.started = lane.now
        self.settled_iterations = 0

    def stretched(self, stretch: Stretch, whole: int, partial: bool) -> None:
        """A stretch is over after `whole` iterations; `partial`: one more goes on in the interpreter."""
        if whole:
            self._record(stretch.ends[:whole])
            self.settled_iterations = whole
        if partial:
            self.lane.stretch_over()
        else:
            self._finish(stretch.iterations)

    def token(self) -> None:
        """A step that was interpreted has come to its token."""
        self._record(np.array([self.lane.now]))
        self._finish(self.settled_iterations + 1)

    def _finish(self, iterations: int) -> None:
        if self.replica.experts is not None:
            self.replica.experts.commit(iterations)
        self.lane.settled()

    def _record(self, ends: Any) -> None:
        """Account whole steps that ended at these times."""
        replica, count = self.replica, len(ends)
        first, last = float(ends[0]), float(ends[-1])
        replica.recorder.step(replica, self.started, ends, len(self.decoding), sum(tokens for _, tokens in self.chunks), self.step)
        replica.recorder.gaps(self.decoding, ends)
        self.started = last
        for request, tokens in self.chunks:
            self._prefilled(request, tokens, last)
        for request in self.decoding:
            request.context += count
            request.emit(count, first, last)
            if replica.kv is not None:
                replica.kv.grow(request, request.context)
            if request.remaining <= 0:
                replica.complete(request, self.lane)
        replica.recorder.blocks(replica)

    def _prefilled(self, request: Request, tokens: int, now: float) -> None:
        replica = self.replica
        if not self.lane.generates:
            request.emit(1, now, now)
            replica.complete(request, self.lane)
            return
        request.computed += tokens
        request.context += tokens
        if request.prompt_left == 0:
            if request.job.output > 0:
                replica.recorder.gaps([request], np.array([now]))
                request.emit(1, now, now)
            if request.remaining <= 0:
                replica.complete(request, self.lane)
