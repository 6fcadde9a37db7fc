"""The seams: what an agent of each family must do. One verb per seam; its contract is the docstring, its test is `policies.conformance`.

A policy is a frozen dataclass of hyper-parameters with `start(scope, stream) -> agent`. An agent is deterministic in its own state,
the view and the event. Families whose decision is made once, when a replica is built, are policies without agents (`plan`, `arrange`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from edgewright.hwmodels import Quantity
from edgewright.policies.plan import Plan
from edgewright.policies.views import (
    NEXT_STEP,
    Horizon,
    Interruption,
    JobView,
    PowerView,
    ReplicaSpec,
    ReplicaView,
    RoutingView,
    ScalingView,
)
from edgewright.workloads import Model, Part, Step, Stream

__all__ = [
    "Actuation",
    "Batch",
    "BatchingAgent",
    "BatchingPolicy",
    "ExpertsAgent",
    "ExpertsPolicy",
    "FailureAgent",
    "FailurePolicy",
    "Footprint",
    "KvFollowing",
    "KvPolicy",
    "KvWork",
    "Limits",
    "OrchestrationAgent",
    "OrchestrationPolicy",
    "Outcome",
    "PartitioningPolicy",
    "Placement",
    "PowerAgent",
    "PowerPolicy",
    "Program",
    "Remedy",
    "Remembering",
    "ResidencyPolicy",
    "RoutingAgent",
    "RoutingPolicy",
    "Scale",
    "Scaling",
    "ScalingAgent",
    "ScalingPolicy",
    "Script",
]


# -- batching ------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Batch:
    """What the next step computes. Nobody changes it; it is not frozen because making it would then take twice the time, at every step.

    Attributes:
        decode: whether the running jobs whose prompt is done decode one token each; or the ids of those that do, while the others wait.
        prefill: `(job id, tokens)` in order: prompt tokens to compute of waiting jobs (which are admitted) or running ones (chunks).
            For one-shot models: `(job id, 1)`.
        until: how long the decision stands.
        wake_at: with nothing to compute: the time at which to ask again, besides the next arrival (None: only then).
    """

    decode: bool | frozenset[int] = False
    prefill: tuple[tuple[int, int], ...] = ()
    until: Horizon = NEXT_STEP
    wake_at: float | None = None

    def decodes(self, job: int) -> bool:
        """Whether a running job whose prompt is done decodes."""
        return job in self.decode if isinstance(self.decode, frozenset) else self.decode


class BatchingAgent(Protocol):
    """Decides which jobs run in the next step of one replica."""

    def next_batch(self, view: ReplicaView) -> Batch:
        """The next step. Prefilled jobs must fit together (`view.fits`) and respect `max_sequences` and `max_tokens`, or it is refused.

        A prompt longer than `max_tokens` may run whole, alone in its step. A job whose prompt is all cached is admitted by `(id, 0)`,
        and decodes at once if `decode`. A decision also ends when it leaves nothing to compute.
        """
        ...


class BatchingPolicy(Protocol):
    """Family `batching`."""

    def start(self, scope: str, stream: Stream) -> BatchingAgent:
        """A new agent for the replica `scope`; it draws from `stream` alone."""
        ...


# -- kv ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Footprint:
    """Tokens of one sequence's KV cache: `resident` in the replica's pool, `attended` per decode step, `fetched` from storage per step."""

    resident: Quantity
    attended: Quantity
    fetched: Quantity = 0.0


class KvPolicy(Protocol):
    """Family `kv`: which tokens stay, in what precision, in which tier."""

    @property
    def bits(self) -> float | None:
        """Bits per cached number; None: the replica's format."""
        ...

    def footprint(self, prompt: Quantity, context: Quantity) -> Footprint:
        """Closed form for time: prompt length and context (prompt and generated tokens, the new one included) to tokens, elementwise.

        `resident` never exceeds `context` and never falls as context grows; `attended <= context`.
        """
        ...

    def select(self, scores: Any, prompt: int) -> Any:
        """The real selection, for quality: accumulated attention per cached position `(context,)` to a boolean mask of those kept.

        Keeps exactly `footprint(prompt, context).attended` positions.
        """
        ...


@runtime_checkable
class KvWork(Protocol):
    """What a `KvPolicy` has besides where its layers differ, or where scoring, choosing and moving tokens takes work of its own.

    `refit` puts operators into the model that see a step in a role (`workloads.kv_operators`); `decoding` and `prefilling` give the sums
    of every role, whose names are the policy's own affair. A role that they leave out has nothing to do.
    """

    def refit(self, model: Model) -> Model:
        """The model with the policy's work in it: as many parameters and cached numbers. Raises `ValueError` for one it cannot serve."""
        ...

    def decoding(self, prompt: Quantity, context: Quantity) -> Mapping[str, Quantity]:
        """Cached tokens that each role reads in one decode step of a sequence, elementwise, as in `footprint`."""
        ...

    def prefilling(self, prompt: int, past: int, new: int, windows: Sequence[int]) -> Mapping[str, Step]:
        """What each role sees of a chunk of `new` prompt tokens after `past` others. A prompt computed in one chunk or in several asks
        for the same work of choosing once it is whole (`past < prompt <= past + new`)."""
        ...


@runtime_checkable
class KvFollowing(Protocol):
    """What a `KvPolicy` has besides whose real algorithm chooses as steps go by, or across layers: more than one row of scores can say."""

    def follow(self, attention: Any, prompt: int) -> Any:
        """Which tokens each layer attends to in each step: a boolean mask in the shape of `attention`.

        `attention` is (layers, steps, context), what each layer would spread with every token at hand: row s is of token
        `context - steps + s`, zero behind it; rows of tokens before `prompt` are the prompt's last. The prompt attends to all that it
        sees, whatever is evicted later.
        """
        ...


# -- power ---------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Actuation:
    """A command to a device: `clock` sets a fraction of its maximum, `watts` a cap on its module power, `brake` its lowest clock by the
    fast path, `sleep` and `wake` its state. The engine applies the actuator's delay."""

    target: str
    kind: Literal["clock", "watts", "brake", "sleep", "wake"]
    value: float | None = None


class PowerAgent(Protocol):
    """Holds one power domain to its budget."""

    def act(self, view: PowerView) -> Sequence[Actuation]:
        """Called once per telemetry period; commands take effect after the actuator's delay."""
        ...


class PowerPolicy(Protocol):
    """Family `power`."""

    def start(self, scope: str, stream: Stream) -> PowerAgent:
        """A new agent for the power domain `scope`; it draws from `stream` alone."""
        ...


# -- routing -------------------------------------------------------------------------------------------------------------------------


class RoutingAgent(Protocol):
    """Chooses the replica that serves a job."""

    def route(self, job: JobView, view: RoutingView) -> str | None:
        """The name of a server of the view that `can_hold` the job, or None to reject it. Ties break in the view's order."""
        ...


class RoutingPolicy(Protocol):
    """Family `routing`."""

    def start(self, scope: str, stream: Stream) -> RoutingAgent:
        """A new agent for the service `scope`; it draws from `stream` alone."""
        ...


# -- failure -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a service's jobs put up with things, and what is kept against the worst.

    Attributes:
        attempt: seconds from the start of an attempt to its end, beyond which it is interrupted (`timeout`).
        stall: seconds for which a dead link or storage may hold up an input or a step before it is interrupted (`stalled`).
        checkpoint: every so many tokens of context, a job's keys and values are written to its devices' storages; None: never.
    """

    attempt: float = float("inf")
    stall: float = float("inf")
    checkpoint: int | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is to become of an interrupted job.

    Attributes:
        action: `drop` ends it as failed. `retry` serves it anew on a replica of its service. `resume` puts it back into the queue where
            its keys and values survive, with those (without any, that is a retry there). `failover` hands it to another service.
        after: seconds to wait before (not for `drop`).
        to: of a retry, the replica, which may be down: the job waits in its queue (None: the router chooses among those that are up);
            of a failover, the service.
        keep: whether tokens that it has yielded stand (their keys and values are computed again) or it begins its answer anew.
        reason: of a drop, what the table of jobs says besides the cause.
    """

    action: Literal["drop", "retry", "resume", "failover"]
    after: float = 0.0
    to: str | None = None
    keep: bool = True
    reason: str = ""


class FailureAgent(Protocol):
    """Decides what becomes of jobs whose attempt was interrupted."""

    @property
    def limits(self) -> Limits:
        """The same throughout a run."""
        ...

    def decide(self, interruption: Interruption) -> Remedy:
        """Called once per interruption of a job, jobs in batches first, in order of admission, then those in queues."""
        ...


class FailurePolicy(Protocol):
    """Family `failure`."""

    def start(self, scope: str, stream: Stream) -> FailureAgent:
        """A new agent for the service `scope`; it draws from `stream` alone."""
        ...


# -- scaling -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """A command to a replica: `start` loads its weights and starts its engine (from `stopped`; a draining one takes jobs again), `drain`
    lets it serve what it has and then stops it, `stop` stops it now (what it has is interrupted), `sleep` puts its devices to sleep once
    it has drained, if nobody else uses them, `wake` wakes them. A stopped replica holds no memory. A command that a replica's state does
    not allow has no effect."""

    replica: str
    action: Literal["start", "drain", "stop", "sleep", "wake"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Commands, and how long the decision stands.

    Attributes:
        actions: carried out in order.
        wake_at: when to ask again, later than now (None: events alone).
        arrival: whether each arrival asks again; `change`: whether each change of a replica's state does, or its becoming idle.
    """

    actions: tuple[Scale, ...] = ()
    wake_at: float | None = None
    arrival: bool = False
    change: bool = False


class ScalingAgent(Protocol):
    """Starts and stops the replicas of one service."""

    def act(self, view: ScalingView) -> Scaling:
        """Called at time 0, when all replicas are ready and stopping costs nothing, and then as its last decision said."""
        ...


class ScalingPolicy(Protocol):
    """Family `scaling`."""

    def start(self, scope: str, stream: Stream) -> ScalingAgent:
        """A new agent for the service `scope`; it draws from `stream` alone."""
        ...


# -- partitioning, residency, experts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a script is sent when a plan that it yielded has ended: revealed outcomes by name, and the plan's start and end times."""

    revealed: Mapping[str, Any]
    started: float
    ended: float


Script = Generator[Plan, Outcome, None]
"""Control that depends on outcomes: yields plans, is sent their `Outcome`s. Knows no clock but the outcomes' times."""


@runtime_checkable
class Program(Protocol):
    """A replica's script factory, for steps whose control depends on outcomes."""

    def step(self, step: Step) -> Script:
        """The script of one step."""
        ...


@dataclass(frozen=True, slots=True)
class Placement:
    """A model spread over devices.

    Attributes:
        program: a plan, or a `Program` of scripts.
        parts: what each device holds; weights and KV bytes are read off these.
        lanes: steps in flight at once (a pipeline of S stages keeps S batches moving).
        resident: bytes of weights kept in memory on each device; None: all of its parts.
        resident_as: what to call these bytes in the result: `weights`, or `page cache` where they are pages of a file that come and go.
        pools: bounded pools of the replica by name, for `Alloc` and `Free`: capacity in the unit that the plan uses.
        reads: which devices read weights from storage (checked to have one).
    """

    program: Plan | Program
    parts: Mapping[str, tuple[Part, ...]]
    lanes: int = 1
    resident: Mapping[str, float] | None = None
    resident_as: str = "weights"
    pools: Mapping[str, float] = field(default_factory=dict)
    reads: tuple[str, ...] = ()


class PartitioningPolicy(Protocol):
    """Family `partitioning`: how one inference is spread over devices."""

    def plan(self, model: Model, replica: ReplicaSpec) -> Placement:
        """Every block of the model is computed exactly once per step (as a whole, or as shards that add up to it)."""
        ...


class ResidencyPolicy(Protocol):
    """Family `residency`: which weights sit in memory, which are read from storage, and when. A function from placement to placement."""

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The placement with its reads from storage. It computes the same on each device; `resident` stays within the weight budget, and
        what a device holds beyond that is read in every step. Raises `ValueError` for a placement that it cannot arrange."""
        ...


class ExpertsAgent(Protocol):
    """Follows the routes of one replica's mixture-of-experts layers: caches, counts, predictions."""

    def bind(self, routes: Any) -> Mapping[str, Quantity]:
        """Routes of one step, an integer array `(layers, tokens, top_k)`, to the outcomes that the plan's amounts read off the step
        (`Step.outcomes`): bytes to load per layer, tokens per device. Layers are seen in order; a layer's decision uses no later one."""
        ...

    def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
        """The same for `steps` consecutive steps of as many tokens each: arrays with one entry per step, equal to binding one by one."""
        ...

    def snapshot(self) -> object:
        """The agent's state, for `restore`: a run of steps may be bound, cut short, and bound anew."""
        ...

    def restore(self, state: Any) -> None:
        """Go back to a snapshot."""
        ...


class ExpertsPolicy(Protocol):
    """Family `experts`: which device or tier holds an expert; what to prefetch, what to evict."""

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The placement with its layers of experts divided, or read from storage; applied before `residency`. A step still computes the
        whole model once. Raises `ValueError` for a model without experts, or a placement that it cannot arrange."""
        ...

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> ExpertsAgent:
        """A new agent for the replica `scope`. An agent that is a `Program` runs the replica's steps in place of the plan."""
        ...


# -- orchestration -------------------------------------------------------------------------------------------------------------------


class OrchestrationAgent(Protocol):
    """Serves the jobs of one service, and may remember something from one to the next."""

    def serve(self, job: JobView) -> Script:
        """The script of one job; its plans are `Call`s, `Transfer`s and `Delay`s."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An orchestration policy that remembers: its agents serve in its place. Any other policy is its own agent."""

    def start(self, scope: str, stream: Stream) -> OrchestrationAgent:
        """A new agent for the service `scope`; it draws from `stream` alone."""
        ...


class OrchestrationPolicy(Protocol):
    """Family `orchestration`: how a service that owns no devices serves a job by calling other services."""

    def serve(self, job: JobView) -> Script:
        """The script of one job; its plans are `Call`s, `Transfer`s and `Delay`s."""
        ...
