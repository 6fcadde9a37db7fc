"""The cluster of a scenario: groups of devices, switches, entry points, and the links between them.

A group with `count` stands for the instances `name0`, `name1`, ...; without, for one instance with the plain name. A link between a
group and something else becomes one connection per instance. Figures written beside a catalogue name replace the catalogue's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from edgewright.hwmodels.units import Bytes, BytesPerSecond, Fraction, Seconds, Watts
from edgewright.simulator.errors import ABSENT, choices, refusal
from edgewright.simulator.schema import InputFile, Known, Name, NamedTable, Table, require_distinct, require_known
from edgewright.simulator.schema_choices import Choice
from edgewright.simulator.schema_heat import HeatTable
from edgewright.workloads.link_rates import LinkRate

__all__ = ["ClusterTable", "DeviceGroup", "DrawTable", "LinkGroup", "StorageTable"]


def _rates() -> Mapping[str, Any]:
    from edgewright.workloads.link_rates import RATES

    return RATES


@dataclass(frozen=True, slots=True)
class _RateChoice(Choice):
    """A course of rates by its `process`; a table with a `file` needs none."""

    def build(self, given: object) -> Any:
        if isinstance(given, Mapping) and "file" in given and self.tag not in given:
            given = {self.tag: "file", **given}
        return Choice.build(self, given)


def _devices() -> tuple[str, ...]:
    from edgewright.hwmodels import catalog

    return (*catalog.devices(), *catalog.companions())


def _links() -> tuple[str, ...]:
    from edgewright.hwmodels import catalog

    return catalog.links()


def _storages() -> tuple[str, ...]:
    from edgewright.hwmodels import catalog

    return catalog.storages()


def _families() -> Iterable[str]:
    from edgewright.hwmodels.software import families

    return families()


_DeviceName: TypeAlias = Annotated[str, Known(_devices, others=True)]
_LinkName: TypeAlias = Annotated[str, Known(_links)]
_StorageName: TypeAlias = Annotated[str, Known(_storages)]
_Family: TypeAlias = Annotated[str, Known(_families)]
Course: TypeAlias = Annotated[LinkRate, _RateChoice("process", "course of rates", _rates)]


class StorageTable(NamedTable):
    """A storage: one of the catalogue, or a whole one of its own. A name alone is short for `{storage: name}`."""

    SHORT: ClassVar[str] = "storage"

    storage: _StorageName | None = Field(default=None, description="catalogue name; without it, `read`, `write` and `latency` are required")
    read: BytesPerSecond | None = Field(default=None, gt=0, description="sequential read rate")
    write: BytesPerSecond | None = Field(default=None, gt=0, description="sequential write rate")
    random_read: BytesPerSecond | None = Field(default=None, gt=0, description="read rate of 4 KiB at random, many in flight")
    random_write: BytesPerSecond | None = Field(default=None, gt=0, description="write rate of 4 KiB at random, many in flight")
    latency: Seconds | None = Field(default=None, description="seconds to the first byte")
    write_latency: Seconds | None = Field(default=None, description="the same when writing; absent: as when reading")
    queue_depth: int | None = Field(default=None, ge=1, description="requests that it takes at a time")
    duplex: Literal["full", "half"] | None = Field(default=None, description="half: reading and writing share its time; full: they do not")
    active: Watts | None = Field(default=None, description="power above idle while reading")
    active_write: Watts | None = Field(default=None, description="power above idle while writing; absent: as when reading")
    idle: Watts | None = Field(default=None, description="power always drawn")
    capacity: Bytes | None = Field(default=None, gt=0, description="bytes it holds")

    @model_validator(mode="after")
    def _known(self) -> StorageTable:
        if self.storage is None:
            _require_figures({"read": self.read, "write": self.write, "latency": self.latency}, "storage")
        else:
            _require_catalogued("storage", self.storage)
        return self


class DeviceGroup(Table):
    """Devices of one kind: a catalogue name, and the figures in which these differ from it."""

    device: _DeviceName = Field(description="catalogue name, or the name of a device in `device_files`")
    mode: str | None = Field(default=None, description="power mode of the catalogue (`30W`), absent: the whole device")
    software: _Family | None = Field(
        default=None,
        description="family of software whose measured efficiencies its engines have, and whose host time per step and per sequence"
        " replicas have that start on it; absent: assumed efficiencies, and the host time of the engine preset",
    )
    count: int | None = Field(default=None, ge=1, le=10_000, description="instances; they are named `group0`, `group1`, ...")
    storage: dict[Name, StorageTable] = Field(
        default_factory=dict, description="storages of each instance, by name; the first is the default"
    )
    host: Name | None = Field(
        default=None, description="for cards: the device whose memory and storages they use; a group: that of the same number"
    )
    priority: int = Field(default=0, description="power controllers slow the lowest priority first")
    memory: Bytes | None = Field(default=None, gt=0, description="bytes of the first memory pool")
    bandwidth: BytesPerSecond | None = Field(default=None, gt=0, description="peak rate of the bus of the first memory pool")
    idle: Watts | None = Field(default=None, description="module power when awake and idle")
    sleep: Watts | None = Field(default=None, description="module power asleep; neither here nor in the catalogue: it cannot sleep")
    wake: Seconds | None = Field(default=None, description="seconds from asleep to awake")
    board: Watts | None = Field(default=None, description="constant power outside the module")
    supply_efficiency: Fraction | None = Field(default=None, gt=0, description="plug-to-board efficiency")
    heat: HeatTable | None = Field(default=None, description="temperatures, and a governor that slows it down when hot; absent: none")

    @model_validator(mode="after")
    def _known_software(self) -> DeviceGroup:
        from edgewright.hwmodels.software import families

        if self.software is not None and self.software not in families():
            raise refusal("is no family of software", choices(self.software, families()), at=("software",), value=self.software)
        return self

    def instances(self, name: str) -> tuple[str, ...]:
        """Names of the devices that a group called `name` stands for."""
        return (name,) if self.count is None else tuple(f"{name}{index}" for index in range(self.count))

    def holds(self, name: str, instance: str) -> bool:
        """Whether a device is one of those that a group called `name` stands for."""
        if self.count is None:
            return instance == name
        number = instance.removeprefix(name)
        return number != instance and number.isdecimal() and str(int(number)) == number and int(number) < self.count


class LinkGroup(Table):
    """A link between two ends, each a device, a group of devices, a switch or an entry point."""

    name: Name = Field(description="name of the connection; a group adds its instance's number")
    link: _LinkName | None = Field(default=None, description="catalogue name; without it, `bandwidth` and `latency` are required")
    between: tuple[Name, Name] = Field(description="first and second end; both the same group: every pair of its instances")
    medium: Name | None = Field(default=None, description="shared air or wire: stations with the same medium share its airtime")
    bandwidth: BytesPerSecond | None = Field(default=None, gt=0, description="rate from the first end to the second")
    bandwidth_back: BytesPerSecond | None = Field(default=None, gt=0, description="rate from the second end to the first; absent: the same")
    latency: Seconds | None = Field(default=None, description="seconds one way")
    duplex: Literal["full", "half", "shared"] | None = Field(
        default=None, description="full: a capacity each way; half: one; shared: airtime"
    )
    efficiency: Fraction | None = Field(default=None, gt=0, description="goodput / bandwidth after headers and acknowledgements")
    per_message: Seconds | None = Field(default=None, description="processing seconds per message")
    mtu: Bytes | None = Field(default=None, gt=0, description="messages up to this size are latency, not flows")
    jitter: Seconds | None = Field(default=None, description="mean seconds by which messages are later than `latency`")
    loss: Fraction | None = Field(default=None, lt=0.5, description="share of packets lost, each way")
    congestion: Literal["cubic", "reno", "bbr", "none"] | None = Field(
        default=None, description="congestion control of the flows over it: what loss does to their rate; cubic if no link of a route says"
    )
    connections: int | None = Field(default=None, ge=1, description="transport connections per message, side by side")
    window: Bytes | None = Field(default=None, gt=0, description="bytes in flight per connection")
    rate: Course | None = Field(default=None, description="how its rate changes over time: a file, or a process; both ways if alone")
    rate_back: Course | None = Field(default=None, description="the same from the second end to the first, where that differs")

    @model_validator(mode="after")
    def _known(self) -> LinkGroup:
        if self.link is None:
            _require_figures({"bandwidth": self.bandwidth, "latency": self.latency}, "link")
        else:
            _require_catalogued("link", self.link)
        if self.medium is not None and self.duplex not in (None, "shared"):
            raise refusal("has a medium, but is not shared", "duplex: shared, or no medium", at=("duplex",), value=self.duplex)
        if self.rate_back is not None and self.rate is None:
            raise refusal("is a way back alone", "a `rate` besides it", at=("rate_back",))
        return self


class DrawTable(Table):
    """Which of several draws of the uncertain figures of its devices a cluster has."""

    number: int = Field(ge=1, description="number of the draw, from 1")
    of: int = Field(default=19, ge=1, le=10_000, description="how many draws there are; each figure takes as many quantiles, one per draw")

    @model_validator(mode="after")
    def _among(self) -> DrawTable:
        if self.number > self.of:
            raise refusal(f"is none of {self.of} draws", f"1 to {self.of}", at=("number",), value=self.number)
        return self


class ClusterTable(Table):
    """Everything that computes, stores and sends."""

    devices: dict[Name, DeviceGroup] = Field(min_length=1, description="groups of devices by name")
    switches: tuple[Name, ...] = Field(default=(), description="switches and access points")
    nodes: tuple[Name, ...] = Field(default=(), description="where jobs enter, if not at a device")
    links: tuple[LinkGroup, ...] = Field(default=(), description="links, each with a name of its own")
    draw: DrawTable | None = Field(
        default=None,
        description="devices not as they are stated, but as they may also be: draws of their uncertain figures (`hwmodels.uncertainty`)",
    )
    device_files: tuple[InputFile, ...] = Field(default=(), description="YAML files with devices besides the catalogue's, in its form")

    @model_validator(mode="after")
    def _consistent(self) -> ClusterTable:
        require_distinct(self._named(), "device, switch or entry point")
        require_distinct(((link.name, ("links", index, "name")) for index, link in enumerate(self.links)), "link")
        known = dict.fromkeys(self.names())
        for index, link in enumerate(self.links):
            for end, name in enumerate(link.between):
                if name not in known:
                    require_known(name, known, "device, group, switch or entry point", ("links", index, "between", end))
        require_distinct(self._owners(), "device or link")
        self._require_devices()
        self._require_catalogued()
        self._require_hosts()
        return self

    def hosts(self) -> dict[str, str]:
        """The host of every instance that has one."""
        found: dict[str, str] = {}
        for name, group in self.devices.items():
            if group.host is not None:
                hosts = self.members(group.host)
                cards = group.instances(name)
                found.update(zip(cards, hosts if len(hosts) > 1 else hosts * len(cards), strict=True))
        return found

    def instances(self) -> dict[str, DeviceGroup]:
        """Every device of the cluster by instance name, in the scenario's order."""
        return {instance: group for name, group in self.devices.items() for instance in group.instances(name)}

    def group_of(self, instance: str) -> DeviceGroup:
        """The group that a device is of."""
        return next(group for name, group in self.devices.items() if group.holds(name, instance))

    def members(self, name: str) -> tuple[str, ...]:
        """What a name stands for: the instances of a group, or the node itself."""
        return self.devices[name].instances(name) if name in self.devices else (name,)

    def joined(self, link: LinkGroup) -> Iterator[tuple[str, tuple[str, str]]]:
        """Name and ends of every connection that a link stands for."""
        first, second = link.between
        for a in self.members(first):
            for b in self.members(second):
                if first != second or a < b:
                    suffix = "-".join(filter(None, (a.removeprefix(first), b.removeprefix(second))))
                    yield f"{link.name}{suffix}", (a, b)

    def names(self) -> tuple[str, ...]:
        """Every name that a link, a replica or a workload may refer to: groups, instances, switches, entry points."""
        return tuple(dict.fromkeys((*self.devices, *self.instances(), *self.switches, *self.nodes)))

    def _named(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        for name, group in self.devices.items():
            yield from ((instance, ("devices", name)) for instance in group.instances(name))
        yield from ((name, ("switches", index)) for index, name in enumerate(self.switches))
        yield from ((name, ("nodes", index)) for index, name in enumerate(self.nodes))

    def _owners(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """What draws energy, and fails, by its name: devices and connections."""
        for name, group in self.devices.items():
            yield from ((instance, ("devices", name)) for instance in group.instances(name))
        for index, link in enumerate(self.links):
            yield from ((name, ("links", index, "name")) for name, _ in self.joined(link))

    def _require_devices(self) -> None:
        from edgewright.simulator.assemble_devices import device_names

        valid = device_names(self.device_files)
        for name, group in self.devices.items():
            if group.device not in valid:
                raise refusal(
                    "is no device", choices(group.device, valid, "edgewright devices"), at=("devices", name, "device"), value=group.device
                )

    def _require_hosts(self) -> None:
        for name, group in self.devices.items():
            if group.host is None:
                continue
            require_known(group.host, dict.fromkeys((*self.devices, *self.instances())), "device or group", ("devices", name, "host"))
            hosts, cards = self.members(group.host), group.instances(name)
            if len(hosts) not in (1, len(cards)) or set(hosts) & set(cards):
                raise refusal(
                    f"stands for {len(hosts)} hosts of {len(cards)} cards",
                    "another device, or a group of as many as there are cards",
                    at=("devices", name, "host"),
                    value=group.host,
                )

    def _require_catalogued(self) -> None:
        """Power modes and thermal figures that the catalogue is to give."""
        from edgewright.hwmodels import catalog

        for name, group in self.devices.items():
            known = group.device in (*catalog.devices(), *catalog.companions())
            modes = catalog.facts(group.device).power_modes if known else {}
            if group.mode is not None and group.mode not in modes:
                problem = f"is no power mode of {group.device}"
                raise refusal(problem, choices(group.mode, modes), at=("devices", name, "mode"), value=group.mode)
            if group.heat is None or (known and catalog.device(group.device).thermal is not None):
                continue
            for key in ("resistances", "capacities", "trip"):
                if known and getattr(group.heat, key) is None:
                    problem = f"is missing: the catalogue does not know it of {group.device}"
                    raise refusal(problem, "a figure", at=("devices", name, "heat", key), value=ABSENT)


def _require_figures(figures: dict[str, float | None], what: str) -> None:
    for name, value in figures.items():
        if value is None:
            raise refusal("is missing", f"a figure, or `{what}: NAME` of the catalogue", at=(name,), value=ABSENT)


def _require_catalogued(kind: Literal["link", "storage"], name: str) -> None:
    from edgewright.hwmodels import catalog

    valid = catalog.links() if kind == "link" else catalog.storages()
    if name not in valid:
        raise refusal(f"is no {kind} of the catalogue", choices(name, valid), at=(kind,), value=name)
