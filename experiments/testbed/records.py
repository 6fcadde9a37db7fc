"""What was measured, kept beside the code: one JSON file, written after every case, so that a measurement that was stopped goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RECORDS", "Figure", "KernelTime", "Records", "load_records", "save_records"]

RECORDS = Path(__file__).with_name("measured.json")
"""The committed measurements."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured time.

    Attributes:
        seconds: the median; `low` and `high` its 95 % confidence interval.
        repeats: that it is of.
        reasons: what speaks against it, in words.
        simulated: seconds that the simulator gives for the same, when it was last asked.
    """

    seconds: float
    low: float
    high: float
    repeats: int
    reasons: tuple[str, ...] = ()
    simulated: float | None = None


@dataclass(frozen=True, slots=True)
class KernelTime:
    """A work alone on an engine of that share of a core: median seconds from submission until the host knows, and its operations."""

    share: float
    calls: str
    flops: float
    seconds: float
    repeats: int
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Records:
    """Everything that a comparison needs.

    Attributes:
        machine: what it was measured on, in words by topic.
        round_trips: between two hosts of the unshaped testbed, by bytes.
        messages: of the smallest size, one way, by the number of hosts that send one to the next at once, unshaped.
        kernels: by `share calls`.
        cases: by name.
    """

    machine: dict[str, str] = field(default_factory=dict)
    round_trips: dict[str, Figure] = field(default_factory=dict)
    messages: dict[str, Figure] = field(default_factory=dict)
    kernels: dict[str, KernelTime] = field(default_factory=dict)
    cases: dict[str, Figure] = field(default_factory=dict)


def load_records(path: Path = RECORDS) -> Records:
    """The records of a file; empty ones if there is none."""
    if not path.exists():
        return Records()
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Records(
        dict(found["machine"]),
        {name: _figure(row) for name, row in found["round_trips"].items()},
        {name: _figure(row) for name, row in found["messages"].items()},
        {name: KernelTime(**{**row, "reasons": tuple(row["reasons"])}) for name, row in found["kernels"].items()},
        {name: _figure(row) for name, row in found["cases"].items()},
    )


def save_records(records: Records, path: Path = RECORDS) -> None:
    """Write the records, whole or not at all."""
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(asdict(records), indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _figure(row: Mapping[str, Any]) -> Figure:
    return Figure(**{**row, "reasons": tuple(row["reasons"])})
