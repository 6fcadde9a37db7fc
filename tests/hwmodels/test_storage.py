"""Storage: rates by block size and depth, both directions on one channel, and storages that compute."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels import Attachment, Cluster, Efficiency, Engine, Storage, Work, catalog
from edgewright.hwmodels.ideal import ideal_device
from edgewright.hwmodels.specs import provenance_of
from edgewright.hwmodels.storage_access import PAGE, rate_at
from edgewright.policies.plan import Compute, Load, Store, par, seq
from edgewright.simulator.plan_run import run_plan

DISK = Storage("disk", "Disk", read=1000.0, write=500.0, latency=1.0, random_read=10 * PAGE, random_write=PAGE, queue_depth=4)
"""1000 B/s after 1 s; 10 pages/s at random; four requests at a time."""

blocks = st.floats(1.0, 1e5)
depths = st.integers(1, 64)


def on(storage, **figures):
    return Cluster({"a": ideal_device()}, attachments=(Attachment("s", "a", replace(storage, **figures)),))


def ends(cluster, plan):
    return [span.end for span in run_plan(plan, cluster).operations]


def test_figures_of_the_catalogue_that_no_data_sheet_was_read_for_say_so():
    for name in catalog.storages():
        storage = catalog.storage(name)
        stated = [figure for figure in ("random_write", "write_latency") if getattr(storage, figure) is not None]
        for figure in [*stated, "latency", "active_W"]:
            assert provenance_of(storage, figure).kind == "assumed", (name, figure)


def test_littles_law_bounds_small_requests():
    """Blocks of 100 B take 1.1 s alone: q of them in flight give q * 100 / 1.1 B/s, up to the four that the disk takes."""
    assert rate_at(DISK, block=100.0, depth=1) == pytest.approx(100 / 1.1)
    assert rate_at(DISK, block=100.0, depth=3) == pytest.approx(300 / 1.1)
    assert rate_at(DISK, block=100.0, depth=9) == rate_at(DISK, block=100.0) == pytest.approx(400 / 1.1)
    assert rate_at(DISK, block=1e6, depth=1) == pytest.approx(1e6 / 1001)
    assert rate_at(DISK, block=1e6) == 1000.0


def test_requests_per_second_bind_at_random():
    """DISK with 100 pages/s of bandwidth: 10 requests/s, so 10 blocks/s until the sequential rate binds."""
    fast = replace(DISK, read=100 * PAGE, latency=0.0)
    assert rate_at(fast, random=True) == 10 * PAGE
    assert rate_at(fast, random=True, block=PAGE / 2) == 5 * PAGE
    assert rate_at(fast, random=True, block=20 * PAGE) == 100 * PAGE
    assert rate_at(fast, random=True, depth=1) == 10 * PAGE


@given(block=blocks, more=blocks, depth=depths, deeper=depths, random=st.booleans(), write=st.booleans())
def test_rates_rise_with_block_and_depth_up_to_the_sequential_one(block, more, depth, deeper, random, write):
    def rate(size, queue):
        return rate_at(DISK, write=write, random=random, block=size, depth=queue)

    assert rate(block, depth) <= rate(block + more, depth) * (1 + 1e-12)
    assert rate(block, depth) <= rate(block, depth + deeper) * (1 + 1e-12)
    assert rate(block, depth) <= (500.0 if write else 1000.0) * (1 + 1e-12)


def test_one_request_takes_its_latency_once_and_more_in_flight_overlap():
    """100 B in one request: 1 + 0.1 s. 400 B one by one: 4 x 1.1 s; four at once: 1.4 s; 40 such requests, four at once: 10 x 1.1 s."""
    cluster = on(DISK)

    def alone(nbytes, depth):
        return cluster.load("a", nbytes, block=100.0, depth=depth).alone(cluster.capacities)

    assert alone(100.0, 1) == alone(100.0, 4) == pytest.approx(1.1)
    assert alone(400.0, 1) == pytest.approx(4.4)
    assert alone(400.0, 4) == pytest.approx(1.4)  # its four transfers of 0.1 s follow each other
    assert alone(4000.0, 4) == alone(4000.0, 9) == pytest.approx(11.0)  # the disk takes four
    assert list(alone(np.array([0.0, 100.0, 400.0]), 1)) == [0.0, pytest.approx(1.1), pytest.approx(4.4)]


def test_users_slow_each_other_once_their_depths_exceed_the_devices():
    """On a disk that takes 4: two users of depth 2 as fast as one; two of depth 4 half as fast."""
    cluster = on(DISK)

    def seconds(users, depth):
        return max(ends(cluster, par(*(Load("a", 4000.0, block=100.0, depth=depth) for _ in range(users)))))

    assert seconds(2, 2) == pytest.approx(seconds(1, 2))
    assert seconds(2, 4) == pytest.approx(2 * seconds(1, 4))


@pytest.mark.parametrize(("users", "response"), [(1, 1.1), (4, 1.1), (8, 2.2), (20, 5.5)])
def test_requests_beyond_the_depth_queue(users, response):
    """Users with one request of 100 B each, again and again: 1.1 s up to the four that it takes; beyond, users / 4 * 1.1 s by Little's
    law. So the latency of a small request rises under the load of others."""
    plan = par(*(seq(*(Load("a", 100.0, block=100.0, depth=1) for _ in range(5))) for _ in range(users)))
    assert ends(on(DISK), plan) == [pytest.approx(response * turn) for turn in range(1, 6) for _ in range(users)]


def test_half_duplex_shares_time_between_reading_and_writing():
    """1000 B read in 1 s, 500 B written in 1 s: side by side full duplex, each at half speed in half duplex."""
    both = par(Load("a", 1000.0), Store("a", 500.0))
    full, half = on(DISK, latency=0.0), on(DISK, latency=0.0, duplex="half")
    assert max(ends(full, both)) == pytest.approx(1.0)
    assert max(ends(half, both)) == pytest.approx(2.0)
    assert half.capacities["a.s.channel"] == 1.0


def test_writing_has_latency_and_watts_of_its_own():
    cluster = on(DISK, write_latency=0.25, active_W=2.0, write_W=3.0)
    write = cluster.store("a", 500.0)
    assert (write.latency, write.joules["a.s"]) == (0.25, pytest.approx(3.0))
    assert cluster.load("a", 500.0).joules["a.s"] == pytest.approx(1.0)
    assert cluster.store("a", PAGE, random=True).alone(cluster.capacities) == pytest.approx(0.25 + PAGE / 500.0)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="random write rate of storage 'disk' is unknown"):
        rate_at(replace(DISK, random_write=None), write=True, random=True)
    with pytest.raises(ValueError, match="not block 0"):
        rate_at(DISK, block=0)
    with pytest.raises(ValueError, match="depth 0"):
        rate_at(DISK, depth=0)
    with pytest.raises(ValueError, match="an engine, and no rate `internal`"):
        replace(DISK, engine=Engine("e", "fpga", {}, "internal"))
    with pytest.raises(ValueError, match="has no engine"):
        DISK.as_device()


@pytest.mark.parametrize("name", catalog.storages())
def test_the_catalogues_figures_obey_littles_law(name):
    """No storage serves more pages a second than its depth allows at its latency."""
    storage = catalog.storage(name)
    if storage.random_read is not None:
        assert storage.random_read <= storage.queue_depth * PAGE / (storage.latency + PAGE / storage.read)
    if storage.random_write is not None:
        assert storage.random_write <= storage.write


# -- storages that compute -------------------------------------------------------------------------------------------------------------


CSD = Storage(
    "csd",
    "Computes",
    read=7.0,
    write=5.0,
    latency=0.0,
    active_W=1.0,
    idle_W=1.0,
    internal=11.2,
    engine=Engine(
        "engine",
        "fpga",
        {"fp16": 650.0},
        "internal",
        {"attention_decode": Efficiency(1.0, 1.0)},
        static_W=2.0,
        joules_per_flop={"fp16": 0.1},
        joules_per_byte=0.5,
        joules_per_cache_byte=0.0,
    ),
)


def cached(nbytes, flops=0.0):
    return Work.of("attention_decode", "fp16", flops, kv=nbytes)


def test_attention_inside_the_storage_reads_at_its_internal_rate():
    """112 bytes: 16 s over the bus at 7 B/s, 10 s inside at 11.2 B/s (InstInfer's 1.6); 65 000 operations: 100 s, its engine binds."""
    cluster = on(CSD)
    assert ends(cluster, Compute("a", cached(112.0), "s")) == [pytest.approx(10.0)]
    assert ends(cluster, Load("a", 112.0)) == [pytest.approx(16.0)]
    assert ends(cluster, Compute("a", cached(112.0, 65_000.0), "s")) == [pytest.approx(100.0)]


def test_its_energy_is_the_storages():
    """112 bytes at 0.5 J; 10 s at 2 W while it is busy; nothing of it on the device."""
    cluster = on(CSD)
    demand = cluster.compute("a", cached(112.0), "s")
    assert (demand.engine, demand.joules) == ("a.s", {"a.s": pytest.approx(56.0)})
    joules = run_plan(Compute("a", cached(112.0), "s"), cluster).machine.joules()
    assert {part: joules["a.s", part] for part in ("dynamic", "static", "idle")} == pytest.approx({"dynamic": 56, "static": 20, "idle": 10})
    assert sum(spent for (owner, _), spent in joules.items() if owner == "a") == 0.0


def test_what_leaves_it_takes_of_the_internal_rate_too():
    """70 B out and 42 B inside share 11.2 B/s: 42 B of each after 7.5 s, then the last 28 B out at 7 B/s take 4 s."""
    assert ends(on(CSD), par(Load("a", 70.0), Compute("a", cached(42.0), "s"))) == [pytest.approx(7.5), pytest.approx(11.5)]


def test_an_engine_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="no engine 'gpu': it has cpu, s"):
        on(CSD).compute("a", cached(1.0), "gpu")


def test_the_catalogues_computational_ssd():
    """11.2 GB/s inside against 7 GB/s outside; 650 GFLOP/s."""
    cluster = Cluster(
        {"orin": catalog.device("jetson_agx_orin_64gb")}, attachments=(Attachment("csd", "orin", catalog.storage("instcsd")),)
    )
    inside = cluster.compute("orin", cached(1.12e9, 1e9), "csd")
    assert inside.seconds == pytest.approx(0.1)
    assert cluster.load("orin", 1.12e9).alone(cluster.capacities) == pytest.approx(0.16, rel=1e-3)
    assert cluster.compute("orin", cached(1.0, 6.5e11), "csd").seconds == pytest.approx(1.0)


def test_plans_move_vectors_in_and_out_of_it():
    """Write 10 B of queries at 5 B/s (2 s), attend inside (10 s), read 7 B back (1 s)."""
    assert ends(on(CSD), seq(Store("a", 10.0), Compute("a", cached(112.0), "s"), Load("a", 7.0)))[-1] == pytest.approx(13.0)
