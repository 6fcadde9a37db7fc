"""Pictures of one run: latencies, power, what ran when, and the roofline with the operators of the workload on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgewright.simulator.plots.style import MARKERS, PAGE, PALETTE, canvas, legend, picture_style
from edgewright.simulator.summary_text import readable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded

__all__ = ["RunPlots"]

_STEPS = 2000
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

    def latency_cdf(self, metric: str = "ttft_s", log: bool | None = None) -> Figure:
        """The distribution of a latency of measured jobs, a line per service, with the service's objective.

        `metric`: `ttft_s`, `tpot_s`, `e2e_s` or `queue_s`; raises ValueError for another. `log`: whether times stand on a logarithmic axis;
        None: where they span more than a decade. Jobs that never got so far are not in it, but the line ends below 1 by their share.
        """
        if metric not in _TITLES:
            raise ValueError(f"no latency {metric!r}; accepted: {', '.join(_TITLES)}")
        jobs, seen = self.run.tables["jobs"], []
        with picture_style():
            figure, (axes,) = canvas()
            for index, service in enumerate(_names(jobs["service"][jobs["measured"]])):
                mine = jobs["measured"] & (jobs["service"] == service)
                values = np.sort(jobs[metric][mine & np.isfinite(jobs[metric])])
                seen.append(values)
                if len(values):
                    shares = np.arange(len(values) + 1) / mine.sum()
                    label = f"{service} ({mine.sum()} jobs)"
                    axes.step(
                        *_thinned(np.append(values[0], values), shares), where="post", label=label, color=PALETTE[index % len(PALETTE)]
                    )
                limit = self.run.meta["slo"].get(service, {}).get(metric)
                if limit is not None:
                    seen.append(np.array([limit]))
                    axes.axvline(limit, color=PALETTE[index % len(PALETTE)], linewidth=0.9, linestyle=":", label="objective")
            axes.set(xlabel=f"{_TITLES[metric]} (s)", ylabel="share of measured jobs", ylim=(0, 1.02))
            if _spans_a_decade(np.concatenate([np.empty(0), *seen])) if log is None else log:
                axes.set_xscale("log")
            legend(figure)
        return figure

    def power(self, domains: Sequence[str] | None = None) -> Figure:
        """Mean power at the plug of each domain over time, its peaks as a band, its budget dotted."""
        bins = self.run.tables["power"]
        with picture_style():
            from matplotlib.lines import Line2D
            from matplotlib.patches import Patch

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
            further: list[Artist] = [Patch(color="grey", alpha=0.25, label="up to the peak")]
            if np.isfinite(bins["budget_W"]).any():
                further.append(Line2D([], [], color="grey", linestyle=":", label="budget"))
            legend(figure, further=further)
        return figure

    def timeline(self, start: float | None = None, stop: float | None = None) -> Figure:
        """What each replica did between two times (None: those of the run): steps with prompts above, decoding below.

        Steps that a picture cannot show apart are joined, and the paler the less of the time they took.
        """
        steps = self.run.tables["steps"]
        low, high = (0.0 if start is None else start), (self.run.meta["end_s"] if stop is None else stop)
        seen = (steps["end_s"] > low) & (steps["start_s"] < high)
        rows = _names(self.run.tables["replicas"]["replica"])
        groups = {"prefill": seen & (steps["prefill_tokens"] > 0), "decode": seen & (steps["prefill_tokens"] == 0)}
        with picture_style():
            from matplotlib.colors import to_rgba
            from matplotlib.patches import Patch

            figure, (axes,) = canvas(PAGE, 0.9 + 0.26 * len(rows))
            for index, mine in enumerate(groups.values()):
                for place, name in enumerate(rows):
                    own = mine & (steps["replica"] == name)
                    begin, end, busy = _joined(steps["start_s"][own], steps["end_s"][own], (high - low) / _STEPS)
                    colours = [to_rgba(PALETTE[index], max(0.2, float(share))) for share in busy]
                    axes.barh([place + (index - 0.5) * 0.4] * len(begin), end - begin, left=begin, color=colours, height=0.38)
            _rows(axes, rows)
            axes.set(xlabel="simulated time (s)", xlim=(low, high))
            legend(figure, further=[Patch(color=PALETTE[index], label=kind) for index, kind in enumerate(groups)])
        return figure

    def operations(self, start: float | None = None, stop: float | None = None) -> Figure:
        """Operations that were recorded one by one and began between two times, in the row of what each occupied.

        `start` None: the first of them; `stop` None: the first pause thereafter in which nothing runs and that is longer than all that ran
        before it. Raises ValueError if there are none: runs of steps that are jumped over record none, and `record: {operations: 0}`
        records none.
        """
        table = self.run.tables["operations"]
        begin, end = table["start_s"], table["end_s"]
        placed = np.flatnonzero((table["resource"] != "") & (begin >= (-np.inf if start is None else start)))
        placed = placed[np.argsort(begin[placed], kind="stable")]
        shown = placed[: _together(begin[placed], end[placed])] if stop is None else placed[begin[placed] < stop]
        if not len(shown):
            raise ValueError("no operations were recorded one by one in this time of this run")
        kinds, resources = table["kind"][shown], table["resource"][shown]
        rows = _names(resources)
        with picture_style():
            figure, (axes,) = canvas(PAGE, 0.9 + 0.22 * len(rows))
            for index, kind in enumerate(_names(kinds)):
                mine = shown[kinds == kind]
                _bars(axes, rows, table["resource"][mine], begin[mine], end[mine], PALETTE[index % len(PALETTE)], kind)
            axes.set(xlabel="simulated time (s)", xlim=(begin[shown[0]], end[shown].max()))
            legend(figure)
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
                    [p.intensity for p in mine],
                    [p.rate for p in mine],
                    s=18,
                    color=colour,
                    marker=MARKERS[index % len(MARKERS)],
                    label=kernel,
                )
            axes.set(xscale="log", yscale="log", xlabel="operational intensity (operations/byte)", ylabel="operations/s")
            axes.set_title(f"{found.replica} on {found.engine}", pad=12)
            axes.margins(y=0.1)
            peak = f"{readable(found.peak, 'op/s')}, {found.dtype}"
            _note(axes, span[-1], found.peak, peak, "right", (0, 2))
            middle = float(np.sqrt(span[0] * found.ridge))
            _note(axes, middle, middle * found.bandwidth, readable(found.bandwidth, "B/s"), "right", (-3, 3))
            legend(figure)
        return figure


def _bars(axes: Axes, rows: list[str], names: Any, starts: Any, ends: Any, colour: str, label: str) -> None:
    """Intervals as bars, each in the row of its name."""
    axes.barh([rows.index(name) for name in names], ends - starts, left=starts, color=colour, label=label, height=0.7)
    _rows(axes, rows)


def _rows(axes: Axes, rows: list[str]) -> None:
    """Names along y, the first on top."""
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _joined(start: Floats, end: Floats, gap: float) -> tuple[Floats, Floats, Floats]:
    """Intervals, by start, joined over gaps up to so many seconds; and the share of each that they took."""
    if not len(start):
        return start, end, end
    until = np.maximum.accumulate(end)
    first = np.flatnonzero(np.append(True, start[1:] - until[:-1] > gap))
    ends = np.append(until[first[1:] - 1], until[-1])
    return start[first], ends, np.minimum(np.add.reduceat(end - start, first) / np.maximum(ends - start[first], 1e-300), 1.0)


def _names(column: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(str(name) for name in column))


def _note(axes: Axes, x: float, y: float, text: str, side: Literal["left", "right"], offset: tuple[int, int]) -> None:
    """A word above a point, so many points aside."""
    axes.annotate(text, (x, y), xytext=offset, textcoords="offset points", ha=side, va="bottom", fontsize=7)


def _spans_a_decade(values: Floats) -> bool:
    positive = values[values > 0]
    return len(positive) > 0 and bool(positive.max() > 10 * positive.min())


def _thinned(values: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """At most `_STEPS` steps of a distribution, evenly spread over shares, the extremes among them."""
    kept = np.unique(np.linspace(0, len(values) - 1, _STEPS).round().astype(np.intp))
    return values[kept], shares[kept]


def _together(begin: Floats, end: Floats) -> int:
    """How many of the intervals, by start, stand before the first pause that is longer than all that was before it."""
    if not len(begin):
        return 0
    until = np.maximum.accumulate(end)
    pauses = np.flatnonzero(begin[1:] - until[:-1] > until[:-1] - begin[0])
    return int(pauses[0]) + 1 if len(pauses) else len(begin)
