"""A question, the sweeps that answer it, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgewright.experiments.shelves import Shelf

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["FOLDER", "REPLICATIONS", "Level", "Part", "Rows", "Source", "Study", "find", "folder_of", "names"]

FOLDER = Path(__file__).parent
"""Where the studies are."""

_SHELF = Shelf(FOLDER, "edgewright.experiments.studies", "study", "study")

REPLICATIONS = 9
"""Runs per point: each has a seed and a draw of the devices' uncertain figures of its own, both common to all points."""

Level: TypeAlias = "str | int | float"
"""What a table calls a value of a factor."""

Rows: TypeAlias = "Mapping[str, pd.DataFrame]"
"""The runs of each part of a study: the factors' levels, `replicate`, `reason` (empty where the run completed), the figures."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A sweep of a study.

    Attributes:
        factors: per factor its levels by name, each the overrides that it stands for; all levels of a factor override the same keys. The
            points are all combinations of levels.
        figures: columns of a run's row that are kept, with what the table calls them.
        base: overrides of every run.
        keep: which combinations are run, by the levels' names; None: all.
        most: replications of each point at the most, for long runs; None: as many as the study has.
    """

    factors: Mapping[str, Mapping[Level, Mapping[str, object]]]
    figures: Mapping[str, str]
    base: Mapping[str, object] = field(default_factory=dict)
    keep: Callable[..., bool] | None = None
    most: int | None = None

    @cached_property
    def points(self) -> tuple[tuple[Level, ...], ...]:
        """The levels of every point, the last factor fastest."""
        return tuple(point for point in product(*self.factors.values()) if self.keep is None or self.keep(*point))

    def overrides(self) -> dict[str, list[object]]:
        """Per dotted key its value at every point."""
        levels = list(self.factors.values())
        tables = [{key: value for each, at in zip(levels, point, strict=True) for key, value in each[at].items()} for point in self.points]
        return {key: [table[key] for table in tables] for key in (tables[0] if tables else {})}

    def rows(self, scenario: Path, out: Path, *, jobs: int, replications: int) -> pd.DataFrame:
        """Run the sweep, or go on with one that was stopped in `out`, which keeps every run and its resolved scenario."""
        from edgewright.experiments.sweeps import sweep

        count = replications if self.most is None else min(self.most, replications)
        given: dict[str, Any] = {"base": self.base, "design": "list", "replications": count, "draws": True}
        found = sweep(scenario, self.overrides(), out=out, jobs=jobs, **given).frame
        kept = found[["replicate", "reason"]].copy()
        for place, name in enumerate(self.factors):
            kept.insert(place, name, [self.points[point][place] for point in found["point"]])
        for name in self.figures:
            kept[name] = found[name] if name in found else float("nan")
        return kept


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows that are computed without a run.

    Attributes:
        compute: the rows for so many replications.
        factors: names of the columns that are factors.
        figures: as in `Part`.
    """

    compute: Callable[[int], pd.DataFrame]
    factors: Sequence[str]
    figures: Mapping[str, str]

    def rows(self, scenario: Path, out: Path, *, jobs: int, replications: int) -> pd.DataFrame:
        """The rows; nothing is kept in `out`."""
        return self.compute(replications)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One of the studies.

    Attributes:
        name: of its folder, with hyphens.
        question: as someone would ask it.
        parts: what is run, by name; a name is also that of the file with its rows.
        answer: what the page says, the first paragraph in one sentence, computed from the rows.
        picture: draws the figure of the page from the rows.
        tables: what the page shows as tables, by title: a part, or a text made of the rows.
    """

    name: str
    question: str
    parts: Mapping[str, Part | Source]
    answer: Callable[[Rows], Sequence[str]]
    picture: Callable[[Rows], Figure]
    tables: Mapping[str, str | Callable[[Rows], str]]

    @property
    def scenario(self) -> Path:
        """The scenario that its parts vary."""
        return folder_of(self.name) / "scenario.yaml"

    def run(self, out: Path, jobs: int = 1, replications: int = REPLICATIONS) -> Rows:
        """Run all parts, or go on where they were stopped."""
        return {
            name: part.rows(self.scenario, out / name, jobs=jobs, replications=replications).reset_index(drop=True)
            for name, part in self.parts.items()
        }


def names() -> list[str]:
    """The studies by name."""
    return _SHELF.names()


def find(name: str) -> Study:
    """The study of that name; raises `ValueError`, naming the nearest and all, where there is none."""
    study: Study = _SHELF.find(name)
    return study


def folder_of(name: str) -> Path:
    """The folder of a study."""
    return _SHELF.folder_of(name)
