"""What a result says about the run besides its tables: names, window, objectives, topology, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast

if TYPE_CHECKING:
    from edgewright.simulator.summary import Metric
    from edgewright.simulator.tables import Columns

__all__ = ["LinkEntry", "Meta", "MetaError", "NodeEntry", "ProvenanceEntry", "Recorded", "Topology", "checked"]


class MetaError(ValueError):
    """Metadata that lack a key, have an unknown one, or hold what JSON cannot."""


class NodeEntry(TypedDict):
    """A node of the topology: `kind` is `device`, `storage`, `switch` or `client`; `resources` are those whose utilisation it shows."""

    name: str
    title: str
    kind: str
    resources: list[str]


class LinkEntry(TypedDict):
    """A link of the topology; `resources` are its one or two directions, or its medium."""

    name: str
    title: str
    ends: list[str]
    resources: list[str]


class Topology(TypedDict):
    """The cluster as drawn in the report. A storage is a node with a link to its device."""

    nodes: list[NodeEntry]
    links: list[LinkEntry]


class ProvenanceEntry(TypedDict):
    """One figure of a specification: `value` is None if unknown; `kind` is `datasheet`, `measured` or `assumed`."""

    subject: str
    figure: str
    value: float | str | None
    unit: str
    kind: str
    source: str


class Meta(TypedDict):
    """The metadata of a run; JSON values only, unknown numbers are None.

    Keys:
        name: of the scenario; seed: of the run.
        scenario: resolved, defaults filled in, SI units; given: what was given of it, which reads as the same scenario.
        versions: of the package, its dependencies and Python.
        window: `[start, stop)` of the measurement, seconds; end_s: when the run ended, drain included.
        slo: by service, any of `ttft_s`, `tpot_s`, `e2e_s`.
        thin: fraction of the arrivals kept, by workload; those of which all were kept are left out.
        overload: whether the run is a labelled overload run.
        clairvoyant: policies in use that see what no real scheduler could.
        topology, provenance: see `Topology`, `ProvenanceEntry`.
        notes: whatever else a reader must know, e.g. which tables were cut short.
    """

    name: str
    seed: int
    scenario: dict[str, Any]
    given: dict[str, Any]
    versions: dict[str, str]
    window: tuple[float, float]
    end_s: float
    slo: dict[str, dict[str, float]]
    thin: dict[str, float]
    overload: bool
    clairvoyant: list[str]
    topology: Topology
    provenance: list[ProvenanceEntry]
    notes: list[str]


class Recorded(Protocol):
    """What summaries, timelines and reports read: a `Result`, or anything like it."""

    @property
    def meta(self) -> Meta:
        """The run's metadata."""
        ...

    @property
    def tables(self) -> Mapping[str, Columns]:
        """The columns of every table of `tables.TABLES`."""
        ...

    @property
    def metrics(self) -> list[Metric]:
        """The figures of the run."""
        ...


def checked(meta: Mapping[str, Any]) -> Meta:
    """A copy of the metadata with JSON values only; raises `MetaError`, naming the key."""
    unknown, missing = sorted(set(meta) - set(Meta.__annotations__)), sorted(set(Meta.__annotations__) - set(meta))
    if unknown or missing:
        raise MetaError(f"metadata: unknown keys {unknown}, missing keys {missing}; accepted are {', '.join(Meta.__annotations__)}")
    plain = {key: _plain(key, value) for key, value in meta.items()}
    start, stop = plain["window"]
    if not start < stop:
        raise MetaError(f"metadata: window [{start}, {stop}) is empty")
    return cast("Meta", plain | {"window": (start, stop)})


def _plain(key: str, value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise MetaError(f"metadata: {key!r} cannot be written as JSON: {error}") from error
