"""A job on its way through a service: what the run knows of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgewright.workloads import Job

__all__ = ["Request"]


class Request:
    """A job in a service, with its progress. Implements `JobView`, `WaitingView` and `RunningView` of `policies.views`.

    Attributes:
        job: what was asked; `id`: its number.
        status: `in_flight`, `completed`, `rejected` or `failed`; `reason` says why not completed.
        replica: name of the replica that serves it, empty before routing.
        submitted, queued, scheduled, first_token, last_token, finished: simulated times, None before.
        cached: tokens of its prompt found in the cache (a session's history, or KV that came with the job).
        swapped: tokens whose keys and values wait in the swap space; 0 if it was not swapped out.
        context: tokens cached now; `generated`: tokens emitted so far.
        computed: prompt tokens computed since admission; `target`: those to compute (prompt, and what had been generated if preempted).
        preemptions: how often it lost its memory, or was swapped out.
        interruptions: how often it could not go on as it was; of these it was tried again `retries` times, resumed `resumes` times.
        attempt: number of the attempt under way, from 1.
        lost: tokens whose keys and values had been computed and were lost; `wasted`: tokens that it had yielded and that did not stand.
        saved: tokens of its context that a checkpoint holds; `stored`: those that are there alone, to be read before it goes on.
        cancelled: whether its caller is over, so that nothing becomes of it any more.
        finish: called with the request when it is over.
        caller: the request whose script made this one by a call, None if a source did.
        emits: tokens of the caller that a call is worth when it ends; None: its own tokens are the caller's, as they come.
        location: node where its data is: its entry, then the root of the replica that served it last; None: wherever it is needed.
        kv_from: replica that holds the keys and values that come with the job, empty if none do.
    """

    __slots__ = (
        "admitted_order",
        "attempt",
        "cached",
        "caller",
        "cancelled",
        "computed",
        "context",
        "emits",
        "finish",
        "finished",
        "first_token",
        "generated",
        "id",
        "interruptions",
        "job",
        "kv_from",
        "last_token",
        "location",
        "lost",
        "preemptions",
        "queued",
        "reason",
        "replica",
        "resumes",
        "retries",
        "saved",
        "scheduled",
        "status",
        "stored",
        "submitted",
        "swapped",
        "target",
        "wasted",
    )

    def __init__(self, job: Job, submitted: float, finish: Callable[[Request], None], caller: Request | None = None) -> None:
        self.job = job
        self.id = job.id
        self.submitted = submitted
        self.finish = finish
        self.caller = caller
        self.emits: int | None = None
        self.kv_from = ""
        self.location: str | None = None
        self.status = "in_flight"
        self.reason = ""
        self.replica = ""
        self.queued: float | None = None
        self.scheduled: float | None = None
        self.first_token: float | None = None
        self.last_token: float | None = None if caller is None else caller.last_token
        self.finished: float | None = None
        self.cached = 0
        self.swapped = 0
        self.context = 0
        self.generated = 0
        self.computed = 0
        self.target = 0
        self.preemptions = self.interruptions = self.retries = self.resumes = 0
        self.attempt = 1
        self.lost = self.wasted = self.saved = self.stored = 0
        self.cancelled = False
        self.admitted_order = 0

    # -- views ---------------------------------------------------------------------------------------------------------------------------

    @property
    def service(self) -> str:
        """The service asked."""
        return self.job.service

    @property
    def arrival(self) -> float:
        """When it was sent."""
        return self.job.arrival

    @property
    def prompt(self) -> int:
        """Prompt tokens."""
        return self.job.prompt

    @property
    def priority(self) -> int:
        """Higher is more urgent."""
        return self.job.priority

    @property
    def deadline(self) -> float | None:
        """Absolute time, None if there is none."""
        return self.job.deadline

    @property
    def session(self) -> int | None:
        """Conversation, None if it is not part of one."""
        return self.job.session

    @property
    def tokens(self) -> int:
        """Tokens to compute when it is admitted: what is not cached of the prompt and of what had been generated before a preemption."""
        if self.swapped:
            return 0
        return 1 if self.job.kind == "infer" else self.job.prompt + self.generated - self.cached

    @property
    def start(self) -> int:
        """Tokens that are cached when it is admitted."""
        return self.swapped or self.cached

    @property
    def wanted(self) -> int:
        """Tokens of cache that it needs to be admitted: its prompt (and what it had generated), or one more than were swapped out."""
        return self.swapped + 1 if self.swapped else self.cached + self.tokens

    @property
    def prompt_left(self) -> int:
        """Of an admitted request: prompt tokens not yet computed."""
        return self.target - self.computed

    @property
    def remaining(self) -> int:
        """Tokens still to generate (no policy's business)."""
        return self.job.output - self.generated

    @property
    def root(self) -> Request:
        """The user's request behind it: itself, or its caller's."""
        return self if self.caller is None else self.caller.root

    @property
    def streams(self) -> bool:
        """Whether its tokens reach the user as they come."""
        return self.emits is None and (self.caller is None or self.caller.streams)

    # -- progress ------------------------------------------------------------------------------------------------------------------------

    def admit(self, now: float, order: int) -> None:
        """It joins a batch."""
        if self.scheduled is None:
            self.scheduled = now
        self.admitted_order = order
        self.target = self.tokens
        self.computed = 0
        self.context = self.start

    def emit(self, tokens: int, first: float, last: float) -> None:
        """It yields tokens, the first and last of them at those times."""
        if self.first_token is None:
            self.first_token = first
        self.last_token = last
        self.generated += tokens

    def preempt(self, swapped: int = 0) -> None:
        """It leaves the batch: so many of its tokens are in the swap space, and without any everything is to be computed again."""
        self.preemptions += 1
        kept = self.cached
        self.forget()
        if swapped:
            self.swapped, self.cached = swapped, kept

    def forget(self) -> None:
        """No key or value of its context is left, wherever it goes."""
        self.kv_from = ""
        self.cached = self.context = self.computed = self.target = self.swapped = self.saved = self.stored = 0

    def halt(self) -> None:
        """It leaves its batch; what is cached of its context stays for when it is admitted again."""
        self.cached, self.computed, self.target = self.context, 0, 0

    def lose(self, kept: int = 0) -> None:
        """A failure has taken its keys and values, but for the first `kept` of its context."""
        self.lost += max(0, max(self.context, self.cached, self.swapped) - kept)
        self.forget()
        self.cached = self.context = self.saved = self.stored = kept

    def discard(self) -> None:
        """Its answer begins anew: what it has yielded does not stand."""
        self.wasted += self.generated
        self.generated = 0
        self.first_token = None
        self.last_token = None if self.caller is None else self.caller.last_token

    def end(self, status: str, now: float, reason: str = "") -> None:
        """It is over."""
        self.status, self.reason, self.finished = status, reason, now
        self.finish(self)

    def result(self) -> dict[str, Any]:
        """What a call to the service returns to the caller's script (`policies.orchestration.calls`)."""
        return {
            "replica": self.replica,
            "tokens": self.generated,
            "done": self.caller is None or self.caller.remaining <= 0,
            "first_token": self.first_token,
            "finished": self.finished,
        }
