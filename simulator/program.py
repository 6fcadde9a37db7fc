"""The program that a replica runs: its placement's, with what the engine and the KV policy do before each step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.hwmodels import Quantity
from edgewright.policies.compile import compile_plan
from edgewright.policies.families import Program, Script
from edgewright.policies.plan import Delay, Load, Loop, Op, Par, Plan, Prev, seq
from edgewright.simulator.assemble import Setup
from edgewright.workloads import Step

__all__ = ["FetchedBytes", "HostSeconds", "program_of"]


@dataclass(frozen=True, slots=True)
class HostSeconds:
    """Host time of a step: the preset's overheads per step and per sequence."""

    per_step: float
    per_sequence: float

    def __call__(self, step: Step) -> float:
        return self.per_step + self.per_sequence * (step.emits + step.items)


@dataclass(frozen=True, slots=True)
class FetchedBytes:
    """Bytes of KV cache that a decode step fetches from a device's storage."""

    per_token: float

    def __call__(self, step: Step) -> Quantity:
        return step.outcomes.get("kv.fetched", 0.0) * self.per_token


def program_of(setup: Setup, program: Plan | Program | None = None) -> Plan | Program:
    """The setup's program (or the one given in its place), each step after the engine's host time and the reads of offloaded KV."""
    program = setup.placement.program if program is None else program
    before = _before_each(setup)
    if not before:
        return program
    if isinstance(program, Program):
        return _ScriptAfter(program, seq(*before))
    if not isinstance(program, Loop):
        return _first(program, before)
    if not (program.overlap and isinstance(program.body, Par)):
        return replace(program, body=_first(program.body, before))
    return replace(program, body=Par(tuple(_first(child, before) if _has_token(child) else child for child in program.body.children)))


def _before_each(setup: Setup) -> list[Op]:
    preset = setup.engine
    before: list[Op] = []
    if preset.step_overhead or preset.sequence_overhead:
        before.append(Delay(HostSeconds(preset.step_overhead, preset.sequence_overhead), name="host"))
    if setup.tables[0].kv.footprint(1 << 20, 1 << 20).fetched:
        before += [
            Load(device, FetchedBytes(per_token), name=f"fetch KV {device}")
            for device, parts in setup.placement.parts.items()
            if (per_token := sum(part.kv_bytes_per_token for part in parts)) > 0.0
        ]
    return before


def _first(strand: Plan, before: list[Op]) -> Plan:
    """`before`, then the strand; where its iterations overlap by lags, each of `before` follows its own last one."""
    if any(compile_plan(strand).strands[0].lagged):
        before = [replace(op, after=(Prev(op.name or "", 1),)) for op in before]
    return seq(*before, strand)


def _has_token(strand: Plan) -> bool:
    return compile_plan(strand).strands[0].token is not None


@dataclass(frozen=True, slots=True)
class _ScriptAfter:
    """A program whose every step runs a plan first."""

    program: Program
    first: Plan

    def step(self, step: Step) -> Script:
        yield self.first
        yield from self.program.step(step)
