"""Plans compiled to arrays: what waits for what, once per replica.

`compile_plan` flattens the combinators to nodes with predecessor lists, one `Strand` per top-level branch of an overlapping loop, and
refuses what cannot run (unknown names, cycles, loops inside plans, unbounded run-ahead). The interpreter in the simulator and
`policies.timeline` both read this form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

from edgewright.policies.collective_stages import staged
from edgewright.policies.plan import Collective, Compute, Detach, Loop, Mark, Op, Par, Plan, Race, Seq
from edgewright.workloads import Part

__all__ = ["Barrier", "CompiledPlan", "PlanError", "RaceEnd", "Strand", "compile_plan", "depends_on_step", "uses_only"]


class PlanError(ValueError):
    """A plan that cannot run: the message names the operation and what is wrong."""


@dataclass(frozen=True, slots=True)
class Barrier(Op):
    """Joins branches; takes no time. Made by the compiler."""


@dataclass(frozen=True, slots=True)
class RaceEnd(Op):
    """Ends when the first of its branches has ended; the nodes of the others are cancelled. Made by the compiler.

    Attributes:
        branches: node indices of each branch; `exits`: the nodes that must end for a branch to have ended.
    """

    branches: tuple[tuple[int, ...], ...] = ()
    exits: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Strand:
    """One strand: nodes in topological order of construction.

    Attributes:
        ops: operation of each node.
        preds: nodes of the same iteration that must have ended.
        lagged: `(node, lag)` of earlier iterations that must have ended.
        groups: nodes of each detached plan by name.
        paced: whether it starts with each step (it holds a mark, or is the only strand); else it runs ahead.
        token: the node of the `token` mark, None if there is none (the step ends when all that is not detached has).
    """

    ops: tuple[Op, ...]
    preds: tuple[tuple[int, ...], ...]
    lagged: tuple[tuple[tuple[int, int], ...], ...]
    groups: dict[str, tuple[int, ...]]
    paced: bool = True
    token: int | None = None

    @cached_property
    def succs(self) -> tuple[tuple[int, ...], ...]:
        """Nodes that wait for each node within an iteration (race ends wait for their exits apart)."""
        followers: list[list[int]] = [[] for _ in self.ops]
        for node, preds in enumerate(self.preds):
            for pred in preds:
                followers[pred].append(node)
        return tuple(map(tuple, followers))

    @cached_property
    def races_of(self) -> dict[int, list[tuple[int, int]]]:
        """For each exit node of a race's branch: the race ends that it counts for, as `(race end, branch)`."""
        exits: dict[int, list[tuple[int, int]]] = {}
        for node, op in enumerate(self.ops):
            if isinstance(op, RaceEnd):
                for branch, nodes in enumerate(op.exits):
                    for exit_node in nodes:
                        exits.setdefault(exit_node, []).append((node, branch))
        return exits

    @cached_property
    def detached(self) -> frozenset[int]:
        """Nodes that nothing after them waits for."""
        return frozenset(node for nodes in self.groups.values() for node in nodes)

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], tuple[Op, ...]]:
        """Class of each node, and one operation per class: operations that cost the same in every step.

        They are those that differ only in name and order, or compute parts that ask for equal work.
        """
        index: dict[object, int] = {}
        operations: list[Op] = []
        of_node = []
        for op in self.ops:
            kind = index.setdefault(_cost_key(op), len(index))
            if kind == len(operations):
                operations.append(op)
            of_node.append(kind)
        return tuple(of_node), tuple(operations)

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        """For each node, the set of nodes that always end before it starts, as a bit mask."""
        masks: list[int] = []
        for node in range(len(self.ops)):
            mask = 0
            for pred in self.preds[node]:
                mask |= masks[pred] | (1 << pred)
            masks.append(mask)
        return tuple(masks)


@dataclass(frozen=True, eq=False)
class CompiledPlan:
    """A plan's strands. `paced` ones start with each step, `ahead` ones run as far as pools and flags let them."""

    strands: tuple[Strand, ...]

    @cached_property
    def paced(self) -> tuple[Strand, ...]:
        """Strands that start with each step."""
        return tuple(strand for strand in self.strands if strand.paced)

    @cached_property
    def ahead(self) -> tuple[Strand, ...]:
        """Strands that run ahead of the steps."""
        return tuple(strand for strand in self.strands if not strand.paced)


def compile_plan(plan: Plan) -> CompiledPlan:
    """Flatten and check a plan; raises `PlanError`."""
    if not isinstance(plan, Loop):
        return CompiledPlan((_strand(plan),))
    if not (plan.overlap and isinstance(plan.body, Par)):
        return CompiledPlan((_strand(plan.body),))
    strands = [_strand(child) for child in plan.body.children]
    if len(strands) == 1:
        return CompiledPlan(tuple(strands))
    return CompiledPlan(tuple(_with_pace(strand) for strand in strands))


def _with_pace(strand: Strand) -> Strand:
    if strand.token is not None:
        return strand
    for op in strand.ops:
        if depends_on_step(op):
            raise PlanError(f"{_label(op)} depends on the step, but its strand has no Mark('token') and so runs ahead of the steps")
    return replace(strand, paced=False)


def depends_on_step(op: Op) -> bool:
    """Whether any amount of the operation is a function of the step."""
    return any(callable(getattr(op, entry.name)) for entry in fields(op))


def _strand(plan: Plan) -> Strand:
    flat = _Flattener()
    flat.emit(plan, ())
    ops, preds = tuple(flat.ops), [tuple(sorted(set(found))) for found in flat.preds]
    lagged = flat.resolve_after(preds)
    tokens = [node for node, op in enumerate(ops) if isinstance(op, Mark) and op.label == "token"]
    if len(tokens) > 1:
        raise PlanError("a strand may hold one Mark('token'), found " + str(len(tokens)))
    strand = Strand(ops, tuple(preds), lagged, flat.groups, token=tokens[0] if tokens else None)
    _check_order(strand)
    return _topological(strand)


@dataclass
class _Flattener:
    ops: list[Op] = field(default_factory=list)
    preds: list[Iterable[int]] = field(default_factory=list)
    groups: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, op: Op, entry: Iterable[int]) -> int:
        self.ops.append(op)
        self.preds.append(tuple(entry))
        return len(self.ops) - 1

    def emit(self, plan: Plan, entry: tuple[int, ...]) -> tuple[int, ...]:
        """Append the nodes of `plan`, started after `entry`; returns the nodes that end it."""
        if isinstance(plan, Seq):
            for child in plan.children:
                entry = self.emit(child, self._joined(entry))
            return entry
        if isinstance(plan, Par):
            entry = self._joined(entry)
            exits = [self.emit(child, entry) for child in plan.children]
            return tuple(dict.fromkeys(node for found in exits for node in found)) or entry
        if isinstance(plan, Race):
            return self._race(plan, self._joined(entry))
        if isinstance(plan, Detach):
            return self._detach(plan, entry)
        if isinstance(plan, Loop):
            raise PlanError("a Loop is the outermost shape of a plan and may not stand inside one")
        if isinstance(plan, Collective) and plan.stage is None:
            return self._collective(plan, entry)
        return (self.add(plan, entry),)

    def _collective(self, plan: Collective, entry: tuple[int, ...]) -> tuple[int, ...]:
        """Its stages, one after another, as they load different links; the last keeps its name and what it reveals."""
        try:
            first, *others = staged(plan)
        except ValueError as error:
            raise PlanError(f"{_label(plan)}: {error}") from None
        entry = self.emit(first, entry)
        for part in others:
            entry = self.emit(part, self._joined(entry))
        return entry

    def _joined(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        return nodes if len(nodes) < 3 else (self.add(Barrier(), nodes),)

    def _race(self, plan: Race, entry: tuple[int, ...]) -> tuple[int, ...]:
        branches, exits = [], []
        for child in plan.children:
            first = len(self.ops)
            found = self.emit(child, entry)
            branches.append(tuple(range(first, len(self.ops))))
            exits.append((self.add(Barrier(), entry),) if found == entry else found)
        return (self.add(RaceEnd(branches=tuple(branches), exits=tuple(exits)), ()),)

    def _detach(self, plan: Detach, entry: tuple[int, ...]) -> tuple[int, ...]:
        if plan.name in self.groups:
            raise PlanError(f"two detached plans are named {plan.name!r}")
        first = len(self.ops)
        self.emit(plan.child, entry)
        self.groups[plan.name] = tuple(range(first, len(self.ops)))
        return entry

    def resolve_after(self, preds: list[tuple[int, ...]]) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Turn `after=` names into node indices: this iteration's into `preds`, earlier ones into the result."""
        names: dict[str, int] = {}
        for node, op in enumerate(self.ops):
            if op.name is not None and names.setdefault(op.name, node) != node:
                raise PlanError(f"two operations are named {op.name!r}")
        lagged: list[tuple[tuple[int, int], ...]] = []
        for node, op in enumerate(self.ops):
            for prev in op.after:
                if prev.name not in names:
                    raise PlanError(f"{_label(op)} comes after {prev.name!r}, which is not in its strand: {sorted(names)}")
                if prev.lag < 0:
                    raise PlanError(f"{_label(op)}: lag is {prev.lag}, must be 0 or more")
            preds[node] += tuple(names[prev.name] for prev in op.after if prev.lag == 0)
            lagged.append(tuple((names[prev.name], prev.lag) for prev in op.after if prev.lag > 0))
        return tuple(lagged)


def _cost_key(op: Op) -> object:
    if isinstance(op, Compute) and isinstance(op.work, Part):
        return op.device, op.engine, op.work.signature
    return replace(op, name=None, after=(), reveals=None)


def _label(op: Op) -> str:
    return f"{type(op).__name__} {op.name!r}" if op.name else type(op).__name__


def _waits_for(strand: Strand, node: int) -> tuple[int, ...]:
    op = strand.ops[node]
    return tuple(n for branch in op.branches for n in branch) if isinstance(op, RaceEnd) else strand.preds[node]


def _check_order(strand: Strand) -> None:
    entries = [node for node in range(len(strand.ops)) if not _waits_for(strand, node)]
    if any(strand.lagged) and not all(strand.lagged[node] for node in entries):
        loose = next(node for node in entries if not strand.lagged[node])
        raise PlanError(f"{_label(strand.ops[loose])} would run ahead without bound: a strand with lags needs one on each entry operation")


def _topological(strand: Strand) -> Strand:
    """Renumber so that every node comes after those it waits for; raises `PlanError` on a cycle."""
    order: list[int] = []
    state = [0] * len(strand.ops)
    for root in range(len(strand.ops)):
        _visit(strand, root, state, order)
    if order == list(range(len(order))):
        return strand
    place = {old: new for new, old in enumerate(order)}

    def moved(nodes: Iterable[int]) -> tuple[int, ...]:
        return tuple(place[node] for node in nodes)

    return Strand(
        ops=tuple(_renumbered(strand.ops[old], moved) for old in order),
        preds=tuple(tuple(sorted(moved(strand.preds[old]))) for old in order),
        lagged=tuple(tuple((place[node], lag) for node, lag in strand.lagged[old]) for old in order),
        groups={name: moved(nodes) for name, nodes in strand.groups.items()},
        paced=strand.paced,
        token=None if strand.token is None else place[strand.token],
    )


def _renumbered(op: Op, moved: Callable[[Iterable[int]], tuple[int, ...]]) -> Op:
    if not isinstance(op, RaceEnd):
        return op
    return replace(op, branches=tuple(map(moved, op.branches)), exits=tuple(map(moved, op.exits)))


def _visit(strand: Strand, root: int, state: list[int], order: list[int]) -> None:
    """Depth-first search without recursion: appends to `order` after everything waited for."""
    stack = [root]
    while stack:
        node = stack[-1]
        if state[node] == 0:
            state[node] = 1
            for pred in _waits_for(strand, node):
                if state[pred] == 1:
                    raise PlanError(f"{_label(strand.ops[node])} waits for itself through {_label(strand.ops[pred])}")
                if state[pred] == 0:
                    stack.append(pred)
        else:
            stack.pop()
            if state[node] == 1:
                state[node] = 2
                order.append(node)


def uses_only(strand: Strand, kinds: tuple[type[Op], ...]) -> bool:
    """Whether every operation of the strand is one of `kinds`."""
    return all(isinstance(op, kinds) for op in strand.ops)
