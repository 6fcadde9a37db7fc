"""Views without a simulator behind them: plain values that satisfy the protocols of `policies.views`, and nothing more.

What a protocol does not name is not there: a policy that reaches for an output length gets an `AttributeError`. Sequences are lists, so
that a policy that writes into a view is found out by comparing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgewright.policies.views import JobView, RunningView, ServerView, TargetView, WaitingView

__all__ = [
    "FakeJob",
    "FakePower",
    "FakeReplica",
    "FakeRouting",
    "FakeRunning",
    "FakeScaled",
    "FakeScaling",
    "FakeServer",
    "FakeTarget",
    "FakeWaiting",
]


@dataclass(frozen=True, slots=True)
class FakeJob:
    """A `JobView`."""

    id: int
    service: str = "service"
    arrival: float = 0.0
    prompt: int = 1
    priority: int = 0
    deadline: float | None = None
    session: int | None = None


@dataclass(frozen=True, slots=True)
class FakeWaiting:
    """A `WaitingView`."""

    id: int
    arrival: float = 0.0
    tokens: int = 1
    cached: int = 0
    priority: int = 0
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class FakeRunning:
    """A `RunningView`."""

    id: int
    context: int = 1
    generated: int = 0
    prompt_left: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class FakeReplica:
    """A `ReplicaView` with room for the KV of `free_tokens` tokens."""

    now: float = 0.0
    waiting: Sequence[FakeWaiting] = ()
    running: Sequence[FakeRunning] = ()
    max_sequences: int = 8
    max_tokens: int = 64
    generates: bool = True
    free_tokens: float = float("inf")

    def next_experts(self, jobs: Sequence[RunningView]) -> Sequence[tuple[int, ...]] | None:
        """One of four experts, another one for each next token."""
        return [((7 * job.id + job.context) % 4,) for job in jobs]

    def fits(self, jobs: Sequence[WaitingView]) -> bool:
        """Whether the jobs' tokens together are at most `free_tokens`."""
        return sum(job.tokens + job.cached for job in jobs) <= self.free_tokens


@dataclass(frozen=True, slots=True)
class FakeServer:
    """A `ServerView` whose predictions are `seconds` and `joules` per token of prompt and answer, whatever runs."""

    name: str
    queued: int = 0
    running: int = 0
    queued_tokens: int = 0
    available: bool = True
    capacity: int = 1_000_000
    seconds: float = 1e-3
    joules: float = 1e-3

    def can_hold(self, job: JobView) -> bool:
        """Whether the prompt is at most `capacity` tokens."""
        return job.prompt <= self.capacity

    def predict_seconds(self, job: JobView, expected_output: int) -> float:
        """`seconds` per token."""
        return self.seconds * (self.queued_tokens + job.prompt + expected_output)

    def predict_joules(self, job: JobView, expected_output: int) -> float:
        """`joules` per token."""
        return self.joules * (job.prompt + expected_output)


@dataclass(frozen=True, slots=True)
class FakeRouting:
    """A `RoutingView`."""

    servers: Sequence[ServerView]
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class FakeTarget:
    """A `TargetView` whose peak is affine in its clock: `idle_W` and `dynamic_W` at full clock."""

    name: str
    priority: int = 0
    clock: float = 1.0
    clock_set: float = 1.0
    clock_min: float = 0.2
    clock_max_Hz: float = 1.0e9
    idle_W: float = 10.0
    dynamic_W: float = 40.0
    can_sleep: bool = True
    asleep: bool = False
    up: bool = True

    def peak_W(self, clock: float) -> float:
        """`idle_W + clock * dynamic_W`."""
        return self.idle_W + clock * self.dynamic_W


@dataclass(frozen=True, slots=True)
class FakePower:
    """A `PowerView`."""

    now: float = 0.0
    watts: float = 0.0
    budget_W: float = 100.0
    overhead_W: float = 0.0
    targets: Sequence[TargetView] = field(default_factory=list)
    charge: float | None = None


@dataclass(slots=True)
class FakeScaled:
    """A `ScaledView`, whose state the suite changes as commands ask."""

    name: str
    state: str = "ready"
    queued: int = 0
    running: int = 0
    idle_s: float = 0.0
    busy_s: float = 0.0
    most: int = 8
    cold_start_s: float = 10.0


@dataclass(slots=True)
class FakeScaling:
    """A `ScalingView`, in which time passes."""

    now: float = 0.0
    replicas: Sequence[FakeScaled] = field(default_factory=list)
    arrivals: int = 0
    pending: int = 0
    watts: float = 10.0
