"""Measurements as rows: one CSV format for latencies, throughputs, powers, energies and sizes that were measured somewhere.

The columns are those of `COLUMNS`; `device_id` is a name of the catalogue, `engine` the software that ran, `value` a number in `unit`. What
the other columns mean depends on the phase; empty is unknown. Files are read as a stream.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from edgewright.hwmodels import Device
from edgewright.simulator.errors import ScenarioError

__all__ = ["COLUMNS", "Row", "read_rows"]

COLUMNS = (
    "device_id",
    "device",
    "engine",
    "model",
    "params_B",
    "dtype",
    "phase",
    "prompt_tokens",
    "context",
    "batch",
    "threads_or_gpus",
    "metric",
    "value",
    "unit",
    "power_W",
    "power_scope",
    "notes",
)
"""The columns that are read; others may stand beside them and are passed on."""

_REQUIRED = ("device_id", "engine", "model", "phase", "metric", "value", "unit")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes:
        file: name of its file, without folder and ending.
        line: its line there.
        value: what was measured, in `unit`.
        cells: all columns as they were written.
        profiles: devices of the reader's own, by name, which stand before those of the catalogue.
    """

    file: str
    line: int
    value: float
    cells: Mapping[str, str] = field(repr=False)
    profiles: Mapping[str, Device] = field(default_factory=dict, repr=False)

    def text(self, column: str) -> str:
        """A column, without blanks around it; empty if it is absent."""
        return (self.cells.get(column) or "").strip()

    def number(self, column: str) -> float | None:
        """A column as a number; None if it holds none."""
        try:
            found = float(self.text(column))
        except ValueError:
            return None
        return found if isfinite(found) else None

    @property
    def group(self) -> tuple[str, str, str]:
        """File, phase and metric; a count of tokens in the metric's name is taken out of it."""
        import re

        return self.file, self.text("phase"), re.sub(r"_for_\d+_tokens", "_for_n_tokens", self.text("metric"))


def read_rows(path: Path, profiles: Mapping[str, Device] | None = None) -> Iterator[Row]:
    """The rows of a file, in order, with the reader's own devices.

    Raises `ScenarioError` that names file, line, column and value where it is not of this format.
    """
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ScenarioError(str(path), "", f"cannot be read ({error.strerror})", "a CSV file of measurements") from None
    with file:
        reader = csv.DictReader(file, strict=True)
        try:
            _check_header(path, reader.fieldnames)
            for cells in reader:
                yield _row(path, reader.line_num, cells, profiles or {})
        except (csv.Error, UnicodeDecodeError) as error:
            raise ScenarioError(
                str(path), "", f"is no CSV file in UTF-8 ({error})", "a CSV file of measurements", reader.line_num
            ) from None


def _check_header(path: Path, found: object) -> None:
    names = list(found) if isinstance(found, list | tuple) else []
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ScenarioError(str(path), missing[0], "is no column of this file", f"a first line with the columns {', '.join(_REQUIRED)}", 1)


def _row(path: Path, line: int, cells: Mapping[str | None, object], profiles: Mapping[str, Device]) -> Row:
    if None in cells or None in cells.values():
        raise ScenarioError(str(path), "", "has more or fewer cells than the first line has", "as many cells as columns", line)
    texts = {str(name): str(cell) for name, cell in cells.items()}
    try:
        value = float(texts["value"])
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise ScenarioError(
            str(path), "value", f"{texts['value']!r} is no number", "what was measured, as a number in the row's unit", line
        )
    return Row(path.stem, line, value, texts, profiles)
