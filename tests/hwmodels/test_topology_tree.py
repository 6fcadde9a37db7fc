"""Routes in a tree: the only way, whatever way it is found."""

from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels.ideal import ideal_link
from edgewright.hwmodels.topology import Connection, Tree, join, routes_from


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
    graph = join([f"n{node}" for node in range(count)], connections)
    tree = Tree(graph)
    assert tree.single
    for src in graph:
        assert {dst: tree.route(src, dst) for dst in graph} == dict(routes_from(graph, src))


def test_rings_are_no_trees_and_apart_is_no_way():
    links = [*_connections([0, 1]), Connection("ring", ("n0", "n2"), ideal_link(1.0))]
    assert not Tree(join(["n0", "n1", "n2"], links)).single
    apart = Tree(join(["a", "b"], []))
    assert apart.single
    assert apart.route("a", "b") is None
    assert apart.route("a", "a") == ()
