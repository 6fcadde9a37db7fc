"""One run of a sweep: what it is, its name for ever, and what comes of it. Runs in any process; importable there by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.simulator.provenance import versions
from edgewright.simulator.scenario import Scenario

__all__ = ["Outcome", "Run", "execute", "identified"]


@dataclass(frozen=True, slots=True)
class Run:
    """A point and a replicate.

    Attributes:
        id: of scenario, seed and versions: the same run has the same one in every sweep.
        point, replicate: counted from 0.
        factors: values at the point, by dotted key.
        scenario: what is simulated.
    """

    id: str
    point: int
    replicate: int
    factors: Mapping[str, object]
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run: figures (empty if it failed) and, if it failed, why."""

    figures: Mapping[str, float]
    reason: str = ""


def identified(scenario: Scenario) -> str:
    """16 hexadecimal digits of the SHA-256 of the scenario as given, the files it names, and the versions that matter."""
    tables = scenario.tables()
    text = json.dumps({"scenario": tables, "versions": versions(), "files": _digests(tables)}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def execute(scenario: Scenario) -> Outcome:
    """Simulate; an exception is the outcome's reason, not the sweep's end."""
    from edgewright.simulator import simulate

    try:
        row = simulate(scenario).row(detail=True)
    except Exception as error:
        return Outcome({}, f"{type(error).__name__}: {error}")
    return Outcome({name: float(value) for name, value in row.items() if name not in ("scenario", "seed")})


def _digests(value: Any) -> dict[str, str]:
    """SHA-256 of every file that a value of the tables names."""
    if isinstance(value, Mapping):
        return {path: digest for each in value.values() for path, digest in _digests(each).items()}
    if isinstance(value, list | tuple):
        return {path: digest for each in value for path, digest in _digests(each).items()}
    if isinstance(value, str) and len(value) < 4096 and Path(value).suffix and Path(value).is_file():
        return {value: hashlib.sha256(Path(value).read_bytes()).hexdigest()}
    return {}
