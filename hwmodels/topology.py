"""Who is joined to whom: connections, storage attachments, and routes of least latency."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from edgewright.hwmodels.specs import Link, Storage

if TYPE_CHECKING:
    import networkx

__all__ = [
    "DETOUR",
    "Attachment",
    "Connection",
    "Hop",
    "Neighbours",
    "Tree",
    "Unreachable",
    "groups",
    "join",
    "link_capacities",
    "neighbours",
    "routes_from",
]


class Unreachable(ValueError):
    """No route joins two nodes."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A link instance: `name` is unique in the cluster, `ends` are node names (devices or switches).

    `medium`: for links of duplex `shared`, the name of the medium whose airtime its stations share. None: its two ends are alone on it.
    """

    name: str
    ends: tuple[str, str]
    link: Link
    medium: str | None = None

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that are this connection's own: its directions, its one capacity, or its station's airtime. Not the medium."""
        return (f"{self.name}>", f"{self.name}<") if self.link.duplex == "full" else (self.name,)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A storage instance on a device: `name` is unique on that device. Its DMA writes to the bus of the device's first pool."""

    name: str
    device: str
    storage: Storage


class Hop(NamedTuple):
    """One link of a route: `connection`, and whether it is crossed from its second end to its first."""

    connection: Connection
    backward: bool

    @property
    def resources(self) -> tuple[str, ...]:
        """The shared resources that the hop uses: a direction, a half-duplex link, or a medium and its station's own airtime."""
        connection = self.connection
        if connection.link.duplex == "full":
            return (connection.name + ("<" if self.backward else ">"),)
        return (connection.name,) if connection.medium is None else (connection.medium, connection.name)

    @property
    def rate(self) -> float:
        """Bytes of payload per second in the hop's direction, with nobody else there."""
        link = self.connection.link
        back = link.bandwidth_back
        return (back if self.backward and back is not None else link.bandwidth) * link.efficiency

    @property
    def usage_per_byte(self) -> float:
        """Amount of each of its resources that one byte takes: a byte, or its seconds of airtime on a shared medium."""
        return 1.0 / self.rate if self.connection.link.duplex == "shared" else 1.0

    @property
    def capacity(self) -> float:
        """Amount of each of its resources per second."""
        return 1.0 if self.connection.link.duplex == "shared" else self.rate


def link_capacities(connections: Iterable[Connection]) -> Iterator[tuple[str, float]]:
    """Every link resource and its capacity, in the order of the connections."""
    for connection in connections:
        for backward in (False, True):
            hop = Hop(connection, backward)
            yield from ((resource, hop.capacity) for resource in hop.resources)


DETOUR = 1e6
"""Seconds that a connection which routes avoid counts as: any way around is nearer."""


Neighbours: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""Who is joined to whom: node, its neighbour, the name of a connection between them, and that one's `connection` and `latency`."""


def neighbours(nodes: Iterable[str], connections: Iterable[Connection], avoided: Collection[str] = ()) -> Neighbours:
    """Who is joined to whom; see `join`."""
    found: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {node: {} for node in sorted(nodes)}
    for a, b, name, edge in _edges(connections, avoided):
        found[a].setdefault(b, {})[name] = edge
        found[b].setdefault(a, {})[name] = edge
    return found


def join(nodes: Iterable[str], connections: Iterable[Connection], avoided: Collection[str] = ()) -> networkx.MultiGraph[str]:
    """The graph of the nodes; each edge's key is the connection's name, its data `connection` and `latency`.

    Routes take an `avoided` connection only where there is no other way.

    Nodes and edges go in sorted by name, so that what is computed from the graph does not depend on the order of a scenario file.
    """
    import networkx

    graph: networkx.MultiGraph[str] = networkx.MultiGraph()
    graph.add_nodes_from(sorted(nodes))
    for a, b, name, edge in _edges(connections, avoided):
        graph.add_edge(a, b, key=name, **edge)
    return graph


def _edges(connections: Iterable[Connection], avoided: Collection[str]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for connection in sorted(connections, key=lambda each: each.name):
        link = connection.link
        latency = link.latency + link.per_message + link.jitter + (DETOUR if connection.name in avoided else 0.0)
        yield *connection.ends, connection.name, {"connection": connection, "latency": latency}


def groups(near: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """The nodes that reach each other, group by group."""
    seen: set[str] = set()
    for root in near:
        if root not in seen:
            seen.add(root)
            group = [root]
            for node in group:
                new = [each for each in near[node] if each not in seen]
                seen.update(new)
                group += new
            yield group


def routes_from(graph: networkx.MultiGraph[str], src: str) -> Mapping[str, tuple[Hop, ...]]:
    """The route from `src` to every node it reaches: least sum of latencies (to the femtosecond), then fewest hops.

    What is still equal is decided by the names of the connections, whatever their order in the cluster.
    """
    import networkx

    weight = len(graph) + 1

    def cost(a: str, b: str, edges: Mapping[str, Mapping[str, float]]) -> int:
        return min(round(edge["latency"] * 1e15) for edge in edges.values()) * weight + 1

    paths = networkx.single_source_dijkstra_path(graph, src, weight=cost)
    return {node: tuple(_hop(a, graph.get_edge_data(a, b)) for a, b in pairwise(path)) for node, path in paths.items()}


class Tree:
    """A graph in which one way at most joins two nodes: routes are found by climbing to where they meet, not by a search of all nodes."""

    def __init__(self, near: Neighbours) -> None:
        self._near = near
        self._above: dict[str, tuple[str, ...]] = {}
        self.single = True
        edges = sum(map(len, near.values())) // 2
        for root in near:
            if root not in self._above:
                self._grow(root)
        roots = sum(not above for above in self._above.values())
        self.single = edges == len(near) - roots

    def _grow(self, root: str) -> None:
        self._above[root] = ()
        waiting = [root]
        for node in waiting:
            for near in self._near[node]:
                if near not in self._above:
                    self._above[near] = (node,)
                    waiting.append(near)

    def _climb(self, node: str) -> list[str]:
        path = [node]
        while above := self._above[path[-1]]:
            path.append(above[0])
        return path

    def route(self, src: str, dst: str) -> tuple[Hop, ...] | None:
        """The hops of the only way; None where there is none."""
        up, down = self._climb(src), self._climb(dst)
        if up[-1] != down[-1]:
            return None
        while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
            del up[-1], down[-1]
        return tuple(_hop(a, self._near[a][b]) for a, b in pairwise([*up, *reversed(down[:-1])]))


def _hop(src: str, edges: Mapping[Any, Mapping[str, Any]]) -> Hop:
    """Of parallel connections that leave `src`, the one of least latency, the first by name on a tie."""
    name = min(edges, key=lambda key: (edges[key]["latency"], key))
    connection: Connection = edges[name]["connection"]
    return Hop(connection, backward=connection.ends[0] != src)
