"""Plans: a graph of operations, as a value.

A plan says what one step (or one inference) does and what waits for what; it never says when. `seq`, `par` and `loop` are sugar over
`after`. Quantities that depend on the step are functions of it (`Demanded`), and must be values themselves (frozen dataclasses), so
that plans compare, hash and print. Built once per replica, compiled once (`policies.compile`), bound to each step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from edgewright.hwmodels import Quantity, Work
from edgewright.workloads import Step

__all__ = [
    "Alloc",
    "Amount",
    "Call",
    "Cancel",
    "Collective",
    "Compute",
    "Delay",
    "Detach",
    "Flow",
    "Free",
    "Join",
    "Load",
    "Loop",
    "Mark",
    "Op",
    "Par",
    "Plan",
    "Prev",
    "Race",
    "Seq",
    "Signal",
    "Store",
    "Transfer",
    "Wait",
    "detach",
    "loop",
    "par",
    "race",
    "seq",
]

Amount: TypeAlias = "float | Callable[[Step], Quantity]"
"""A number, or a value-like function of the step."""


@dataclass(frozen=True, slots=True)
class Prev:
    """The operation `name`, `lag` iterations ago; `lag=0` is this iteration."""

    name: str
    lag: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """What every operation may have.

    Attributes:
        name: unique in the plan when given; what `after`, traces and Gantt charts refer to.
        after: operations that must have ended first, besides those that the surrounding `seq` names.
        reveals: name of an outcome that becomes known when the operation ends (an exit's confidence, an expert route).
    """

    name: str | None = None
    after: tuple[Prev, ...] = ()
    reveals: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Op):
    """What operations that share links, storages and buses with others may have besides.

    Attributes:
        weight: share of what they use together, in proportion; twice the weight, twice the bytes per second. More than 0.
        priority: classes above it are served first, classes below share what it leaves.

    Both come on top of what the service says whose plan it is: weights multiply, priorities add.
    """

    weight: float = 1.0
    priority: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.weight < inf:
            raise ValueError(f"the weight of a {type(self).__name__} must be more than 0 and finite, not {self.weight!r}")


@dataclass(frozen=True, slots=True)
class Compute(Op):
    """Run `work` on a device's engine (None: its first), or in one of its storages that computes, by the storage's name."""

    device: str
    work: Work | Callable[[Step], Work]
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer(Flow):
    """Send bytes from one node to another along the cluster's route.

    Attributes:
        connection: what it is sent over: the messages of a replica that name one connection between the same ends arrive one after another,
            in the order in which they were sent, as over one TCP connection. None: a connection of its own, sharing the links.
    """

    src: str
    dst: str
    nbytes: Amount
    connection: str | None = None


@dataclass(frozen=True, slots=True)
class Collective(Flow):
    """A collective over `devices`: kinds and algorithms are those of `hwmodels.collectives`.

    `nbytes` is the size of one device's full buffer (NCCL's convention for all-reduce); the first device is the root. It compiles to its
    stages, one after another, of which only the last keeps the name (the others are `name:0`, `name:1`, ...).

    Attributes:
        groups: of devices, for the algorithm `hierarchical` (`Cluster.nearby` derives them).
        shares: of an uneven `alltoall`: what goes from each device to each, as shares of `nbytes`; or one row, for all senders.
        arithmetic: number format of the additions of a reduction, which are then computed by the devices after each stage that has any;
            None: they are free.
        element: bytes per element of the buffer that is added; None: the width of `arithmetic`.
        stage: which of its stages this is; None: all of it. Set by the compiler.
    """

    kind: str
    devices: tuple[str, ...]
    nbytes: Amount
    algorithm: str = "ring"
    groups: tuple[tuple[str, ...], ...] = ()
    shares: tuple[float, ...] | tuple[tuple[float, ...], ...] = ()
    arithmetic: str | None = None
    element: float | None = None
    stage: int | None = None


@dataclass(frozen=True, slots=True)
class Load(Flow):
    """Read bytes from a storage of `device` (None: its first) into memory.

    `random`: at random places; `block`: bytes per request (None: one long read, or pages if random); `depth`: requests in flight (None:
    as many as the storage takes). See `hwmodels.storage_access`.
    """

    device: str
    nbytes: Amount
    storage: str | None = None
    random: bool = False
    block: float | None = None
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class Store(Flow):
    """Write bytes to a storage of `device` (None: its first); as `Load`."""

    device: str
    nbytes: Amount
    storage: str | None = None
    random: bool = False
    block: float | None = None
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class Alloc(Op):
    """Take `amount` (bytes or slots) of a pool, waiting first come, first served until there is enough.

    `pool` is a pool of the replica by name, or a device's memory pool as `device.pool`.
    """

    pool: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Free(Op):
    """Give `amount` back to a pool."""

    pool: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Signal(Op):
    """Raise `flag` by `count`. Flags belong to the replica (or the job's script) that runs the plan, and count: each `Wait` takes what it
    waited for, so they carry over from step to step."""

    flag: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Wait(Op):
    """Wait until `flag` stands at `count` or more, then lower it by `count`."""

    flag: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Call(Op):
    """Submit a job to another service and wait for its result. `job` holds overrides of the calling job (`prompt`, `output`, ...)."""

    service: str
    job: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Delay(Op):
    """Wait a fixed time: an engine's scheduling overhead, a protocol's pause."""

    seconds: Amount


@dataclass(frozen=True, slots=True)
class Mark(Op):
    """A moment the serving loop waits for: `token` ends the step as seen by its sequences; other strands run on."""

    label: str = "token"


@dataclass(frozen=True, slots=True)
class Join(Op):
    """Wait for the detached plan `target` (at once if it has ended or was cancelled)."""

    target: str


@dataclass(frozen=True, slots=True)
class Cancel(Op):
    """Cancel the detached plan `target`; what it moved so far stays in the accounts as cancelled bytes. No effect if it has ended."""

    target: str


@dataclass(frozen=True, slots=True)
class Seq:
    """Children one after another."""

    children: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Par:
    """Children side by side; ends when all have."""

    children: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Race:
    """Children side by side; the first that ends wins and the others are cancelled, their bytes accounted."""

    children: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Detach:
    """A child that what follows does not wait for; `name` is for `join` and `cancel`."""

    child: Plan
    name: str


@dataclass(frozen=True, slots=True)
class Loop:
    """The outermost shape of a plan that runs again and again.

    `overlap=True`: the children of a top-level `Par` are strands that each keep their own order: a strand's next iteration starts when
    its own last one has ended. A strand that holds the `token` mark starts with each step; a strand without any runs ahead, bound only
    by pools and flags, and may not depend on the step.
    """

    body: Plan
    overlap: bool = False


Plan: TypeAlias = Op | Seq | Par | Race | Detach | Loop


def seq(*children: Plan) -> Plan:
    """Children one after another."""
    return Seq(children)


def par(*children: Plan) -> Plan:
    """Children side by side."""
    return Par(children)


def race(*children: Plan) -> Plan:
    """Children side by side until the first ends; the losers are cancelled."""
    return Race(children)


def detach(child: Plan, name: str) -> Plan:
    """`child` runs on by itself; what follows does not wait for it."""
    return Detach(child, name)


def loop(body: Plan, *, overlap: bool = False) -> Plan:
    """`body` again and again; see `Loop`."""
    return Loop(body, overlap)
