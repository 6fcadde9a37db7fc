"""Benchmark `startup`: `edgewright run` on a scenario of ten requests, from the shell to the result directory, after a first run.

What a first run leaves behind is Python's bytecode. It is kept in a folder of the benchmark's own, whatever the environment says of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import yaml

from edgewright.experiments.benchmarks.rows import Row, Target

__all__ = ["startup"]

CHANGES = {
    "extends": "hello",
    "name": "ten",
    "run": {"window": "100 s", "drain": "2 min"},
    "workloads": {"questions": {"arrivals": {"rate": 0.1}}},
}
"""The shipped scenario `hello`, for as long as ten requests take on average."""

COMMAND = "from edgewright.experiments.cli import main; main()"
"""What the console script `edgewright` does."""


def startup(turns: int = 5) -> Iterator[Row]:
    """Seconds of wall time of the whole command, and of the command that only prints its help."""
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "ten.yaml"
        scenario.write_text(yaml.safe_dump(CHANGES))
        command = ("run", str(scenario), "--quiet", "--force", "--out", str(Path(folder) / "out"))
        bytecode = str(Path(folder) / "bytecode")
        yield Row("start-up, `edgewright run` of ten requests", _wall(command, turns, bytecode), "s", Target(1.0, False))
        yield Row("start-up, `edgewright --help`", _wall(("--help",), turns, bytecode), "s")


def _wall(arguments: tuple[str, ...], turns: int, bytecode: str) -> float:
    """The median of some turns after a first."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": bytecode}
    taken = []
    for _ in range(turns + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMMAND, *arguments], check=True, capture_output=True, env=environment)
        taken.append(time.perf_counter() - start)
    return median(taken[1:])
