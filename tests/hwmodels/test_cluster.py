"""Clusters of a few nodes: names, routes, and what each operation demands."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from edgewright.hwmodels import Attachment, Bus, Cluster, Connection, Device, Engine, Link, Pool, Storage, Unreachable, Work, catalog, price
from edgewright.hwmodels.energy import with_envelope
from edgewright.hwmodels.transport import flow_bound

LAN = Link("lan", "LAN", 1e8, 1e-4, mtu=1500, joules_per_byte=1e-9)
FAST = Link("fast", "Fast", 1e9, 1e-5, efficiency=0.8, per_message=2e-5)
AIR = Link("air", "Air", 5e7, 2e-3, bandwidth_back=2.5e7, duplex="shared", efficiency=0.5)
SLOW_BACK = Link("dsl", "DSL", 1e6, 1e-2, bandwidth_back=4e6)
BBR = replace(LAN, loss=0.2, congestion="bbr")
DISK = Storage("disk", "Disk", 4e8, 1e8, 1e-4, random_read=1e8, active_W=2.0)


def node(**changes: float) -> Device:
    engines = {"gpu": Engine("gpu", "gpu", {"fp16": 1e12}, "dram"), "cpu": Engine("cpu", "cpu", {"fp32": 1e11}, "dram")}
    memory = ({"dram": Bus("dram", 5e10)}, {"ram": Pool("ram", 8e9, "dram")})
    return with_envelope(Device("n", "N", "x", engines, *memory, 1, 10, **changes))


def pair(link: Link, **changes: float) -> Cluster:
    return Cluster({"a": node(**changes), "b": node(**changes)}, connections=(Connection("l", ("a", "b"), link),))


def test_a_route_that_loses_more_than_half_is_slow_and_not_stuck() -> None:
    """Two links of 40 % lose 64 %: the last packet waits for seconds, not for ever; bbr is not unbound above its 20 %."""
    lossy = replace(LAN, loss=0.4)
    two = Cluster({"a": node(), "b": node()}, ("s",), (Connection("l", ("a", "s"), lossy), Connection("m", ("s", "b"), lossy)))
    assert 1.0 < float(two.transfer("a", "b", 1e6).latency) < 60.0
    assert flow_bound("bbr", 0.36, 0.1, 1460.0) == flow_bound("cubic", 0.36, 0.1, 1460.0) < 1e5 < flow_bound("bbr", 0.19, 0.1, 1460.0)


def test_resources_and_capacities() -> None:
    cluster = Cluster(
        {"a": node(), "b": node(), "c": node()},
        ("sw",),
        (Connection("l0", ("a", "sw"), FAST), Connection("l1", ("b", "sw"), SLOW_BACK), Connection("l2", ("c", "sw"), AIR, "wifi")),
        (Attachment("nvme0", "a", DISK),),
    )
    assert cluster.capacities == {
        "a.dram": 5e10,
        "b.dram": 5e10,
        "c.dram": 5e10,
        "l0>": 8e8,
        "l0<": 8e8,
        "l1>": 1e6,
        "l1<": 4e6,
        "wifi": 1.0,
        "l2": 1.0,
        "a.nvme0.read": 4e8,
        "a.nvme0.write": 1e8,
    }
    assert list(cluster.engines) == ["a.gpu", "a.cpu", "b.gpu", "b.cpu", "c.gpu", "c.cpu"]
    assert cluster.engine_name("a") == "a.gpu"
    assert cluster.engine_name("a", "cpu") == "a.cpu"
    assert cluster.engines["b.cpu"][1].kind == "cpu"


def test_transfer_takes_latency_and_the_slowest_link() -> None:
    cluster = Cluster({"a": node(), "b": node()}, ("sw",), (Connection("l0", ("a", "sw"), LAN), Connection("l1", ("sw", "b"), FAST)))
    demand = cluster.transfer("a", "b", 1e6)
    assert demand.latency == pytest.approx(1e-4 + 1e-5 + 2e-5)
    assert demand.usage == demand.traffic == {"l0>": 1e6, "l1>": 1e6}
    assert demand.joules == {"l0": pytest.approx(1e-3)}
    assert demand.alone(cluster.capacities) == pytest.approx(1.3e-4 + 1e6 / 1e8)
    assert cluster.transfer("b", "a", 1e6).usage == {"l1<": 1e6, "l0<": 1e6}


def test_messages_within_one_mtu_are_no_flows() -> None:
    cluster = pair(LAN)
    small = cluster.transfer("a", "b", 1500.0)
    assert small.usage == {}
    assert small.traffic == {"l>": 1500.0}
    assert small.latency == pytest.approx(1e-4 + 1500 / 1e8)
    large = cluster.transfer("a", "b", 1500.0001)
    assert large.usage == {"l>": 1500.0001}
    assert large.alone(cluster.capacities) == pytest.approx(small.alone(cluster.capacities))


def test_nothing_sent_is_nothing_at_all() -> None:
    cluster = pair(LAN)
    for demand in (cluster.transfer("a", "b", 0.0), cluster.transfer("a", "a", 1e9)):
        assert (demand.latency, demand.usage, demand.traffic, demand.joules) == (0.0, {}, {}, {})


def test_amounts_may_be_arrays() -> None:
    cluster = pair(LAN)
    sizes = np.array([0.0, 100.0, 1e6])
    many = cluster.transfer("a", "b", sizes).alone(cluster.capacities)
    assert list(many) == [float(cluster.transfer("a", "b", float(size)).alone(cluster.capacities)) for size in sizes]


def test_network_stacks_of_both_ends_add_latency() -> None:
    assert pair(LAN, nic_seconds_per_message=3e-5).transfer("a", "b", 1e6).latency == pytest.approx(1e-4 + 6e-5)


def test_a_medium_is_shared_as_airtime() -> None:
    stations = {"a": node(), "b": node()}
    cluster = Cluster(stations, ("ap",), (Connection("wa", ("a", "ap"), AIR, "wifi"), Connection("wb", ("b", "ap"), AIR, "wifi")))
    up = cluster.transfer("a", "ap", 1e6)
    assert up.usage == {"wifi": pytest.approx(1e6 / 2.5e7), "wa": pytest.approx(0.04)}  # 50 MB/s at 50 %: 40 ms of airtime
    both = cluster.transfer("a", "b", 1e6)  # and down again at half the rate
    assert both.usage == {"wifi": pytest.approx(0.04 + 0.08), "wa": pytest.approx(0.04), "wb": pytest.approx(0.08)}
    assert both.traffic == {"wifi": 2e6, "wa": 1e6, "wb": 1e6}
    assert both.alone(cluster.capacities) == pytest.approx(2 * 2e-3 + 0.12)


def test_a_lone_shared_link_is_its_own_medium() -> None:
    cluster = pair(AIR)
    assert cluster.transfer("a", "b", 1e6).usage == {"l": pytest.approx(0.04)}
    assert cluster.connections[0].resources == ("l",)
    assert pair(LAN).connections[0].resources == ("l>", "l<")


def test_an_asymmetric_link_has_a_rate_each_way() -> None:
    cluster = pair(SLOW_BACK)
    assert cluster.transfer("a", "b", 4e6).alone(cluster.capacities) == pytest.approx(0.01 + 4.0)
    assert cluster.transfer("b", "a", 4e6).alone(cluster.capacities) == pytest.approx(0.01 + 1.0)
    for name in ("vdsl2", "docsis31", "lte", "5g_sub6", "satellite_leo", "satellite_geo"):
        access = catalog.link(name)  # first end: the site or device, which sends slower than it receives
        assert access.bandwidth_back is not None
        assert access.bandwidth < access.bandwidth_back


def test_lossless_links_are_bound_by_windows_only() -> None:
    assert pair(replace(LAN, window=1e4)).transfer("a", "b", 1e6).seconds == pytest.approx(1e6 / (1e4 / 2e-4))  # half of the link's rate
    assert pair(replace(LAN, window=1e4, connections=2)).transfer("a", "b", 1e6).seconds == pytest.approx(1e6 / 1e8)
    assert pair(LAN).transfer("a", "b", 1e6).seconds == 0.0


def test_loss_bounds_a_flow_delays_its_end_and_is_sent_again() -> None:
    lossy = replace(LAN, latency=0.05, loss=0.01, congestion="reno")
    cluster = pair(lossy)
    demand, small = cluster.transfer("a", "b", 1e6), cluster.transfer("a", "b", 1460.0)
    stall = 0.3 * 0.01 / 0.98  # a timeout of 100 + 200 ms, doubled each time
    assert demand.latency == pytest.approx(0.05 + stall)
    assert small.latency == pytest.approx(0.05 + stall + 1460.0 / flow_bound("reno", 0.01, 0.1, 1460.0))
    assert demand.seconds == pytest.approx(1e6 / flow_bound("reno", 0.01, 0.1, 1460.0))
    assert demand.usage == {"l>": pytest.approx(1e6 / 0.99)}
    assert demand.traffic == {"l>": 1e6}
    assert demand.joules == {"l": pytest.approx(1e-3 / 0.99)}
    free = pair(replace(lossy, congestion="none"))
    assert free.transfer("a", "b", 1e6).alone(free.capacities) == pytest.approx(0.05 + stall + 1e6 / 0.99e8)


def test_what_is_lost_on_the_second_link_was_carried_by_the_first() -> None:
    lossy = replace(LAN, loss=0.2, congestion="none")
    hops = Connection("x", ("a", "b"), LAN), Connection("y", ("b", "c"), lossy), Connection("z", ("c", "d"), LAN)
    usage = Cluster({name: node() for name in "abcd"}, (), hops).transfer("a", "d", 8e5).usage
    assert usage == {"x>": pytest.approx(1e6), "y>": pytest.approx(1e6), "z>": pytest.approx(8e5)}


def test_jitter_is_priced_at_its_mean_and_the_slowest_of_several_at_theirs() -> None:
    shaky = replace(LAN, jitter=0.03)
    assert pair(shaky).transfer("a", "b", 1e6).latency == pytest.approx(1e-4 + 0.03)
    stars = Cluster({name: node() for name in "abcd"}, ("sw",), tuple(Connection(f"l{name}", (name, "sw"), shaky) for name in "abcd"))
    three = stars.collective("broadcast", tuple("abcd"), 1e6, "star")
    assert three.latency == pytest.approx(2e-4 + 0.06 * (1 + 1 / 2 + 1 / 3))


def test_half_duplex_is_one_capacity() -> None:
    cluster = pair(Link("h", "H", 1e8, 1e-4, duplex="half"))
    assert cluster.capacities["l"] == 1e8
    assert cluster.transfer("a", "b", 1e6).usage == cluster.transfer("b", "a", 1e6).usage == {"l": 1e6}


def test_routes_take_least_latency_then_fewest_hops_in_any_order_of_the_file() -> None:
    nodes = {name: node() for name in "abcd"}
    direct = Connection("z", ("a", "d"), Link("s", "S", 1e8, 5e-4))
    detour = (Connection("x", ("a", "b"), LAN), Connection("y", ("b", "d"), LAN))
    twin = (Connection("v", ("a", "c"), LAN), Connection("w", ("c", "d"), LAN))
    for order in ((direct, *detour, *twin), (*twin, *detour, direct)):
        assert [hop.connection.name for hop in Cluster(nodes, (), order).route("a", "d")] == ["v", "w"]
    even = Connection("z", ("a", "d"), Link("s", "S", 1e8, 2e-4))
    assert [hop.connection.name for hop in Cluster(nodes, (), (*detour, even)).route("a", "d")] == ["z"]
    parallel = (Connection("q", ("a", "b"), LAN), Connection("p", ("b", "a"), LAN))
    (hop,) = Cluster({"a": node(), "b": node()}, (), parallel).route("a", "b")
    assert (hop.connection.name, hop.backward) == ("p", True)


def test_free_hops_are_still_counted() -> None:
    free = Link("free", "Free", 1e8, 0.0)
    connections = (Connection("x", ("a", "b"), free), Connection("y", ("b", "c"), free), Connection("z", ("a", "c"), free))
    assert len(Cluster({name: node() for name in "abc"}, (), connections).route("a", "c")) == 1


def test_unreachable_and_components() -> None:
    cluster = Cluster({"a": node(), "b": node(), "c": node()}, ("sw",), (Connection("l", ("c", "sw"), LAN),))
    assert cluster.components() == (("c", "sw"), ("a",), ("b",))
    assert cluster.route("a", "a") == ()
    with pytest.raises(Unreachable, match="no route joins 'a' and 'c'"):
        cluster.transfer("a", "c", 1.0)
    with pytest.raises(ValueError, match="unknown node 'x': the cluster has a, b, c, sw"):
        cluster.route("a", "x")
    assert set(cluster.graph().nodes) == {"a", "b", "c", "sw"}


def test_compute_prices_by_the_roofline() -> None:
    cluster = pair(LAN)
    work = Work.of("gemm", "fp32", 1e9, weights=1e6, launches=2)
    demand, cost = cluster.compute("a", work, "cpu", 0.5), price(work, cluster.device("a"), "cpu", 0.5)
    assert (demand.latency, demand.seconds, demand.engine) == (cost.overhead_seconds, cost.fluid_seconds, "a.cpu")
    assert demand.usage == {"a.dram": 1e6}
    assert sum(demand.joules.values()) == pytest.approx(cost.total_joules)
    assert demand.alone(cluster.capacities) == pytest.approx(cost.seconds)
    assert cluster.compute("a", Work.of("gemm", "fp16", 1e9)).usage == {}


def test_storage_channels() -> None:
    cluster = Cluster({"a": node()}, attachments=(Attachment("sd", "a", DISK), Attachment("ssd", "a", DISK)))
    read = cluster.load("a", 4e8)
    assert read.usage == {"a.sd.read": 4e8, "a.dram": 4e8}
    assert read.alone(cluster.capacities) == pytest.approx(1e-4 + 1.0)
    assert read.joules == {"a.sd": pytest.approx(2.0)}
    random = cluster.load("a", 4e8, "ssd", random=True)
    assert random.usage == {"a.ssd.read": pytest.approx(16e8), "a.dram": 4e8}
    assert random.joules == {"a.ssd": pytest.approx(8.0)}
    write = cluster.store("a", 1e8)
    assert write.usage == {"a.sd.write": 1e8, "a.dram": 1e8}
    assert write.joules == {"a.sd": pytest.approx(2.0)}
    assert cluster.load("a", 0.0).latency == 0.0
    assert list(cluster.load("a", np.array([0.0, 8.0])).latency) == [0.0, 1e-4]


def test_a_load_of_a_card_crosses_the_link_to_its_host() -> None:
    """26.8 GB/s of PCIe 4.0 x16 behind a disk of 400 MB/s: 1 s and both latencies. The link is the card's own, and its joules too."""
    card = catalog.device("rtx4090")
    assert card.host_link == catalog.link("pcie_gen4_x16")
    cluster = Cluster({"card": card}, attachments=(Attachment("ssd", "card", DISK),))
    load = cluster.load("card", 4e8)
    assert load.usage == {"card.ssd.read": 4e8, "card.host>": 4e8, "card.vram": 4e8}
    assert load.joules == {"card.ssd": pytest.approx(2.0), "card": pytest.approx(4e8 * 5.6e-11)}
    assert load.alone(cluster.capacities) == pytest.approx(1e-4 + 1e-6 + 1.0)
    assert cluster.store("card", 1e8).usage == {"card.ssd.write": 1e8, "card.host<": 1e8, "card.vram": 1e8}
    assert cluster.stage("card", 1e9, inward=False).usage == {"card.host<": 1e9, "card.vram": 1e9}


def test_with_a_host_in_the_cluster_bytes_are_written_and_read_in_its_memory() -> None:
    """From the host's disk to the card: the disk, the host's bus twice, the route, the card's bus. Copies between both: once each."""
    bus = Link("bus", "Bus", 1e9, 1e-5, mtu=0.0)
    cluster = Cluster(
        {"pc": node(), "card": catalog.device("rtx4090")},
        connections=(Connection("pcie", ("pc", "card"), bus),),
        attachments=(Attachment("ssd", "pc", DISK),),
        hosts={"card": "pc"},
    )
    assert list(cluster.storages_of("card")) == ["ssd"]
    assert cluster.load("card", 4e8).usage == {"pc.ssd.read": 4e8, "pc.dram": 8e8, "pcie>": 4e8, "card.vram": 4e8}
    assert cluster.load("card", 4e8).traffic == {"pcie>": 4e8}
    assert cluster.stage("card", 4e8, inward=False).usage == {"pcie<": 4e8, "pc.dram": 4e8, "card.vram": 4e8}
    assert "card.host>" not in cluster.capacities
    with pytest.raises(ValueError, match="device 'pc' has no memory of a host besides its own"):
        cluster.stage("pc", 1.0, inward=True)
    with pytest.raises(ValueError, match="'card' is its own host"):
        Cluster({"card": node()}, hosts={"card": "card"})


def test_bad_questions_are_refused() -> None:
    cluster = Cluster({"a": node()}, attachments=(Attachment("sd", "a", Storage("s", "S", 1.0, 1.0, 0.0)),))
    for match, ask in (
        ("unknown device 'x': the cluster has a", lambda: cluster.compute("x", Work())),
        ("no engine 'npu': it has gpu, cpu", lambda: cluster.compute("a", Work(), "npu")),
        ("no storage 'ssd': it has sd", lambda: cluster.load("a", 1.0, "ssd")),
        ("random read rate of storage 's' is unknown", lambda: cluster.load("a", 1.0, random=True)),
        ("zero or more, not -1", lambda: cluster.load("a", -1.0)),
        ("zero or more, not nan", lambda: cluster.transfer("a", "a", float("nan"))),
        ("device 'b' has no storage", lambda: Cluster({"b": node()}).storage_of("b")),
    ):
        with pytest.raises(ValueError, match=match):
            ask()


@pytest.mark.parametrize(
    ("match", "parts"),
    [
        ("node named twice: a", {"switches": ("a",)}),
        ("device or connection named twice: a", {"connections": (Connection("a", ("a", "b"), LAN),)}),
        ("connection named twice: l", {"connections": (Connection("l", ("a", "b"), LAN), Connection("l", ("a", "b"), LAN))}),
        ("ends at unknown node 'x'", {"connections": (Connection("l", ("a", "x"), LAN),)}),
        ("joins 'a' to itself", {"connections": (Connection("l", ("a", "a"), LAN),)}),
        ("storage named twice: a.s", {"attachments": (Attachment("s", "a", DISK), Attachment("s", "a", DISK))}),
        ("unknown device 'x'", {"attachments": (Attachment("s", "x", DISK),)}),
        ("half duplex and has two bandwidths", {"connections": (Connection("l", ("a", "b"), Link("h", "H", 1.0, 0.0, 2.0, "half")),)}),
        ("the name of a medium and of a connection", {"connections": (Connection("l", ("a", "b"), AIR, "l"),)}),
        ("loses 0.5 of its packets", {"connections": (Connection("l", ("a", "b"), replace(LAN, loss=0.5)),)}),
        (
            "loses 0.2 of its packets: expected less",
            {"connections": (Connection("l", ("a", "b"), BBR),)},
        ),
        ("loses packets of 40 bytes", {"connections": (Connection("l", ("a", "b"), replace(LAN, loss=0.1, mtu=40.0)),)}),
        ("has 0 connections", {"connections": (Connection("l", ("a", "b"), replace(LAN, connections=0)),)}),
        ("not of duplex `shared`", {"connections": (Connection("l", ("a", "b"), LAN, "air"),)}),
    ],
)
def test_clusters_that_contradict_themselves_are_refused(match: str, parts: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(ValueError, match=match):
        Cluster({"a": node(), "b": node()}, **parts)  # type: ignore[arg-type]


def test_a_cluster_travels_to_another_process() -> None:
    cluster = pair(LAN)
    before = cluster.transfer("a", "b", 1e6), cluster.capacities, cluster.engines
    copy = pickle.loads(pickle.dumps(cluster))
    assert (copy.transfer("a", "b", 1e6), copy.capacities, copy.engines) == before
