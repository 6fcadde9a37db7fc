"""Collectives on a switch of 100 MB/s links and 100 us a hop: every closed form of the table, with its arithmetic."""

import math

import pytest

from edgewright.hwmodels import Bus, Cluster, Connection, Device, Engine, Link, Pool
from edgewright.hwmodels.collectives import ALGORITHMS, KINDS, algorithms, loads, phases, stages

LATENCY, RATE, SIZE = 2e-4, 1e8, 12e6  # device to device: two hops
DEVICE = Device(
    "d",
    "D",
    "cpu_sbc",
    {"cpu": Engine("cpu", "cpu", {"fp32": 1e9}, "dram")},
    {"dram": Bus("dram", 1e9)},
    {"ram": Pool("ram", 1e9, "dram")},
    1,
    5,
)


def star(ranks: int, duplex: str = "full") -> Cluster:
    link = Link("l", "L", RATE, LATENCY / 2, duplex=duplex)  # type: ignore[arg-type]
    names = [f"d{rank}" for rank in range(ranks)]
    return Cluster(dict.fromkeys(names, DEVICE), ("sw",), tuple(Connection(f"e{name}", (name, "sw"), link) for name in names))


def alone(cluster: Cluster, kind: str, algorithm: str, nbytes: float = SIZE) -> float:
    return float(cluster.collective(kind, tuple(cluster.devices), nbytes, algorithm).alone(cluster.capacities))


def closed_form(kind: str, algorithm: str, n: int) -> float:
    """The tables of `hwmodels.collectives`; behind a port of a switch, both ways round are as fast as one."""
    a, t, levels = LATENCY, SIZE / RATE, math.ceil(math.log2(n))
    power = 1 << (n.bit_length() - 1)
    if kind in ("shift", "ringpass"):
        phases_each_way = {"shift": 1, "ringpass": n - 1 if algorithm == "ring" else math.ceil((n - 1) / 2)}[kind]
        return phases_each_way * a + (1 if kind == "shift" else n - 1) * t
    dual = {"reduce": "broadcast", "reducescatter": "allgather"}.get(kind, kind)
    if algorithm == "ring":
        return (2 * (n - 1) if dual in ("allreduce", "broadcast") else n - 1) * (a + t / n)
    if algorithm == "bidirectional_ring":
        half = math.ceil((n - 1) / 2)
        if dual == "broadcast":  # the root sends every segment both ways
            both = 2 if n > 2 else 1
            return (n + half - 1) * a + (n * both + half - 1) * t / n
        return {"allreduce": 2 * (n - 1), "allgather": half, "alltoall": n // 2}[dual] * a + (2 if dual == "allreduce" else 1) * (
            n - 1
        ) * t / n
    if algorithm == "star" or (algorithm == "direct" and dual == "broadcast"):
        return {
            "allreduce": 2 * (a + (n - 1) * t),
            "broadcast": a + (n - 1) * t,
            "allgather": 2 * a + ((n - 1) + (n - 1) ** 2) / n * t,
            "alltoall": 2 * (a + (n - 1) ** 2 / n * t),
        }[dual]
    if algorithm == "direct":
        return a + (n - 1) * t / (1 if dual == "allreduce" else n)
    if algorithm == "tree":
        blocks = sum(bin(distance).count("1") for distance in range(1, n))
        return {
            "allreduce": 2 * levels * (a + t),
            "broadcast": levels * (a + t),
            "allgather": levels * a + (n - 1) / n * t,
            "alltoall": levels * a + blocks / n * t,
        }[dual]
    down = n.bit_length() - 1
    if dual == "broadcast":
        return closed_form(dual, "tree", n) if algorithm == "recursive_doubling" else 2 * levels * a + 2 * (n - 1) / n * t
    if kind == "allgather":
        return levels * a + (n - 1) / n * t
    if kind == "reducescatter":
        return down * a + (n - 1) / n * t if n == power else folded_reducescatter(n)
    inside = down * (a + t) if algorithm == "recursive_doubling" else 2 * down * a + 2 * (power - 1) / power * t
    return inside + (0 if n == power else 2 * (a + t))


def folded_reducescatter(n: int) -> float:
    """Of 3: 1 takes over from 0, then swaps 2 of 3 blocks for 1 with 2, then gives 0 its block. Of 5: 0 and 1 hold two together."""
    a, t = LATENCY, SIZE / RATE
    halving = {3: (a + 2 / 3 * t), 5: (a + 3 / 5 * t) + (a + 2 / 5 * t)}[n]
    return (a + t) + halving + (a + t / n)


CASES = [(kind, algorithm) for kind in KINDS for algorithm in algorithms(kind) if algorithm != "hierarchical"]


@pytest.mark.parametrize("ranks", [2, 3, 4, 5, 8])
@pytest.mark.parametrize(("kind", "algorithm"), CASES)
def test_alone_it_takes_its_closed_form(kind: str, algorithm: str, ranks: int) -> None:
    assert alone(star(ranks), kind, algorithm) == pytest.approx(closed_form(kind, algorithm, ranks), rel=1e-12)


def circle_of(ranks: int) -> Cluster:
    names = [f"d{rank}" for rank in range(ranks)]
    links = (Connection(f"e{rank}", (names[rank], names[(rank + 1) % ranks]), Link("l", "L", RATE, LATENCY)) for rank in range(ranks))
    return Cluster(dict.fromkeys(names, DEVICE), (), tuple(links))


@pytest.mark.parametrize("kind", ["allreduce", "allgather", "reducescatter", "ringpass"])
def test_with_links_of_their_own_both_ways_round_are_twice_as_fast(kind: str) -> None:
    cluster, t = circle_of(5), SIZE / RATE
    one, both = alone(cluster, kind, "ring"), alone(cluster, kind, "bidirectional_ring")
    assert one == pytest.approx({"allreduce": 8 * (LATENCY + t / 5), "ringpass": 4 * (LATENCY + t)}.get(kind, 4 * (LATENCY + t / 5)))
    assert both == pytest.approx({"allreduce": 8 * (LATENCY + t / 10), "ringpass": 2 * (LATENCY + t)}.get(kind, 2 * (LATENCY + t / 5)))


NODES = {4: ((0, 1), (2, 3)), 6: ((0, 2, 4), (1, 3, 5)), 5: ((0, 1, 2), (3, 4)), 8: ((0, 1, 2, 3), (4, 5, 6, 7))}


def two_nodes(slow: float = RATE / 10) -> Cluster:
    """Four devices in each of two nodes; one slow link joins the nodes."""
    names = [f"d{rank}" for rank in range(8)]
    inner = Link("l", "L", RATE, LATENCY / 2)
    links = [Connection(f"e{name}", (name, f"sw{rank // 4}"), inner) for rank, name in enumerate(names)]
    links.append(Connection("wan", ("sw0", "sw1"), Link("w", "W", slow, 1e-2)))
    return Cluster(dict.fromkeys(names, DEVICE), ("sw0", "sw1"), tuple(links))


def test_a_hierarchical_allreduce_crosses_between_nodes_with_a_share_of_the_buffer() -> None:
    """Within nodes 2 * 3 (a + n/4B); between them 4 rails at once of n/4 each, halves of it one way: 2 (a' + n/2B') on the one link."""
    cluster, t = two_nodes(), SIZE / RATE
    assert cluster.nearby(tuple(cluster.devices)) == tuple(tuple(f"d{rank}" for rank in group) for group in NODES[8])
    across = 2 * (LATENCY + 1e-2 + SIZE / 2 / (RATE / 10))
    assert alone(cluster, "allreduce", "hierarchical") == pytest.approx(6 * (LATENCY + t / 4) + across)
    assert alone(cluster, "allreduce", "hierarchical") < alone(cluster, "allreduce", "ring")


def test_groups_are_derived_from_what_is_near() -> None:
    assert star(4).nearby(("d0", "d1", "d2", "d3")) == (("d0", "d1", "d2", "d3"),)
    assert two_nodes().nearby(("d6", "d1", "d7")) == (("d6", "d7"), ("d1",))
    assert star(2).nearby(("d1",)) == (("d1",),)


def test_groups_of_many_devices_are_derived_once():
    cluster = star(48)
    names = tuple(cluster.devices)
    assert cluster.nearby(names) == (names,)
    assert cluster.nearby(list(names)) is cluster.nearby(names)


def test_an_uneven_alltoall_takes_what_its_busiest_port_does() -> None:
    """Rank 2 gets half of everyone's buffer: its port takes 2 * n/2 from the two others, in one phase or spread over two."""
    cluster, t = star(3), SIZE / RATE
    row = (0.25, 0.25, 0.5)
    matrix = (row, row, row)
    for shares in (row, matrix):
        direct = cluster.collective("alltoall", tuple(cluster.devices), SIZE, "direct", shares=shares)
        assert direct.alone(cluster.capacities) == pytest.approx(LATENCY + t)
        assert direct.traffic["ed2<"] == pytest.approx(SIZE)
        assert direct.traffic["ed0<"] == pytest.approx(SIZE / 2)
    ring = cluster.collective("alltoall", tuple(cluster.devices), SIZE, "ring", shares=row)
    assert ring.alone(cluster.capacities) == pytest.approx(2 * (LATENCY + t / 2))
    only = cluster.collective("alltoall", tuple(cluster.devices), SIZE, "direct", shares=((0, 0, 1), (0, 0, 0), (0, 0, 0)))
    assert only.traffic == {"ed0>": SIZE, "ed2<": SIZE}
    none = cluster.collective("alltoall", tuple(cluster.devices), SIZE, "ring", shares=((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert (none.latency, none.traffic) == (0.0, {})


@pytest.mark.parametrize("algorithm", ["ring", "bidirectional_ring", "direct", "star", "tree", "hierarchical"])
@pytest.mark.parametrize("ranks", [2, 4, 6, 8])
def test_an_alltoall_delivers_every_block_to_its_receiver(algorithm: str, ranks: int) -> None:
    """What leaves a rank less what it receives is what it had for others less what others had for it."""
    shares = tuple(tuple((1.0 + (3 * i + 5 * j) % 7) / 100 for j in range(ranks)) for i in range(ranks))
    balance = [0.0] * ranks
    for step in phases("alltoall", ranks, algorithm, NODES.get(ranks, ((0,), (1,))), shares):
        for (sender, receiver), size in zip(step.pairs, step.sizes, strict=True):
            balance[sender] -= size
            balance[receiver] += size
    expected = [sum(row[rank] for row in shares) - sum(shares[rank]) for rank in range(ranks)]
    assert balance == pytest.approx(expected)


def spread(kind: str, algorithm: str, ranks: int) -> list[set[int]]:
    """Whose contributions each rank holds once every phase has carried all that its senders knew."""
    known = [{rank} for rank in range(ranks)]
    for step in phases(kind, ranks, algorithm, NODES.get(ranks, tuple((rank,) for rank in range(ranks)))):
        for _ in range(step.repeat):
            before = [set(each) for each in known]
            for sender, receiver in step.pairs:
                known[receiver] |= before[sender]
    return known


@pytest.mark.parametrize("ranks", [2, 3, 5, 6, 7, 8])
@pytest.mark.parametrize(("kind", "algorithm"), [(kind, algorithm) for kind in KINDS for algorithm in algorithms(kind)])
def test_data_reaches_those_who_need_it(kind: str, algorithm: str, ranks: int) -> None:
    everyone = set(range(ranks))
    if algorithm == "hierarchical" and ranks == 5 and kind in ("allgather", "reducescatter", "alltoall"):
        with pytest.raises(ValueError, match="expected groups of one size"):
            spread(kind, algorithm, ranks)
        return
    known = spread(kind, algorithm, ranks)
    if kind == "broadcast":
        assert all(0 in each for each in known)
    elif kind == "reduce":
        assert known[0] == everyone
    elif kind == "shift":
        assert known == [{rank, (rank - 1) % ranks} for rank in range(ranks)]
    else:
        assert all(each == everyone for each in known)


@pytest.mark.parametrize("ranks", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in ("tree", "hierarchical")])
def test_reductions_add_what_they_must(algorithm: str, ranks: int) -> None:
    """Every element is added N - 1 times over all; where buffers are exchanged whole, everyone adds for itself."""
    steps = phases("allreduce", ranks, algorithm)
    added = sum(fraction for fraction, _ in loads(steps, reducing=True).values())
    power = 1 << (ranks.bit_length() - 1)
    whole = {"direct": ranks * (ranks - 1), "recursive_doubling": ranks - power + power * (power.bit_length() - 1)}
    assert added == pytest.approx(whole.get(algorithm, ranks - 1))
    assert not loads(phases("broadcast", ranks, algorithm), reducing=True)


def test_stages_load_links_alike() -> None:
    def count(kind: str, algorithm: str, ranks: int = 8) -> int:
        return len(stages(phases(kind, ranks, algorithm, NODES[8])))

    assert count("allreduce", "ring") == count("alltoall", "ring") == count("allreduce", "direct") == 1
    assert count("allreduce", "star") == 2  # in, then out
    assert count("allreduce", "tree") == 6  # three levels up, three down
    assert count("allreduce", "hierarchical") == 3  # within, between, within
    assert count("allreduce", "halving_doubling") == 5  # distances 4, 2, 1 and 1, 2, 4: the two of distance 1 are one


def test_bytes_on_the_wire() -> None:
    cluster = star(4)
    traffic = cluster.collective("allreduce", tuple(cluster.devices), SIZE, "star").traffic
    assert traffic["ed0<"] == traffic["ed0>"] == 3 * SIZE  # the root receives three buffers and sends three
    assert traffic["ed1>"] == traffic["ed1<"] == SIZE
    ring = cluster.collective("allreduce", tuple(cluster.devices), SIZE, "ring")
    assert set(ring.traffic.values()) == {2 * 3 * SIZE / 4}
    assert ring.usage == ring.traffic


def test_half_duplex_carries_both_ways_on_one_capacity() -> None:
    full, half = star(4), star(4, "half")
    fluid = 2 * 3 * SIZE / 4 / RATE
    assert alone(full, "allreduce", "ring") == pytest.approx(6 * LATENCY + fluid)
    assert alone(half, "allreduce", "ring") == pytest.approx(6 * LATENCY + 2 * fluid)


def test_small_chunks_are_latency_and_traffic() -> None:
    cluster = star(4)
    demand = cluster.collective("allreduce", tuple(cluster.devices), 4000.0, "ring")  # 1000 bytes a chunk
    assert demand.usage == {}
    assert demand.seconds == 0.0
    assert demand.latency == pytest.approx(6 * (LATENCY + 1000 / RATE))
    assert set(demand.traffic.values()) == {6 * 1000.0}


def test_one_device_needs_no_collective() -> None:
    demand = star(2).collective("allreduce", ("d0",), SIZE)
    assert (demand.latency, demand.seconds, demand.usage, demand.traffic) == (0.0, 0.0, {}, {})


def test_bad_collectives_are_refused() -> None:
    cluster = star(3)
    with pytest.raises(ValueError, match="unknown collective 'gossip': accepted are allreduce"):
        cluster.collective("gossip", ("d0", "d1"), SIZE)
    with pytest.raises(ValueError, match="unknown algorithm 'mesh'"):
        cluster.collective("reduce", ("d0", "d1"), SIZE, "mesh")
    with pytest.raises(ValueError, match="at least one device"):
        cluster.collective("reduce", (), SIZE)
    with pytest.raises(ValueError, match="named twice: d0"):
        cluster.collective("reduce", ("d0", "d0"), SIZE)
    with pytest.raises(ValueError, match="needs groups"):
        cluster.collective("allreduce", ("d0", "d1"), SIZE, "hierarchical", groups=(("d0", "d2"),))
    with pytest.raises(ValueError, match="has no shares"):
        cluster.collective("allreduce", ("d0", "d1"), SIZE, shares=(0.5, 0.5))
    with pytest.raises(ValueError, match="not 2 by 2 figures"):
        cluster.collective("alltoall", ("d0", "d1"), SIZE, shares=(0.5, 0.25, 0.25))
