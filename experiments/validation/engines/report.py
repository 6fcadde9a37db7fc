"""Errors of the three levels, by engine and kind of run, as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from edgewright.experiments.validation.engines.cases import LLMS, LlmCase, VisionCase
from edgewright.experiments.validation.engines.records import Measured

__all__ = ["COLUMNS", "LEVELS", "Errors", "cells_of", "group_of", "groups"]

LEVELS = ("a: our kernels", "b: its operators alone", "c: the other models")
"""What predictions are made from."""
COLUMNS = ("engine", "models", "runs", "threads", "n", *(f"{level[0]}: {figure}" for level in LEVELS for figure in ("median", "mean")))
"""Of the table."""


@dataclass(frozen=True, slots=True)
class Errors:
    """|ln(predicted / measured)| of the runs of a group, by level.

    Attributes:
        key: engine, kind of models, kind of runs, threads; `all` where a column is summed over.
        count: runs.
        sizes: of each level, the errors of those runs that it could predict.
    """

    key: tuple[str, str, str, str]
    count: int
    sizes: Mapping[str, Sequence[float]]


def group_of(case: LlmCase | VisionCase) -> tuple[str, str, str, str]:
    """The group that a run is counted in."""
    if isinstance(case, VisionCase):
        return case.engine, "vision", f"batch {case.batch}", str(case.threads)
    kind = "mixtures" if LLMS[case.model].experts else "dense"
    runs = "prefill" if case.phase == "prefill" else "decode, batch 1" if case.batch == 1 else "decode, batch 2 to 8"
    return "llama.cpp", kind, runs, str(case.threads)


def groups(rows: Iterable[Measured[Any]], levels: Mapping[str, Callable[[Any], float]]) -> Iterator[Errors]:
    """Every group, and all runs of each engine and kind of models together."""
    found: dict[tuple[str, str, str, str], tuple[list[int], dict[str, list[float]]]] = {}
    for row in rows:
        key = group_of(row.case)
        misses = {level: _miss(predict, row) for level, predict in levels.items()}
        for each in (key, (*key[:2], "all", "all")):
            count, sizes = found.setdefault(each, ([], {level: [] for level in levels}))
            count.append(1)
            for level, miss in misses.items():
                if miss is not None:
                    sizes[level].append(miss)
    for key, (count, sizes) in sorted(found.items(), key=lambda each: (each[0][0], each[0][1], each[0][2] == "all", each[0])):
        yield Errors(key, len(count), sizes)


def cells_of(errors: Errors) -> list[str]:
    """A row of the table; a level that could predict only some of the runs says of how many."""
    figures = []
    for level in LEVELS:
        sizes = errors.sizes[level]
        part = "" if len(sizes) == errors.count else f" ({len(sizes)})"
        figures += [f"{np.median(sizes):.3f}{part}", f"{np.mean(sizes):.3f}"] if sizes else ["", ""]
    return [*errors.key, str(errors.count), *figures]


def _miss(predict: Callable[[Any], float], row: Measured[Any]) -> float | None:
    try:
        return abs(log(predict(row.case) / row.seconds))
    except KeyError:
        return None
