"""When a claim is reproduced: the rule, applied the same way to every system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgewright.experiments.reproductions.claims import Claim, System, Value
from edgewright.experiments.reproductions.running import Outcomes

__all__ = ["TOLERANCE", "VERDICTS", "Row", "rows_of"]

TOLERANCE = 0.15
"""A figure is reproduced within 15 % of what is published."""

VERDICTS = ("reproduced", "partly", "not reproduced", "not simulated")
"""From best to none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim beside what was simulated. Figures are lists where the claim has several, and None where it has none.

    `simulated` is at the defaults of all assumptions, `low` and `high` are the band over their alternatives, `ratio` is simulated /
    published.
    """

    system: str
    claim: str
    published: Any
    simulated: Any
    low: Any
    high: Any
    ratio: Any
    verdict: str
    reason: str


def rows_of(system: System, outcomes: Outcomes) -> list[Row]:
    """A row per claim of the system, in its order.

    Points: reproduced if every figure at the defaults is within 15 %; partly if one is, or if a band reaches the 15 %. A range:
    reproduced if both ends are within 15 %; partly if the band overlaps it. An order: reproduced if it holds at the defaults and at all
    alternatives; partly if at some.
    """
    return [_row(system.name, claim, outcomes) for claim in system.claims]


def _row(system: str, claim: Claim, outcomes: Outcomes) -> Row:
    published = _shown(claim.published)
    if claim.unsimulated is not None:
        return Row(system, claim.id, published, None, None, None, None, "not simulated", claim.unsimulated)
    values = [value for value in outcomes.values(claim.id) if value is not None]
    default = outcomes.default[claim.id]
    if default is None:
        raise ValueError(f"{system}: claim {claim.id!r} has no value at the defaults of the assumptions")
    if claim.kind == "order":
        verdict = "reproduced" if all(values) else "partly" if any(values) else "not reproduced"
        return Row(system, claim.id, None, default, all(values), any(values), None, verdict, claim.note)
    wanted = _figures(claim.published)
    columns = list(zip(*map(_figures, values), strict=True))
    bands = [(min(column), max(column)) for column in columns]
    found = _figures(default)
    low, high = (_like(claim.published, [band[end] for band in bands]) for end in (0, 1))
    ratio = _like(claim.published, [value / figure if figure else None for value, figure in zip(found, wanted, strict=True)])
    verdict = _verdict(claim, wanted, found, bands)
    return Row(system, claim.id, published, _shown(default), low, high, ratio, verdict, claim.note)


def _verdict(claim: Claim, wanted: list[float], found: list[float], bands: list[tuple[float, float]]) -> str:
    hits = [_within(value, figure) for value, figure in zip(found, wanted, strict=True)]
    if all(hits):
        return "reproduced"
    if claim.kind == "range":
        near = bands[0][0] <= max(wanted) and bands[1][1] >= min(wanted)
    else:
        near = any(hits) or any(_reaches(band, figure) for band, figure in zip(bands, wanted, strict=True))
    return "partly" if near else "not reproduced"


def _within(value: float, figure: float) -> bool:
    return abs(value - figure) <= TOLERANCE * abs(figure)


def _reaches(band: tuple[float, float], figure: float) -> bool:
    slack = TOLERANCE * abs(figure)
    return band[0] <= figure + slack and band[1] >= figure - slack


def _figures(value: Value) -> list[float]:
    return [float(each) for each in value] if isinstance(value, tuple) else [float(value)]  # type: ignore[arg-type]


def _shown(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _like(published: Value, figures: list[Any]) -> Any:
    return figures if isinstance(published, tuple) else figures[0]
