"""The program that a replica runs: its placement's, with what the engine and the KV policy do before each step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgewright.hwmodels import Quantity, Work
from edgewright.hwmodels.efficiency import efficiency_of
from edgewright.policies.compile import compile_plan
from edgewright.policies.families import Program, Script
from edgewright.policies.plan import Compute, Delay, Load, Loop, Mark, Op, Par, Plan, Prev, seq
from edgewright.policies.residency.rewrite import plan_of, rewrite_parts
from edgewright.simulator.assemble import Setup
from edgewright.simulator.presets import EnginePreset
from edgewright.simulator.stepping import mean_of
from edgewright.workloads import Part, Step

__all__ = ["BusyFor", "FetchedBytes", "HostSeconds", "OneByOne", "program_of"]


@dataclass(frozen=True, slots=True)
class HostSeconds:
    """Host time of a step: the preset's overheads per step, sequence, token of context and prompt token."""

    per_step: float
    per_sequence: float
    per_context: float = 0.0
    per_prompt: float = 0.0

    @classmethod
    def of(cls, preset: EnginePreset) -> HostSeconds:
        """Those of a preset."""
        return cls(preset.step_overhead, preset.sequence_overhead, preset.context_overhead, preset.prompt_overhead)

    def __call__(self, step: Step) -> Quantity:
        held, computed = self.per_context * step.full.context, self.per_prompt * step.prefill
        return self.per_step + self.per_sequence * (step.emits + step.items) + held + computed

    def __bool__(self) -> bool:
        return any((self.per_step, self.per_sequence, self.per_context, self.per_prompt))


@dataclass(frozen=True, slots=True)
class BusyFor:
    """Arithmetic that keeps an engine busy for as long as a step was measured to take, at its full clock."""

    seconds: HostSeconds
    dtype: str
    rate: float

    def __call__(self, step: Step) -> Work:
        return Work.of("gemm", self.dtype, self.seconds(step) * self.rate, launches=0.0)


@dataclass(frozen=True, slots=True)
class FetchedBytes:
    """Bytes of KV cache that a decode step fetches from a device's storage."""

    per_token: float

    def __call__(self, step: Step) -> Quantity:
        return step.outcomes.get("kv.fetched", 0.0) * self.per_token


@dataclass(frozen=True, slots=True)
class OneByOne:
    """The work of a part where every decoding sequence has an instance of its own: as often as there are sequences, that of a mean one.

    A step's work is linear in the cached tokens that its sequences read, so the mean loses nothing. How wrong: of steps with prompts the
    whole is computed at once; instances on several devices share one set of collectives, as their computing hides the others' messages.
    """

    part: Part

    def __call__(self, step: Step) -> Work:
        count = step.decode
        return self.part(step) if count <= 1 or step.prefill else self.part(mean_of(step)) * count


def _one_by_one(compute: Compute, part: Part) -> list[Op]:
    return [replace(compute, work=OneByOne(part))]


def program_of(setup: Setup, program: Plan | Program | None = None) -> Plan | Program:
    """The setup's program (or the one given in its place), each step after the engine's host time and the reads of offloaded KV."""
    if setup.engine.whole_step:
        return _measured(setup)
    program = setup.placement.program if program is None else program
    if setup.engine.instances:
        program = rewrite_parts(plan_of(replace(setup.placement, program=program, resident=None), "instances"), _one_by_one)
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


def _measured(setup: Setup) -> Plan:
    """Steps that take what the engine was measured to take, on the first engine of the first device."""
    root = setup.spec.devices[0]
    unit = setup.spec.cluster.devices[root].main_engine
    dtype = next(iter(unit.peaks))
    rate = unit.peaks[dtype] * efficiency_of(unit, "gemm", dtype).compute
    return seq(Compute(root, BusyFor(HostSeconds.of(setup.engine), dtype, rate), name="step"), Mark())


def _before_each(setup: Setup) -> list[Op]:
    preset = setup.engine
    before: list[Op] = []
    if host := HostSeconds.of(preset):
        before.append(Delay(host, name="host"))
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
