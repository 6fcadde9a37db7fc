"""A measured row of an engine, and the files of them: one JSON line each, headed by the machine and the versions.

`LlmCase`, `VisionCase` and operators are frozen dataclasses; a row is one of them, and its time. Rows are appended as they come, so that a
run that was stopped goes on with what is missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgewright.kernels.foreign import CallTime

__all__ = ["CROWD", "TRIES", "WIDE", "Measured", "RowFile", "best_rows", "read_rows"]

Case = TypeVar("Case")

TRIES = 3
"""How often a case is timed, where every figure was disturbed; the least disturbed counts."""
WIDE = 0.05
"""Half the width of a relative interval above which a median is timed again."""
CROWD = 0.05
"""The part of the time for which other processes may have worked while a row that counts was timed."""

_CROWD = re.compile(r"other processes worked ([\d.]+)%")


@dataclass(frozen=True, slots=True)
class Measured(Generic[Case]):
    """What was run, and how long one call took.

    Attributes:
        case: what.
        seconds, low, high: the median and its confidence interval.
        repeats: that the median is of.
        reasons: what speaks against the figure.
    """

    case: Case
    seconds: float
    low: float
    high: float
    repeats: int
    reasons: tuple[str, ...] = ()

    @property
    def log_error(self) -> float:
        """Half the width of the interval of log(seconds)."""
        return 0.5 * log(self.high / self.low)

    @property
    def disturbed(self) -> bool:
        """Whether it is worth timing again: the median is not known to `WIDE`. Other reasons for doubt (a canary that changed its speed)
        are kept with the row, but on a virtual machine with neighbours they are the rule."""
        return self.log_error > WIDE

    @property
    def crowd(self) -> float:
        """The part of the time for which other processes worked, as far as it was enough to be noted."""
        return max((float(found[1]) / 100 for reason in self.reasons if (found := _CROWD.match(reason))), default=0.0)


class RowFile(Generic[Case]):
    """Rows of one kind of case in a file; raises `ValueError` if the file is of another machine or other versions."""

    def __init__(self, path: Path, kind: type[Case], facts: Mapping[str, Any]) -> None:
        self.path, self._kind = path, kind
        self.rows: list[Measured[Case]] = []
        if path.exists():
            _end_line(path)
            found, self.rows = read_rows(path, kind)
            differing = [key for key in facts if found.get(key) != facts[key]]
            if differing:
                there, here = found.get(differing[0]), facts[differing[0]]
                raise ValueError(f"{path} is of another machine: {differing[0]} is {there!r} there, here it is {here!r}")
        else:
            path.write_text(json.dumps({"machine": dict(facts)}) + "\n", encoding="utf-8")

    def missing(self, cases: Iterable[Case], tries: int = 1) -> list[Case]:
        """Those of the cases that have no row yet, or only disturbed ones, and fewer than `tries` of them."""
        found: dict[Case, list[bool]] = {}
        for row in self.rows:
            found.setdefault(row.case, []).append(not row.disturbed)
        return [case for case in cases if not any(found.get(case, ())) and len(found.get(case, ())) < tries]

    def keep(self, case: Case, time: CallTime) -> None:
        """Add a row, on the disk when this returns."""
        row = Measured(case, time.seconds, time.low, time.high, time.repeats, time.reasons)
        self.rows.append(row)
        figures = {"seconds": row.seconds, "low": row.low, "high": row.high, "repeats": row.repeats, "reasons": list(row.reasons)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(case), **figures}) + "\n")  # type: ignore[call-overload]
            file.flush()
            os.fsync(file.fileno())


def read_rows(path: Path, kind: type[Case]) -> tuple[dict[str, Any], list[Measured[Case]]]:
    """The machine, and the rows of a file; a line that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for line in lines[1:-1]:
        found = json.loads(line)
        figures = {name: found.pop(name) for name in ("seconds", "low", "high", "repeats")}
        reasons = tuple(found.pop("reasons"))
        case = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})
        rows.append(Measured(case, **figures, reasons=reasons))
    return dict(json.loads(lines[0])["machine"]), rows


def best_rows(rows: Iterable[Measured[Case]]) -> list[Measured[Case]]:
    """Of each case the row that was least disturbed, and of several the one that is known best."""
    found: dict[Case, Measured[Case]] = {}
    for row in rows:
        there = found.get(row.case)
        if there is None or _doubt(row) < _doubt(there):
            found[row.case] = row
    return list(found.values())


def _doubt(row: Measured[Case]) -> tuple[bool, bool, float]:
    return row.disturbed, row.crowd > CROWD, row.log_error


def _end_line(path: Path) -> None:
    """Remove a last line that a crash cut off: what is appended starts on a line of its own."""
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
