"""The tables of `README.md`, rewritten by `--update` for the benchmarks that were run."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from edgewright.experiments.benchmarks.rows import HEADER, Row, cells
from edgewright.experiments.kernel_speed import machine_name
from edgewright.experiments.pages import replace_section
from edgewright.simulator.compiled import compiled_core

__all__ = ["README", "table", "write_tables"]

README = Path(__file__).with_name("README.md")
"""The page."""


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown, with day, machine, Python and whether the simulator's core was compiled."""
    core = "interpreted" if compiled_core() is None else "compiled"
    lines = [f"Measured {date.today().isoformat()} on {machine_name()}, Python {platform.python_version()}, core {core}.", ""]
    lines += [f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells(rows))])


def write_tables(found: Mapping[str, Iterable[Row]], page: Path = README) -> None:
    """Put the rows of each benchmark between the marks of its name; raises `ValueError` for one without marks."""
    for name, rows in found.items():
        replace_section(name, table(rows), page)
