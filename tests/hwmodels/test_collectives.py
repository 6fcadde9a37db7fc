"""Collectives on a switch of 100 MB/s links and 100 us a hop: every closed form of the table, with its arithmetic."""

import math

import pytest

from edgewright.hwmodels import Bus, Cluster, Connection, Device, Engine, Link, Pool
from edgewright.hwmodels.collectives import ALGORITHMS, KINDS, phases

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
    """The table of `hwmodels.collectives`."""
    a, t, levels = LATENCY, SIZE / RATE, math.ceil(math.log2(n))
    if algorithm == "ring":
        steps = 2 * (n - 1) if kind in ("allreduce", "broadcast", "reduce") else n - 1
        return steps * (a + t / n)
    if algorithm == "star":
        return {
            "allreduce": 2 * (a + (n - 1) * t),
            "broadcast": a + (n - 1) * t,
            "reduce": a + (n - 1) * t,
            "allgather": 2 * a + ((n - 1) / n + (n - 1) ** 2 / n) * t,
            "reducescatter": 2 * a + ((n - 1) / n + (n - 1) ** 2 / n) * t,
            "alltoall": 2 * (a + (n - 1) ** 2 / n * t),
        }[kind]
    blocks = sum(bin(distance).count("1") for distance in range(1, n))
    return {
        "allreduce": 2 * levels * (a + t),
        "broadcast": levels * (a + t),
        "reduce": levels * (a + t),
        "allgather": levels * a + (n - 1) / n * t,
        "reducescatter": levels * a + (n - 1) / n * t,
        "alltoall": levels * a + blocks / n * t,
    }[kind]


@pytest.mark.parametrize("ranks", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", KINDS)
def test_alone_it_takes_its_closed_form(kind: str, algorithm: str, ranks: int) -> None:
    assert alone(star(ranks), kind, algorithm) == pytest.approx(closed_form(kind, algorithm, ranks), rel=1e-12)


def spread(kind: str, algorithm: str, ranks: int) -> list[set[int]]:
    """Whose contributions each rank holds once every phase has carried all that its senders knew."""
    known = [{rank} for rank in range(ranks)]
    for step in phases(kind, ranks, algorithm):
        for _ in range(step.repeat):
            before = [set(each) for each in known]
            for sender, receiver in step.pairs:
                known[receiver] |= before[sender]
    return known


@pytest.mark.parametrize("ranks", [2, 3, 6, 8])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_data_reaches_those_who_need_it(algorithm: str, ranks: int) -> None:
    everyone = set(range(ranks))
    for kind in ("allreduce", "allgather", "reducescatter", "alltoall"):
        assert all(known == everyone for known in spread(kind, algorithm, ranks)), kind
    assert all(0 in known for known in spread("broadcast", algorithm, ranks))
    assert spread("reduce", algorithm, ranks)[0] == everyone


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
