"""Plans as real processes run them: each host does its part of every operation, as soon as its own predecessors have ended.

Nobody conducts: what a host knows of the others it knows from their messages. So a plan can be run only if every dependency between hosts
is carried by one (`check_carried`); operations that order others (marks, barriers) take no message and end at each host by themselves. A
host goes on once it has handed over what it sends: the simulator, which sees all, ends a transfer when it has arrived. Both agree on when
the step ends, which is when the last host has come to its end.

Computes run kernels (`engine.py`), transfers and collectives send real bytes (`mesh.py`), collectives in the phases of their algorithm
(`hwmodels.collectives`), with the additions of a reduction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

from edgewright.experiments.testbed.engine import KernelEngine
from edgewright.experiments.testbed.mesh import Mesh, Tag
from edgewright.hwmodels.collectives import Phase, phases, stages
from edgewright.policies.compile import Barrier, PlanError, Strand, compile_plan
from edgewright.policies.families import Outcome, Program
from edgewright.policies.plan import Collective, Compute, Mark, Op, Plan, Transfer
from edgewright.policies.pricing import amount_of
from edgewright.workloads import Step

__all__ = ["Executor", "RanPart", "check_carried", "participants", "strand_of"]

PATIENCE_S = 30.0
"""Seconds without a message or a finished kernel after which a run is given up."""
Waiting = Generator[Hashable, Any, None]
"""An operation under way: yields what it waits for, is sent the message (or nothing, of a kernel)."""
Sent = tuple[tuple[str, str], float]
"""A message: who sends it to whom, and its bytes."""


class RanPart(NamedTuple):
    """A host's part of an operation: seconds since the start of the run."""

    iteration: int
    node: int
    name: str
    kind: str
    start: float
    end: float


def participants(op: Op) -> tuple[str, ...] | None:
    """The devices that have a part in an operation; None: every host, by itself. Raises `PlanError` for what the testbed cannot run."""
    match op:
        case Compute(device=device):
            return (device,)
        case Transfer(src=src, dst=dst):
            return (src, dst)
        case Collective(devices=devices):
            return devices
        case Mark() | Barrier():
            return None
        case _:
            raise PlanError(f"the testbed runs computes, transfers and collectives, not {type(op).__name__} {op.name or ''}")


@lru_cache(maxsize=256)
def strand_of(plan: Plan) -> Strand:
    """The compiled plan; raises `PlanError` for one with strands that run ahead, or with dependencies that no message carries."""
    strands = compile_plan(plan).strands
    if len(strands) != 1 or strands[0].groups:
        raise PlanError("the testbed runs plans of one strand, with nothing detached")
    check_carried(strands[0])
    return strands[0]


def check_carried(strand: Strand) -> None:
    """Raise `PlanError` for an operation that waits for one of which none of its hosts can know that it has ended."""
    sources: list[frozenset[int]] = []
    for node, op in enumerate(strand.ops):
        before = frozenset(each for pred in strand.preds[node] for each in sources[pred])
        mine = participants(op)
        if mine is None:
            sources.append(before)
            continue
        sources.append(frozenset((node,)))
        for each in (*before, *(other for other, _ in strand.lagged[node])):
            known = _informed(strand.ops[each])
            if known is not None and not known & set(mine):
                raise PlanError(f"no message tells {', '.join(mine)} of the end of {strand.ops[each]}")


def _informed(op: Op) -> set[str] | None:
    """The devices that know when an operation has ended."""
    mine = participants(op)
    return None if mine is None else {op.dst} if isinstance(op, Transfer) else set(mine)


class Executor:
    """One host's part in plans.

    Attributes:
        names: device names by rank.
        mesh, engine: what it sends with and computes with.
        number: of the run, and of the plan in it, as messages carry them.
    """

    def __init__(self, names: Sequence[str], mesh: Mesh, engine: KernelEngine) -> None:
        self.names = tuple(names)
        self.me = self.names[mesh.rank]
        self.mesh = mesh
        self.engine = engine
        self.number = Tag(0)
        mesh.watch(engine.bell, lambda: None)

    def prepare(self, plan: Plan, step: Step) -> None:
        """Compile kernels and make operands ahead of time."""
        for op in strand_of(plan).ops:
            if isinstance(op, Compute) and op.device == self.me:
                self.engine.prepare(op.work(step) if callable(op.work) else op.work)

    def run(
        self,
        program: Plan | Program,
        step: Step,
        start: float,
        *,
        run: int,
        steps: int = 1,
        lanes: int = 1,
        outcomes: Callable[[str], Any] | None = None,
    ) -> list[RanPart]:
        """Run from the moment `start` of the monotonic clock on.

        Args:
            run: a number that no other run has, the same on every host.
            steps: how often, one after another.
            lanes: how many of them may be under way at once (a pipeline that is full).
            outcomes: what operations reveal, the same on every host.
        """
        self.number = Tag(run)
        if not isinstance(program, Program):
            play = _Run(self, strand_of(program), step, start, lanes, steps)
            _watch(start)
            return play.play()
        _watch(start)
        parts: list[RanPart] = []
        for _ in range(steps):
            script = program.step(step)
            plan = next(script, None)
            while plan is not None:
                self.number = self.number._replace(plan=self.number.plan + 1)
                play = _Run(self, strand_of(plan), step, start, 1, 1)
                begun = perf_counter() - start
                parts += play.play()
                revealed = {op.reveals: outcomes(op.reveals) for op in play.strand.ops if op.reveals and outcomes}
                try:
                    plan = script.send(Outcome(revealed, begun, perf_counter() - start))
                except StopIteration:
                    plan = None
        return parts


def _watch(start: float) -> None:
    """Until then, watching the clock: a sleep would end some time after."""
    while perf_counter() < start:
        pass


@dataclass
class _Run:
    """One plan, `steps` times."""

    host: Executor
    strand: Strand
    step: Step
    start: float
    lanes: int
    steps: int
    open: dict[tuple[int, int], int] = field(default_factory=dict)
    after: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)
    waiting: dict[Hashable, tuple[tuple[int, int], Waiting]] = field(default_factory=dict)
    ready: deque[tuple[int, int]] = field(default_factory=deque)
    begun: dict[tuple[int, int], float] = field(default_factory=dict)
    parts: list[RanPart] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lay_out()
        self.ready.extend(key for key, count in self.open.items() if count == 0)

    def play(self) -> list[RanPart]:
        while self.open:
            while self.ready:
                self._begin(self.ready.popleft())
            if self.open:
                self._listen()
        self.host.mesh.drain(PATIENCE_S)
        return self.parts

    def _lay_out(self) -> None:
        """The host's own part of the graph: which (iteration, node) waits for how many others."""
        mine = [node for node, op in enumerate(self.strand.ops) if (who := participants(op)) is None or self.host.me in who]
        entries = [node for node in mine if not any(pred in mine for pred in self.strand.preds[node])]
        for iteration in range(self.steps):
            for node in mine:
                before = [(iteration, pred) for pred in self.strand.preds[node] if pred in mine]
                before += [(iteration - lag, other) for other, lag in self.strand.lagged[node] if lag <= iteration and other in mine]
                if node in entries and iteration >= self.lanes:
                    before += [(iteration - self.lanes, other) for other in mine]
                self.open[iteration, node] = len(before)
                for each in before:
                    self.after.setdefault(each, []).append((iteration, node))

    def _begin(self, key: tuple[int, int]) -> None:
        self.begun[key] = perf_counter()
        self._go_on(key, self._operation(key), None)

    def _go_on(self, key: tuple[int, int], operation: Waiting, message: Any) -> None:
        """Let an operation run until it waits for something that is not here yet."""
        try:
            while True:
                awaited = operation.send(message)
                message = self.host.mesh.take(*awaited) if isinstance(awaited, _Message) else None
                if message is None:
                    self.waiting[awaited] = key, operation
                    return
        except StopIteration:
            self._end(key, perf_counter())

    def _listen(self) -> None:
        """Wait for a message or a kernel, and go on with whatever waited for it."""
        host = self.host
        host.mesh.wait(PATIENCE_S)
        for ticket, begun, _ in host.engine.finished():
            key, operation = self.waiting.pop(ticket)
            self.begun[key] = begun
            self._go_on(key, operation, None)
        for awaited in [each for each in self.waiting if isinstance(each, _Message)]:
            message = host.mesh.take(*awaited)
            if message is not None:
                self._go_on(*self.waiting.pop(awaited), message)

    def _end(self, key: tuple[int, int], now: float) -> None:
        op = self.strand.ops[key[1]]
        self.parts.append(RanPart(*key, op.name or "", type(op).__name__.lower(), self.begun[key] - self.start, now - self.start))
        del self.open[key]
        for follower in self.after.get(key, ()):
            self.open[follower] -= 1
            if self.open[follower] == 0:
                self.ready.append(follower)

    # -- operations --------------------------------------------------------------------------------------------------------------------

    def _operation(self, key: tuple[int, int]) -> Waiting:
        op = self.strand.ops[key[1]]
        match op:
            case Compute(work=work):
                ticket = (self.host.number, *key)
                self.host.engine.submit(work(self.step) if callable(work) else work, ticket)
                yield ticket
            case Transfer(src=src, dst=dst, nbytes=amount) if src != dst:
                size = float(amount_of(amount, self.step))
                yield from self._exchange(key, 0, (((src, dst), size),) if size else (), adding=False)
            case Collective():
                yield from self._collective(key, op)

    def _collective(self, key: tuple[int, int], op: Collective) -> Waiting:
        total, number = float(amount_of(op.nbytes, self.step)), 0
        for phase in _phases(op) if total > 0 else ():
            pairs = tuple((op.devices[a], op.devices[b]) for a, b in phase.pairs)
            messages = tuple(zip(pairs, (total * size for size in phase.sizes), strict=True))
            for _ in range(phase.repeat):
                yield from self._exchange(key, number, messages, adding=phase.reduces)
                number += 1

    def _exchange(self, key: tuple[int, int], number: int, messages: Iterable[Sent], *, adding: bool) -> Waiting:
        """Send to everybody that this host has a message for, then wait for every message for it."""
        host = self.host
        tag = Tag(host.number.run, host.number.plan, *key, number)
        host.mesh.post((host.names.index(target), tag, _held(size)) for (source, target), size in messages if source == host.me)
        for (source, target), size in messages:
            if target == host.me:
                message = yield _Message(host.names.index(source), tag)
                if adding:
                    _add(_held(size), message)


class _Message(NamedTuple):
    peer: int
    tag: Tag


@lru_cache(maxsize=256)
def _phases(op: Collective) -> tuple[Phase, ...]:
    """The phases of a collective, or of the stage of it that the operation is."""
    ranks = {device: rank for rank, device in enumerate(op.devices)}
    steps = phases(op.kind, len(ranks), op.algorithm, [[ranks[each] for each in group] for group in op.groups], op.shares)
    return steps if op.stage is None else stages(steps)[op.stage]


_BUFFERS: dict[int, bytearray] = {}


def _held(nbytes: float) -> bytearray:
    """What a host holds, in whole numbers of fp32: one buffer per size is enough, as nobody looks at the values."""
    size = max(4, 4 * round(nbytes / 4))
    return _BUFFERS.setdefault(size, bytearray(size))


def _add(held: bytearray, message: bytearray) -> None:
    import numpy as np

    mine = np.frombuffer(held, np.float32)
    np.add(mine, np.frombuffer(message, np.float32), out=mine)
