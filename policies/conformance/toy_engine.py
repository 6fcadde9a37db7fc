"""An engine small enough to be read: it serves jobs with a batching agent, and asks either before every step or only when it must.

Steps take 1 + tokens / 8 time units. KV memory is counted in tokens, set aside for the whole prompt at admission and then token by token;
when it runs out, the job admitted last goes back to the head of the queue and computes its context again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edgewright.hwmodels.conformance import require
from edgewright.policies.conformance.fakes import FakeReplica, FakeRunning, FakeWaiting
from edgewright.policies.families import Batch, BatchingAgent

__all__ = ["Scene", "ToyEngine", "ToyJob", "ToyStep", "check_batch"]


@dataclass(frozen=True, slots=True)
class ToyJob:
    """A job of the toy engine; `output` is 0 for a one-shot job, `cached` prompt tokens arrive computed."""

    id: int
    arrival: float
    prompt: int
    output: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a toy engine is and has to do. `kv_tokens` holds the largest job at least."""

    jobs: tuple[ToyJob, ...]
    max_sequences: int
    max_tokens: int
    kv_tokens: int
    generates: bool = True


class ToyStep(NamedTuple):
    """A step that was run: when it started, whether it decoded and whom, and which prompts it computed."""

    start: float
    decoded: tuple[int, ...]
    prefill: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Member:
    job: ToyJob
    left: int
    context: int
    generated: int = 0

    @property
    def reserved(self) -> int:
        return self.context + self.left

    @property
    def finished(self) -> bool:
        return self.left == 0 and self.generated >= self.job.output


@dataclass(slots=True)
class ToyEngine:
    """Serves a scene with an agent. `honour`: keep a decision for as long as its `until` says; else ask before every step."""

    scene: Scene
    agent: BatchingAgent
    honour: bool
    now: float = 0.0
    steps: list[ToyStep] = field(default_factory=list)
    _waiting: list[_Member] = field(default_factory=list)
    _running: list[_Member] = field(default_factory=list)
    _future: list[ToyJob] = field(default_factory=list)
    _batch: Batch | None = None
    _taken: int = 0

    def run(self) -> Sequence[ToyStep]:
        """Every step from the first arrival until nothing is left to do. Raises `AssertionError` if the agent breaks a promise."""
        self._future = sorted(self.scene.jobs, key=lambda job: (job.arrival, job.id))
        bound = 1000 + 20 * sum(job.prompt + job.output for job in self.scene.jobs)
        while self._future or self._waiting or self._running:
            require(len(self.steps) < bound, f"no end in sight after {bound} steps: {len(self._waiting)} wait, {len(self._running)} run")
            self._arrive()
            self._turn()
        return self.steps

    def view(self) -> FakeReplica:
        """What the agent sees now."""
        scene = self.scene
        return FakeReplica(
            now=self.now,
            waiting=[FakeWaiting(m.job.id, m.job.arrival, m.left, m.context) for m in self._waiting],
            running=[FakeRunning(m.job.id, m.context, m.generated, m.left) for m in self._running],
            max_sequences=scene.max_sequences,
            max_tokens=scene.max_tokens,
            generates=scene.generates,
            free_tokens=scene.kv_tokens - sum(member.reserved for member in self._running),
        )

    def _arrive(self) -> None:
        while self._future and self._future[0].arrival <= self.now:
            job = self._future.pop(0)
            self._waiting.append(_Member(job, job.prompt - job.cached, job.cached))
            if self._batch is not None and self._batch.until.arrival:
                self._batch = None

    def _turn(self) -> None:
        view, fresh = self.view(), self._batch is None
        if self._batch is None:
            self._batch, self._taken = _asked(self.agent, view), 0
        batch = self._batch
        if not (batch.prefill or any(not member.left and batch.decodes(member.job.id) for member in self._running)):
            self._batch = None
            if fresh:
                self._idle(batch)
            return
        check_batch(view, batch, "the decision" if fresh else f"the decision kept for step {self._taken + 1} of its horizon {batch.until}")
        self._execute(batch)

    def _idle(self, batch: Batch) -> None:
        wake = float("inf") if batch.wake_at is None else batch.wake_at
        require(wake > self.now, f"asked at {self.now}, nothing to compute, and wake_at {batch.wake_at} is not in the future")
        then = min(wake, self._future[0].arrival if self._future else float("inf"))
        require(then < float("inf"), f"{len(self._waiting)} waiting and {len(self._running)} running jobs are left for ever")
        self.now = then

    def _execute(self, batch: Batch) -> None:
        self._admit(batch)
        decoding = [member for member in self._running if not member.left and batch.decodes(member.job.id)]
        preempted = self._make_room(decoding)
        start = self.now
        self._compute(batch, decoding)
        self.steps.append(ToyStep(start, tuple(member.job.id for member in decoding), batch.prefill))
        self.now += 1 + (len(decoding) + sum(tokens for _, tokens in batch.prefill)) / 8
        completed = [member for member in self._running if member.finished]
        self._running = [member for member in self._running if not member.finished]
        self._taken += 1
        until = batch.until
        over = self._taken >= until.steps or self.now >= until.time or (completed and until.completion)
        if preempted or over or not self.honour:
            self._batch = None

    def _admit(self, batch: Batch) -> None:
        chosen = {job for job, _ in batch.prefill}
        order = {job: place for place, (job, _) in enumerate(batch.prefill)}
        admitted = sorted((member for member in self._waiting if member.job.id in chosen), key=lambda member: order[member.job.id])
        self._waiting = [member for member in self._waiting if member.job.id not in chosen]
        self._running += admitted

    def _make_room(self, decoding: list[_Member]) -> bool:
        preempted = False
        while sum(member.reserved for member in self._running) + len(decoding) > self.scene.kv_tokens:
            member = next(member for member in reversed(self._running) if member in decoding)
            decoding.remove(member)
            self._running.remove(member)
            self._waiting.insert(0, _Member(member.job, member.context, 0, member.generated))
            preempted = True
        return preempted

    def _compute(self, batch: Batch, decoding: list[_Member]) -> None:
        for member in decoding:
            member.context += 1
            member.generated += 1
        by_id = {member.job.id: member for member in self._running}
        for job, tokens in batch.prefill:
            computed = by_id.get(job)
            if computed is not None and tokens:
                computed.left -= tokens
                computed.context += tokens
                computed.generated += computed.left == 0 and computed.job.output > 0


def _asked(agent: BatchingAgent, view: FakeReplica) -> Batch:
    waiting, running = list(view.waiting), list(view.running)
    batch = agent.next_batch(view)
    require(isinstance(batch, Batch), f"next_batch returned {batch!r}, not a Batch")
    require(view.waiting == waiting and view.running == running, "next_batch changed the view")
    require(batch.until.steps >= 1, f"the horizon {batch.until} ends before its first step")
    return batch


def check_batch(view: FakeReplica, batch: Batch, what: str = "the decision") -> None:
    """Require that an engine in the state of `view` could run `batch`: known jobs, tokens they have left, and no limit exceeded."""
    waiting = {job.id: job for job in view.waiting}
    left = {job.id: job.tokens for job in view.waiting} | {job.id: job.prompt_left for job in view.running if job.prompt_left}
    ids = [job for job, _ in batch.prefill]
    require(len(ids) == len(set(ids)), f"{what} names a job twice: {batch.prefill}")
    for job, tokens in batch.prefill:
        require(job in left, f"{what} computes a prompt of job {job}, which has none left")
        require(min(1, left[job]) <= tokens <= left[job], f"{what} computes {tokens} tokens of job {job}'s prompt, of {left[job]} left")
    admitted = [waiting[job] for job in ids if job in waiting]
    require(view.fits(admitted), f"{what} admits jobs whose KV does not fit: {[job.id for job in admitted]}")
    sequences = len(view.running) + len(admitted)
    require(sequences <= view.max_sequences or not admitted, f"{what} makes a batch of {sequences}, above {view.max_sequences}")
    _check_tokens(view, batch, left, what)


def _check_tokens(view: FakeReplica, batch: Batch, left: dict[int, int], what: str) -> None:
    decoding = sum(1 for job in view.running if not job.prompt_left and batch.decodes(job.id))
    total = decoding + sum(tokens for _, tokens in batch.prefill)
    alone = len(batch.prefill) == 1 and not decoding and batch.prefill[0][1] == left[batch.prefill[0][0]]
    require(total <= view.max_tokens or alone, f"{what} computes {total} tokens in a step, above max_tokens {view.max_tokens}")
