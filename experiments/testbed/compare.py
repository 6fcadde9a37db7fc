"""Measured beside simulated: the errors, case by case, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from edgewright.experiments.testbed.cases import Case
from edgewright.experiments.testbed.measure import kernel_key, works_of
from edgewright.experiments.testbed.records import Records
from edgewright.experiments.testbed.twin import Network, simulated_seconds

__all__ = ["Compared", "compare", "flops_of", "network_of", "predict", "summary"]

DOMINATED = 0.5
"""A case is dominated by communication if it would take less than this share of its time if messages took none."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One case.

    Attributes:
        measured, low, high: seconds: the median and its 95 % confidence interval.
        simulated: seconds.
        computing: share of the simulated time that is left if messages take none.
        reasons: what speaks against the measured figure.
    """

    case: Case
    measured: float
    low: float
    high: float
    simulated: float
    computing: float
    reasons: tuple[str, ...]

    @property
    def error(self) -> float:
        """Simulated over measured, less one."""
        return self.simulated / self.measured - 1

    @property
    def dominated(self) -> bool:
        """Whether communication dominates it."""
        return self.computing < DOMINATED


def network_of(case: Case, records: Records) -> Network:
    """What a message costs when as many hosts talk at once as the case has."""
    return Network(records.messages[str(case.hosts)].seconds)


def flops_of(case: Case, records: Records) -> dict[str, float]:
    """Operations per second of each host: of all that it computes in a step, each at its own time alone."""
    found = {}
    for rank, works in works_of(case).items():
        times = [(records.kernels[kernel_key(case.shares[rank], work)], count) for work, count in works.items()]
        seconds = sum(each.seconds * count for each, count in times)
        found[f"host{rank}"] = sum(each.flops * count for each, count in times) / seconds if times else 1.0
    return found


def predict(case: Case, records: Records) -> tuple[float, float]:
    """Simulated seconds of a case, and the share of them that is left if messages take none."""
    flops, network = flops_of(case, records), network_of(case, records)
    seconds = simulated_seconds(case, flops, network)
    return seconds, simulated_seconds(case, flops, network, ideal_links=True) / seconds


def compare(cases: Iterable[Case], records: Records) -> list[Compared]:
    """Every case that was measured."""
    rows = []
    for case in cases:
        figure = records.cases.get(case.name)
        if figure is not None:
            simulated, computing = predict(case, records)
            rows.append(Compared(case, figure.seconds, figure.low, figure.high, simulated, computing, figure.reasons))
    return rows


def summary(rows: Sequence[Compared]) -> list[str]:
    """What the errors come to, in sentences."""
    errors = [abs(row.error) for row in rows]
    dominated = [abs(row.error) for row in rows if row.dominated]
    worst = max(rows, key=lambda row: abs(row.error))
    pairs = list(_pairs(rows))
    right = sum((a.measured < b.measured) == (a.simulated < b.simulated) for a, b in pairs)
    return [
        f"median error of the {len(dominated)} cases that communication dominates: {median(dominated):.1%} (target: 5 %)",
        f"median error of all {len(rows)} cases: {median(errors):.1%} (target: 10 %)",
        f"largest error: {worst.error:+.1%}, {worst.case.name} (target: 25 %)",
        f"star against ring: {right} of {len(pairs)} pairs in the right order",
    ]


def _pairs(rows: Sequence[Compared]) -> Iterable[tuple[Compared, Compared]]:
    """The cases that differ in nothing but star and ring."""
    known = {row.case.name: row for row in rows}
    for name, row in known.items():
        other = known.get(name.replace(", star,", ", ring,"))
        if ", star," in name and other is not None:
            yield row, other
