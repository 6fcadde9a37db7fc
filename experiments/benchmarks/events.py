"""Benchmark `events`: what a request costs here beside three bare SimPy timeouts in a process of its own.

The requests: images for a network of fixed service time, without KV memory, Poisson arrivals at half of what the device can serve. *Alone*
they reach the device at once. *With everything* they cross a shared link in and out, under a power domain with a controller.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from importlib.metadata import version
from typing import Any

from edgewright.experiments.benchmarks.llm import run_llm
from edgewright.experiments.benchmarks.rows import Row, Target
from edgewright.experiments.benchmarks.timing import in_turn
from edgewright.simulator import Scenario, Simulation

__all__ = ["bare", "bare_name", "events", "fixed_scenario"]


def fixed_scenario(requests: int, everything: bool = False) -> Scenario:
    """A detector on one board, one image at a time."""
    rate = 50.0
    board = {"device": "jetson_agx_orin_64gb"}
    cluster: dict[str, Any] = {"devices": {"board": board}}
    workload: dict[str, Any] = {"service": "detector", "arrivals": {"process": "poisson", "rate": rate}, "lengths": "one_shot"}
    document: dict[str, Any] = {
        "name": "fixed",
        "seed": 1,
        "run": {"window": requests / rate, "drain": 60.0},
        "cluster": cluster,
        "services": {
            "detector": {
                "model": "yolov8n",
                "format": "fp16",
                "batching": {"policy": "static", "size": 1},
                "replicas": [{"name": "one", "devices": ["board"]}],
            }
        },
        "workloads": {"images": workload},
    }
    if everything:
        cluster |= {"nodes": ["camera"], "links": [{"name": "wifi", "link": "wifi6", "between": ["camera", "board"]}]}
        workload |= {"entry": "camera", "bytes": 150e3, "deadline": 0.5}
        document["power"] = {"box": {"devices": ["board"], "budget": 50.0, "policy": "two_thresholds", "telemetry": {"period": 1.0}}}
    return Scenario.model_validate(document)


def bare(requests: int) -> None:
    """So many requests in SimPy alone: a timeout to the next arrival, and a process with two more for each."""
    import simpy

    environment = simpy.Environment()

    def request() -> Generator[Any, Any, None]:
        yield environment.timeout(0.001)
        yield environment.timeout(0.01)

    def source() -> Generator[Any, Any, None]:
        for _ in range(requests):
            yield environment.timeout(0.02)
            environment.process(request())

    environment.process(source())
    environment.run()


def bare_name() -> str:
    """`bare SimPy` and its version."""
    return f"bare SimPy {version('simpy')}"


def events(requests: int = 20_000, turns: int = 3) -> Iterator[Row]:
    """Requests per CPU second beside those of bare SimPy: alone, by the rule and by the general path, and with everything."""
    peer = bare_name()
    asked = Target(0.1, True, of_peer=True)
    ways = (("alone", False, True, asked), ("alone, by the general path", False, False, None), ("with everything", True, True, None))
    for label, everything, express, target in ways:
        ready = [Simulation(fixed_scenario(requests, everything), express=express) for _ in range(turns + 1)]
        seconds = in_turn({"ours": lambda ready=ready: run_llm(ready.pop()), "bare": lambda: bare(requests)}, turns)  # type: ignore[misc]
        figures = {name: requests / taken for name, taken in seconds.items()}
        yield Row(f"events, fixed service, {label}", figures["ours"], "requests/CPU s", target, peer, figures["bare"])
