"""Weights stream through a bounded window of blocks.

Li et al., TPI-LLM: Serving 70B-scale LLMs Efficiently on Low-resource Edge Devices, 2024 (arXiv 2410.00531).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgewright.policies.base import at_least
from edgewright.policies.families import Placement, Program
from edgewright.policies.partitioning.amounts import TokenShare
from edgewright.policies.plan import (
    Alloc,
    Collective,
    Compute,
    Detach,
    Free,
    Load,
    Loop,
    Op,
    Par,
    Plan,
    Race,
    Seq,
    Signal,
    Wait,
    loop,
    par,
    seq,
)
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import held_bytes, weight_budget
from edgewright.policies.residency.rewrite import chained, plan_of
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Part
from edgewright.workloads.moe import ExpertGroup

__all__ = ["StreamingWindow"]

Loadable: TypeAlias = Part | TokenShare | ExpertGroup


@register("residency", "streaming_window")
@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingWindow:
    """On devices whose weights exceed their budget a loader walks the blocks in order, at most `window` of them in memory at once.

    The loader is a strand of its own that runs on across tokens, so reads overlap compute and all-reduce; a block is released when the
    all-reduce behind it has ended. In steady state a token takes about max(sum of reads, sum of compute and all-reduce).

    Attributes:
        window: blocks in memory at once, those in use and being read included.
        keep: kinds of blocks that stay in memory (TPI-LLM: embedding and head).
        always: stream also on devices where everything would fit.
        storage: name of the storage that is read; None: each device's first.

    Over experts that a policy has divided among devices, a layer's experts on a device are one block, read whole whichever are chosen.

    How wrong it can be: blocks are read whole at the sequential rate; TPI-LLM's files per block add opening costs, and its loader thread
    competes with the compute threads for cores.
    """

    window: int = 2
    keep: tuple[str, ...] = ("embed", "head")
    always: bool = False
    storage: str | None = None

    def __post_init__(self) -> None:
        at_least(self, window=1)

    def arrange(self, placement: Placement, replica: ReplicaSpec) -> Placement:
        """The overlapping loop of loaders and worker; raises `ValueError` for scripts and loops, several lanes, or too wide a window."""
        plan = self._plan_of(placement)
        held = {device: held_bytes(parts) for device, parts in placement.parts.items()} | dict(placement.resident or {})
        streaming = tuple(device for device in held if self.always or held[device] > weight_budget(replica, device))
        worker, order = _Worker(streaming, self.keep).rewrite(plan)
        resident = {device: self._resident(held[device], [block for where, block in order if where == device]) for device in held}
        self._check(placement, replica, resident)
        if not streaming:
            return replace(placement, resident=resident)
        loaders = (self._loader(device, [block for where, block in order if where == device]) for device in streaming)
        return replace(
            placement,
            program=loop(par(*loaders, worker), overlap=True),
            resident=resident,
            pools={**placement.pools, **{_window(device): float(self.window) for device in streaming}},
            reads=streaming,
        )

    def _plan_of(self, placement: Placement) -> Plan:
        """The plan of single steps, also where experts are divided over devices and all that these compute is in memory."""
        if isinstance(placement.program, Program | Loop) or placement.reads:
            return plan_of(placement, "streaming_window")
        for device, held in (placement.resident or {}).items():
            _, order = _Worker((device,), self.keep).rewrite(placement.program)
            if sum(block.weight_bytes for _, block in order) > held:
                return plan_of(placement, "streaming_window")
        return placement.program

    def _loader(self, device: str, blocks: Sequence[Loadable]) -> Plan:
        pool, flag = _window(device), _ready(device)
        reads = (seq(Alloc(pool, 1.0), Load(device, block.weight_bytes, self.storage), Signal(flag)) for block in blocks)
        return seq(*reads)

    def _resident(self, held: float, streaming: Sequence[Loadable]) -> float:
        """Bytes in memory of those held: the blocks that stay, and a window of the largest of the others."""
        moving = [block.weight_bytes for block in streaming]
        return held - sum(moving) + min(self.window, len(moving)) * max(moving, default=0.0)

    def _check(self, placement: Placement, replica: ReplicaSpec, resident: dict[str, float]) -> None:
        if placement.lanes > 1:
            raise ValueError(
                f"{replica.name}: 'streaming_window' serves one step at a time, and the plan has {placement.lanes} lanes; accepted is 1"
            )
        for device, needed in resident.items():
            if needed > weight_budget(replica, device):
                raise ValueError(
                    f"{replica.name}: a window of {self.window} blocks and what stays take {needed / 1e9:.4g} GB on {device}, "
                    f"which has {weight_budget(replica, device) / 1e9:.4g} GB for weights; accepted is a smaller window"
                )


def _window(device: str) -> str:
    return f"window:{device}"


def _ready(device: str) -> str:
    return f"ready:{device}"


def _blocks_of(work: object) -> tuple[Loadable, ...]:
    """The blocks of a compute's work whose weights may be elsewhere; none of work without weights of its own."""
    match work:
        case Part() | TokenShare():
            return work.split()
        case ExpertGroup():
            return (work,)
        case _:
            return ()


def _streams(block: Loadable, keep: tuple[str, ...]) -> bool:
    kind = "moe" if isinstance(block, ExpertGroup) else (block.part if isinstance(block, TokenShare) else block).blocks[0].kind
    return block.weight_bytes > 0.0 and kind not in keep


class _Worker:
    """Rewrites the plan of a step to wait for its blocks and to release them behind the collective that follows, noting their order."""

    def __init__(self, devices: tuple[str, ...], keep: tuple[str, ...]) -> None:
        self._devices = devices
        self._keep = keep
        self._order: list[tuple[str, Loadable]] = []

    def rewrite(self, plan: Plan) -> tuple[Plan, list[tuple[str, Loadable]]]:
        """The worker's plan, and the `(device, block)`s that it waits for, in order."""
        worker, due = self._visit(plan)
        return seq(worker, *due) if due else worker, self._order

    def _visit(self, plan: Plan) -> tuple[Plan, list[Op]]:
        """The rewritten plan, and the releases that are due once it (and a collective right behind it) has ended."""
        match plan:
            case Compute() if plan.device in self._devices and (blocks := _blocks_of(plan.work)):
                return self._blocks(plan, blocks)
            case Seq(children=children):
                return self._in_order(children), []
            case Par(children=children):
                visited = [self._visit(child) for child in children]
                return Par(tuple(child for child, _ in visited)), [op for _, due in visited for op in due]
            case Race() | Detach():
                raise ValueError(f"'streaming_window' reads blocks in one fixed order, which a {type(plan).__name__} does not have")
            case _:
                return plan, []

    def _in_order(self, children: tuple[Plan, ...]) -> Plan:
        found: list[Plan] = []
        due: list[Op] = []
        for child in children:
            if due and not isinstance(child, Collective):
                found += due
                due = []
            visited, later = self._visit(child)
            found += [visited, *due]
            due = later
        return Seq((*found, *due))

    def _blocks(self, compute: Compute, blocks: Sequence[Loadable]) -> tuple[Plan, list[Op]]:
        pieces: list[Op] = []
        due: list[Op] = []
        for block in blocks:
            pieces += due
            streams = _streams(block, self._keep)
            pieces += [Wait(_ready(compute.device))] if streams else []
            pieces.append(Compute(compute.device, block, compute.engine))
            due = [Free(_window(compute.device), 1.0)] if streams else []
            self._order += [(compute.device, block)] if streams else []
        return chained(compute, pieces), due
