"""One batch on its way through a replica: decide, compute, account, again.

A replica has one lane, or as many as it keeps steps in flight (pipelines). Lanes share the replica's queue and KV memory; each has a
batch of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.policies.families import Batch, BatchingAgent
from edgewright.simulator.request import Request
from edgewright.simulator.stepping import decode_run, mixed_step, padded, step_at
from edgewright.simulator.stretch import Stretch, Times
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.replica import Replica

__all__ = ["EngineRefusal", "Lane"]


class EngineRefusal(ValueError):
    """A batching policy asked for what the engine cannot do; the message names the policy's decision."""


class Lane:
    """A batch and the loop that drives it; the view that its batching agent decides on.

    Attributes:
        running: admitted requests in order of admission; `waiting`: the replica's queue.
        ended: prompt and context of those that have ended and whose rows are computed on (engines that pad), the first ended first.
        max_tokens: the engine's limit on tokens in one step.
        generates: whether jobs decode token by token.
    """

    def __init__(self, replica: Replica, agent: BatchingAgent, max_sequences: int) -> None:
        self.replica = replica
        self.agent = agent
        self.running: list[Request] = []
        self.waiting: Sequence[Request] = replica.waiting
        self.generates = replica.model.generates
        self.ended: list[tuple[int, int]] = []
        self._most = max_sequences
        self.max_tokens = replica.preset.max_tokens
        self._aborts = 0
        self._leaving: dict[Request, Callable[[], None]] = {}
        self._work: _StepWork | None = None
        self._stretch: Stretch | None = None
        self._horizon_arrival = True
        self._left = False
        self._idle = self._computing = False
        self._naps = 0
        self._course = self._run()

    # -- view ----------------------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.replica.env.now)

    @property
    def max_sequences(self) -> int:
        """The engine's limit for this lane; lanes side by side fill alike, none beyond its share of the jobs that are here."""
        lanes = len(self.replica.lanes)
        if lanes == 1:
            return self._most
        here = self.replica.running + self.replica.queued
        return min(self._most, -(-here // lanes))

    def next_experts(self, jobs: Sequence[Any]) -> Sequence[tuple[int, ...]] | None:
        """The experts of each job's next token, where the model's router says them before the step."""
        return None if self.replica.experts is None else self.replica.experts.ahead(jobs)

    def fits(self, jobs: Sequence[Any]) -> bool:
        """Whether the KV of these waiting jobs together could be allocated now."""
        return self.replica.kv is None or self.replica.kv.fits(jobs)

    # -- loop ----------------------------------------------------------------------------------------------------------------------------

    def go_on(self, _: Any = None) -> None:
        """Go on until there is something to wait for: an event, or (None) that somebody says so, by `wake` or `settled`."""
        for event in self._course:
            if event is None:
                return
            if event.callbacks is not None:
                event.callbacks.append(self.go_on)
                return

    def _run(self) -> Generator[Any, Any, None]:
        """What the lane does, all the time. No process of SimPy's: each of its two turns per step would be an event and a resumption."""
        replica = self.replica
        while True:
            if self._leaving:
                self._let_go()
            if not replica.life.serving:
                self._nap(None)
                yield
                continue
            replica.refresh()
            self._left = False
            batch = self.agent.next_batch(self)
            if not batch.prefill and not self._decoding(batch):
                if replica.running or not replica.reclaim():
                    self._nap(batch.wake_at)
                    yield
                continue
            aborts = self._aborts
            taken, chunks = self._admit(batch)
            if self.generates:
                yield from replica.swap_in(taken)
                yield from replica.checkpoints.restore(taken)
            decoding = (yield from self._secure(batch, chunks)) if replica.kv is not None else self._free_to_decode(batch, chunks)
            if (not chunks and not decoding) or self._aborts != aborts:
                continue
            self._computing = True
            self._horizon_arrival = batch.until.arrival
            self._compute(batch, chunks, decoding)
            del taken, chunks, decoding  # a lane that waits keeps no job of its last step: of many lanes, those would be all their jobs
            yield

    def _nap(self, wake_at: float | None) -> None:
        """There is nothing to do until somebody wakes the lane, or it is time."""
        self._idle = True
        self._naps += 1
        if wake_at is not None:
            now = self.replica.env.now
            if wake_at <= now:
                raise EngineRefusal(f"{self.replica.name}: batching asked to be woken at {wake_at:g} s, but it is {now:g} s already")
            self.replica.machine.at(wake_at, partial(self._alarm, self._naps))

    def _alarm(self, nap: int) -> None:
        if nap == self._naps:
            self.wake()

    def arrived(self) -> None:
        """A request has joined the queue."""
        self.wake()
        if self._stretch is not None and self._horizon_arrival:
            self._stretch.stop_after_current()

    def wake(self) -> None:
        """If the lane idles, decide anew: the queue, or the memory that is free, has changed."""
        if self._idle:
            self._idle = False
            self.replica.machine.after(0.0, self.go_on)

    # -- leaving before the end ------------------------------------------------------------------------------------------------------------

    def release(self, request: Request, then: Callable[[], None]) -> None:
        """Let a request of the batch go when the step under way has ended, and call; its keys and values stay."""
        self._leaving[request] = then
        if self._stretch is not None:
            self._stretch.stop_after_current()
        self.wake()

    def _let_go(self) -> None:
        leaving, self._leaving = self._leaving, {}
        for request, then in leaving.items():
            if request in self.running:
                self.running.remove(request)
                request.halt()
                then()

    def abort(self) -> None:
        """Stop the step under way as if it had never begun: what its operations did is accounted, its requests stay as they were.

        What goes on operation by operation is stopped by the replica, before.
        """
        self._aborts += 1
        work, self._work = self._work, None
        if work is not None:
            work.abandon()
            self.settled()

    def hand_over(self) -> list[Request]:
        """All requests of the batch, which leave it (after `abort`)."""
        self._leaving.clear()
        self.ended.clear()
        found, self.running[:] = list(self.running), []
        for request in found:
            if request.swapped:
                self.replica.drop_kv(request)
            request.halt()
        return found

    def cut(self) -> None:
        """If steps are being jumped over, go on operation by operation."""
        if self._stretch is not None and self._stretch in self.replica.machine.stretches:
            self._stretch.cut()

    def _decoding(self, batch: Batch) -> list[Request]:
        return [request for request in self.running if request.prompt_left == 0 and batch.decodes(request.id)] if batch.decode else []

    def _admit(self, batch: Batch) -> tuple[list[Request], list[tuple[Request, int]]]:
        """Take the prefilled jobs into the batch; returns those that were waiting, and the chunks to compute."""
        here = {request.id: request for request in self.running}
        new = [job for job, _ in batch.prefill if job not in here]
        taken = self.replica.take(new, self)
        here.update(zip(new, taken, strict=True))
        chunks: list[tuple[Request, int]] = []
        for job, tokens in batch.prefill:
            request = here[job]
            if tokens > request.prompt_left:
                asked = f"{tokens} prompt tokens of job {job}, {request.prompt_left} are left"
                raise EngineRefusal(f"{self.replica.name}: batching asked for {asked}")
            if tokens:
                chunks.append((request, tokens))
        del self.ended[: len(taken)]
        if len(self.running) > self._most:
            raise EngineRefusal(f"{self.replica.name}: batching admitted {len(self.running)} jobs, the engine takes {self._most}")
        return taken, chunks

    def _free_to_decode(self, batch: Batch, chunks: Sequence[tuple[Request, int]]) -> list[Request]:
        """The jobs that decode: those with a prompt to compute do not."""
        if not batch.decode:
            return []
        busy = {request for request, _ in chunks}
        return [request for request in self._decoding(batch) if request not in busy]

    def _secure(self, batch: Batch, chunks: Sequence[tuple[Request, int]]) -> Generator[Any, Any, list[Request]]:
        """The jobs that decode, each with memory for one token more; the last admitted are preempted until there is enough."""
        kv, decoding = self.replica.kv, self._free_to_decode(batch, chunks)
        if kv is None:
            return decoding
        for request in [request for request in decoding if kv.overflows(request)]:
            self.replica.fail(request, self, f"its slot of {kv.slot_tokens} tokens is full")
            decoding.remove(request)
            self._left = True
        while decoding and kv.short_by(decoding) > 0:
            if self.replica.reclaim():
                continue
            victim = max(decoding, key=lambda request: request.admitted_order)
            if self.replica.running == 1:
                self.replica.fail(victim, self, "KV cache full with this job alone")
            else:
                yield from self.replica.preempt(victim, self)
            decoding = [request for request in decoding if request is not victim and request in self.running]
            self._left = True
        for request in decoding:
            kv.grow(request, request.context + 1)
        return decoding

    # -- computing -----------------------------------------------------------------------------------------------------------------------

    def _compute(self, batch: Batch, chunks: list[tuple[Request, int]], decoding: list[Request]) -> None:
        replica = self.replica
        may_jump = replica.may_jump()
        iterations = self._iterations(batch, decoding) if may_jump and not chunks else 1
        step = self._step(chunks, decoding, iterations)
        work = self._work = _StepWork(self, chunks, decoding, step)
        stretch = replica.jump(step, iterations, work.stretched, work.token) if may_jump else None
        if stretch is not None:
            if iterations > 1:
                stretch.stop_by(batch.until.time)
            self._stretch = stretch.begin()
        else:
            replica.interpret(step_at(step, 0), [*decoding, *(request for request, _ in chunks)], work.token)

    def _iterations(self, batch: Batch, decoding: list[Request]) -> int:
        """Steps of pure decoding that can be bound at once; one after a preemption, which ends every decision."""
        replica = self.replica
        if self._left:
            return 1
        most = min(batch.until.steps, replica.most_iterations, *(request.remaining for request in decoding))
        most = min(most, replica.checkpoints.due(decoding))
        if replica.kv is None or most <= 1:
            return int(most)
        return max(1, replica.kv.steps_until_full(decoding, int(most)))

    def _step(self, chunks: list[tuple[Request, int]], decoding: list[Request], iterations: int) -> Step:
        replica = self.replica
        if not self.generates:
            return _items(len(chunks))
        if chunks:
            step = mixed_step(decoding, chunks, replica.model.windows, replica.kv_policy)
        else:
            step = decode_run(decoding, iterations, replica.model.windows, replica.kv_policy)
        if self.ended:
            step = padded(step, self.ended, replica.model.windows, replica.kv_policy)
        return replica.experts.bind(step, decoding, chunks, iterations) if replica.experts is not None else step

    def pad(self, request: Request) -> None:
        """A request has ended; its row stays in the batch, if the engine pads, for as long as others run."""
        if not self.running:
            self.ended.clear()
        elif self.replica.preset.padding:
            self.ended.append((request.prompt, request.context))

    def settled(self) -> None:
        """The step (or the run of steps) is over: the loop decides anew."""
        self._stretch = self._work = None
        if self._computing:
            self._computing = False
            self.replica.machine.after(0.0, self.go_on)

    def stretch_over(self) -> None:
        """The stretch has handed its current iteration to the interpreter."""
        self._stretch = None


@lru_cache(maxsize=1024)
def _items(count: int) -> Step:
    """A step of so many one-shot inputs."""
    return Step(items=count)


class _StepWork:
    """What is to be done when a step, or a run of steps, has come to its token."""

    __slots__ = ("chunks", "decoding", "lane", "prefill", "replica", "settled_iterations", "started", "step", "waiting")

    def __init__(self, lane: Lane, chunks: list[tuple[Request, int]], decoding: list[Request], step: Step) -> None:
        self.lane = lane
        self.replica = replica = lane.replica
        self.chunks = chunks
        self.prefill = sum([tokens for _, tokens in chunks])
        self.decoding = decoding
        self.step = step
        self.started = float(replica.env.now)
        self.waiting = len(replica.waiting)
        self.settled_iterations = 0
        if replica.kv is not None:
            replica.note_blocks(replica.kv)

    def stretched(self, stretch: Stretch, whole: int, partial: bool) -> None:
        """A stretch is over after `whole` iterations; `partial`: one more goes on in the interpreter."""
        if whole:
            ahead = self._hold(stretch.ends[: whole if partial else whole - 1])
            self._record(stretch.ends[:whole], ahead if partial else 0)
            self.settled_iterations = whole
        if partial:
            self.lane.stretch_over()
        else:
            self._finish(stretch.iterations)

    def token(self) -> None:
        """A step that was interpreted has come to its token."""
        self._record((self.lane.now,))
        self._finish(self.settled_iterations + 1)

    def abandon(self) -> None:
        """The step, or what is left of the run of steps, came to nothing."""
        if self.replica.experts is not None:
            self.replica.experts.commit(self.settled_iterations)

    def _finish(self, iterations: int) -> None:
        if self.replica.experts is not None:
            self.replica.experts.commit(iterations)
        self.lane.settled()

    def _hold(self, later: Any) -> int:
        """Steps after the first of a run (which has its memory already) have begun at these times: each takes one token more per job.

        Returns the blocks that the last of them took.
        """
        kv = self.replica.kv
        if kv is None or not self.decoding:
            return 0
        begun = np.concatenate(([self.started], later))
        held = kv.held_over(self.decoding, len(begun))
        self.replica.recorder.held(self.replica, begun, held)
        for request in self.decoding:
            kv.grow(request, request.context + len(begun))
        return int(held[-1] - held[-2]) if len(held) > 1 else 0

    def _record(self, ends: Times, ahead: int = 0) -> None:
        """Account whole steps that ended at these times; the step that goes on has taken `ahead` blocks besides."""
        replica, count = self.replica, len(ends)
        first, last = float(ends[0]), float(ends[-1])
        made = count, len(self.decoding), self.prefill, self.step.emits
        replica.recorder.step(replica, self.started, last, *made, self.waiting, ahead)
        if self.decoding:
            replica.recorder.gaps(self.decoding, ends)
        self.started = last
        for request, tokens in self.chunks:
            self._prefilled(request, tokens, last)
        for request in self.decoding:
            request.context += count
            request.emit(count, first, last)
            if request.remaining <= 0:
                replica.complete(request, self.lane)
        if replica.checkpoints.every is not None:
            replica.checkpoints.write([*self.decoding, *(request for request, _ in self.chunks)])
        if replica.kv is not None:
            replica.note_blocks(replica.kv)

    def _prefilled(self, request: Request, tokens: int, now: float) -> None:
        replica = self.replica
        if not self.lane.generates:
            request.emit(1, now, now)
            replica.complete(request, self.lane)
            return
        request.computed += tokens
        request.context += tokens
        if replica.kv is not None:
            replica.kv.publish(request)
        if request.prompt_left == 0:
            if request.job.output > 0:
                replica.recorder.gaps([request], np.array([now]))
                request.emit(1, now, now)
            if request.remaining <= 0:
                replica.complete(request, self.lane)
