"""Who held memory, by name and tier: RAM that two engines see, a card's own memory, its host's, storages."""

import pytest

from edgewright.simulator import Scenario, Simulation
from edgewright.simulator.assemble_memory import kv_bytes_per_token, weight_bytes
from edgewright.simulator.engines import MemoryPool, PoolOverflow
from edgewright.simulator.errors import ScenarioError


def held(run):
    """Peak bytes by pool and allocation."""
    return run.frame("memory").set_index(["pool", "allocation"]).peak_bytes


def serving(devices, replicas, links=(), engine="ideal", others=(), **service):
    lengths = {"lengths": "joint", "prompt": {"shape": "fixed", "value": 64}, "output": {"shape": "fixed", "value": 200}}
    chat = {"model": "smollm-135m", "format": "q8_0", "replicas": replicas, "engine": engine, **service}
    talk = {"service": "chat", "arrivals": {"process": "poisson", "rate": 1}, "lengths": lengths}
    tables = {
        "name": "memory",
        "seed": 1,
        "run": {"window": "20 s", "drain": "120 s"},
        "cluster": {"devices": devices, "links": list(links)},
        "services": {"chat": chat} | dict(others),
        "workloads": {"talk": talk},
    }
    simulation = Simulation(Scenario.of(tables))
    simulation.run_until(simulation.end)
    return simulation


def test_two_engines_of_a_unified_memory_fill_one_pool():
    """A Jetson's CPU and GPU, a replica each: one pool holds both, and its total is their sum where both are at their peaks."""
    replicas = [
        {"name": unit, "devices": ["orin"], "partitioning": {"policy": "single", "engine": unit}, "kv_capacity": "20 MB"}
        for unit in ("gpu", "cpu")
    ]
    peaks = held(serving({"orin": {"device": "jetson_agx_orin_64gb"}}, replicas, routing="least_loaded").result())
    assert set(peaks.index.get_level_values("pool")) == {"orin.ram"}
    parts = {name: peaks["orin.ram", name] for name in ("chat.gpu weights", "chat.cpu weights", "chat.gpu KV", "chat.cpu KV")}
    assert parts["chat.gpu weights"] == parts["chat.cpu weights"] > 1e8
    assert min(parts.values()) > 0
    assert sum(parts.values()) * 0.95 < peaks["orin.ram", "total"] <= sum(parts.values())


SWAP = {"preset": "ideal", "block_size": 16, "preemption": "swap", "swap_space": "2 GB"}
CARD = [{"name": "a", "devices": ["card"], "kv_capacity": "10 MB"}]


def test_what_a_card_swaps_is_in_its_hosts_memory():
    """With the host a device of the cluster, in that one's pool, and over the link between the two; else in a pool of its own name."""
    devices = {"pc": {"device": "rpi5_8gb"}, "card": {"device": "rtx4090", "host": "pc"}}
    links = [{"name": "pcie", "link": "pcie_gen3_x1", "between": ["pc", "card"]}]
    simulation = serving(devices, CARD, links, SWAP)
    swap = simulation.replicas["chat.a"].swap
    assert swap.peak > 0
    peaks = held(simulation.result())
    assert peaks["pc.ram", "chat.a swapped KV"] == peaks["pc.ram", "total"] == swap.peak * swap.block_bytes["card"]
    moved = simulation.result().frame("resources").set_index("resource").amount
    assert (moved["pcie<"], moved["pcie>"]) == pytest.approx((swap.out_bytes, swap.in_bytes))
    alone = serving({"card": {"device": "rtx4090"}}, CARD, (), SWAP).result()
    assert held(alone)["card.host", "chat.a swapped KV"] > 0
    assert "card.host" in alone.summary_text()


def test_what_replicas_hold_is_not_there_for_plans():
    """A Pi has 8 GiB; weights and 50 MB of KV memory of its replica are set aside, and a plan may take what is left, to the byte."""
    simulation = serving({"pi": {"device": "rpi5_8gb"}}, [{"name": "a", "devices": ["pi"], "kv_capacity": "50 MB"}])
    replica, pool = simulation.replicas["chat.a"], simulation.machine.pools["pi.ram"]
    ram = simulation.machine.cluster.devices["pi"].main_pool
    cached = replica.kv.capacity * kv_bytes_per_token(replica.setup)["pi"]
    assert pool.capacity == ram.capacity - ram.reserved
    assert pool.aside == pytest.approx(weight_bytes(replica.setup)["pi"] + cached)
    assert 49e6 < cached <= 50e6
    granted = []
    pool.take(pool.capacity - pool.aside, lambda: granted.append(True))
    assert granted
    with pytest.raises(PoolOverflow, match=r"pi\.ram: 8e\+09 asked, capacity is .*, of which .* are set aside"):
        pool.take(8e9, lambda: None)


def test_a_host_has_less_for_its_own_replica_by_what_its_card_swaps_there():
    devices = {"pc": {"device": "rpi5_8gb"}, "card": {"device": "rtx4090", "host": "pc"}}
    links = [{"name": "pcie", "link": "pcie_gen3_x1", "between": ["pc", "card"]}]
    own = {"own": {"model": "smollm-135m", "format": "q8_0", "replicas": [{"name": "b", "devices": ["pc"]}]}}
    rooms = [serving(devices, CARD, links, each, own).replicas["own.b"].capacity.bytes["pc"] for each in ("ideal", SWAP)]
    assert rooms[0] - rooms[1] == pytest.approx(2e9)


def test_two_cards_may_not_swap_more_than_their_host_has():
    devices = {"pc": {"device": "rpi5_8gb"}, "card": {"device": "rtx4090", "count": 2, "host": "pc"}}
    links = [{"name": "pcie", "link": "pcie_gen3_x1", "between": ["pc", "card"]}]
    with pytest.raises(ScenarioError, match=r"swap_space: 5000000000\.0 B, 1e\+10 B with all that swap to pc"):
        serving(devices, [{"name": "a", "each": "card"}], links, SWAP | {"swap_space": "5 GB"})


def test_more_swap_space_than_the_host_has_is_refused():
    devices = {"pc": {"device": "rpi5_8gb"}, "card": {"device": "rtx4090", "host": "pc"}}
    links = [{"name": "pcie", "link": "pcie_gen3_x1", "between": ["pc", "card"]}]
    with pytest.raises(ScenarioError, match="swap_space"):
        serving(devices, CARD, links, SWAP | {"swap_space": "64 GB"})


@pytest.mark.parametrize(("host", "message"), [("pd", "'pd' is no device or group"), ("card", "stands for 1 hosts of 1 cards")])
def test_a_host_that_is_none_is_refused(host, message):
    with pytest.raises(ScenarioError) as refused:
        serving({"pc": {"device": "rpi5_8gb"}, "card": {"device": "rtx4090", "host": host}}, CARD)
    assert refused.value.key == "cluster.devices.card.host"
    assert message in str(refused.value)


def test_cards_of_a_group_have_hosts_of_the_same_number():
    devices = {"pc": {"device": "rpi5_8gb", "count": 2}, "card": {"device": "rtx4090", "count": 2, "host": "pc"}}
    links = [{"name": "lan", "link": "eth_1g", "between": ["pc0", "pc1"]}]
    links += [{"name": f"pcie{n}", "link": "pcie_gen3_x1", "between": [f"pc{n}", f"card{n}"]} for n in range(2)]
    replicas = [{"name": "a", "each": "card"}]
    assert serving(devices, replicas, links).machine.cluster.hosts == {"card0": "pc0", "card1": "pc1"}


def test_mapped_weights_are_page_cache():
    devices = {"pi": {"device": "rpi5_8gb", "storage": {"sd": "sd_uhs1_sdr104"}}}
    replicas = [{"name": "a", "devices": ["pi"], "residency": "mmap", "weight_budget": "100 MB", "kv_capacity": "50 MB"}]
    peaks = held(serving(devices, replicas).result())
    assert peaks["pi.ram", "chat.a page cache"] == 1e8


def test_a_pool_knows_who_holds_it():
    """5 of a, then 3 of b; a gives 4 back and takes 6 more: 7 of it at most, 10 in all."""
    pool = MemoryPool("ram", 10.0)
    pool.take(5.0, lambda: None, "a")
    pool.take(3.0, lambda: None, "b")
    pool.give(4.0, "a")
    pool.take(6.0, lambda: None, "a")
    assert (pool.owners, pool.peaks, pool.peak) == ({"a": 7.0, "b": 3.0}, {"a": 7.0, "b": 3.0}, 10.0)
    assert pool.level == sum(pool.owners.values())
