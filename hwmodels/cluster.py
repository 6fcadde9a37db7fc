"""Devices, storages and switches joined by links: who reaches whom over what, and what each operation demands.

Resources are named by scope: `orin0.gpu` (engine), `orin0.dram` (bus), `orin0.nvme0.read` / `.write` / `.channel` (storage),
`orin0.nvme0` / `orin0.nvme0.internal` (engine and bus inside a storage), `card.host>` / `card.host<` (a card's link to its host's memory),
`lan3>` / `lan3<` (full-duplex link, first to second end and back), `usb` (half-duplex link), `air` and `wifi3` (a shared medium, and
the airtime of one of its stations).
`Cluster` is frozen: what changes in a run is passed to the pricing methods (clocks), or makes another cluster (`under` a condition).
Amounts may be arrays, elementwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels import topology
from edgewright.hwmodels.arrays import choose, greatest, nowhere_negative, positive
from edgewright.hwmodels.collectives import phases, stages
from edgewright.hwmodels.condition import AS_SPECIFIED, Condition
from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.messages import Bundle, Round, bundle, compile_rounds, rounds_demand
from edgewright.hwmodels.nearby import clustered
from edgewright.hwmodels.roofline import Price, price
from edgewright.hwmodels.specs import Device, Engine
from edgewright.hwmodels.storage_access import access, channels
from edgewright.hwmodels.topology import Attachment, Connection, Hop, Neighbours, Tree, Unreachable, link_capacities, routes_from
from edgewright.hwmodels.transport import check_transport
from edgewright.hwmodels.work import Quantity, Work

if TYPE_CHECKING:
    import networkx

    from edgewright.hwmodels.roofline_form import RoofForm

__all__ = ["Attachment", "Cluster", "Connection", "Hop", "Unreachable"]

REMEMBERED = 1 << 16
"""Messages whose demand is remembered: the same bytes between the same nodes are priced once."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """Instances of devices, switches, links and storages. Compared and hashed by identity; what is derived is computed once.

    Attributes:
        devices: specification by instance name.
        switches: names of nodes that only forward.
        connections: links between nodes; `ends` must be devices or switches.
        attachments: storages of devices, in order: the first of a device is its default.
        hosts: for cards, the device in whose memory their bytes are on the way to and from its storages, which they use as their own
            after those that they have.
        condition: what is not as specified at the moment.

    Raises:
        ValueError: a name used twice (devices and connections draw energy and fail by their names, so these are of one kind), an end or
            device that does not exist, or a link that contradicts itself.
    """

    devices: Mapping[str, Device]
    switches: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    condition: Condition = AS_SPECIFIED

    def __post_init__(self) -> None:
        _check_unique("node", [*self.devices, *self.switches])
        _check_unique("connection", [connection.name for connection in self.connections])
        _check_unique("device or connection", [*self.devices, *(connection.name for connection in self.connections)])
        _check_unique("storage", [f"{each.device}.{each.name}" for each in self.attachments])
        for connection in self.connections:
            self._check_connection(connection)
        self._check_media()
        for attachment in self.attachments:
            self.device(attachment.device)
            if attachment.storage.engine is not None and attachment.name in self.devices[attachment.device].engines:
                raise ValueError(f"storage {attachment.device}.{attachment.name} computes, and has the name of an engine there")
        parts = [f"{name}.{part}" for name, each in self.devices.items() for part in (*each.engines, *each.buses)]
        _check_unique("storage, engine or bus", [*parts, *(f"{each.device}.{each.name}" for each in self.attachments)])
        for card, host in self.hosts.items():
            self.device(card)
            self.device(host)
            if card == host:
                raise ValueError(f"device {card!r} is its own host")

    def under(self, condition: Condition) -> Cluster:
        """The cluster with links delayed, routes turned and engines slowed as the condition says; call it on the one as specified."""
        return replace(self, connections=tuple(map(condition.of_link, self.connections)), condition=condition)

    # -- what there is ------------------------------------------------------------------------------------------------------------------

    @cached_property
    def capacities(self) -> Mapping[str, float]:
        """Amount per second of every shared resource: buses, link directions, storage channels (bytes/s), airtime (1)."""
        found = {f"{name}.{bus.name}": bus.bandwidth for name, device in self.devices.items() for bus in device.buses.values()}
        found.update(link_capacities((*self.connections, *self._host_links.values())))
        for each in self.attachments:
            found.update(channels(f"{each.device}.{each.name}", each.storage))
            if each.storage.internal is not None and each.storage.engine is not None:
                found[f"{each.device}.{each.name}.internal"] = each.storage.internal
        return found

    @cached_property
    def engines(self) -> Mapping[str, tuple[Device, Engine]]:
        """Every engine by resource name, with its device; a storage that computes is a device to its own (`Storage.as_device`)."""
        found = {f"{name}.{engine.name}": (device, engine) for name, device in self.devices.items() for engine in device.engines.values()}
        for each in self.attachments:
            if (engine := each.storage.engine) is not None:
                found[f"{each.device}.{each.name}"] = (each.storage.as_device(), engine)
        return found

    def device(self, name: str) -> Device:
        """The specification of a device instance; raises `ValueError`."""
        try:
            return self.devices[name]
        except KeyError:
            raise ValueError(f"unknown device {name!r}: the cluster has {_listed(self.devices)}") from None

    def engine_name(self, device: str, engine: str | None = None) -> str:
        """The resource name of a device's engine (None: its first), or of one of its storages that computes; raises `ValueError`."""
        spec = self.device(device)
        if engine is None:
            return f"{device}.{spec.main_engine.name}"
        if engine not in spec.engines and engine not in (computing := self._computing.get(device, ())):
            raise ValueError(f"device {device!r} has no engine {engine!r}: it has {_listed((*spec.engines, *computing))}")
        return f"{device}.{engine}"

    def engine_owner(self, engine: str) -> str:
        """Inside of what an engine is, by resource name: its device, or the storage that computes."""
        return engine if self.engines[engine][0].kind == "csd" else engine.partition(".")[0]

    def own_storages(self, device: str) -> tuple[Attachment, ...]:
        """The storages attached to a device itself, in order; none of an unknown one."""
        return self._attached.get(device, ())

    def storages_of(self, device: str) -> Mapping[str, Attachment]:
        """The storages that a device reads and writes, by name: its own, then its host's (of those alike in name, its own)."""
        near, far = self.own_storages(device), self.own_storages(self.hosts.get(device, ""))
        return {each.name: each for each in (*near, *(each for each in far if each.name not in {one.name for one in near}))}

    def storage_of(self, device: str, name: str | None = None) -> Attachment:
        """A storage of a device (None: its first), see `storages_of`; raises `ValueError`."""
        self.device(device)
        own = self.storages_of(device)
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
        return topology.join([*self.devices, *self.switches], self.connections, self.condition.avoided)

    def components(self) -> tuple[tuple[str, ...], ...]:
        """The nodes that reach each other, as sorted groups, the largest first (by name on a tie). One group: the cluster is connected."""
        found = (tuple(sorted(group)) for group in topology.groups(self._neighbours))
        return tuple(sorted(found, key=lambda group: (-len(group), group)))

    def route(self, src: str, dst: str) -> tuple[Hop, ...]:
        """The hops from one node to another: least latency, then fewest hops, then by names; `()` from a node to itself.

        Raises `ValueError` for a node that does not exist, and its subclass `Unreachable` where nothing joins the two.
        """
        for node in (src, dst):
            if node not in self._neighbours:
                raise ValueError(f"unknown node {node!r}: the cluster has {_listed(self._neighbours)}")
        found = self._tree.route(src, dst) if self._tree.single else self._searched(src).get(dst)
        if found is None:
            raise Unreachable(f"no route joins {src!r} and {dst!r}")
        return found

    def _searched(self, src: str) -> Mapping[str, tuple[Hop, ...]]:
        routes = self._routes.get(src)
        if routes is None:
            routes = self._routes[src] = routes_from(self._graph, src)
        return routes

    # -- what operations demand ---------------------------------------------------------------------------------------------------------

    def compute(self, device: str, work: Work, engine: str | None = None, clock: float = 1.0) -> Demand:
        """A work on an engine (None: the device's first) at a fraction of its highest clock; see `hwmodels.roofline`.

        Launch overheads are latency; the roofs are the fluid phase, in which the bus carries the bytes that the cache does not serve.
        Raises `ValueError` for an unknown device or engine, arithmetic that the engine cannot do, or energy figures that nobody stated.
        """
        resource = self.engine_name(device, engine)
        spec, unit = self.engines[resource]
        return self.occupied(resource, price(work, spec, unit.name, clock))

    def compute_form(self, resource: str, work: Work, clock: float, variables: int) -> RoofForm:
        """How the price of a work with `Affine` quantities on an engine (its resource name) follows its variables: for `occupied`."""
        from edgewright.hwmodels.roofline_form import roof_form

        spec, unit = self.engines[resource]
        return roof_form(work, spec, unit.name, clock, variables)

    def occupied(self, resource: str, cost: Price) -> Demand:
        """What a price on an engine (its resource name) demands."""
        owner = self.engine_owner(resource)
        bus = f"{owner}.{self.engines[resource][1].bus}"
        usage = {bus: cost.bus_bytes} if positive(cost.bus_bytes) else {}
        joules = {resource: cost.total_joules}
        if owner in self.devices and positive(cost.dram_joules):
            joules = {resource: cost.compute_joules + cost.cache_joules, bus: cost.dram_joules}
        demand = Demand(cost.overhead_seconds, cost.fluid_seconds, usage, joules, engine=resource)
        return self.condition.on_engine(demand, self.capacities[bus])

    @cached_property
    def forms(self) -> dict[tuple[Any, ...], RoofForm | None]:
        """Forms of works on engines that are kept, by whatever names them; None for a work that has none."""
        return {}

    def transfer(self, src: str, dst: str, nbytes: Quantity) -> Demand:
        """Bytes from one node to another along `route`; nothing at all from a node to itself, or for zero bytes.

        Latency is that of the hops, their per-message figures and the network stacks of both ends. The memory buses of the ends carry
        nothing of it (nor of a collective): beside a link whose rate is a good part of a bus's, memory-bound work is priced too fast. See
        `hwmodels.messages`.
        """
        if not isinstance(nbytes, float):
            _check_amount(nbytes)
            return Demand() if src == dst else self._path(src, dst).demand(nbytes)
        found = self._sent.get((src, dst, nbytes))
        if found is None:
            _check_amount(nbytes)
            if len(self._sent) >= REMEMBERED:
                self._sent.clear()
            found = self._sent[src, dst, nbytes] = Demand() if src == dst else self._path(src, dst).demand(nbytes)
        return found

    def collective(
        self,
        kind: str,
        devices: Sequence[str],
        nbytes: Quantity,
        algorithm: str = "ring",
        *,
        groups: Sequence[Sequence[str]] = (),
        shares: Sequence[Any] = (),
        stage: int | None = None,
    ) -> Demand:
        """A collective over devices; `nbytes` is one device's full buffer, the first device the root.

        As one coupled demand, or only one of its `stages`, which follow one another. Alone it takes exactly its alpha-beta time; see
        `hwmodels.collectives` for the kinds, the algorithms, the `shares` of an uneven all-to-all, and their closed forms.

        `groups`: of devices, for the algorithm `hierarchical`; those that the links suggest (`nearby`) if there are none.
        Raises `ValueError` for an unknown kind or algorithm, no device, or a device named twice.
        """
        _check_amount(nbytes)
        members = tuple(devices)
        _check_unique("device of a collective", members)
        if algorithm == "hierarchical" and not groups:
            groups = self.nearby(members)
        return rounds_demand(self._rounds(kind, members, algorithm, _frozen(groups), _frozen(shares), stage), nbytes)

    def nearby(self, devices: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Devices in groups that are near each other: the nodes or racks of a hierarchical collective.

        Two devices are as far apart as 1 MB takes between them (the worse way), and groups are joined from the nearest up (single linkage).
        Where one joining goes more than twice as far as the one before, what is joined until the largest such jump is a group each;
        without any jump all are one group.
        """
        members = tuple(devices)
        if members not in self._near:
            self._near[members] = clustered(members, sorted((self._distance(a, b), a, b) for a, b in combinations(members, 2)))
        return self._near[members]

    def load(
        self,
        device: str,
        nbytes: Quantity,
        storage: str | None = None,
        random: bool = False,
        block: float | None = None,
        depth: int | None = None,
    ) -> Demand:
        """Read bytes from a storage (None: the device's first) into the device's first pool.

        They cross, all in step, the storage, the bus of that pool, and on a card what joins it to its host: the card's own `host_link`, or,
        with a host of its own in the cluster, that one's memory (written and read again: twice) and the route from there.

        `random`, `block` (bytes per request) and `depth` (requests in flight): see `hwmodels.storage_access`. Raises `ValueError` for
        a storage that is not there, and where `storage_access.access` does.

        How wrong: copies through the host overlap with the reads perfectly, and cost no CPU time.
        """
        return self._accessed(device, nbytes, storage, write=False, random=random, block=block, depth=depth)

    def store(
        self,
        device: str,
        nbytes: Quantity,
        storage: str | None = None,
        random: bool = False,
        block: float | None = None,
        depth: int | None = None,
    ) -> Demand:
        """Write bytes from the device's first pool to a storage (None: the device's first); the way of `load`, back."""
        return self._accessed(device, nbytes, storage, write=True, random=random, block=block, depth=depth)

    def stage(self, device: str, nbytes: Quantity, inward: bool) -> Demand:
        """Copy bytes from a card's memory to that of its host, or (`inward`) back; raises `ValueError` for a device without a host."""
        _check_amount(nbytes)
        if device not in self.hosts and device not in self._host_links:
            raise ValueError(f"device {device!r} has no memory of a host besides its own")
        return self._along(Demand(), self._to_host(device, inward), nbytes) if positive(nbytes) else Demand()

    # -- behind them --------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _neighbours(self) -> Neighbours:
        return topology.neighbours([*self.devices, *self.switches], self.connections, self.condition.avoided)

    @cached_property
    def _graph(self) -> networkx.MultiGraph[str]:
        return self.graph()  # for those with several ways only: networkx takes a tenth of a second to load

    @cached_property
    def _routes(self) -> dict[str, Mapping[str, tuple[Hop, ...]]]:
        return {}

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self._neighbours)

    @cached_property
    def _sent(self) -> dict[tuple[str, str, float], Demand]:
        return {}

    @cached_property
    def _paths(self) -> dict[tuple[str, str], Bundle]:
        return {}

    @cached_property
    def _near(self) -> dict[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        return {}

    @cached_property
    def _compiled(self) -> dict[tuple[Any, ...], tuple[Round, ...]]:
        return {}

    def _path(self, src: str, dst: str) -> Bundle:
        found = self._paths.get((src, dst))
        if found is None:
            ends = sum(self.devices[node].nic_seconds_per_message for node in (src, dst) if node in self.devices)
            found = self._paths[src, dst] = bundle(self.route(src, dst), ends)
        return found

    def _rounds(
        self,
        kind: str,
        devices: tuple[str, ...],
        algorithm: str,
        groups: tuple[Any, ...],
        shares: tuple[Any, ...],
        stage: int | None,
    ) -> tuple[Round, ...]:
        key = (kind, devices, algorithm, groups, shares, stage)
        found = self._compiled.get(key)
        if found is None:
            ranks = {device: rank for rank, device in enumerate(devices)}
            steps = phases(kind, len(devices), algorithm, [[ranks.get(name, -1) for name in group] for group in groups], shares)
            if stage is not None:
                steps = dict(enumerate(stages(steps))).get(stage, ())
            paths = {(a, b): self._path(devices[a], devices[b]) for step in steps for a, b in step.pairs}
            found = self._compiled[key] = compile_rounds(steps, paths, self.capacities)
        return found

    def _distance(self, a: str, b: str) -> float:
        alone = (self._path(*ends).demand(1e6).alone(self.capacities) for ends in ((a, b), (b, a)))
        return max(map(float, alone))

    @cached_property
    def _attached(self) -> Mapping[str, tuple[Attachment, ...]]:
        found: dict[str, list[Attachment]] = {}
        for each in self.attachments:
            found.setdefault(each.device, []).append(each)
        return {device: tuple(each) for device, each in found.items()}

    @cached_property
    def _computing(self) -> Mapping[str, tuple[str, ...]]:
        """The storages of each device that have an engine."""
        found: dict[str, tuple[str, ...]] = {}
        for each in self.attachments:
            if each.storage.engine is not None:
                found[each.device] = (*found.get(each.device, ()), each.name)
        return found

    @cached_property
    def _host_links(self) -> Mapping[str, Connection]:
        """The links of cards to the memory of hosts that are no devices of the cluster."""
        return {
            name: Connection(f"{name}.host", (f"host of {name}", name), device.host_link)
            for name, device in self.devices.items()
            if device.host_link is not None and name not in self.hosts
        }

    def _to_host(self, device: str, inward: bool) -> Bundle:
        """Per byte, what moves between a card's memory and its host's: both memories' buses, and the link."""
        if device in self.hosts:
            host = self.hosts[device]
            found = bundle(self.route(host, device) if inward else self.route(device, host))
            far = {f"{host}.{self.devices[host].main_pool.bus}": 1.0}
        else:
            link = self._host_links[device]
            found, far = bundle([Hop(link, backward=not inward)]), {}
            found = replace(found, joules={device: found.joules[link.name]})
        return replace(found, usage={**found.usage, **far, f"{device}.{self.devices[device].main_pool.bus}": 1.0})

    def _accessed(self, device: str, nbytes: Quantity, storage: str | None, *, write: bool, **how: Any) -> Demand:
        """Read or write, `how` as in `storage_access.access`, and carry the bytes between the storage and the device."""
        attachment = self.storage_of(device, storage)
        asked = access(f"{attachment.device}.{attachment.name}", attachment.storage, nbytes, write=write, **how)
        return self._moved(asked, attachment, device, nbytes, inward=not write)

    def _moved(self, asked: Demand, attachment: Attachment, device: str, nbytes: Quantity, *, inward: bool) -> Demand:
        """The access to a storage with the way between it and a device's first pool."""
        if not asked.usage:
            return asked
        owner, usage = f"{attachment.device}.{attachment.name}", dict(asked.usage)
        if attachment.storage.engine is not None:
            usage[f"{owner}.internal"] = nbytes
        if attachment.device != device or device in self._host_links:
            if attachment.device != device:
                usage[f"{attachment.device}.{self.devices[attachment.device].main_pool.bus}"] = nbytes
            return self._along(replace(asked, usage=usage), self._to_host(device, inward), nbytes)
        usage[f"{device}.{self.devices[device].main_pool.bus}"] = nbytes
        return replace(asked, usage=usage)

    def _along(self, asked: Demand, way: Bundle, nbytes: Quantity) -> Demand:
        """The demand and a way that the same bytes take in step with it."""
        usage, joules = dict(asked.usage), dict(asked.joules)
        for resource, amount in way.usage.items():
            usage[resource] = usage.get(resource, 0.0) + nbytes * amount
        for owner, amount in way.joules.items():
            joules[owner] = joules.get(owner, 0.0) + nbytes * amount
        latency = asked.latency + choose(nbytes > 0, way.delay, 0.0)
        seconds = greatest(asked.seconds, nbytes * way.bound)
        return replace(
            asked,
            latency=latency,
            seconds=seconds,
            usage=usage,
            joules=joules,
            traffic={name: nbytes * each for name, each in way.traffic.items()},
        )

    def _check_media(self) -> None:
        media = {connection.medium for connection in self.connections}
        for connection in self.connections:
            if connection.name in media:
                raise ValueError(f"{connection.name!r} is the name of a medium and of a connection: expected names of their own")

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
        check_transport(link)


def _frozen(items: Sequence[Any]) -> tuple[Any, ...]:
    """A sequence, or a sequence of sequences, as tuples."""
    return tuple(item if isinstance(item, (int, float, str)) else tuple(item) for item in items)


def _check_unique(what: str, names: Sequence[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{what} named twice: {', '.join(twice)}")


def _check_amount(nbytes: Quantity) -> None:
    if not nowhere_negative(nbytes):
        raise ValueError(f"an amount of bytes must be zero or more, not {nbytes!r}")


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names) or "none"
