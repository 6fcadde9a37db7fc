"""Services of a scenario: which model runs where, under which policies, in an engine of what kind.

A service either owns replicas of a model, or has an `orchestration` that serves its jobs by calling other services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator

from edgewright.hwmodels.units import Bytes, Fraction, Seconds
from edgewright.policies.families import (
    BatchingPolicy,
    ExpertsPolicy,
    FailurePolicy,
    KvPolicy,
    OrchestrationPolicy,
    PartitioningPolicy,
    ResidencyPolicy,
    RoutingPolicy,
    ScalingPolicy,
)
from edgewright.simulator.errors import choices, refusal, translate
from edgewright.simulator.loader import read_table
from edgewright.simulator.presets import PRESETS, EnginePreset
from edgewright.simulator.schema import InputFile, Known, Name, NamedTable, Table, require_distinct
from edgewright.simulator.schema_choices import PolicyChoice, ProcessChoice, chosen
from edgewright.workloads import OutcomeSource
from edgewright.workloads.changes import ModelChange

__all__ = ["EngineTable", "ModelTable", "ReplicaTable", "RoutingTable", "ServiceTable", "StartupTable", "TrafficTable", "engine_of"]


def _changes() -> Mapping[str, type[Any]]:
    from edgewright.workloads.changes import CHANGES

    return CHANGES


def _outcomes() -> Mapping[str, type[Any]]:
    from edgewright.workloads.outcomes import OUTCOMES

    return OUTCOMES


Batching: TypeAlias = Annotated[BatchingPolicy, PolicyChoice("batching")]
Change: TypeAlias = Annotated[ModelChange, ProcessChoice("change", "change of a model", _changes)]
Experts: TypeAlias = Annotated[ExpertsPolicy, PolicyChoice("experts")]
Failure: TypeAlias = Annotated[FailurePolicy, PolicyChoice("failure")]
Kv: TypeAlias = Annotated[KvPolicy, PolicyChoice("kv")]
Orchestration: TypeAlias = Annotated[OrchestrationPolicy, PolicyChoice("orchestration")]
Outcome: TypeAlias = Annotated[OutcomeSource, ProcessChoice("outcome", "source of outcomes", _outcomes)]
Partitioning: TypeAlias = Annotated[PartitioningPolicy, PolicyChoice("partitioning")]
Residency: TypeAlias = Annotated[ResidencyPolicy, PolicyChoice("residency")]
Routing: TypeAlias = Annotated[RoutingPolicy, PolicyChoice("routing")]
ScalingChoice: TypeAlias = Annotated[ScalingPolicy, PolicyChoice("scaling")]


def _zoo() -> tuple[str, ...]:
    from edgewright.workloads import zoo

    return zoo.names()


def _formats() -> tuple[str, ...]:
    from edgewright.workloads.formats import format_names

    return format_names()


_FormatName: TypeAlias = Annotated[str, Known(_formats, others=True)]  # case does not matter


class ModelTable(NamedTable):
    """A model: a name of the zoo, or a file that describes one. A name alone is short for `{zoo: name}`."""

    SHORT: ClassVar[str] = "zoo"

    zoo: Annotated[str, Known(_zoo)] | None = Field(default=None, description="zoo name")
    hf: InputFile | None = Field(default=None, description="a Hugging Face config.json")
    gguf: InputFile | None = Field(default=None, description="a GGUF file; its metadata alone is read")
    onnx: InputFile | None = Field(default=None, description="an ONNX file; its graph alone is read")
    change: Change | None = Field(
        default=None, description="what is made of it: some of its layers, a bottleneck, smaller models side by side"
    )

    @model_validator(mode="after")
    def _one_source(self) -> ModelTable:
        from edgewright.workloads import zoo

        given = [key for key in ("zoo", "hf", "gguf", "onnx") if getattr(self, key) is not None]
        if len(given) != 1:
            raise refusal(f"names {len(given)} models", "exactly one of zoo, hf, gguf, onnx")
        if self.zoo is not None and self.zoo not in zoo.names():
            raise refusal("is no model of the zoo", choices(self.zoo, zoo.names()), value=self.zoo)
        return self


class EngineTable(NamedTable):
    """An engine preset and the figures in which this engine differs from it. A name alone is short for `{preset: name}`."""

    SHORT: ClassVar[str] = "preset"

    preset: Annotated[str, Known(lambda: PRESETS)] = Field(default="ideal", description="which serving engine is imitated")
    file: InputFile | None = Field(
        default=None,
        description="a YAML file with such a table `engine` in place of a preset (`edgewright calibrate --from-log` writes one)",
    )
    max_sequences: int | None = Field(default=None, ge=1, description="sequences in the batch")
    max_tokens: int | None = Field(default=None, ge=1, description="tokens in one step")
    block_size: int | None = Field(default=None, ge=1, description="tokens per block of KV memory")
    slot_tokens: int | None = Field(default=None, ge=1, description="tokens of context that each slot reserves, in engines with slots")
    watermark: Fraction | None = Field(default=None, description="fraction of the blocks kept free when a waiting job is admitted")
    memory_fraction: Fraction | None = Field(default=None, gt=0, description="fraction of the pool that the engine may take")
    workspace: Bytes | None = Field(default=None, description="bytes for activations and graphs on each device")
    step_overhead: Seconds | None = Field(default=None, description="seconds of host time per step")
    sequence_overhead: Seconds | None = Field(default=None, description="seconds of host time per sequence and step")
    context_overhead: Seconds | None = Field(default=None, description="the same per token of context of sequences that decode, and step")
    prompt_overhead: Seconds | None = Field(default=None, description="the same per prompt token")
    whole_step: bool | None = Field(default=None, description="whether these are all that a step takes, the device's own price nothing")
    kv_tokens: int | None = Field(default=None, ge=1, description="tokens of KV memory; absent: as many as fit")
    preemption: Literal["recompute", "swap", "reject"] | None = Field(
        default=None, description="what becomes of a sequence that finds no block of KV memory"
    )
    swap_to: Name | None = Field(default=None, description="where `swap` copies it: `host` (of a card), or a storage of every device")
    swap_space: Bytes | None = Field(default=None, gt=0, description="bytes for swapped KV on each device's host or storage")
    instances: bool | None = Field(
        default=None, description="whether each sequence is decoded by an instance of its own, which reads all weights again"
    )
    padding: bool | None = Field(
        default=None, description="whether the row of a sequence that has ended is computed on until another takes its place or none runs"
    )
    prefix_caching: bool | None = Field(default=None, description="whether prompts that begin alike share KV blocks")

    cache_copies: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="copies of the attended cache per step: 1 to append, 2 to reorder beams too"
    )

    @model_validator(mode="after")
    def _known(self) -> EngineTable:
        if self.file is not None and "preset" in self.model_fields_set:
            raise refusal("stands beside a preset", "`file` or `preset`", at=("file",), value=str(self.file))
        if self.preset not in PRESETS:
            raise refusal("is no engine preset", choices(self.preset, PRESETS), at=("preset",), value=self.preset)
        self._base()
        return self

    def built(self) -> EnginePreset:
        """The preset with this table's figures in place of its own."""
        own = {name: value for name in self.model_fields_set - {"preset", "file"} if (value := getattr(self, name)) is not None}
        return self._base().with_(own)

    def sets(self, figure: str) -> bool:
        """Whether the scenario, or the file that it names, sets a figure."""
        return getattr(self, figure) is not None or (self.file is not None and engine_of(self.file).sets(figure))

    def _base(self) -> EnginePreset:
        if self.file is None:
            return PRESETS[self.preset]
        return replace(engine_of(self.file).built(), name=self.file.stem, source=f"{self.file.name}, see there")


def engine_of(path: Path) -> EngineTable:
    """The table `engine` of a file; raises `ScenarioError`."""
    document = read_table(path, "a table `engine`")
    if not isinstance(document.data.get("engine"), Mapping):
        raise document.origin.error(("engine",), "is missing", "a table of the figures of an engine, as in a scenario")
    try:
        return EngineTable.model_validate(dict(document.data["engine"]), context=document.origin)
    except ValidationError as report:
        raise translate(report, document.origin) from None


class RoutingTable(Table):
    """How the router of a model with experts chooses them: a recorded trace, or a seeded process (`workloads.RoutingProcess`, or with a
    concentration `workloads.MarkovRouting`)."""

    file: InputFile | None = Field(default=None, description="recorded routes (.npz or .jsonl); then none of the figures below")
    skew: float = Field(default=0.0, ge=0, description="Zipf exponent of the experts' popularity; 0: all alike")
    affinity: Fraction = Field(default=0.0, description="how far a layer's route follows from that of the layer before")
    persistence: Fraction = Field(default=0.0, description="how far the tokens of a span share their routes")
    span: int = Field(default=64, ge=1, description="tokens that a theme lasts")
    ahead: bool = Field(
        default=False, description="whether the router stands before the model: one choice for all layers, known before the step (Read-ME)"
    )
    concentration: float | None = Field(
        default=None,
        ge=1e-3,
        le=1e3,
        description="layers follow one another by matrices with Dirichlet rows: the smaller, the fewer followers an expert has; then none"
        " of skew, affinity, persistence, span",
    )
    seed: int = Field(default=0, description="which experts are popular, or follow which: a property of the model, not of the run")

    @model_validator(mode="after")
    def _one_source(self) -> RoutingTable:
        if self.file is not None and self.model_fields_set - {"file", "ahead"}:
            raise refusal("comes with figures of a process besides", "`file` alone, or figures alone", at=("file",), value=str(self.file))
        if self.concentration is not None and (others := self.model_fields_set - {"ahead", "concentration", "seed"}):
            beside = ", ".join(sorted(others))
            raise refusal(f"comes with {beside} besides", "`concentration` and `seed`", at=("concentration",), value=self.concentration)
        return self


class StartupTable(Table):
    """What starting a replica takes, after a crash or when it is scaled: its weights into memory, then its engine."""

    weights: Seconds | None = Field(
        default=None, description="seconds to load weights; absent: they are read from each device's first storage, or from `source`"
    )
    source: Name | None = Field(default=None, description="device or node that sends the weights, in place of the device's storage")
    engine: Seconds = Field(default=0.0, description="seconds from weights in memory to the first job: process, graphs, warm-up")

    @model_validator(mode="after")
    def _one_way(self) -> StartupTable:
        if self.weights is not None and self.source is not None:
            raise refusal("is given besides `weights`", "one of the two", at=("source",), value=self.source)
        return self


class TrafficTable(Table):
    """How the flows of a service stand among others on links, storages and buses: its replicas' plans and swaps, its jobs' inputs."""

    weight: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="share of a link, in proportion; twice the weight, twice the bytes"
    )
    priority: int = Field(default=0, description="class: higher ones are served first, lower ones share what is left")


class ReplicaTable(Table):
    """One copy of the service's model on some devices, or (`each`) one copy per instance of a group."""

    name: Name = Field(description="name of the replica; `each` adds the instance's number")
    devices: tuple[Name, ...] | None = Field(
        default=None, min_length=1, description="devices in order, the first is the root; a group stands for its instances"
    )
    each: Name | None = Field(default=None, description="a group: one replica on each of its instances")
    model: ModelTable | None = Field(default=None, description="a model of its own in place of the service's")
    format: _FormatName | None = Field(default=None, description="a number format of its own in place of the service's")
    partitioning: Partitioning = chosen("single", "how one inference is spread over the devices")
    residency: Residency = chosen("all_resident", "which weights are in memory")
    experts: Experts = chosen("resident", "which device or tier holds an expert")
    kv_capacity: Bytes | None = Field(
        default=None, gt=0, description="bytes of KV cache on each device, in place of what the engine would take"
    )
    weight_budget: Bytes | None = Field(
        default=None, gt=0, description="bytes that weights may take on each device; absent: what its memory has"
    )

    @model_validator(mode="after")
    def _placed(self) -> ReplicaTable:
        if (self.devices is None) == (self.each is None):
            raise refusal(
                "has both `devices` and `each`, or neither",
                "one of `devices: [...]` and `each: GROUP`",
                at=("devices",),
                value=self.devices,
            )
        return self


class ServiceTable(Table):
    """What jobs are sent to."""

    model: ModelTable | None = Field(default=None, description="the model that the replicas run")
    format: _FormatName | None = Field(
        default=None, description="number format of weights, KV cache and arithmetic; absent: a GGUF file's own, else fp16"
    )
    engine: EngineTable = Field(default_factory=EngineTable, description="the serving engine that the replicas imitate")
    batching: Batching = chosen("continuous", "which jobs run in the next step")
    kv: Kv = chosen("full", "which cached tokens stay, how precise, in which tier")
    routing: Routing = chosen("first_fit", "which replica serves a job")
    orchestration: Orchestration | None = Field(default=None, description="how jobs are served by calling other services")
    failure: Failure = chosen("drop", "what becomes of jobs whose replica, link or call has failed")
    scaling: ScalingChoice = chosen("fixed", "which replicas run, and when")
    startup: StartupTable = Field(default_factory=StartupTable, description="what starting a replica takes")
    outcomes: dict[Name, Outcome] = Field(default_factory=dict, description="what only the run reveals, by name")
    experts_routing: RoutingTable = Field(
        default_factory=RoutingTable, description="which experts the tokens go to, for models with experts"
    )
    traffic: TrafficTable = Field(default_factory=TrafficTable, description="how its flows stand among those of others")
    replicas: tuple[ReplicaTable, ...] = Field(default=(), description="copies of the model")

    @model_validator(mode="after")
    def _serves(self) -> ServiceTable:
        require_distinct(((replica.name, ("replicas", index, "name")) for index, replica in enumerate(self.replicas)), "replica")
        self._require_formats()
        if self.orchestration is not None:
            if self.replicas or self.model is not None:
                raise refusal(
                    "has an orchestration besides replicas or a model", "one or the other", at=("orchestration",), value=self.orchestration
                )
        elif not self.replicas:
            raise refusal("has nothing that serves its jobs", "at least one replica, or an orchestration", at=("replicas",), value=[])
        self._require_models()
        return self

    def _require_models(self) -> None:
        for index, replica in enumerate(self.replicas):
            if self.model is None and replica.model is None:
                raise refusal("has no model", "a model here or for the whole service", at=("replicas", index), value=replica.name)

    def _require_formats(self) -> None:
        from edgewright.workloads.formats import format_names

        named = [
            (("format",), self.format),
            *((("replicas", index, "format"), replica.format) for index, replica in enumerate(self.replicas)),
        ]
        for key, name in named:
            if name is not None and name.lower() not in format_names():
                raise refusal("is no number format", choices(name, format_names()), at=key, value=name)
