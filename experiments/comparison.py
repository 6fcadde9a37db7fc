"""Two runs side by side: which figures differ, by how much, how sure that is, and where the time of a job went.

Jobs that both runs saw (of one source, arrived at the same moment: common random numbers) are compared pair by pair. The confidence
interval of a mean difference comes from batch means: consecutive jobs wait for each other, so their differences are no independent
samples, but means over long batches nearly are (Law, Simulation Modeling and Analysis, 5th ed., section 9.5.3).

How wrong: with fewer than `BATCHES` jobs per batch or two, batches are short and the interval is too narrow. Figures of a whole run
(energy, throughput) are one number per run: they differ or not, and replications (`edgewright sweep`) say how sure that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.summary_text import readable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from edgewright.simulator.result import Result

__all__ = ["BATCHES", "Comparison", "compare"]

BATCHES = 20
"""Batches into which paired jobs are divided, in order of arrival."""

PHASES = {
    "input": ("arrival_s", "queued_s"),
    "queue": ("queued_s", "scheduled_s"),
    "prefill": ("scheduled_s", "first_token_s"),
    "decode": ("first_token_s", "finished_s"),
}
"""Phases of a job: its input's way, waiting, up to the first token or the one result, the rest."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tables of a comparison, each with a column for either run and their difference.

    Attributes:
        names: of the two runs.
        pairs: measured jobs that both runs completed.
        figures: `figure`, `a`, `b`, `difference`, `ratio`: the figures of the whole run that differ.
        phases: `service`, `phase`, `a`, `b`, `difference`, `low`, `high`: mean seconds per paired job, 95 % confidence interval of the
            difference (NaN with fewer than two batches).
        totals: the same columns without `phase`, from arrival to the end.
        busy: `kind`, `a`, `b`, `difference`: seconds during which engines, buses, links and storages were busy, summed.
    """

    names: tuple[str, str]
    pairs: int
    figures: pd.DataFrame
    phases: pd.DataFrame
    totals: pd.DataFrame
    busy: pd.DataFrame

    def plot(self) -> Figure:
        """Where the time of a job went in either run, stacked, a pair of bars per service; beside the second how much it differs, with the
        confidence interval (matplotlib, extra `plots`)."""
        from edgewright.simulator.plots import PALETTE, canvas, legend, picture_style

        services = list(dict.fromkeys(self.phases["service"]))
        totals: list[Any] = self.totals.to_dict(orient="records")
        runs = self.names if self.names[0] != self.names[1] else (f"{self.names[0]} (A)", f"{self.names[1]} (B)")
        with picture_style():
            figure, (axes,) = canvas(height=0.9 + 0.5 * len(services))
            for run, offset in (("a", -0.2), ("b", 0.2)):
                left = np.zeros(len(services))
                for index, phase in enumerate(PHASES):
                    rows = self.phases[self.phases["phase"] == phase].set_index("service")
                    widths = np.array([float(rows[run].get(service, 0.0)) for service in services])
                    axes.barh(np.arange(len(services)) + offset, widths, 0.35, left=left, color=PALETTE[index], label=phase)
                    left += widths
                for place, row in enumerate(totals):
                    said = readable(float(row[run]), "s") + (_differs(row) if run == "b" else "")
                    at: dict[str, Any] = {"xytext": (2, 0), "textcoords": "offset points"}
                    axes.annotate(said, (float(left[place]), place + offset), va="center", fontsize=7, **at)
            named = [f"{service}, {run}" if len(services) > 1 else run for service in services for run in runs]
            axes.set_yticks([place + offset for place in range(len(services)) for offset in (-0.2, 0.2)], named)
            axes.invert_yaxis()
            axes.margins(x=0.55)
            axes.grid(visible=False, axis="y")
            axes.set(xlabel="mean time per job (s)")
            legend(figure)
        return figure


def compare(a: Result, b: Result) -> Comparison:
    """Compare two runs; the difference is `b - a` throughout. Raises ValueError if they have no service in common."""
    import pandas as pd

    services = [name for name in dict.fromkeys(a.tables["jobs"]["service"]) if name in set(b.tables["jobs"]["service"])]
    if not services:
        raise ValueError("the runs have no service in common; accepted: two runs of scenarios that serve the same")
    rows, whole, pairs = [], [], 0
    for service in services:
        one, two = _paired(a, b, service)
        pairs += len(one)
        whole += [{"service": service, **_phase(a, b, one, two, "arrival_s", "finished_s")}] if len(one) else []
        rows += [{"service": service, "phase": phase, **_phase(a, b, one, two, *ends)} for phase, ends in PHASES.items() if len(one)]
    columns = ["service", "phase", "a", "b", "difference", "low", "high"]
    names, phases = (a.meta["name"], b.meta["name"]), pd.DataFrame(rows, columns=columns)
    totals = pd.DataFrame(whole, columns=[name for name in columns if name != "phase"])
    return Comparison(names, pairs, _figures(a, b), phases, totals, _busy(a, b))


def _differs(row: Mapping[str, float]) -> str:
    """By how much the second run differs, with half the width of the interval if there is one."""
    sign = "+" if row["difference"] >= 0 else "−"
    half = (row["high"] - row["low"]) / 2
    sure = f" ± {readable(half, 's')}" if isfinite(half) else ""
    return f" ({sign}{readable(abs(row['difference']), 's')}{sure})"


def _figures(a: Result, b: Result) -> pd.DataFrame:
    import pandas as pd

    one, two = a.row(detail=True), b.row(detail=True)
    rows = []
    for name in dict.fromkeys([*one, *two]):
        if name in ("scenario", "seed"):
            continue
        x, y = float(one.get(name, nan)), float(two.get(name, nan))
        if x == y or not (isfinite(x) or isfinite(y)):
            continue
        rows.append((name, x, y, y - x, y / x if x else nan))
    return pd.DataFrame(rows, columns=["figure", "a", "b", "difference", "ratio"])


def _paired(a: Result, b: Result, service: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers of the measured jobs of a service that both runs completed, in order of arrival."""
    found = [_by_arrival(run, service) for run in (a, b)]
    both = [key for key in found[0] if key in found[1]]
    return np.array([found[0][key] for key in both], np.intp), np.array([found[1][key] for key in both], np.intp)


def _by_arrival(run: Result, service: str) -> dict[tuple[str, float, int], int]:
    jobs = run.tables["jobs"]
    rows = np.flatnonzero((jobs["service"] == service) & jobs["measured"] & (jobs["status"] == "completed"))
    rows = rows[np.argsort(jobs["arrival_s"][rows], kind="stable")]
    return {(str(jobs["source"][row]), float(jobs["arrival_s"][row]), int(jobs["prompt_tokens"][row])): int(row) for row in rows}


def _phase(a: Result, b: Result, one: NDArray[np.intp], two: NDArray[np.intp], begin: str, end: str) -> dict[str, float]:
    """Mean seconds of a phase in both runs, and the interval of the difference; a phase that a job did not have took no time."""
    first = np.nan_to_num(a.tables["jobs"][end][one] - a.tables["jobs"][begin][one])
    second = np.nan_to_num(b.tables["jobs"][end][two] - b.tables["jobs"][begin][two])
    low, high = _interval(second - first)
    return {"a": float(first.mean()), "b": float(second.mean()), "difference": float((second - first).mean()), "low": low, "high": high}


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % confidence interval of the mean, by batch means."""
    from scipy.stats import t

    batches = min(BATCHES, len(differences) // 2)
    if batches < 2:
        return nan, nan
    means = np.array([part.mean() for part in np.array_split(differences, batches)])
    half = float(t.ppf(0.975, batches - 1)) * float(means.std(ddof=1)) / batches**0.5
    middle = float(differences.mean())
    return middle - half, middle + half


def _busy(a: Result, b: Result) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for kind in dict.fromkeys([*a.tables["resources"]["kind"], *b.tables["resources"]["kind"]]):
        one, two = (float(run.tables["resources"]["busy_s"][run.tables["resources"]["kind"] == kind].sum()) for run in (a, b))
        rows.append((kind, one, two, two - one))
    return pd.DataFrame(rows, columns=["kind", "a", "b", "difference"])
