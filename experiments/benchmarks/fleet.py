"""Benchmark `fleet`: edge devices by the thousand, each asked once per minute over access links whose rates change.

Ten boards behind each access link. Requests come at random and go to the boards in turn, an image of 50 kB each. Rates of access links
are looked up only while they are used, and power is added up as it changes, so that time costs little where nothing happens; what does
grow with devices and time are the rows of the sampled tables, one per resource and bin, here an hour.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from edgewright.experiments.benchmarks.events import bare, bare_name
from edgewright.experiments.benchmarks.rows import Row, Target
from edgewright.experiments.benchmarks.timing import cpu_seconds, peak_bytes
from edgewright.simulator import Scenario, simulate

__all__ = ["DAY", "REQUESTS", "fleet", "fleet_scenario"]

DAY = 86_400.0
"""Seconds of the real one."""

REQUESTS = 14_400_000
"""Requests of 10 000 devices in a day."""

BEHIND = 10
"""Devices behind one access link."""

BARE = 50_000
"""Requests of bare SimPy, before the run and after it: they say how fast the core was."""


def fleet_scenario(devices: int, seconds: float) -> Scenario:
    """So many devices for so long."""
    rate = {"process": "gauss_markov", "sigma": 0.4, "memory": 60.0, "step": 10.0, "most": 1.0}
    cells = [f"cell{index}" for index in range(devices // BEHIND)]
    links: list[dict[str, Any]] = [{"name": "core", "link": "eth_10g", "between": ["users", "hub"]}]
    links += [{"name": f"access-{cell}", "link": "wifi5", "between": ["hub", cell], "rate": rate} for cell in cells]
    links += [{"name": f"lan{i}", "link": "eth_1g", "between": [cells[i // BEHIND], f"board{i}"]} for i in range(devices)]
    return Scenario.model_validate(
        {
            "name": "fleet",
            "seed": 1,
            "run": {"window": seconds, "drain": 60.0},
            "record": {"period": 3600.0, "operations": 0},
            "cluster": {
                "devices": {"board": {"device": "rpi5_8gb", "count": devices}},
                "switches": [*cells, "hub"],
                "nodes": ["users"],
                "links": links,
            },
            "services": {
                "detector": {
                    "model": "mobilenet-v2",
                    "format": "int8",
                    "batching": {"policy": "static", "size": 1},
                    "routing": "round_robin",
                    "replicas": [{"name": "on", "each": "board"}],
                }
            },
            "workloads": {
                "images": {
                    "service": "detector",
                    "entry": "users",
                    "arrivals": {"process": "poisson", "rate": devices / 60.0},
                    "bytes": 50e3,
                }
            },
        }
    )


def fleet(devices: int = 10_000, seconds: float = DAY) -> Iterator[Row]:
    """CPU seconds and peak memory, streamed; of a shorter one also what the day of the real one would take.

    Beside a request stands one of bare SimPy (`events.bare`), the mean of before and after: seconds of two hours do not compare.

    A request costs what it does in the second half of the window, when every board has had one: the median of the parts of the run, most of
    which have no check of the invariants. All else (start-up, first requests, checks, tables) is taken to be the same in a longer run.
    """
    before, _ = cpu_seconds(lambda: bare(BARE))
    start, marks = time.process_time(), [(0.0, 0.0)]
    with tempfile.TemporaryDirectory() as folder:
        result = simulate(fleet_scenario(devices, seconds), lambda now: marks.append((now, time.process_time())), out=Path(folder) / "out")
        figures = result.row()
    taken, jobs = time.process_time() - start, float(figures["jobs"])
    after, _ = cpu_seconds(lambda: bare(BARE))
    later = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(marks) if a[0] >= seconds / 2 and b[0] <= seconds]
    each = median(later) / (devices / 60.0)
    name, whole = f"fleet, {devices} devices, {seconds:g} s", devices == 10_000 and seconds == DAY
    yield Row(name, taken, "CPU s", Target(1800.0, False) if whole else None)
    yield Row(f"{name}: a request", each * 1e6, "CPU us", None, bare_name(), (before + after) / 2 / BARE * 1e6)
    yield Row(f"{name}: all but requests", taken - each * jobs, "CPU s")
    yield Row(f"{name}: peak", peak_bytes() / 1e9, "GB", Target(4.0, False) if whole else None)
    if not whole:
        yield Row(f"{name}: what a day of 10 000 devices would take", taken + each * (REQUESTS - jobs), "CPU s")
