"""What became of the jobs, by service: counts in one pass over the groups of their table, quantiles one column at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgewright.simulator.stored import KEPT, groups, rows_of
from edgewright.simulator.summary_quantiles import quantiles
from edgewright.simulator.tables import STATUSES, Codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Columns

__all__ = ["LATENCIES", "LEVELS", "TROUBLES", "JobSums", "slo_met"]

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""The quantiles that are reported, by label."""

LATENCIES = {"ttft": "ttft_s", "tpot": "tpot_s", "e2e": "e2e_s", "queue": "queue_s"}
"""The latencies of which quantiles are reported, and their columns."""

TROUBLES = ("interruptions", "retries", "resumes", "lost_tokens", "wasted_tokens")
"""The columns that say what failures cost a job."""

_FATES = ("service", "status", "measured", "missed", "deadline_s")


class JobSums:
    """Over the measured jobs of each service: how many there are, and quantiles of their latencies.

    Attributes:
        services: those of the table, measured or not, in order of appearance.
        troubles: sums of `TROUBLES` over all jobs, measured or not.
    """

    def __init__(self, run: Recorded) -> None:
        """Goes through the table once, then through each column of a latency; no two of these are held at a time."""
        self._slo = run.meta["slo"]
        self._counts: dict[str, Counter[str]] = {}
        self.troubles = dict.fromkeys(TROUBLES, 0)
        table, codes, begin = run.tables["jobs"], Codes(), 0
        owner = np.empty(rows_of(table), np.int32)
        objectives = dict.fromkeys(column for limits in self._slo.values() for column in limits)
        for group in groups(table, (*_FATES, *TROUBLES, *objectives), KEPT):
            coded = codes.of(group["service"])
            self.troubles = {column: before + int(group[column].sum()) for column, before in self.troubles.items()}
            here = slice(begin, begin := begin + len(coded))
            owner[here] = np.where(group["measured"], coded, -1)
            for kind, chosen in self._kinds(group):
                numbers = np.bincount(coded[chosen & group["measured"]], minlength=len(codes.names)).tolist()
                self._counts.setdefault(kind, Counter()).update(dict(zip(codes.names, numbers, strict=True)))
        self.services = codes.names
        self._quantiles: dict[tuple[str, str | None], list[float]] = {}
        for column in LATENCIES.values():
            self._note_quantiles(table[column], column, owner)

    def _kinds(self, jobs: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Jobs by what is counted of them."""
        due = np.isfinite(jobs["deadline_s"])
        yield "jobs", jobs["measured"]
        yield from ((status, jobs["status"] == status) for status in STATUSES)
        yield "met", slo_met(jobs, self._slo)
        yield "due", due
        yield "missed", jobs["missed"] & due
        yield "bound", due | np.isin(jobs["service"], [service for service, limits in self._slo.items() if limits])

    def _note_quantiles(self, values: Floats, column: str, owner: NDArray[np.int32]) -> None:
        """Of the values of a column, whose jobs are of services of these numbers, -1 if they do not count."""
        levels = list(LEVELS.values())
        found = [quantiles(values[owner == number], levels) for number in range(len(self.services))]
        self._quantiles |= {(column, service): own for service, own in zip(self.services, found, strict=True)}
        self._quantiles[column, None] = found[0] if len(found) == 1 else quantiles(values[owner >= 0], levels)

    def count(self, service: str | None, kind: str) -> float:
        """How many jobs of a service (None: of all) are of a kind.

        Kinds: `jobs`, the statuses, `met` (see `slo_met`), `due` (they have a deadline), `missed` (it), `bound` (they have a deadline or
        their service has objectives).
        """
        counts = self._counts.get(kind, Counter())
        return float(counts.total() if service is None else counts[service])

    def quantiles(self, service: str | None, column: str) -> list[float]:
        """Those of `LEVELS` of a latency of a service's jobs (None: of all) that have one; NaN if none has."""
        return self._quantiles.get((column, service), [float("nan")] * len(LEVELS))


def slo_met(jobs: Columns, slo: Mapping[str, Mapping[str, float]]) -> NDArray[np.bool_]:
    """For every job, measured or not: completed within its service's objectives and its deadline; all False where there are neither."""
    met: NDArray[np.bool_] = (jobs["status"] == "completed") & ~jobs["missed"]
    bound = np.isfinite(jobs["deadline_s"])
    for service, objectives in slo.items():
        mine = jobs["service"] == service
        bound = bound | (mine & bool(objectives))
        for column, limit in objectives.items():
            met = met & ~(mine & (jobs[column] > limit))
    return met & bound
