"""A scenario: everything a run depends on, read from a file or built in code, every value checked.

    scenario = Scenario.load("quickstart")
    starved = scenario.override({"cluster.links.wan.bandwidth": "x0.5", "services.chat.kv": "full"})

What can be checked without building the cluster is checked here, on reading; `check.check` does the rest before the clock starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from edgewright.simulator.errors import ABSENT, Key, Origin, ScenarioError, translate
from edgewright.simulator.loader import read_document
from edgewright.simulator.schema import Name, Record, RunWindow, Slo, Table
from edgewright.simulator.schema_cluster import ClusterTable
from edgewright.simulator.schema_faults import FaultTable
from edgewright.simulator.schema_power import PowerDomain
from edgewright.simulator.schema_services import ServiceTable
from edgewright.simulator.schema_workloads import WorkloadTable

__all__ = ["Scenario"]


class Scenario(Table):
    """A cluster, what it serves, who asks, and how long to watch. Frozen; `override` gives a changed copy."""

    name: Name = Field(description="short name, used for result directories")
    description: str = Field(default="", description="what the scenario shows")
    overload: bool = Field(default=False, description="whether more is asked than can be served, on purpose; results say so")
    seed: int = Field(default=0, ge=0, lt=2**63, description="the one seed of all randomness")
    run: RunWindow = Field(description="when the run measures")
    slo: Slo = Field(default_factory=Slo, description="what counts as good")
    record: Record = Field(default_factory=Record, description="how finely the run is recorded")
    cluster: ClusterTable = Field(description="devices, switches, entry points and links")
    power: dict[Name, PowerDomain] = Field(default_factory=dict, description="power domains by name")
    faults: dict[Name, FaultTable] = Field(default_factory=dict, description="what fails, when or how often, by name")
    services: dict[Name, ServiceTable] = Field(min_length=1, description="services by name")
    workloads: dict[Name, WorkloadTable] = Field(min_length=1, description="streams of jobs by name")

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        from edgewright.simulator.scenario_references import require_references

        require_references(self)
        return self

    @classmethod
    def load(cls, name: str | Path) -> Scenario:
        """Read a scenario file, or a shipped scenario by name (`quickstart`). Raises `ScenarioError`."""
        document = read_document(name)
        return cls.of(document.data, document.origin)

    @classmethod
    def of(cls, data: Mapping[str, Any], origin: Origin | None = None) -> Scenario:
        """The scenario that plain tables describe, as a file would; `origin` says where they come from. Raises `ScenarioError`."""
        origin = origin or Origin()
        try:
            scenario = cls.model_validate(dict(data), context=origin)
        except ValidationError as report:
            raise translate(report, origin) from None
        scenario._origin = origin
        return scenario

    def override(self, changes: Mapping[str, object]) -> Scenario:
        """A copy with some values changed, each named by its dotted key; lists of named tables (links, replicas) go by those names.

        A value replaces what stands there; None removes it; `"x0.5"` multiplies a number and `"+1"` or `"-1"` adds to it, figures of the
        catalogue included:

            scenario.override({"services.chat.kv": "full", "cluster.links.wan.bandwidth": "x0.5", "power.rack.budget": "x0.7"})

        Raises `ScenarioError` if a key leads nowhere or the changed scenario is refused.
        """
        from edgewright.simulator.scenario_overrides import overridden

        return overridden(self, changes)

    def tables(self) -> dict[str, Any]:
        """Plain tables that `Scenario.of` reads as this same scenario: what was given, in SI units."""
        return self.model_dump(mode="json", exclude_unset=True)

    def resolved(self) -> dict[str, Any]:
        """The same with nothing left implicit: every default, and the catalogue's figures of devices, storages and links, in SI units."""
        from edgewright.simulator.scenario_overrides import explicit

        return explicit(self)

    @classmethod
    def file_schema(cls) -> dict[str, Any]:
        """The JSON schema (draft 2020-12) of scenario files: that of this class, or of a file that `extends` another."""
        schema = cls.model_json_schema()
        required = schema.pop("required")
        schema["properties"]["extends"] = {"type": "string", "description": "path or shipped name of a scenario that this one is laid over"}
        schema["anyOf"] = [{"required": required}, {"required": ["extends"]}]
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

    @property
    def origin(self) -> Origin:
        """Where the scenario was read from."""
        return self._origin

    def error(self, key: Key, problem: str, accepted: str, value: object = ABSENT) -> ScenarioError:
        """The error for one of its values, naming file and line."""
        return self._origin.error(key, problem, accepted, value)
