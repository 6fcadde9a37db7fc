"""From a workload's table to the source of its jobs: traces read, thinning applied, bytes worked out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgewright.simulator.errors import spoken
from edgewright.simulator.scenario_references import called_services

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_workloads import WorkloadTable
    from edgewright.workloads import Feedback, LengthProcess, Model, OpenProcess, Source

__all__ = ["build_sources"]


def build_sources(scenario: Scenario, models: dict[str, Model]) -> dict[str, Source]:
    """The source of every workload by name; `models` holds one model of each service that has replicas.

    Raises `ScenarioError` for a trace that cannot be read, and for lengths that do not suit the service's model.
    """
    return {name: _source(scenario, name, _model_of(scenario, workload.service, models)) for name, workload in scenario.workloads.items()}


def _model_of(scenario: Scenario, service: str, models: dict[str, Model]) -> Model:
    """The model that answers a service's jobs: of a service that calls others, that of the last one it names."""
    while service not in models:
        service = called_services(scenario, service)[-1]
    return models[service]


def _source(scenario: Scenario, name: str, model: Model) -> Source:
    from edgewright.workloads import Source

    table = scenario.workloads[name]
    arrivals, lengths = _demand(scenario, name, table, model)
    if table.prefix is not None and not model.generates:
        problem = f"gives prompts a common beginning, but {model.name} takes one input at a time"
        raise scenario.error(("workloads", name, "prefix"), problem, "no `prefix`", table.prefix.tokens)
    return Source(
        name=name,
        service=table.service,
        arrivals=arrivals,
        lengths=lengths,
        kind="generate" if model.generates else "infer",
        prefixes=None if table.prefix is None else table.prefix.built(),
        priority=table.priority,
        deadline=table.deadline,
        ingress_bytes=table.bytes or 0.0,
        ingress_bytes_per_token=table.bytes_per_token if model.generates else 0.0,
        egress_bytes_per_token=table.bytes_per_token if model.generates else model.result_bytes,
    )


def _demand(scenario: Scenario, name: str, table: WorkloadTable, model: Model) -> tuple[OpenProcess | Feedback, LengthProcess]:
    if table.trace is None:
        return _thinned(table), _lengths(scenario, name, table, model)
    from edgewright.workloads.traces import TraceError, read_trace

    try:
        trace = read_trace(table.trace.file, table.trace.format)
    except (TraceError, OSError) as error:
        raise scenario.error(("workloads", name, "trace", "file"), *spoken(str(error)), str(table.trace.file)) from None
    _require_kind(scenario, name, model, generates=True)
    return trace.arrivals(thin=table.thin), trace.lengths()


def _thinned(table: WorkloadTable) -> OpenProcess | Feedback:
    from edgewright.workloads import OpenProcess
    from edgewright.workloads.sessions import Sessions

    arrivals = table.arrivals
    assert arrivals is not None, "a workload's table requires arrivals or a trace"
    return replace(arrivals, thin=table.thin) if isinstance(arrivals, OpenProcess | Sessions) else arrivals


def _lengths(scenario: Scenario, name: str, table: WorkloadTable, model: Model) -> LengthProcess:
    from edgewright.workloads.lengths import OneShot

    if table.lengths is None:
        _require_kind(scenario, name, model, generates=False)
        return OneShot()
    _require_kind(scenario, name, model, generates=not isinstance(table.lengths, OneShot))
    return table.lengths


def _require_kind(scenario: Scenario, name: str, model: Model, *, generates: bool) -> None:
    if model.generates == generates:
        return
    table = scenario.workloads[name]
    if model.generates:
        problem = f"has no prompts and outputs, but {model.name} generates tokens"
        raise scenario.error(("workloads", name, "lengths"), problem, "lengths of prompts and outputs, such as `azure`", table.lengths)
    problem = f"has prompts and outputs, but {model.name} takes one input at a time"
    raise scenario.error(("workloads", name, "lengths"), problem, "no lengths, or `one_shot`", table.lengths or table.trace)
