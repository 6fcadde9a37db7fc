"""Laws of prices, power and messages, on random hardware and work."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgewright.hwmodels import (
    Bus,
    Cluster,
    Connection,
    Device,
    Efficiency,
    Engine,
    Link,
    Pool,
    Term,
    Work,
    catalog,
    clock_floor,
    clock_for_watts,
    engine_static_W,
    peak_W,
    price,
)
from edgewright.hwmodels.collectives import KINDS, algorithms, phases, stages
from edgewright.hwmodels.efficiency import efficiency_of
from edgewright.hwmodels.energy import peak_draw, with_envelope
from edgewright.hwmodels.roofline import peak_of
from edgewright.hwmodels.transport import expected_stall, flow_bound
from edgewright.hwmodels.units import parse
from edgewright.hwmodels.work import KERNELS

DTYPES = ("fp32", "fp16", "bf16", "fp8", "int8", "int4")
amounts = st.one_of(st.just(0.0), st.floats(1.0, 1e12))
clocks = st.floats(0.05, 1.0)
terms = st.builds(
    Term,
    kernel=st.sampled_from(KERNELS),
    dtype=st.sampled_from(DTYPES),
    flops=amounts,
    weights=amounts,
    activations=amounts,
    kv=amounts,
    launches=st.integers(1, 1000).map(float),
)
works = st.lists(terms, max_size=4).map(lambda each: Work(tuple(each)))
shares = st.floats(0.05, 1.0)


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """One or two engines around a bus, with derived energy figures."""
    bandwidth = draw(st.floats(1e8, 1e12))
    engines = {}
    for name in draw(st.sampled_from([("gpu",), ("cpu", "gpu")])):
        peak = draw(st.floats(1e8, 1e15))
        efficiency = {kernel: Efficiency(draw(shares), draw(shares), draw(st.floats(0, 1e-4))) for kernel in ("gemm", "gemv")}
        cache = draw(st.sampled_from([(0.0, None), (1e6, None), (1e6, 3 * bandwidth), (1e8, bandwidth / 2)]))
        top = draw(st.floats(1e8, 5e9))
        engines[name] = Engine(
            name,
            name,
            {"fp32": peak, "fp16": peak * 2},
            "dram",
            efficiency,
            launch_overhead=draw(st.floats(0, 1e-3)),
            clock_max=top,
            clock_min=top * draw(shares),
            cache_bytes=cache[0],
            cache_bandwidth=cache[1],
            voltage_floor=draw(st.floats(0.4, 1.0)),
        )
    idle = draw(st.floats(0.01, 50.0))
    buses, pools = {"dram": Bus("dram", bandwidth)}, {"ram": Pool("ram", 1e9, "dram")}
    return with_envelope(Device("d", "D", "x", engines, buses, pools, idle, idle + draw(st.floats(0.0, 500.0))))


listed = st.sampled_from(catalog.devices()).map(catalog.device).filter(lambda device: "fp32" in device.main_engine.peaks)
any_device = st.one_of(devices(), listed)


@given(any_device, works, works, clocks)
def test_prices_add(device: Device, a: Work, b: Work, clock: float) -> None:
    both, first, second = (price(work, device, clock=clock) for work in (a + b, a, b))
    assert both.seconds == pytest.approx(first.seconds + second.seconds, rel=1e-12)
    assert both.total_joules == pytest.approx(first.total_joules + second.total_joules, rel=1e-12)
    assert both.bus_bytes == pytest.approx(first.bus_bytes + second.bus_bytes, rel=1e-12)


@given(any_device, works, st.integers(1, 2**20), clocks)
def test_prices_scale(device: Device, work: Work, factor: int, clock: float) -> None:
    once, often = price(work, device, clock=clock), price(float(factor) * work, device, clock=clock)
    assert often.seconds == pytest.approx(factor * once.seconds, rel=1e-12)
    assert often.total_joules == pytest.approx(factor * once.total_joules, rel=1e-12)


CACHED = Term("gemm", "fp32", flops=0.0, kv=137438953467.0)


@given(any_device, terms, st.sampled_from(["flops", "weights", "activations", "kv"]), st.floats(1.0, 1e12), clocks)
@example(catalog.device("a10"), CACHED, "activations", 5.00001, 1.0)  # bus bytes as all bytes less the cached ones lose 2e-5 to rounding
def test_more_work_takes_longer_and_costs_more(device: Device, term: Term, part: str, more: float, clock: float) -> None:
    grown = replace(term, **{part: getattr(term, part) + more})
    small, large = price(Work((term,)), device, clock=clock), price(Work((grown,)), device, clock=clock)
    assert large.seconds >= small.seconds
    assert large.total_joules >= small.total_joules
    assert large.bus_bytes >= small.bus_bytes


@given(any_device, works, clocks)
def test_no_time_below_either_roof(device: Device, work: Work, clock: float) -> None:
    cost, engine = price(work, device, clock=clock), device.main_engine
    flops = sum(term.flops / (peak_of(engine, term.dtype)[1] * efficiency_of(engine, term.kernel).compute * clock) for term in work)
    assert cost.seconds >= flops * (1 - 1e-12)
    assert cost.seconds >= cost.bus_bytes / device.buses[engine.bus].bandwidth * (1 - 1e-12)
    assert cost.fluid_seconds <= (cost.compute_seconds + cost.memory_seconds + cost.cache_seconds) * (1 + 1e-12)


@given(any_device, works, clocks, clocks)
def test_a_lower_clock_is_never_faster_and_never_dearer_per_operation(device: Device, work: Work, one: float, other: float) -> None:
    slow, fast = (price(work, device, clock=clock) for clock in sorted((one, other)))
    assert slow.seconds >= fast.seconds * (1 - 1e-12)
    assert slow.total_joules <= fast.total_joules * (1 + 1e-12)


@given(any_device, works.filter(bool), clocks)
def test_idle_is_below_load_and_load_below_peak(device: Device, work: Work, clock: float) -> None:
    cost, engine = price(work, device, clock=clock), device.main_engine
    if cost.seconds == 0:
        return
    load = device.idle_W + engine_static_W(engine, clock) + cost.total_joules / cost.seconds
    assert device.idle_W <= load <= peak_W(device, clock) * (1 + 1e-9)
    assert peak_W(device, clock) <= max(device.tdp_W, device.idle_W) * (1 + 1e-9)


streams = st.builds(Work.of, st.sampled_from(KERNELS), st.just("fp32"), st.just(0.0), weights=st.floats(1e9, 1e12))


@given(any_device, st.one_of(works, streams), st.one_of(works, streams), clocks, st.floats(0.0, 1.0))
def test_engines_that_work_at_once_stay_within_every_part_of_the_peak(
    device: Device, one: Work, other: Work, clock: float, first: float
) -> None:
    peak, bandwidth = peak_draw(device, clock), device.buses[device.main_engine.bus].bandwidth
    parts, left, grant = dict.fromkeys(("static", "compute", "cache", "dram"), 0.0), bandwidth, first * bandwidth
    sharing = [each for each in device.engines.values() if each.bus == device.main_engine.bus and "fp32" in each.peaks]
    for engine, work in zip(sharing, (one, other), strict=False):
        cost = price(work, device, engine.name, clock)
        if cost.seconds == 0:
            continue
        wanted = cost.bus_bytes / cost.seconds
        speed = min(1.0, grant / wanted) if wanted else 1.0
        grant = left = left - speed * wanted  # the second engine gets what the first leaves
        parts["static"] += engine_static_W(engine, clock)
        for part, joules in cost.joules.items():
            parts[part] += speed * joules / cost.seconds
    assert all(watts <= getattr(peak, part) * (1 + 1e-9) for part, watts in parts.items()), (parts, peak)


@given(any_device, clocks, clocks)
def test_peak_power_rises_with_the_clock(device: Device, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert peak_W(device, low) <= peak_W(device, high) * (1 + 1e-12)


@given(any_device, st.floats(0.0, 600.0), st.floats(0.0, 600.0))
def test_a_larger_budget_never_lowers_the_clock(device: Device, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert clock_for_watts(device, low) <= clock_for_watts(device, high)
    clock = clock_for_watts(device, low)
    assert clock_floor(device) <= clock <= 1.0
    assert peak_W(device, clock) <= low * (1 + 1e-9) or clock == clock_floor(device)


ENGINE = Engine("cpu", "cpu", {"fp32": 1e9}, "dram")
NODE = Device("n", "N", "x", {"cpu": ENGINE}, {"dram": Bus("dram", 1e9)}, {"ram": Pool("ram", 1e9, "dram")}, 1, 5)
links = st.builds(
    Link,
    name=st.just("l"),
    title=st.just("L"),
    bandwidth=st.floats(1e3, 1e11),
    latency=st.floats(0, 0.1),
    duplex=st.sampled_from(["full", "half", "shared"]),
    efficiency=st.floats(0.1, 1.0),
    joules_per_byte=st.floats(0, 1e-6),
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Devices on one switch, over links of any kind."""
    names = [f"d{index}" for index in range(draw(st.integers(2, 6)))]
    return Cluster(dict.fromkeys(names, NODE), ("sw",), tuple(Connection(f"l{name}", (name, "sw"), draw(links)) for name in names))


@given(clusters(), st.floats(0.0, 1e12), st.floats(0.0, 1e12))
def test_longer_messages_take_longer_and_bytes_are_kept(cluster: Cluster, one: float, other: float) -> None:
    small, large = sorted((one, other))
    first, second = (cluster.transfer("d0", "d1", size) for size in (small, large))
    assert first.alone(cluster.capacities) <= second.alone(cluster.capacities) * (1 + 1e-12)
    resources = {resource for hop in cluster.route("d0", "d1") for resource in hop.resources}
    assert second.traffic == ({} if large == 0 else dict.fromkeys(resources, large))


KINDS_AND_ALGORITHMS = [(kind, algorithm) for kind in KINDS for algorithm in algorithms(kind)]


def in_groups(cluster: Cluster) -> list[tuple[str, ...]]:
    names = tuple(cluster.devices)
    half = len(names) // 2
    return [names[:half], names[half:]] if len(names) % 2 == 0 else [(name,) for name in names]


@given(clusters(), st.sampled_from(KINDS_AND_ALGORITHMS), st.floats(1.0, 1e10))
def test_a_collective_alone_is_the_sum_of_its_stages(cluster: Cluster, named: tuple[str, str], size: float) -> None:
    kind, algorithm = named
    members, groups = tuple(cluster.devices), in_groups(cluster)
    whole = cluster.collective(kind, members, size, algorithm, groups=groups)
    assert all(amount > 0 for amount in whole.traffic.values())
    steps = phases(kind, len(members), algorithm, [[members.index(name) for name in group] for group in groups])
    parts = [cluster.collective(kind, members, size, algorithm, groups=groups, stage=stage) for stage in range(len(stages(steps)))]
    assert whole.alone(cluster.capacities) == pytest.approx(sum(part.alone(cluster.capacities) for part in parts), rel=1e-9)
    for name in whole.traffic:
        assert whole.traffic[name] == pytest.approx(sum(part.traffic.get(name, 0.0) for part in parts), rel=1e-9)


@given(clusters(), st.sampled_from(["ring", "bidirectional_ring", "star", "tree"]), st.floats(1.0, 1e10))
def test_an_allreduce_is_a_reducescatter_and_an_allgather_on_a_ring_and_a_reduce_and_a_broadcast_elsewhere(
    cluster: Cluster, algorithm: str, size: float
) -> None:
    members = tuple(cluster.devices)
    halves = ("reducescatter", "allgather") if algorithm == "ring" else ("reduce", "broadcast")
    if algorithm == "bidirectional_ring":  # both directions at once, unlike its halves: as many bytes
        ring, both = (cluster.collective("allreduce", members, size, name) for name in ("ring", algorithm))
        assert sum(both.traffic.values()) == pytest.approx(sum(ring.traffic.values()), rel=1e-9)
        return
    whole, *parts = (cluster.collective(kind, members, size, algorithm) for kind in ("allreduce", *halves))
    assert whole.alone(cluster.capacities) == pytest.approx(sum(part.alone(cluster.capacities) for part in parts), rel=1e-9)
    assert sum(whole.traffic.values()) == pytest.approx(sum(sum(part.traffic.values()) for part in parts), rel=1e-9)


@given(st.sampled_from(["reno", "cubic"]), st.floats(1e-6, 0.4), st.floats(1e-6, 0.4), st.floats(1e-4, 1.0), st.floats(1e-4, 1.0))
def test_less_loss_and_shorter_round_trips_never_slow_a_flow(kind: str, one: float, other: float, near: float, far: float) -> None:
    (less, more), (near, far) = sorted((one, other)), sorted((near, far))
    assert flow_bound(kind, less, near, 1460.0) >= flow_bound(kind, more, near, 1460.0) * (1 - 1e-12)
    assert flow_bound(kind, less, near, 1460.0) >= flow_bound(kind, less, far, 1460.0) * (1 - 1e-12)
    assert flow_bound("cubic", less, near, 1460.0) >= flow_bound("reno", less, near, 1460.0)
    assert flow_bound(kind, less, near, 1460.0, 1e4) <= flow_bound("none", less, near, 1460.0, 1e4)


TINY = 1e-300
"""Seconds: below it floats lose digits, and a loss of 5e-324 its stall."""


@given(st.lists(st.floats(0.0, 0.9), min_size=1, max_size=8), st.floats(0.01, 3.0))
def test_the_unluckiest_of_several_messages_stalls_between_the_worst_and_the_sum(losses: list[float], timeout: float) -> None:
    """Routes over several links may lose more than half: timeouts double up to 120 s, so that the mean is finite."""
    alone = [sum(min(timeout * 2.0**k, 120.0) * loss ** (k + 1) for k in range(500)) for loss in losses]
    assert max(alone) * (1 - 1e-6) - TINY <= expected_stall(losses, timeout) <= sum(alone) * (1 + 1e-9) + TINY


@given(st.floats(0.0, 1e15, allow_nan=False), st.sampled_from([("MiB", 2.0**20), ("kB", 1e3), ("bit", 0.125), ("GB", 1e9)]))
def test_a_unit_is_a_factor(number: float, unit: tuple[str, float]) -> None:
    assert parse(f"{number!r} {unit[0]}", "byte") == pytest.approx(number * unit[1], rel=1e-12)
