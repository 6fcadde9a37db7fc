"""One figure of a benchmark, beside what is asked of it and what a peer reaches in the same run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

__all__ = ["HEADER", "Row", "Target", "cells"]

HEADER = ("benchmark", "value", "unit", "target", "met", "peer", "peer's value", "ratio")
"""Titles of the columns of a table of rows."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of a figure.

    Attributes:
        bound: the figure itself, or (`of_peer`) its ratio to the peer's.
        least: whether more is better; else less is.
    """

    bound: float
    least: bool
    of_peer: bool = False

    def __str__(self) -> str:
        """`>= 20 x peer`, `<= 1000`."""
        return f"{'>=' if self.least else '<='} {self.bound:g}{' x peer' if self.of_peer else ''}"

    def met(self, value: float, peer_value: float | None) -> bool | None:
        """Whether a figure is as asked; None if that cannot be said (no figure, or no peer where one is needed)."""
        if isnan(value) or (self.of_peer and peer_value is None):
            return None
        reached = value / peer_value if self.of_peer and peer_value is not None else value
        return reached >= self.bound if self.least else reached <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: of the benchmark, and what it measures.
        value: measured in this run; NaN if it is not available.
        unit: of both values.
        target: what is asked; None if the figure is only reported.
        peer, peer_value: what it is compared with, and its figure in the same run on the same core; empty and None without one.
    """

    name: str
    value: float
    unit: str
    target: Target | None = None
    peer: str = ""
    peer_value: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one, or if it cannot be said."""
        return None if self.target is None else self.target.met(self.value, self.peer_value)

    def as_dict(self) -> dict[str, Any]:
        """`{name, value, unit, target, peer, peer_value}` and `met`, for JSON."""
        return {**asdict(self), "target": None if self.target is None else str(self.target), "met": self.met}


def cells(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """The rows as texts under `HEADER`."""
    return [
        (
            row.name,
            _figure(row.value),
            row.unit,
            "" if row.target is None else str(row.target),
            {True: "yes", False: "no", None: ""}[row.met],
            row.peer,
            "" if row.peer_value is None else _figure(row.peer_value),
            "" if not row.peer_value else f"{row.value / row.peer_value:.3g}",
        )
        for row in rows
    ]


def _figure(value: float) -> str:
    """Four figures, thousands apart; `unavailable` for NaN."""
    if isnan(value):
        return "unavailable"
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.4g}"
