"""Benchmark `memory`: bytes per request of the LLM workload with its results streamed to Parquet, beside those of a run that keeps them.

Each run is a process of its own, and its peak is that of its resident set; what a run of few requests needs besides is taken off.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgewright.experiments.benchmarks.llm import llm_scenario
from edgewright.experiments.benchmarks.rows import Row, Target
from edgewright.experiments.benchmarks.timing import in_own_process, peak_bytes

__all__ = ["memory", "run_alone"]

SMALL = 3000
"""Requests of the run whose peak is that of everything but requests: enough for it to load what the large one does."""


def memory(requests: int = 100_000, rate: float = 2.0) -> Iterator[Row]:
    """Bytes per request, streamed and kept."""
    for way, asked in (("streamed", Target(1000.0, False)), ("kept", None)):
        base, peak = (float(in_own_process("-m", __name__, way, str(rate), str(count))) for count in (SMALL, requests))
        yield Row(f"memory, {requests} requests, {way}", (peak - base) / (requests - SMALL), "bytes/request", asked)
        yield Row(f"memory, {requests} requests, {way}: peak", peak / 1e6, "MB")


def run_alone(way: str, rate: float, requests: int) -> int:
    """Run the workload, `streamed` or `kept`, work out its summary, and return the peak of this process in bytes."""
    from edgewright.simulator import simulate

    with tempfile.TemporaryDirectory() as folder:
        result = simulate(llm_scenario(rate, requests), out=Path(folder) / "out" if way == "streamed" else None)
        result.row()
    return peak_bytes()


if __name__ == "__main__":
    print(run_alone(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
