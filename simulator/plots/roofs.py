"""The points of a roofline: the operators of one step of a replica, each priced alone on its engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Point", "Roofline", "operators_of"]


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of operator: its kernel class, operations per byte that crosses the memory bus, operations per second, and how often."""

    kernel: str
    intensity: float
    rate: float
    launches: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """An engine's roofs and the operators under them.

    Attributes:
        replica, engine, dtype: what is shown; `dtype` the format of most of the arithmetic, whose peak the flat roof is.
        peak: operations per second; bandwidth: bytes per second of the engine's memory bus.
        points: operators of one step on that engine, the heaviest first.
    """

    replica: str
    engine: str
    dtype: str
    peak: float
    bandwidth: float
    points: tuple[Point, ...]

    @property
    def ridge(self) -> float:
        """Operations per byte where the roofs meet."""
        return self.peak / self.bandwidth


def operators_of(tables: Mapping[str, Any], replica: str | None, batch: int, context: int, prefill: int) -> Roofline:
    """The roofline of a replica (None: the first) of the scenario in these tables, at one step; see `RunPlots.roofline`.

    Operators that do no arithmetic, or move no byte over the bus, have no place on it and are left out.
    """
    from edgewright.policies.plan import Compute
    from edgewright.simulator.check import check
    from edgewright.simulator.scenario import Scenario

    setups = {setup.scope: setup for setup in check(Scenario.of(tables)).setups}
    name = next(iter(setups)) if replica is None else replica
    if name not in setups:
        raise ValueError(f"no replica {name!r}; accepted: {', '.join(setups)}")
    setup, step = setups[name], _step(setups[name].model, batch, context, prefill)
    operations = [op for op in _operations(setup, step) if isinstance(op, Compute)]
    device, engine = operations[0].device, operations[0].engine
    spec = setup.spec.cluster.devices[device]
    unit = spec.main_engine if engine is None else spec.engines[engine]
    terms = [term for op in operations if (op.device, op.engine) == (device, engine) for term in _work(op, step).terms]
    points = _points(terms, spec, unit.name)
    arithmetic: dict[str, float] = {}
    for term in terms:
        arithmetic[term.dtype] = arithmetic.get(term.dtype, 0.0) + float(term.flops)
    dtype = max(arithmetic, key=lambda each: arithmetic[each])
    return Roofline(name, f"{device}.{unit.name}", dtype, unit.peaks[dtype], spec.buses[unit.bus].bandwidth, points)


def _step(model: Any, batch: int, context: int, prefill: int) -> Any:
    from edgewright.workloads import Step

    if not model.generates:
        return Step(items=batch)
    if prefill:
        return Step.of(prefill=[(0, prefill)] * batch, windows=model.windows)
    return Step.of(decode=[context] * batch, windows=model.windows)


def _operations(setup: Any, step: Any) -> list[Any]:
    from edgewright.policies.compile import compile_plan
    from edgewright.policies.families import Program
    from edgewright.simulator.program import program_of

    program = program_of(setup)
    plan = next(program.step(step)) if isinstance(program, Program) else program
    return [op for strand in compile_plan(plan).strands for op in strand.ops]


def _work(op: Any, step: Any) -> Any:
    return op.work(step) if callable(op.work) else op.work


def _points(terms: list[Any], device: Any, engine: str) -> tuple[Point, ...]:
    """Alike operators once, the heaviest first."""
    from edgewright.hwmodels import Work
    from edgewright.hwmodels.roofline import price

    found: dict[tuple[str, float, float], Point] = {}
    for term in sorted(terms, key=lambda each: -float(each.flops)):
        cost = price(Work((term,)), device, engine)
        flops, moved = float(term.flops), float(cost.bus_bytes)
        if flops > 0.0 and moved > 0.0:
            point = Point(term.kernel, flops / moved, flops / float(cost.seconds), float(term.launches))
            found.setdefault((point.kernel, round(point.intensity, 6), round(point.rate, 3)), point)
    return tuple(found.values())
