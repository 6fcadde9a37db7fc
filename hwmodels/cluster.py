"""Devices, storages and switches joined by links: who reaches whom over what, and what each operation demands.

Resources are named by scope: `orin0.gpu` (engine), `orin0.dram` (bus), `orin0.nvme0.read` / `.write` (storage channel),
`lan3>` / `lan3<` (full-duplex link, first to second end and back), `wifi` (half-duplex link or shared medium).
`Cluster` is frozen: what changes in a run (clocks, failures) is passed to the pricing methods. Amounts may be arrays, elementwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.arrays import choose, nowhere_negative, positive
from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.messages import Bundle, Round, bundle, compile_rounds, rounds_demand
from edgewright.hwmodels.roofline import price
from edgewright.hwmodels.specs import Device, Engine
from edgewright.hwmodels.topology import Attachment, Connection, Hop, Unreachable, join, link_capacities, routes_from
from edgewright.hwmodels.work import Quantity, Work

if TYPE_CHECKING:
    import networkx

__all__ = ["Attachment", "Cluster", "Connection", "Hop", "Unreachable"]


@dataclass(frozen=True, eq=False)
class Cluster:
    """Instances of devices, switches, links and storages. Compared and hashed by identity; what is derived is computed once.

    Attributes:
        devices: specification by instance name.
        switches: names of nodes that only forward.
        connections: links between nodes; `ends` must be devices or switches.
        attachments: storages of devices, in order: the first of a device is its default.

    Raises:
        ValueError: a name used twice, an end or device that does not exist, or a link that contradicts itself.
    """

    devices: Mapping[str, Device]
    switches: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        _check_unique("node", [*self.devices, *self.switches])
        _check_unique("connection", [connection.name for connection in self.connections])
        _check_unique("storage", [f"{each.device}.{each.name}" for each in self.attachments])
        for connection in self.connections:
            self._check_connection(connection)
        for attachment in self.attachments:
            self.device(attachment.device)

    # -- what there is ------------------------------------------------------------------------------------------------------------------

    @cached_property
    def capacities(self) -> Mapping[str, float]:
        """Amount per second of every shared resource: buses, link directions, storage channels (bytes/s), media (airtime: 1)."""
        found = {f"{name}.{bus.name}": bus.bandwidth for name, device in self.devices.items() for bus in device.buses.values()}
        found.update(link_capacities(self.connections))
        for each in self.attachments:
            found[f"{each.device}.{each.name}.read"] = each.storage.read
            found[f"{each.device}.{each.name}.write"] = each.storage.write
        return found

    @cached_property
    def engines(self) -> Mapping[str, tuple[Device, Engine]]:
        """Every engine by resource name."""
        return {f"{name}.{engine.name}": (device, engine) for name, device in self.devices.items() for engine in device.engines.values()}

    def device(self, name: str) -> Device:
        """The specification of a device instance; raises `ValueError`."""
        try:
            return self.devices[name]
        except KeyError:
            raise ValueError(f"unknown device {name!r}: the cluster has {_listed(self.devices)}") from None

    def engine_name(self, device: str, engine: str | None = None) -> str:
        """The resource name of a device's engine (None: its first); raises `ValueError`."""
        spec = self.device(device)
        if engine is None:
            return f"{device}.{spec.main_engine.name}"
        if engine not in spec.engines:
            raise ValueError(f"device {device!r} has no engine {engine!r}: it has {_listed(spec.engines)}")
        return f"{device}.{engine}"

    def storage_of(self, device: str, name: str | None = None) -> Attachment:
        """A storage of a device (None: its first); raises `ValueError`."""
        self.device(device)
        own = {each.name: each for each in self.attachments if each.device == device}
        if not own:
            raise ValueError(f"device {device!r} has no storage")
        if name is None:
            return next(iter(own.values()))
        if name not in own:
            raise ValueError(f"device {device!r} has no storage {name!r}: it has {_listed(own)}")
        return own[name]

    # -- who reaches whom ---------------------------------------------------------------------------------------------------------------

    def graph(self) -> networkx.MultiGraph[str]:
        """A networkx graph of the nodes, with the connection's name as the key of each edge and `connection`, `latency` as its data."""
        return join([*self.devices, *self.switches], self.connections)

    def components(self) -> tuple[tuple[str, ...], ...]:
        """The nodes that reach each other, as sorted groups, the largest first (by name on a tie). One group: the cluster is connected."""
        import networkx

        groups = (tuple(sorted(group)) for group in networkx.connected_components(self._graph))
        return tuple(sorted(groups, key=lambda group: (-len(group), group)))

    def route(self, src: str, dst: str) -> tuple[Hop, ...]:
        """The hops from one node to another: least latency, then fewest hops, then by names; `()` from a node to itself.

        Raises `ValueError` for a node that does not exist, and its subclass `Unreachable` where nothing joins the two.
        """
        for node in (src, dst):
            if node not in self._graph:
                raise ValueError(f"unknown node {node!r}: the cluster has {_listed(self._graph)}")
        routes = self._routes.get(src)
        if routes is None:
            routes = self._routes[src] = routes_from(self._graph, src)
        if dst not in routes:
            raise Unreachable(f"no route joins {src!r} and {dst!r}")
        return routes[dst]

    # -- what operations demand ---------------------------------------------------------------------------------------------------------

    def compute(self, device: str, work: Work, engine: str | None = None, clock: float = 1.0) -> Demand:
        """A work on an engine (None: the device's first) at a fraction of its highest clock; see `hwmodels.roofline`.

        Launch overheads are latency; the roofs are the fluid phase, in which the bus carries the bytes that the cache does not serve.
        Raises `ValueError` for an unknown device or engine, arithmetic that the engine cannot do, or energy figures that nobody stated.
        """
        resource = self.engine_name(device, engine)
        spec, unit = self.engines[resource]
        cost = price(work, spec, unit.name, clock)
        usage = {f"{device}.{unit.bus}": cost.bus_bytes} if positive(cost.bus_bytes) else {}
        return Demand(cost.overhead_seconds, cost.fluid_seconds, usage, {device: cost.total_joules}, engine=resource)

    def transfer(self, src: str, dst: str, nbytes: Quantity) -> Demand:
        """Bytes from one node to another along `route`; nothing at all from a node to itself, or for zero bytes.

        Latency is that of the hops, their per-message figures and the network stacks of both ends. The memory buses of the ends carry
        nothing of it (nor of a collective): beside a link whose rate is a good part of a bus's, memory-bound work is priced too fast. See
        `hwmodels.messages`.
        """
        _check_amount(nbytes)
        return Demand() if src == dst else self._path(src, dst).demand(nbytes)

    def collective(self, kind: str, devices: Sequence[str], nbytes: Quantity, algorithm: str = "ring") -> Demand:
        """A collective over devices as one coupled demand; `nbytes` is one device's full buffer, the first device the root.

        Alone it takes exactly its alpha-beta time; see `hwmodels.collectives` for the kinds, the algorithms and their closed forms.
        Raises `ValueError` for an unknown kind or algorithm, no device, or a device named twice.
        """
        _check_amount(nbytes)
        members = tuple(devices)
        _check_unique("device of a collective", members)
        return rounds_demand(self._rounds(kind, members, algorithm), nbytes)

    def load(self, device: str, nbytes: Quantity, storage: str | None = None, random: bool = False) -> Demand:
        """Read bytes from a storage (None: the device's first) into the device's first pool, straight over that pool's bus.

        The storage and the bus are all that it crosses: on a discrete card, whose first pool is its own memory, the link to its host
        (`catalog.facts(...).host_link`) is bypassed. Reading does not share with writing.

        `random`: at the storage's random rate, as a share of its read channel; raises `ValueError` if that rate is unknown.
        """
        attachment = self.storage_of(device, storage)
        spec = attachment.storage
        rate = spec.random_read if random else spec.read
        if rate is None:
            raise ValueError(f"the random read rate of storage {spec.name!r} is unknown")
        return self._storage_demand(attachment, "read", nbytes, spec.read / rate)

    def store(self, device: str, nbytes: Quantity, storage: str | None = None) -> Demand:
        """Write bytes from the device's first pool to a storage (None: the device's first); the way of `load`, and as short."""
        return self._storage_demand(self.storage_of(device, storage), "write", nbytes, 1.0)

    # -- behind them --------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _graph(self) -> networkx.MultiGraph[str]:
        return self.graph()

    @cached_property
    def _routes(self) -> dict[str, Mapping[str, tuple[Hop, ...]]]:
        return {}

    @cached_property
    def _paths(self) -> dict[tuple[str, str], Bundle]:
        return {}

    @cached_property
    def _compiled(self) -> dict[tuple[str, tuple[str, ...], str], tuple[Round, ...]]:
        return {}

    def _path(self, src: str, dst: str) -> Bundle:
        found = self._paths.get((src, dst))
        if found is None:
            ends = sum(self.devices[node].nic_seconds_per_message for node in (src, dst) if node in self.devices)
            found = self._paths[src, dst] = bundle(self.route(src, dst), ends)
        return found

    def _rounds(self, kind: str, devices: tuple[str, ...], algorithm: str) -> tuple[Round, ...]:
        key = (kind, devices, algorithm)
        found = self._compiled.get(key)
        if found is None:
            paths = {(a, b): self._path(devices[a], devices[b]) for a, b in permutations(range(len(devices)), 2)}
            found = self._compiled[key] = compile_rounds(kind, algorithm, paths, len(devices), self.capacities)
        return found

    def _storage_demand(self, attachment: Attachment, channel: str, nbytes: Quantity, share: float) -> Demand:
        """`share`: channel capacity taken per byte."""
        _check_amount(nbytes)
        if not positive(nbytes):
            return Demand()
        owner, spec = f"{attachment.device}.{attachment.name}", attachment.storage
        rate = spec.read if channel == "read" else spec.write
        bus = self.devices[attachment.device].main_pool.bus
        return Demand(
            latency=choose(nbytes > 0, spec.latency, 0.0),
            usage={f"{owner}.{channel}": nbytes * share, f"{attachment.device}.{bus}": nbytes},
            joules={owner: nbytes * (share / rate * spec.active_W)},
        )

    def _check_connection(self, connection: Connection) -> None:
        for end in connection.ends:
            if end not in self.devices and end not in self.switches:
                raise ValueError(f"connection {connection.name!r} ends at unknown node {end!r}")
        if connection.ends[0] == connection.ends[1]:
            raise ValueError(f"connection {connection.name!r} joins {connection.ends[0]!r} to itself")
        link = connection.link
        if link.duplex == "half" and link.bandwidth_back not in (None, link.bandwidth):
            raise ValueError(f"link {link.name!r} is half duplex and has two bandwidths: use duplex `shared`")
        if connection.medium is not None and link.duplex != "shared":
            raise ValueError(f"connection {connection.name!r} names a medium, but its link {link.name!r} is not of duplex `shared`")


def _check_unique(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} named twice: {', '.join(twice)}")


def _check_amount(nbytes: Quantity) -> None:
    if not nowhere_negative(nbytes):
        raise ValueError(f"an amount of bytes must be zero or more, not {nbytes!r}")


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names) or "none"
