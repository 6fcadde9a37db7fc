"""From a scenario to what runs: the cluster, and for every replica its model, its program and where everything lies.

Nothing here knows time. The runtime starts from `Setup`s; `check` builds the same ones and looks for what cannot work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgewright.hwmodels import Attachment, Cluster, Connection, Device
from edgewright.policies.experts import profiled
from edgewright.policies.families import ExpertsPolicy, KvWork, Placement
from edgewright.policies.views import ReplicaSpec
from edgewright.simulator.assemble_devices import device_of, link_of, storage_of
from edgewright.simulator.draws import as_drawn, drawn_host_factor
from edgewright.simulator.errors import Key, ScenarioError, spoken
from edgewright.simulator.presets import EnginePreset
from edgewright.simulator.scenario_references import replica_devices
from edgewright.simulator.schema_choices import PolicyChoice

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario
    from edgewright.simulator.schema_cluster import ClusterTable, DeviceGroup, LinkGroup
    from edgewright.simulator.schema_services import ModelTable, ReplicaTable, ServiceTable
    from edgewright.workloads import Format, Model, Router

__all__ = ["Setup", "build_cluster", "build_placements", "connections_of"]


@dataclass(frozen=True, slots=True)
class Setup:
    """One replica, ready to run.

    Attributes:
        scope: dotted name `service.replica`, unique in the run.
        service, name: its two parts.
        key: where its table stands in the scenario, for messages.
        tables: the service's and the replica's tables (policies are read off these).
        model: what it runs.
        engine: the engine that it imitates.
        spec: devices, cluster and number format, as its policies saw them.
        placement: its program, and what each device holds.
        router: where the routes of its experts come from; experts: the policy that follows them. None for a model without experts.
    """

    scope: str
    service: str
    name: str
    key: Key
    tables: tuple[ServiceTable, ReplicaTable]
    model: Model
    engine: EnginePreset
    spec: ReplicaSpec
    placement: Placement
    router: Router | None
    experts: ExpertsPolicy | None

    @property
    def format(self) -> Format:
        """Number format of weights, cache and arithmetic."""
        return self.spec.format


def build_cluster(scenario: Scenario) -> Cluster:
    """The cluster that the scenario describes; entry points become nodes that only forward."""
    table = scenario.cluster
    groups = table.instances()
    specs = {name: _device(scenario, name, group) for name, group in table.devices.items()}
    return Cluster(
        devices={instance: specs[name] for name, group in table.devices.items() for instance in group.instances(name)},
        switches=(*table.switches, *table.nodes),
        connections=tuple(connection for link in table.links for connection in connections_of(table, link)),
        attachments=tuple(
            Attachment(store, device, storage_of(store, entry))
            for device, group in groups.items()
            for store, entry in group.storage.items()
        ),
        hosts=table.hosts(),
    )


def _device(scenario: Scenario, name: str, group: DeviceGroup) -> Device:
    try:
        return as_drawn(device_of(group, scenario.cluster.device_files), group.software, scenario.cluster.draw)
    except ScenarioError:
        raise
    except ValueError as error:
        key = ("cluster", "devices", name) if group.heat is None else ("cluster", "devices", name, "heat")
        raise scenario.error(key, *spoken(str(error))) from None


def build_placements(scenario: Scenario, cluster: Cluster) -> tuple[Setup, ...]:
    """Every replica of every service, in the scenario's order.

    Raises `ScenarioError`, naming the policy, if one of them refuses the model or the devices.
    """
    models: dict[tuple[str, ModelTable, str | None], tuple[Model, Format]] = {}
    return tuple(
        _setup(scenario, cluster, name, index, copy, devices, models)
        for name, service in scenario.services.items()
        for index, replica in enumerate(service.replicas)
        for copy, devices in replica_devices(scenario, replica)
    )


def connections_of(table: ClusterTable, link: LinkGroup) -> Iterator[Connection]:
    """The connections that a link of the scenario stands for."""
    spec = link_of(link)
    yield from (Connection(name, ends, spec, link.medium) for name, ends in table.joined(link))


def _setup(
    scenario: Scenario,
    cluster: Cluster,
    name: str,
    index: int,
    copy: str,
    devices: tuple[str, ...],
    models: dict[tuple[str, ModelTable, str | None], tuple[Model, Format]],
) -> Setup:
    service = scenario.services[name]
    replica = service.replicas[index]
    key: Key = ("services", name, "replicas", index)
    source, wanted = replica.model or service.model, replica.format or service.format
    assert source is not None, "the service's table requires a model"
    if (name, source, wanted) not in models:
        model, format = _model(scenario, source, wanted, key if replica.model else ("services", name))
        models[name, source, wanted] = _refitted(scenario, name, model), _cached_in(format, service.kv.bits)
    model, format = models[name, source, wanted]
    budget = None if replica.weight_budget is None else dict.fromkeys(devices, replica.weight_budget)
    spec = ReplicaSpec(f"{name}.{copy}", devices, cluster, format, budget)
    router = _router(scenario, name, model)
    experts = _experts(replica, router)
    placement = _placement(scenario, model, spec, replica, experts, key)
    return Setup(
        f"{name}.{copy}",
        name,
        copy,
        key,
        (service, replica),
        model,
        _engine(scenario, service, cluster, devices[0]),
        spec,
        placement,
        router,
        experts,
    )


def _engine(scenario: Scenario, service: ServiceTable, cluster: Cluster, root: str) -> EnginePreset:
    """The service's engine; the host's time of a step is that of the root device's software, where the scenario does not set it."""
    from edgewright.hwmodels.software import software

    engine, family = service.engine.built(), scenario.cluster.group_of(root).software
    if family is None:
        return engine
    device = cluster.devices[root]
    host = software(device, device.main_engine.name, family)
    factor = drawn_host_factor(device, family, scenario.cluster.draw)
    learned = {"step_overhead": host.step_s * factor, "sequence_overhead": host.sequence_s * factor}
    return engine.with_({name: value for name, value in learned.items() if not service.engine.sets(name)})


def _experts(replica: ReplicaTable, router: Router | None) -> ExpertsPolicy | None:
    """The policy that follows the routes; where it needs to know them beforehand, it learns from the service's own process."""
    from edgewright.workloads import MarkovRouting, RoutingProcess

    if router is None:
        return None
    return profiled(replica.experts, router) if isinstance(router, RoutingProcess | MarkovRouting) else replica.experts


def _refitted(scenario: Scenario, name: str, model: Model) -> Model:
    """The model with the work that the engine and the KV policy have besides it."""
    from edgewright.workloads.kv_operators import with_copies

    service, family = scenario.services[name], "kv"
    copies = service.engine.built().cache_copies
    try:
        made = service.kv.refit(model) if isinstance(service.kv, KvWork) else model
        family = "engine"
        return with_copies(made, copies) if copies and model.generates else made
    except ValueError as error:
        problem, accepted = spoken(str(error))
        found = f"cannot serve {model.name}: {problem}"
        raise scenario.error(("services", name, family), found, accepted, getattr(service, family)) from None


def _cached_in(format: Format, bits: float | None) -> Format:
    """The format with its KV cache in the precision of the KV policy (None: the format's own)."""
    return format if bits is None else replace(format, name=f"{format.name} kv{bits:g}", kv_bits=bits)


def _placement(
    scenario: Scenario, model: Model, spec: ReplicaSpec, replica: ReplicaTable, experts: ExpertsPolicy | None, key: Key
) -> Placement:
    family = "partitioning"
    try:
        placement = replica.partitioning.plan(model, spec)
        family = "experts"
        if experts is not None:
            placement = experts.arrange(model, placement, spec)
        family = "residency"
        return replica.residency.arrange(placement, spec)
    except ValueError as error:
        problem, accepted = spoken(str(error))
        where = f"cannot serve {model.name} on {', '.join(spec.devices)}: {problem}"
        chosen = PolicyChoice(family).described(getattr(replica, family))["policy"]
        raise scenario.error((*key, family), where, accepted, chosen) from None


def _model(scenario: Scenario, table: ModelTable, format_name: str | None, key: Key) -> tuple[Model, Format]:
    """The model of a table, and its number format: the one that is named, or a GGUF file's own, or fp16."""
    from edgewright.workloads import format_named, from_config, zoo
    from edgewright.workloads.gguf_reader import from_gguf
    from edgewright.workloads.onnx_reader import from_onnx

    own = None
    try:
        if table.gguf is not None:
            model, own = from_gguf(table.gguf)
        elif table.zoo is not None:
            model = zoo.model(table.zoo)
        else:
            model = from_config(table.hf) if table.hf is not None else from_onnx(str(table.onnx))
    except (ValueError, ModuleNotFoundError) as error:
        source = "hf" if table.hf is not None else "gguf" if table.gguf is not None else "onnx"
        otherwise = "a file of this kind once that is installed" if isinstance(error, ImportError) else "a file that describes a model"
        raise scenario.error((*key, "model", source), *spoken(str(error), otherwise)) from None
    format = format_named(format_name or "fp16") if own is None or format_name else own
    return _changed(scenario, table, model, key), format


def _changed(scenario: Scenario, table: ModelTable, model: Model, key: Key) -> Model:
    if table.change is None:
        return model
    try:
        return table.change.apply(model)
    except ValueError as error:
        raise scenario.error((*key, "model", "change"), *spoken(str(error)), table.change) from None


def _router(scenario: Scenario, service: str, model: Model) -> Router | None:
    from edgewright.workloads import MarkovRouting, RoutingProcess, read_routes

    if model.experts is None:
        return None
    shape, table = model.experts, scenario.services[service].experts_routing
    if table.file is None:
        sizes = {"layers": len(shape.blocks), "experts": shape.count, "top_k": shape.top_k}
        if table.concentration is not None:
            return MarkovRouting(**sizes, concentration=table.concentration, seed=table.seed)
        return RoutingProcess(**sizes, **table.model_dump(exclude={"ahead", "file", "concentration"}))
    try:
        return read_routes(table.file, shape.count)
    except (ValueError, OSError) as error:
        raise scenario.error(("services", service, "experts_routing", "file"), *spoken(str(error)), str(table.file)) from None
