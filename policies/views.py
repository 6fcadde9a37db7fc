"""What policies may see: read-only views, implemented by the simulator. What a real scheduler could not know is not here.

Output lengths, future arrivals and true expert routes are unreachable from any view. Times are seconds of simulated time, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from edgewright.hwmodels import Cluster
from edgewright.workloads import Format

__all__ = [
    "NEXT_STEP",
    "Horizon",
    "Interruption",
    "JobView",
    "PowerView",
    "ReplicaSpec",
    "ReplicaView",
    "RoutingView",
    "RunningView",
    "ScaledView",
    "ScalingView",
    "ServerView",
    "Stage",
    "TargetView",
    "WaitingView",
]


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a decision stands: until the first of these, it would not change. The default is the next step: slow, but right.

    Attributes:
        steps: engine steps.
        arrival: an arrival ends it.
        completion: a completion (which frees memory and a batch slot) ends it; so does a preemption, always.
        time: simulated seconds at which it ends.
    """

    steps: float = 1
    arrival: bool = True
    completion: bool = True
    time: float = float("inf")


NEXT_STEP = Horizon()
"""A decision that stands for one step."""


class JobView(Protocol):
    """A job, as a router or an orchestrator sees it.

    Attributes:
        id: unique in the run.
        service: asked for.
        arrival: time at which it entered the cluster.
        prompt: tokens of the prompt (1 for a one-shot job).
        priority: the larger, the more important.
        deadline: time by which its result is wanted, None if there is none.
        session: the session that it is a turn of, None if it stands alone.
    """

    @property
    def id(self) -> int: ...
    @property
    def service(self) -> str: ...
    @property
    def arrival(self) -> float: ...
    @property
    def prompt(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def session(self) -> int | None: ...


class WaitingView(Protocol):
    """A job in a replica's queue. `tokens`: prompt tokens still to compute (1 for a one-shot job; 0 if its KV waits in the swap space);
    `cached`: already in the cache."""

    @property
    def id(self) -> int: ...
    @property
    def arrival(self) -> float: ...
    @property
    def tokens(self) -> int: ...
    @property
    def cached(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def deadline(self) -> float | None: ...


class RunningView(Protocol):
    """A job in the batch. `context`: tokens cached; `generated`: tokens yielded; `prompt_left`: prompt tokens not yet computed (0: it
    decodes)."""

    @property
    def id(self) -> int: ...
    @property
    def context(self) -> int: ...
    @property
    def generated(self) -> int: ...
    @property
    def prompt_left(self) -> int: ...
    @property
    def priority(self) -> int: ...


class ReplicaView(Protocol):
    """A replica, as its batching agent sees it.

    Attributes:
        now: simulated time.
        waiting: queue in arrival order (preempted jobs first). While one of them waits in the engine's swap space, no job that has not run
            yet may be admitted before it, or the batch is refused.
        running: batch in order of admission.
        max_sequences, max_tokens: the engine's limits on sequences in the batch and tokens in one step.
        generates: whether jobs decode token by token; False for one-shot models.
    """

    @property
    def now(self) -> float: ...
    @property
    def waiting(self) -> Sequence[WaitingView]: ...
    @property
    def running(self) -> Sequence[RunningView]: ...
    @property
    def max_sequences(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def generates(self) -> bool: ...

    def next_experts(self, jobs: Sequence[RunningView]) -> Sequence[tuple[int, ...]] | None:
        """The experts of each job's next token, in all layers alike, where a router stands before the model (`experts_routing.ahead`); None
        where they are known layer by layer only, as in most models."""
        ...

    def fits(self, jobs: Sequence[WaitingView]) -> bool:
        """Whether the KV of all these waiting jobs together could be allocated now, the engine's watermark included."""
        ...


class ServerView(Protocol):
    """A replica, as a router sees it. Predictions use the prices of an idle replica and the router's own guess of the output length.

    Attributes:
        name: dotted scope, what a router returns.
        queued, running: jobs in the queue and in the batch.
        queued_tokens: prompt tokens that the queue still has to compute.
        available: whether it is up and takes jobs.
    """

    @property
    def name(self) -> str: ...
    @property
    def queued(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def queued_tokens(self) -> int: ...
    @property
    def available(self) -> bool: ...

    def can_hold(self, job: JobView) -> bool:
        """Whether the job's prompt fits the replica's KV capacity at all."""
        ...

    def predict_seconds(self, job: JobView, expected_output: int) -> float:
        """Predicted time to the last token: queued work ahead, prefill, and decoding at the batch that it would join."""
        ...

    def predict_joules(self, job: JobView, expected_output: int) -> float:
        """Predicted dynamic energy of the job on this replica."""
        ...


class RoutingView(Protocol):
    """The replicas of a service. `servers`: in the scenario's order, those that are down included."""

    @property
    def now(self) -> float: ...
    @property
    def servers(self) -> Sequence[ServerView]: ...


Stage: TypeAlias = Literal["routing", "input", "queued", "running", "calling"]
"""How far a job had come: looking for a replica, its input on the way, in a queue, in a batch, or in a script that calls services."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """A job that cannot go on as it is, as its service's failure agent sees it.

    Attributes:
        now: simulated time.
        job: which job.
        cause: `crashed`, `unpowered`, `asleep`, `absent` (devices of its replica), `stopped` (by scaling), `unavailable` (nobody is up
            who could take it), `stalled` (a dead link or storage kept it waiting), `timeout` (the attempt took too long), or `call` (a
            service that its script called failed it).
        where: what that befell: device, replica or service.
        stage: how far the job had come.
        attempt: which attempt this was, from 1.
        generated: tokens yielded so far.
        cached: tokens of its context whose keys and values survive at `replica`, in memory or in a checkpoint.
        replica: where it was, empty if nowhere.
        servers: the replicas of its service, in the scenario's order, those that are down included.
    """

    now: float
    job: JobView
    cause: str
    where: str = ""
    stage: Stage = "routing"
    attempt: int = 1
    generated: int = 0
    cached: int = 0
    replica: str = ""
    servers: Sequence[ServerView] = ()


class ScaledView(Protocol):
    """A replica, as the scaling agent of its service sees it.

    Attributes:
        name: dotted scope, what an agent's actions name.
        state: `ready`, `draining` (serves what it has), `starting` (weights and engine), `stopped`, `asleep`, or `down` (a device is).
        queued, running: jobs in the queue and in the batch.
        idle_s: seconds since it last had anything to do, 0 while it has.
        busy_s: seconds so far during which it had something in a batch.
        most: jobs that its batch takes.
        cold_start_s: seconds that starting it takes, if nothing else is on its storages and links.
    """

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def queued(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def idle_s(self) -> float: ...
    @property
    def busy_s(self) -> float: ...
    @property
    def most(self) -> int: ...
    @property
    def cold_start_s(self) -> float: ...


class ScalingView(Protocol):
    """A service, as its scaling agent sees it.

    Attributes:
        now: simulated time.
        replicas: in the scenario's order.
        arrivals: jobs that have come so far.
        pending: jobs that wait at the door because no replica is ready.
        watts: mean module power of the devices of its replicas since it was last read, whoever used them.
    """

    @property
    def now(self) -> float: ...
    @property
    def replicas(self) -> Sequence[ScaledView]: ...
    @property
    def arrivals(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def watts(self) -> float: ...


class TargetView(Protocol):
    """A device under a power domain, or an engine (`orin0.gpu`) under a rail. Clocks are fractions of its maximum, `clock_max_Hz`.

    Attributes:
        name: of the device.
        priority: the larger, the more important.
        clock: in force. `clock_set`: last commanded; the device rounds it to a clock of its own.
        clock_min: the lowest that it can be set to.
        idle_W: what it draws awake and idle.
        can_sleep: whether it can be put to sleep; `asleep`: whether it is. Waking devices are neither asleep nor up.
        up: whether it works: awake, powered, not crashed.
    """

    @property
    def name(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def clock(self) -> float: ...
    @property
    def clock_set(self) -> float: ...
    @property
    def clock_min(self) -> float: ...
    @property
    def clock_max_Hz(self) -> float: ...
    @property
    def idle_W(self) -> float: ...
    @property
    def can_sleep(self) -> bool: ...
    @property
    def asleep(self) -> bool: ...
    @property
    def up(self) -> bool: ...

    def peak_W(self, clock: float) -> float:
        """The most the device can draw at that fraction of its clock."""
        ...


class PowerView(Protocol):
    """A power domain, as its controller sees it: `watts` is what telemetry reports, with its period, delay and noise.

    Attributes:
        budget_W: watts that the domain may draw, `overhead_W` (what nobody here controls) included.
        charge: state of charge of the battery that the domain lives on, from 0 to 1; None without one.
        targets: devices that can be commanded, in the scenario's order.
    """

    @property
    def now(self) -> float: ...
    @property
    def watts(self) -> float: ...
    @property
    def budget_W(self) -> float: ...
    @property
    def overhead_W(self) -> float: ...
    @property
    def charge(self) -> float | None: ...
    @property
    def targets(self) -> Sequence[TargetView]: ...


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """What a partitioning, residency or experts policy is given to build a replica's program.

    Attributes:
        name: the replica's dotted scope.
        devices: names of its devices in the cluster, in the scenario's order; the first is the root.
        cluster: specifications and routes.
        format: number format of weights, KV cache and arithmetic.
        weight_budget: bytes that weights may take on each device; None: the device's pool less its reserve.
    """

    name: str
    devices: tuple[str, ...]
    cluster: Cluster
    format: Format
    weight_budget: Mapping[str, float] | None = None
