"""`edgewright explain`: the plan of one step as a Gantt chart — what runs where, what waits for what, which roof binds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from edgewright.experiments.cli_output import print_json, print_table, quantity
from edgewright.experiments.cli_scenario import on_scenario

if TYPE_CHECKING:
    from edgewright.hwmodels import Cluster, Demand
    from edgewright.policies.plan import Op
    from edgewright.policies.timeline import Timeline
    from edgewright.simulator.assemble import Setup
    from edgewright.simulator.scenario import Scenario
    from edgewright.workloads import Step

__all__ = ["explain"]

_LANE = 60


@dataclass(frozen=True, slots=True)
class _Row:
    """One operation of a step."""

    operation: str
    where: str
    start: float
    end: float
    low_s: float
    high_s: float
    bound: str
    after: str
    strand: int


@dataclass(frozen=True, slots=True)
class _Explained:
    """The operations of a step in the order of their strands, and how long all take: as stated, and at every draw."""

    rows: list[_Row]
    span: float
    drawn: list[float]


@click.command()
@on_scenario
@click.option("--replica", help="Only this replica (service.name).")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Sequences that decode, or inputs of a one-shot model.")
@click.option("--context", type=click.IntRange(1), default=1024, show_default=True, help="Tokens of context of each sequence.")
@click.option(
    "--prefill", type=click.IntRange(0), default=0, show_default=True, help="Instead of decoding, compute a prompt of this length."
)
@click.option("--rows", type=click.IntRange(0), default=24, show_default=True, help="Operations listed per replica; 0 lists all.")
@click.option("--json", "machine", is_flag=True, help="Print every operation as JSON.")
def explain(scenario: Scenario, replica: str | None, batch: int, context: int, prefill: int, rows: int, machine: bool) -> None:
    """Show one step of each replica of SCENARIO, alone on its devices: a chart of the resources and a list of the operations.

    Beside every time stands the interval in which nine of ten draws of its devices' uncertain figures lie (`edgewright run --intervals`),
    the plan being the same.
    """
    from edgewright.simulator.check import check
    from edgewright.simulator.errors import ScenarioError, choices

    checked = check(scenario)
    setups = [setup for setup in checked.setups if replica in (None, setup.scope)]
    if not setups:
        raise ScenarioError(
            scenario.origin.file, "--replica", f"{replica!r} is no replica", choices(replica, [setup.scope for setup in checked.setups])
        )
    worlds = _worlds(checked.scenario)
    explained = {setup.scope: _explained(setup, _sample(setup, batch, context, prefill), worlds) for setup in setups}
    if machine:
        print_json({scope: [_as_dict(row) for row in found.rows] for scope, found in explained.items()})
        return
    for setup in setups:
        _print_replica(setup, explained[setup.scope], rows)


def _sample(setup: Setup, batch: int, context: int, prefill: int) -> Step:
    """A step of like sequences, their context all prompt; routed experts are taken at their expectation."""
    import numpy as np

    from edgewright.simulator.stepping import decoded, prefilled, step_at
    from edgewright.workloads import Step

    if not setup.model.generates:
        return Step(items=batch)
    windows, policy = setup.model.windows, setup.tables[0].kv
    if prefill:
        return prefilled([(prefill, 0, prefill)] * batch, windows, policy)
    contexts = np.full((batch, 1), float(context))
    return step_at(decoded(contexts, contexts, windows, policy), 0)


def _worlds(scenario: Scenario) -> list[Cluster]:
    """The cluster at every draw of its devices' figures."""
    from edgewright.simulator.assemble import build_cluster
    from edgewright.simulator.confidence import LEVEL, draws_for

    count = draws_for(LEVEL)
    return [build_cluster(scenario.override({"cluster.draw": {"number": number, "of": count}})) for number in range(1, count + 1)]


def _explained(setup: Setup, step: Step, worlds: Sequence[Cluster]) -> _Explained:
    from edgewright.policies.compile import compile_plan
    from edgewright.policies.timeline import timeline
    from edgewright.simulator.program import program_of

    program = program_of(setup)
    plan = next(program.step(step)) if hasattr(program, "step") else program
    rows: list[_Row] = []
    ends = [0.0] * (1 + len(worlds))
    for number, strand in enumerate(compile_plan(plan).strands):
        lines = [timeline(strand, cluster, step, {}) for cluster in (setup.spec.cluster, *worlds)]
        rows += _rows(lines, setup.spec.cluster, step, number)
        ends = [max(end, max(map(float, line.end), default=0.0)) for end, line in zip(ends, lines, strict=True)]
    return _Explained(rows, ends[0], ends[1:])


def _rows(lines: Sequence[Timeline], cluster: Cluster, step: Step, number: int) -> Iterator[_Row]:
    line, *drawn = lines
    names = [_title(op, node) for node, op in enumerate(line.strand.ops)]
    for node, op in enumerate(line.strand.ops):
        start, end = float(line.start[node]), float(line.end[node])
        if type(op).__name__ == "Barrier":
            continue
        after = ", ".join(names[pred] for pred in line.strand.preds[node])
        bound = _bound(op, line.demands[node], cluster, step)
        takes = [float(each.end[node]) - float(each.start[node]) for each in drawn]
        yield _Row(names[node], _where(op, line.demands[node]), start, end, min(takes), max(takes), bound, after, number)


def _title(op: Op, node: int) -> str:
    return op.name or f"{type(op).__name__.lower()}#{node}"


def _where(op: Op, demand: Demand) -> str:
    """What the operation occupies."""
    return demand.engine or ", ".join(demand.usage) or ", ".join(demand.traffic) or str(getattr(op, "pool", getattr(op, "flag", "")))


def _bound(op: Op, demand: Demand, cluster: Cluster, step: Step) -> str:
    """What the time of an operation goes to, alone: a roof of the engine (`compute`, `memory`, ...), a resource, or latency."""
    from edgewright.hwmodels.roofline import price
    from edgewright.policies.plan import Compute

    if isinstance(op, Compute):
        work = op.work(step) if callable(op.work) else op.work
        return str(price(work, cluster.devices[op.device], op.engine).bound())
    times = {resource: float(amount) / cluster.capacities[resource] for resource, amount in demand.usage.items()}
    fluid = max([float(demand.seconds), *times.values()])
    if float(demand.latency) + fluid == 0:
        return ""
    return max(times, key=lambda resource: times[resource]) if times and fluid > float(demand.latency) else "latency"


def _as_dict(row: _Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


def _print_replica(setup: Setup, found: _Explained, limit: int) -> None:
    rows, span = found.rows, found.span
    about = f"{setup.scope}: {setup.model.name} {setup.format.name} on {', '.join(setup.spec.devices)}"
    click.echo(f"{about}: {quantity(span, 's')} (nine of ten: {_between(min(found.drawn), max(found.drawn))})")
    for lane, busy in _lanes(rows).items():
        click.echo(f"  {lane:<28} |{_drawn(busy, span)}| {sum(end - start for start, end in busy) / (span or 1.0):6.1%}")
    shown = rows[:limit] if limit else rows
    cells = [
        [
            row.operation,
            row.where,
            quantity(row.start, "s"),
            quantity(row.end - row.start, "s"),
            _between(row.low_s, row.high_s),
            row.bound,
            row.after,
        ]
        for row in shown
    ]
    print_table(("operation", "where", "start", "takes", "nine of ten", "bound by", "after"), cells)
    if len(rows) > len(shown):
        click.echo(f"... and {len(rows) - len(shown)} more operations (--rows 0 lists them)")
    click.echo()


def _between(low: float, high: float) -> str:
    """Between which durations nine of ten draws lie."""
    return f"{quantity(low, 's')} to {quantity(high, 's')}"


def _lanes(rows: Iterable[_Row]) -> dict[str, list[tuple[float, float]]]:
    """Busy intervals by resource."""
    lanes: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.end > row.start:
            for resource in row.where.split(", "):
                lanes.setdefault(resource, []).append((row.start, row.end))
    return lanes


def _drawn(busy: list[tuple[float, float]], span: float) -> str:
    cells = [" "] * _LANE
    for start, end in busy:
        first, last = int(start / span * _LANE), max(int(start / span * _LANE) + 1, round(end / span * _LANE))
        cells[first:last] = ["█"] * (min(last, _LANE) - first)
    return "".join(cells)
