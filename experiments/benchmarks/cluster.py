"""Benchmark `cluster`: an hour of a hundred devices of several kinds, 50 requests per second, and what each part of it costs.

40 Orin NX look at frames that arrive over two shared access points, 32 AGX Orin and 16 RTX 4090 answer chats, and three groups of four
Raspberry Pi 5 serve one model each by tensor parallelism over the links of one switch. A controller looks at the power of all once per
second; boards crash and links fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import linear_regression, median
from typing import Any

from edgewright.experiments.benchmarks.llm import run_llm
from edgewright.experiments.benchmarks.rows import Row, Target
from edgewright.experiments.benchmarks.timing import cpu_seconds
from edgewright.simulator import Scenario, Simulation

__all__ = ["OFTEN", "RATES", "cluster", "cluster_scenario", "price_of"]

RATES = {"frames": 46.0, "chats": 3.9, "commands": 0.1}
"""Requests per second of each workload."""

KINDS = {"nx": ("jetson_orin_nx_16gb", 40), "orin": ("jetson_agx_orin_64gb", 32), "gpu": ("rtx4090", 16), "pi": ("rpi5_8gb", 12)}
"""Catalogue name and number of each kind of device."""

PART = 600.0
"""Simulated seconds in which the parts are timed alone."""


OFTEN = (4.0, 16.0, 64.0)
"""How many times as often as in the hour the controller looks, and faults come, in the runs from which the price of each is found out."""

TURNS = 5
"""How often each of these runs is timed."""


def cluster_scenario(seconds: float, workloads: tuple[str, ...] = tuple(RATES), control: float = 1.0, faults: float = 1.0) -> Scenario:
    """The cluster for so long; `workloads`: which of them ask; `control`, `faults`: how many times as often as in the hour the power
    controller looks and faults come, 0: never."""
    document: dict[str, Any] = {
        "name": "cluster",
        "seed": 1,
        "run": {"window": seconds, "drain": 600.0},
        "record": {"operations": 0},
        "cluster": {
            "devices": {name: {"device": device, "count": count} for name, (device, count) in KINDS.items()},
            "switches": ["core", "lab"],
            "nodes": ["cameras", "phones"],
            "links": [
                {"name": "lan-nx", "link": "eth_1g", "between": ["core", "nx"]},
                {"name": "lan-orin", "link": "eth_1g", "between": ["core", "orin"]},
                {"name": "lan-gpu", "link": "eth_10g", "between": ["core", "gpu"]},
                {"name": "lan-pi", "link": "eth_1g", "between": ["lab", "pi"]},
                {"name": "lab-core", "link": "eth_1g", "between": ["lab", "core"]},
                {"name": "air-cameras", "link": "wifi6", "between": ["cameras", "core"], "medium": "air"},
                {"name": "air-phones", "link": "wifi6", "between": ["phones", "core"], "medium": "air"},
            ],
        },
        "services": _services(),
        "workloads": {name: _workload(name) for name in workloads},
    }
    if control:
        rack = {"devices": list(KINDS), "budget": 12_000.0, "policy": "two_thresholds", "telemetry": {"period": 1.0 / control}}
        document["power"] = {"rack": rack}
    if faults:
        document["faults"] = {
            "reboots": {"kind": "crash", "targets": ["nx", "orin"], "every": {"mean": 7200.0 / faults}, "lasts": {"mean": 60.0}},
            "cuts": {"kind": "link_down", "targets": ["lan-gpu"], "every": {"mean": 7200.0 / faults}, "lasts": {"mean": 10.0}},
        }
    return Scenario.model_validate(document)


def _services() -> dict[str, Any]:
    again = {"failure": {"policy": "retry", "attempts": 3, "pause": 1.0}, "startup": {"weights": 5.0, "engine": 5.0}}
    groups = [[f"pi{4 * group + member}" for member in range(4)] for group in range(3)]
    sharded = [
        {"name": f"group{index}", "devices": group, "partitioning": {"policy": "tensor_parallel", "algorithm": "star"}}
        for index, group in enumerate(groups)
    ]
    chat = [{"name": "edge", "each": "orin"}, {"name": "server", "each": "gpu"}]
    return {
        "detector": {
            "model": "yolov8n",
            "format": "int8",
            "batching": {"policy": "static", "size": 1},
            "routing": "round_robin",
            "replicas": [{"name": "nx", "each": "nx"}],
            **again,
        },
        "chat": {"model": "llama-3.1-8b", "format": "w4a16", "engine": "vllm", "routing": "least_loaded", "replicas": chat, **again},
        "assistant": {"model": "llama-3.2-1b", "format": "q4_0", "engine": "llama.cpp", "routing": "least_loaded", "replicas": sharded},
    }


def _workload(name: str) -> dict[str, Any]:
    arrivals = {"process": "poisson", "rate": RATES[name]}
    if name == "frames":
        return {"service": "detector", "entry": "cameras", "arrivals": arrivals, "bytes": 100e3, "deadline": 1.0}
    if name == "chats":
        return {"service": "chat", "entry": "phones", "arrivals": arrivals, "lengths": "azure"}
    lengths = {"lengths": "joint", "prompt": {"shape": "fixed", "value": 60}, "output": {"shape": "fixed", "value": 40}}
    return {"service": "assistant", "entry": "phones", "arrivals": arrivals, "lengths": lengths}


def cluster(seconds: float = 3600.0, part: float = PART) -> Iterator[Row]:
    """CPU seconds of the whole, and what each part costs alone: a request of each workload, a look of the controller."""
    taken, result = _timed(cluster_scenario(seconds))
    jobs = len(result.tables["jobs"]["job"])
    yield Row(f"cluster, {seconds:g} s", taken * 3600.0 / seconds, "CPU s/h", Target(60.0, False))
    yield Row(f"cluster, {seconds:g} s: a request", taken / jobs * 1e6, "CPU us")
    yield Row(f"cluster, {seconds:g} s: completed", float((result.tables["jobs"]["status"] == "completed").mean()), "")
    for name in RATES:
        alone, found = _timed(cluster_scenario(part, (name,), control=0.0, faults=0.0))
        count = len(found.tables["jobs"]["job"])
        yield Row(f"cluster, {name} alone: a request", alone / count * 1e6, "CPU us")
        yield Row(f"cluster, {name} alone: a step", alone / max(float(found.tables["steps"]["iterations"].sum()), 1.0) * 1e6, "CPU us")
    yield from price_of("a look of the power controller", "control", part, lambda found, often: int(found.meta["end_s"] * often))
    yield from price_of("a fault and what follows", "faults", part, lambda found, often: len(found.tables["faults"]["fault"]))


def price_of(what: str, key: str, seconds: float, count: Callable[[Any, float], int], turns: int = TURNS) -> Iterator[Row]:
    """What each more of a thing adds to the same frames: the slope of a line through runs with few and with many, medians over the turns.

    `key`: the argument of `cluster_scenario` that says how often (`OFTEN`); `count`: how many a result had, asked that often. Runs
    are the same in every turn, so that turns differ in time alone, and the slopes of single turns say how far that goes. The line leaves
    out what all runs pay, and what the first one costs.
    """
    taken: list[list[float]] = []
    counts: list[int] = []
    for _ in range(turns):
        wanted = [cluster_scenario(seconds, ("frames",), **{"control": 0.0, "faults": 0.0, key: often}) for often in OFTEN]
        runs = [_timed(scenario) for scenario in wanted]
        counts = [count(found, often) for (_, found), often in zip(runs, OFTEN, strict=True)]
        taken.append([each for each, _ in runs])
    single = [_slope(counts, turn) for turn in taken]
    name = f"cluster, {what}"
    yield Row(name, _slope(counts, [median(each) for each in zip(*taken, strict=True)]), "CPU us")
    yield Row(f"{name}: slopes of single turns, greatest less least", max(single) - min(single), "CPU us")
    yield Row(f"{name}: how many in a turn", float(sum(counts)), "")


def _slope(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """Microseconds per one more."""
    return linear_regression(counts, seconds).slope * 1e6


def _timed(scenario: Scenario) -> tuple[float, Any]:
    return cpu_seconds(partial(run_llm, Simulation(scenario)))
