"""Pictures of one run: latencies, power, what ran when, and the roofline with the operators of the workload on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.plots.style import PALETTE, canvas, picture_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edgewright.simulator.result_meta import Recorded

__all__ = ["RunPlots"]

_TITLES = {
    "ttft_s": "time to first token",
    "tpot_s": "time per output token",
    "e2e_s": "end-to-end latency",
    "queue_s": "time in queue",
}


class RunPlots:
    """The pictures of a run; `result.plot` is one of these."""

    def __init__(self, run: Recorded) -> None:
        self.run = run

    def latency_cdf(self, metric: str = "ttft_s", log: bool = False) -> Figure:
        """The distribution of a latency of measured jobs, a line per service, with the service's objective.

        `metric`: `ttft_s`, `tpot_s`, `e2e_s` or `queue_s`; raises ValueError for another. Jobs that never got so far are not in it, but
        the line ends below 1 by their share.
        """
        if metric not in _TITLES:
            raise ValueError(f"no latency {metric!r}; accepted: {', '.join(_TITLES)}")
        jobs = self.run.tables["jobs"]
        with picture_style():
            figure, (axes,) = canvas()
            for index, service in enumerate(_names(jobs["service"][jobs["measured"]])):
                mine = jobs["measured"] & (jobs["service"] == service)
                values = np.sort(jobs[metric][mine & np.isfinite(jobs[metric])])
                if len(values):
                    shares = np.arange(len(values) + 1) / mine.sum()
                    axes.step(np.append(values[0], values), shares, where="post", label=f"{service} ({mine.sum()} jobs)")
                limit = self.run.meta["slo"].get(service, {}).get(metric)
                if limit is not None:
                    axes.axvline(limit, color=PALETTE[index % len(PALETTE)], linewidth=0.8, linestyle=":")
            axes.set(xlabel=f"{_TITLES[metric]} (s)", ylabel="share of measured jobs", ylim=(0, 1.02))
            if log:
                axes.set_xscale("log")
            _legend(axes)
        return figure

    def power(self, domains: Sequence[str] | None = None) -> Figure:
        """Mean power at the plug of each domain over time, its peaks as a band, its budget dotted."""
        bins = self.run.tables["power"]
        with picture_style():
            figure, (axes,) = canvas()
            for index, name in enumerate(domains if domains is not None else _names(bins["domain"])):
                mine = bins["domain"] == name
                if not mine.any():
                    raise ValueError(f"no power domain {name!r}; accepted: {', '.join(_names(bins['domain']))}")
                edges, colour = np.append(bins["start_s"][mine], bins["end_s"][mine][-1:]), PALETTE[index % len(PALETTE)]
                axes.stairs(bins["mean_W"][mine], edges, baseline=None, label=name, color=colour)
                axes.stairs(bins["peak_W"][mine], edges, baseline=bins["mean_W"][mine], fill=True, alpha=0.25, color=colour)
                if np.isfinite(bins["budget_W"][mine]).any():
                    axes.stairs(bins["budget_W"][mine], edges, baseline=None, color=colour, linestyle=":")
            axes.set(xlabel="simulated time (s)", ylabel="power at the plug (W)")
            axes.set_ylim(bottom=0)
            _legend(axes)
        return figure

    def timeline(self, start: float | None = None, stop: float | None = None) -> Figure:
        """What each replica did between two times (None: those of the run): steps with prompts in one colour, decoding in another."""
        steps = self.run.tables["steps"]
        low, high = (0.0 if start is None else start), (self.run.meta["end_s"] if stop is None else stop)
        seen = (steps["end_s"] > low) & (steps["start_s"] < high)
        rows = _names(self.run.tables["replicas"]["replica"])
        groups = {"prefill": seen & (steps["prefill_tokens"] > 0), "decode": seen & (steps["prefill_tokens"] == 0)}
        with picture_style():
            figure, (axes,) = canvas(7.0, 1.2 + 0.3 * len(rows))
            for index, (kind, mine) in enumerate(groups.items()):
                _bars(axes, rows, steps["replica"][mine], steps["start_s"][mine], steps["end_s"][mine], PALETTE[index], kind)
            axes.set(xlabel="simulated time (s)", xlim=(low, high))
            _legend(axes)
        return figure

    def operations(self, most: int = 400) -> Figure:
        """The first operations that were recorded one by one, in the row of what each occupied.

        Raises ValueError if there are none: runs of steps that are jumped over record none, and `record: {operations: 0}` records none.
        """
        table = self.run.tables["operations"]
        if not len(table["name"]):
            raise ValueError("no operations were recorded one by one in this run")
        kinds, resources = table["kind"][:most], table["resource"][:most]
        rows = _names(resources)
        with picture_style():
            figure, (axes,) = canvas(7.0, 1.2 + 0.3 * len(rows))
            for index, kind in enumerate(_names(kinds)):
                mine = np.flatnonzero(kinds == kind)
                colour = PALETTE[index % len(PALETTE)]
                _bars(axes, rows, resources[mine], table["start_s"][mine], table["end_s"][mine], colour, kind)
            axes.set(xlabel="simulated time (s)")
            _legend(axes)
        return figure

    def roofline(self, replica: str | None = None, batch: int = 1, context: int = 1024, prefill: int = 0) -> Figure:
        """The roofline of a replica's first engine (None: of the first replica), with the operators of one step on it.

        A point per operator of the plan: operations per byte of the memory bus against operations per second, alone. Raises ValueError
        for an unknown replica.
        """
        from edgewright.simulator.plots.roofs import operators_of

        found = operators_of(self.run.meta["scenario"], replica, batch, context, prefill)
        with picture_style():
            figure, (axes,) = canvas()
            intensities = [point.intensity for point in found.points] or [1.0]
            span = np.geomspace(min(min(intensities), found.ridge) / 4, max(max(intensities), found.ridge) * 4, 200)
            axes.plot(span, np.minimum(found.peak, span * found.bandwidth), color="black", linewidth=1.2)
            for index, kernel in enumerate(_names(point.kernel for point in found.points)):
                mine = [point for point in found.points if point.kernel == kernel]
                colour = PALETTE[index % len(PALETTE)]
                axes.scatter(
                    [p.intensity for p in mine], [p.rate for p in mine], s=18, color=colour, marker="osD^v<>P"[index % 8], label=kernel
                )
            axes.set(xscale="log", yscale="log", xlabel="operational intensity (operations per byte)", ylabel="operations per second")
            axes.set_title(f"{found.replica} on {found.engine}: {found.dtype}", fontsize=9)
            _legend(axes)
        return figure


def _bars(axes: Axes, rows: list[str], names: Any, starts: Any, ends: Any, colour: str, label: str) -> None:
    """Intervals as bars, each in the row of its name."""
    axes.barh([rows.index(name) for name in names], ends - starts, left=starts, color=colour, label=label, height=0.7)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _names(column: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(str(name) for name in column))


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
