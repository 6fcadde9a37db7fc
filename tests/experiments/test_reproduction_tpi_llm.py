"""TPI-LLM's scenario in closed form: star against ring over the latency of links, disks hidden under compute and all-reduce, a window of
memory, and one device alone with and without overlap."""

import pytest

from edgewright.experiments.reproductions.catalogue import folder_of
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import zoo
from edgewright.workloads.formats import format_named

TPI = Scenario.load(folder_of("tpi-llm") / "scenario.yaml")
SMALL = TPI.override({"services.chat.model": "llama-2-7b"})
"""32 layers of attention (4 x 4096^2 weights) and feed-forward (3 x 4096 x 11008), which in eighths also fit the devices' memory."""

REPLICA = "services.chat.replicas.all."
NODES, SUBBLOCKS = 8, 64
DISK = 1.2e9
FP32 = format_named("fp32")


def latency(seconds):
    """Links of half the latency each: from device to device there are two."""
    return {"cluster.links.cable.latency": seconds / 2.0}


def algorithm(name):
    return {REPLICA + "partitioning.algorithm": name}


RESIDENT = {REPLICA + "residency.always": False}
"""Where everything fits, loading is switched off."""


def token_s(scenario):
    """Seconds per token in the last row of steps: the steady state."""
    last = simulate(scenario).steps.iloc[-1]
    return (last.end_s - last.start_s) / last.iterations


def alone(residency):
    """The whole model on one device by its CPU."""
    replica = {
        "name": "all",
        "devices": ["node0"],
        "partitioning": {"policy": "single", "engine": "cpu"},
        "residency": residency,
        "weight_budget": "4 GB",
    }
    return SMALL.override({"services.chat.replicas": [replica]})


def sublayers(name, shards):
    """What each device holds of attention and feed-forward, and the bytes of the embedding and the head."""
    model = zoo.model(name)
    blocks = [part for part in model.part(FP32, 1, len(model.blocks) - 1, shards).split() if part.weight_bytes]
    ends = model.part(FP32, 0, 1).weight_bytes + model.part(FP32, len(model.blocks) - 1, len(model.blocks)).weight_bytes
    return blocks, ends


def disk_s(name, shards):
    """Every block once, one after another, each after 100 us."""
    blocks, _ = sublayers(name, shards)
    return sum(block.weight_bytes for block in blocks) / DISK + 100e-6 * len(blocks)


def test_disks_hide_compute_and_all_reduce():
    """Llama 2-70B: 8.5e9 weights of 4 B on each device at 1.2 GB/s. Star, 2 ms per all-reduce, vanishes beside 28.5 s."""
    assert token_s(TPI) == pytest.approx(disk_s("llama-2-70b", NODES), rel=1e-6)
    assert disk_s("llama-2-70b", NODES) == pytest.approx(28.5, abs=0.1)


@pytest.mark.parametrize("name", ["star", "ring"])
@pytest.mark.parametrize("hop", [1e-4, 1e-3, 1e-2])
def test_a_token_takes_the_longer_of_disk_and_worker(name, hop):
    """Token time = max(disk, compute + all-reduce), up to how finely the window of two blocks couples them: a permille here."""
    case = SMALL.override({**latency(hop), **algorithm(name)})
    worker = token_s(case.override(RESIDENT))
    assert token_s(case) == pytest.approx(max(disk_s("llama-2-7b", NODES), worker), rel=1e-3)
    assert (worker > disk_s("llama-2-7b", NODES)) == (name == "ring" and hop == 1e-2)


@pytest.mark.parametrize(("name", "hops", "broadcast"), [("star", 2, 1), ("ring", 2 * (NODES - 1), 2 * (NODES - 1))])
def test_hops_of_an_all_reduce(name, hops, broadcast):
    """Two for a star, 2 (N - 1) for a ring. In each token its embedding is broadcast besides: one hop of a star, and in a ring a scatter
    and an all-gather of N - 1 each."""
    slow, fast = (token_s(SMALL.override({**latency(hop), **algorithm(name), **RESIDENT})) for hop in (3e-3, 1e-3))
    assert (slow - fast) / 2e-3 == pytest.approx(SUBBLOCKS * hops + broadcast, rel=1e-6)


def test_star_and_ring_cross_where_bytes_outweigh_hops():
    """4096 x 4 B: through the root's link 2 (N - 1) of them for a star and 2 (N - 1) / N for a ring, at 125 MB/s: 1.6 ms more, which
    12 hops of 0.134 ms make up for."""
    crossing = (2 * (NODES - 1) - 2 * (NODES - 1) / NODES) * 4096 * 4 / 125e6 / 12
    for hop, faster in ((crossing / 2, "ring"), (crossing * 2, "star")):
        times = {name: token_s(SMALL.override({**latency(hop), **algorithm(name), **RESIDENT})) for name in ("star", "ring")}
        assert min(times, key=times.get) == faster


@pytest.mark.parametrize("window", [2, 4])
def test_memory_is_the_window(window):
    """Workers hold `window` blocks of the largest size (352 MB of a feed-forward), whatever the depth; the master the embedding and the
    head besides (2.1 GB). A whole eighth is 34 GB."""
    memory = simulate(TPI.override({REPLICA + "residency.window": window})).memory.set_index(["pool", "allocation"]).peak_bytes
    blocks, ends = sublayers("llama-2-70b", NODES)
    largest = max(block.weight_bytes for block in blocks)
    assert memory["node1.ram", "chat.all weights"] == pytest.approx(window * largest)
    assert memory["node0.ram", "chat.all weights"] == pytest.approx(window * largest + ends, rel=1e-3)
    assert memory["node0.ram", "total"] < 0.11 * sum(block.weight_bytes for block in blocks)


def test_one_device_with_and_without_overlap():
    """Without overlap (Accelerate) a token takes disk + compute, the embedding and the head being read as well; with the window the longer
    of the two, the disk. Eight devices with a disk each are more than 80 % faster than the former."""
    one_by_one, overlapped = token_s(alone("lru")), token_s(alone({"policy": "streaming_window"}))
    roomy = {"cluster.devices.node.memory": "64 GiB", REPLICA + "weight_budget": None}
    compute = token_s(alone("all_resident").override(roomy))
    reads = disk_s("llama-2-7b", 1)
    _, ends = sublayers("llama-2-7b", 1)
    assert compute < reads
    assert overlapped == pytest.approx(reads, rel=1e-6)
    assert one_by_one == pytest.approx(reads + ends / DISK + 2 * 100e-6 + compute, rel=1e-6)
    assert token_s(SMALL) < 0.2 * one_by_one
