"""How the shape of an Azure trace is kept: `azure_fit.py` computes it, `azure_2023.json` holds it, `azure.py` draws from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

__all__ = ["CONTEXT_LEVELS", "GAP_LEVELS", "OUTPUT_LEVELS", "AzureTrace", "Shape", "shape_of"]

AzureTrace: TypeAlias = Literal["conversation", "code"]

CONTEXT_LEVELS = (0.0, 0.005, 0.01, 0.02, *(round(0.03 * k, 2) for k in range(1, 33)), 0.98, 0.99, 0.995, 0.999, 1.0)
"""Levels of the quantiles of context tokens."""

OUTPUT_LEVELS = (
    *(0.0, 0.01, 0.03, 0.06),
    *(round(0.05 * k, 2) for k in range(2, 19)),
    *(0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0),
)
"""Levels of the quantiles of generated tokens."""

GAP_LEVELS = (0.0, *(round(0.05 * k, 2) for k in range(1, 20)), 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995, 1.0)
"""Levels of the quantiles of gaps, fine where the long ones are."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of one trace.

    Attributes:
        requests: how many were recorded.
        seconds: from the first to the last.
        context: context tokens at `CONTEXT_LEVELS`.
        edges: the largest context of each range but the last.
        generated: generated tokens at `OUTPUT_LEVELS`, in each range of context.
        rates: requests per second in equal parts of `seconds`.
        gap_cv: coefficient of variation of the gaps, in time stretched so that the rate is 1.
        gaps: those gaps at `GAP_LEVELS`, over their mean.
    """

    requests: int
    seconds: float
    context: tuple[int, ...]
    edges: tuple[int, ...]
    generated: tuple[tuple[int, ...], ...]
    rates: tuple[float, ...]
    gap_cv: float
    gaps: tuple[float, ...]


@cache
def shape_of(trace: AzureTrace) -> Shape:
    """The shape that the package holds of a trace."""
    held = json.loads(files("edgewright.workloads").joinpath("azure_2023.json").read_text(encoding="utf-8"))[trace]
    rows = {name: tuple(value) if isinstance(value, list) else value for name, value in held.items()}
    return Shape(**rows | {"generated": tuple(map(tuple, held["generated"]))})
