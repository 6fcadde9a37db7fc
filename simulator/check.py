"""Everything that can be known to be wrong with a scenario before the clock starts.

Reading a scenario has checked its values and names; here the cluster and the programs are built and looked at: routes, memory, storage,
arithmetic, power and traces. Each finding is one `ScenarioError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright.hwmodels import Attachment, Cluster, RateProfile
from edgewright.policies.scaling import Fixed
from edgewright.simulator.assemble import Setup, build_cluster, build_placements
from edgewright.simulator.assemble_faults import fallible_devices, require_faults, stores
from edgewright.simulator.assemble_memory import Capacity, Shortage, kv_bytes_per_token, kv_capacities
from edgewright.simulator.assemble_rates import build_rates
from edgewright.simulator.assemble_sources import build_sources
from edgewright.simulator.check_power import require_power
from edgewright.simulator.errors import ScenarioError, spoken

if TYPE_CHECKING:
    from edgewright.simulator.scenario import Scenario
    from edgewright.workloads import Part
    from edgewright.workloads.jobs_source import Source

__all__ = ["Checked", "check"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a checked scenario turned into: the runtime starts from these.

    Attributes:
        scenario: as it was given.
        cluster: specifications and routes.
        setups: every replica.
        capacities: KV memory of each replica by scope.
        sources: jobs of each workload by name.
        rates: the profiles that link resources follow.
    """

    scenario: Scenario
    cluster: Cluster
    setups: tuple[Setup, ...]
    capacities: Mapping[str, Capacity]
    sources: Mapping[str, Source]
    rates: Mapping[str, RateProfile]


def check(scenario: Scenario) -> Checked:
    """Build everything that the scenario describes, short of running it. Raises `ScenarioError` for the first thing that cannot work."""
    if not hasattr(scenario, "cluster"):
        raise TypeError(f"{scenario!r} is no scenario; accepted is what `Scenario.load` gives")
    cluster = _cluster(scenario)
    _require_connected(scenario, cluster)
    require_power(scenario, cluster)
    require_faults(scenario, cluster)
    setups = build_placements(scenario, cluster)
    _require_storage(scenario, setups)
    _require_swap(scenario, setups)
    _require_startup(scenario, cluster, setups)
    _require_failover(scenario, setups)
    _require_checkpoints(scenario, cluster, setups)
    _require_sleep(scenario, cluster, setups)
    capacities = _require_memory(scenario, cluster, setups)
    _require_arithmetic(scenario, setups)
    sources = build_sources(scenario, {setup.service: setup.model for setup in setups})
    return Checked(scenario, cluster, setups, capacities, sources, build_rates(scenario))


def _cluster(scenario: Scenario) -> Cluster:
    try:
        return build_cluster(scenario)
    except ScenarioError:
        raise
    except ValueError as error:
        raise scenario.error(("cluster", "links"), *spoken(str(error))) from None


def _require_connected(scenario: Scenario, cluster: Cluster) -> None:
    groups = cluster.components()
    if len(groups) > 1:
        apart = ", ".join(groups[1][:5])
        problem = f"joins no route from {apart} to {groups[0][0]}"
        raise scenario.error(
            ("cluster", "links"),
            problem,
            "links that connect every device, switch and entry point",
            [link.name for link in scenario.cluster.links],
        )


def _require_storage(scenario: Scenario, setups: Sequence[Setup]) -> None:
    for setup in setups:
        reading = dict.fromkeys(setup.placement.reads, "residency")
        if setup.tables[0].kv.footprint(1 << 20, 1 << 20).fetched:
            reading.update(dict.fromkeys(setup.placement.parts, "kv"))
        for device, family in reading.items():
            if not setup.spec.cluster.storages_of(device):
                key = (*setup.key, family) if family == "residency" else ("services", setup.service, family)
                policy = getattr(setup.tables[1] if family == "residency" else setup.tables[0], family)
                raise scenario.error(
                    key, f"reads from storage, and {device} has none", "a policy that does not, or `storage` for the device", policy
                )


def _require_swap(scenario: Scenario, setups: Sequence[Setup]) -> None:
    taken: dict[str, float] = {}
    for setup in setups:
        engine, cluster = setup.engine, setup.spec.cluster
        if engine.preemption != "swap":
            continue
        for device in setup.placement.parts:
            try:
                tier = cluster.stage(device, 1.0, inward=True) if engine.swap_to == "host" else cluster.storage_of(device, engine.swap_to)
            except ValueError as error:
                key = ("services", setup.service, "engine", "swap_to")
                raise scenario.error(key, f"is no place to swap to: {error}", "`host` for cards, or a storage", engine.swap_to) from None
            room = tier.storage.capacity if isinstance(tier, Attachment) else _host_memory(cluster, device)
            place = f"{tier.device}.{tier.name}" if isinstance(tier, Attachment) else cluster.hosts.get(device, device)
            taken[place] = taken.get(place, 0.0) + engine.swap_space
            key = ("services", setup.service, "engine", "swap_space")
            if room is not None and taken[place] > room:
                found = f"B, {taken[place]:g} B with all that swap to {place}, exceed the {room:g} B there"
                raise scenario.error(key, found, f"at most {room:g} B in all", engine.swap_space)
            block = engine.block_size * kv_bytes_per_token(setup)[device]
            if engine.swap_space < block:
                raise scenario.error(key, f"B hold no block of {block:g} B on {device}", f"at least {block:g} B", engine.swap_space)


def _host_memory(cluster: Cluster, device: str) -> float | None:
    """Bytes that a card's host has, None if it is no device of the cluster."""
    if device not in cluster.hosts:
        return None
    pool = cluster.devices[cluster.hosts[device]].main_pool
    return pool.capacity - pool.reserved


def _require_startup(scenario: Scenario, cluster: Cluster, setups: Sequence[Setup]) -> None:
    """Where replicas may have to start, it must be known where their weights come from."""
    fallible = fallible_devices(scenario, cluster)
    for setup in setups:
        service = setup.tables[0]
        scaled = not isinstance(service.scaling, Fixed)
        if service.startup.weights is None and service.startup.source is None:
            for device in setup.placement.parts:
                if not stores(cluster, device) and (scaled or device in fallible):
                    raise scenario.error(
                        ("services", setup.service, "startup", "weights"),
                        f"is missing: replicas may have to start, and {device} has no storage to load weights from",
                        "seconds, `source: NODE` that sends the weights, or `storage` for the device",
                    )


def _require_checkpoints(scenario: Scenario, cluster: Cluster, setups: Sequence[Setup]) -> None:
    """Checkpoints are written to storages of the devices that cache."""
    for setup in setups:
        every = getattr(setup.tables[0].failure, "checkpoint", None)
        bare = [device for device, each in kv_bytes_per_token(setup).items() if each > 0.0 and not stores(cluster, device)]
        if every is not None and bare:
            problem = f"cannot be: {bare[0]} has no storage to write checkpoints to"
            raise scenario.error(("services", setup.service, "failure", "checkpoint"), problem, "none, or `storage` for the device", every)


def _require_failover(scenario: Scenario, setups: Sequence[Setup]) -> None:
    """A service that takes over another's jobs must take jobs of that kind."""
    kinds = {setup.service: setup.model.generates for setup in setups}
    for name, service in scenario.services.items():
        for other in getattr(service.failure, "services", ()):
            if other == name or kinds.get(name, True) != kinds.get(other, True):
                problem = "is the service itself" if other == name else f"cannot serve jobs of {name}: one generates tokens, one does not"
                raise scenario.error(("services", name, "failure"), problem, "another service of the same kind", service.failure)


def _require_sleep(scenario: Scenario, cluster: Cluster, setups: Sequence[Setup]) -> None:
    """Replicas can be put to sleep only on devices that can sleep."""
    for setup in setups:
        for device in setup.spec.devices if getattr(setup.tables[0].scaling, "rest", None) == "sleep" else ():
            if cluster.devices[device].sleep_W is None:
                key = ("services", setup.service, "scaling", "rest")
                raise scenario.error(
                    key, f"cannot be: {device} has no figure for its power asleep", "`stop`, or a device that sleeps", "sleep"
                )


def _require_memory(scenario: Scenario, cluster: Cluster, setups: Sequence[Setup]) -> dict[str, Capacity]:
    try:
        return kv_capacities(setups, cluster.devices)
    except Shortage as shortage:
        setup = shortage.setup
        accepted = "a smaller model or format, more memory or devices, or a residency that streams weights"
        raise scenario.error(
            setup.key, f"({setup.model.name}, {setup.format.name}) does not fit: {shortage}", accepted, setup.name
        ) from None


def _require_arithmetic(scenario: Scenario, setups: Sequence[Setup]) -> None:
    """Every device can compute its parts; of devices and parts that are alike, one is asked."""
    from edgewright.workloads import Step

    asked: set[tuple[int, Part]] = set()
    for setup in setups:
        step = Step.of(decode=[1], windows=setup.model.windows) if setup.model.generates else Step(items=1)
        for device, parts in setup.placement.parts.items():
            kind = id(setup.spec.cluster.devices[device])
            fresh = [part for part in parts if (kind, part) not in asked]
            asked.update((kind, part) for part in fresh)
            try:
                for part in fresh:
                    setup.spec.cluster.compute(device, part(step))
            except ValueError as error:
                problem = f"cannot be computed on {device}: {error}"
                raise scenario.error(
                    ("services", setup.service, "format"), problem, "a format that the device computes", setup.format.name
                ) from None
