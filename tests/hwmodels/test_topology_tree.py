"""Routes in a tree: the only way, whatever way it is found."""

import networkx
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels.ideal import ideal_link
from edgewright.hwmodels.topology import Connection, Tree, groups, join, neighbours, routes_from


def _connections(parents):
    return [Connection(f"c{child}", (f"n{child}", f"n{parent}"), ideal_link(1.0)) for child, parent in enumerate(parents, start=1)]


@given(st.data())
def test_climbing_finds_what_searching_finds(data):
    count = data.draw(st.integers(1, 12))
    parents = [data.draw(st.integers(0, child)) for child in range(count - 1)]
    connections = _connections(parents)
    if connections and data.draw(st.booleans()):  # a second link beside one: still one way from node to node
        twin = connections[0]
        connections.append(Connection("beside", twin.ends, ideal_link(1.0, latency=data.draw(st.sampled_from([0.0, 1.0])))))
        connections[0] = Connection("c1", twin.ends, ideal_link(1.0, latency=0.5))
    nodes = [f"n{node}" for node in range(count)]
    graph = join(nodes, connections)
    tree = Tree(neighbours(nodes, connections))
    assert tree.single
    for src in graph:
        assert {dst: tree.route(src, dst) for dst in graph} == dict(routes_from(graph, src))


def test_rings_are_no_trees_and_apart_is_no_way():
    links = [*_connections([0, 1]), Connection("ring", ("n0", "n2"), ideal_link(1.0))]
    assert not Tree(neighbours(["n0", "n1", "n2"], links)).single
    apart = Tree(neighbours(["a", "b"], []))
    assert apart.single
    assert apart.route("a", "b") is None
    assert apart.route("a", "a") == ()


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_groups_are_the_connected_components(count, pairs):
    nodes = [f"n{node}" for node in range(count)]
    pairs = [(a % count, b % count) for a, b in pairs if a % count != b % count]
    connections = [Connection(f"c{number}", (f"n{a}", f"n{b}"), ideal_link(1.0)) for number, (a, b) in enumerate(pairs)]
    graph = join(nodes, connections)
    near = neighbours(nodes, connections)
    assert {node: {other: dict(edges) for other, edges in others.items()} for node, others in near.items()} == graph.adj
    assert [list(others) for others in near.values()] == [list(graph.adj[node]) for node in near]
    assert sorted(map(sorted, groups(near))) == sorted(map(sorted, networkx.connected_components(graph)))
