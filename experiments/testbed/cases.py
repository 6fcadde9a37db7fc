"""What is run for real and simulated: plans built by policies, on hosts behind links of stated rates and latencies.

Every case is a value: the same plan goes to the host processes and to the simulator. The model is a stack of feed-forward layers of fp32,
so that all of its work is products, for which there are real kernels; its sizes are chosen for the messages: a row is 1 KB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from edgewright.experiments.testbed.bed import host_names
from edgewright.experiments.testbed.twin import Network, cluster_of
from edgewright.policies.families import Program, Script
from edgewright.policies.partitioning import Pipeline, TensorParallel
from edgewright.policies.plan import Collective, Compute, Mark, Plan, Prev, Seq, Transfer, par, seq
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Block, Model, Step, Stream, format_named
from edgewright.workloads.model_operators import Linear

__all__ = ["WIDTH", "Case", "EarlyExit", "Exits", "all_cases", "shares_of", "stack"]

WIDTH = 256
"""Numbers per row between layers: 1 KB in fp32."""
CORES_FOR_ENGINES = 1.4
"""Cores' worth of shares that all engines together have; the rest of two is for sockets and the switch."""
NOMINAL_FLOPS = 1e10
"""What policies that weigh compute against transfers are told of every host, before its share; what it is worth is measured later."""


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison.

    Attributes:
        name: unique.
        group: cases that belong together.
        shares: of a core, for the engine of each host.
        rate: bits per second of every link, before headers; `latency` seconds from any host to any other.
        program: what runs.
        step: what its amounts are bound to.
        steps: how often it runs in one measurement, `lanes` of them at once.
        outcomes: what its operations reveal.
    """

    name: str
    group: str
    shares: tuple[float, ...]
    rate: float
    latency: float
    program: Plan | Program
    step: Step
    steps: int = 1
    lanes: int = 1
    outcomes: Callable[[str], Any] | None = None

    @property
    def hosts(self) -> int:
        """How many hosts take part."""
        return len(self.shares)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans that it may come to."""
        return self.program.plans() if isinstance(self.program, EarlyExit) else (self.program,)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Exits:
    """Outcomes of early exits: whether token `n`, named `exit n`, is sure enough. A draw of its own for each."""

    chance: float
    seed: int = 1

    def __call__(self, name: str) -> bool:
        return Stream(self.seed, "testbed.exits").bernoulli(self.chance, int(name.rpartition(" ")[2]))


@dataclass
class EarlyExit:
    """The first layers on the edge; where their exit is unsure, the hidden state goes up and the answer comes down.

    Kang et al., Neurosurgeon, ASPLOS 2017 (the split); Teerapittayanon et al., BranchyNet, ICPR 2016 (the exit).
    """

    early: Compute
    upload: Transfer
    late: Compute
    answer: Transfer
    tokens: int = 0

    def step(self, step: Step) -> Script:
        """One token."""
        number, self.tokens = self.tokens, self.tokens + 1
        outcome = yield replace(self.early, reveals=f"exit {number}")
        if not outcome.revealed[f"exit {number}"]:
            yield seq(self.upload, self.late, self.answer)

    def plans(self) -> tuple[Plan, ...]:
        """What it yields, but for names."""
        return self.early, seq(self.upload, self.late, self.answer)


def shares_of(hosts: int) -> tuple[float, ...]:
    """Equal shares whose sum leaves room for the sockets and the switch."""
    return (round(min(0.7, CORES_FOR_ENGINES / hosts), 2),) * hosts


def stack(layers: int, inner: int) -> Model:
    """Feed-forward layers of `inner` numbers, which divide over up to five hosts if 60 divides them."""
    operators = (
        Linear("up", WIDTH, inner, "items", splits="outputs", units=inner),
        Linear("down", inner, WIDTH, "items", splits="inputs", units=inner),
    )
    blocks = tuple(Block(f"layer{index}", "ffn", index, operators, float(WIDTH), reduces=True) for index in range(layers))
    return Model(f"stack-{layers}x{inner}", blocks, WIDTH, WIDTH, False, tuple(range(1, layers)), input=WIDTH, input_bytes=4.0 * WIDTH)


def all_cases() -> tuple[Case, ...]:
    """Every case, in the order of the table."""
    return (*_latency_sweep(), *_sizes(), *_counts(), *_rates(), *_computing(), *_pipelines(), *_splits(), *_all_to_all())


def _replica(shares: tuple[float, ...], rate: float, latency: float) -> ReplicaSpec:
    names = host_names(len(shares))
    flops = {name: NOMINAL_FLOPS * share for name, share in zip(names, shares, strict=True)}
    return ReplicaSpec("testbed", names, cluster_of(flops, rate, latency, Network()), format_named("fp32"), None)


def _tensor(group: str, hosts: int, algorithm: str, rows: int, mbit: float, ms: float, inner: int = 240, layers: int = 2) -> Case:
    shares, rate, latency = shares_of(hosts), mbit * 1e6, ms * 1e-3
    policy = TensorParallel(algorithm=algorithm)  # type: ignore[arg-type]
    plan = policy.plan(stack(layers, inner), _replica(shares, rate, latency)).program
    work = "" if inner == 240 else f", inner {inner}"
    name = f"tensor parallel, {algorithm}, {hosts} hosts, {rows} KB, {mbit:g} Mbit/s, {ms:g} ms{work}"
    return Case(name, group, shares, rate, latency, plan, Step(items=rows), steps=2)


def _both(group: str, hosts: int, rows: int, mbit: float, ms: float, inner: int = 240) -> Iterator[Case]:
    for algorithm in ("star", "ring"):
        yield _tensor(group, hosts, algorithm, rows, mbit, ms, inner)


def _latency_sweep() -> Iterator[Case]:
    for ms in (0.5, 1.0, 2.0, 4.0, 8.0):
        yield from _both("star against ring over latency", 4, 16, 100.0, ms)


def _sizes() -> Iterator[Case]:
    for rows in (4, 64, 256, 1024):
        yield from _both("all-reduce sizes", 3, rows, 200.0 if rows > 64 else 100.0, 2.0)


def _counts() -> Iterator[Case]:
    for hosts in (2, 5):
        yield from _both("numbers of hosts", hosts, 64, 100.0, 2.0)


def _rates() -> Iterator[Case]:
    for mbit, ms in ((20.0, 0.1), (20.0, 10.0), (200.0, 10.0)):
        yield from _both("rates", 3, 64, mbit, ms)


def _computing() -> Iterator[Case]:
    for hosts in (2, 4):
        yield from _both("computing", hosts, 64, 200.0, 1.0, 3840)


def _pipelines() -> Iterator[Case]:
    for mbit, inner in ((20.0, 240), (100.0, 1920)):
        shares, rate, latency = shares_of(3), mbit * 1e6, 2e-3
        plan = _in_order(Pipeline(fit=False, lanes=6).plan(stack(6, inner), _replica(shares, rate, latency)).program)
        name = f"pipeline, 3 hosts, 6 micro-batches of 64 KB, {mbit:g} Mbit/s, 2 ms, inner {inner}"
        yield Case(name, "layer pipeline", shares, rate, latency, plan, Step(items=64), steps=6, lanes=6)


def _in_order(program: Plan | Program) -> Plan:
    """The plan of a pipeline whose transfers leave in the order of their steps, as they do over one connection, and do not share it."""
    assert isinstance(program, Seq)
    children = [
        replace(each, after=(*each.after, Prev(each.name, 1))) if isinstance(each, Transfer) and each.name else each
        for each in program.children
    ]
    return seq(*children)


def _splits() -> Iterator[Case]:
    edge, cloud = host_names(2)
    model, form = stack(6, 960), format_named("fp32")
    early, late = model.part(form, 0, 2), model.part(form, 2, 6)
    for mbit, ms in ((20.0, 10.0), (100.0, 2.0)):
        script = EarlyExit(
            Compute(edge, early, name="early"),
            Transfer(edge, cloud, 16.0 * 4 * WIDTH, name="upload"),
            Compute(cloud, late, name="late"),
            Transfer(cloud, edge, 4.0 * WIDTH, name="answer"),
        )
        name = f"edge and cloud, early exit, 16 KB, {mbit:g} Mbit/s, {ms:g} ms"
        yield Case(name, "early exit", (0.4, 0.9), mbit * 1e6, ms * 1e-3, script, Step(items=16), steps=12, outcomes=Exits(0.5))


def _all_to_all() -> Iterator[Case]:
    form = format_named("fp32")
    for hosts, rows, algorithm in ((3, 256, "ring"), (4, 256, "ring"), (4, 256, "star"), (5, 64, "ring")):
        names, shares = host_names(hosts), shares_of(hosts)
        part = stack(1, 240).part(form, shards=hosts)
        compute = par(*(Compute(name, part) for name in names))
        crossing = Collective("alltoall", names, rows * 4.0 * WIDTH, algorithm)
        plan = seq(compute, crossing, compute, crossing, Mark())
        name = f"all-to-all, {algorithm}, {hosts} hosts, {rows} KB, 100 Mbit/s, 2 ms"
        yield Case(name, "all-to-all", shares, 100e6, 2e-3, plan, Step(items=rows), steps=2)
