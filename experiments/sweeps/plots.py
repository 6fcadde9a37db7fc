"""Pictures of a sweep: a figure over a factor, over two as a heat map, and the trade-off between two figures with its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.sweeps.fronts import pareto_front
from edgewright.simulator.plots import COLUMN, MARKERS, PALETTE, axis_label, canvas, legend, picture_style, short_keys

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from edgewright.experiments.sweeps.driver import SweepResult

__all__ = ["SweepPlots"]


class SweepPlots:
    """The pictures of a sweep; `result.plot` is one of these. Means over replications, with 95 % confidence intervals where drawn."""

    def __init__(self, result: SweepResult) -> None:
        self.result = result

    def lines(self, figure: str, over: str, log: bool = False) -> Figure:
        """A figure over one factor, a line for each combination of the others; a band, or bars where the factor is no number, for the
        interval."""
        others = [key for key in self.result.factors if key != over]
        summary, names = self._summary([figure], over), short_keys(self.result.factors)
        with picture_style():
            drawing, (axes,) = canvas()
            groups: list[Any] = list(summary.groupby(others, sort=False)) if others else [("", summary)]
            for index, (label, rows) in enumerate(groups):
                places, ticks = _places(rows[over])
                named = ", ".join(str(part) for part in label) if isinstance(label, tuple) else str(label)
                shape: dict[str, Any] = {"color": PALETTE[index % len(PALETTE)], "marker": MARKERS[index % len(MARKERS)], "markersize": 3}
                below, above = self.result.whiskers(rows)
                if ticks:
                    aside = 0.12 * (index - (len(groups) - 1) / 2)
                    axes.errorbar(
                        np.array(places) + aside, rows["mean"], yerr=[below, above], capsize=2, elinewidth=0.8, label=named or None, **shape
                    )
                    axes.set_xticks(range(len(ticks)), ticks)
                else:
                    axes.plot(places, rows["mean"], label=named or None, **shape)
                    axes.fill_between(places, rows["mean"] - below, rows["mean"] + above, color=shape["color"], alpha=0.15, linewidth=0)
            axes.set(xlabel=names[over], ylabel=axis_label(figure))
            if log:
                axes.set_yscale("log")
            legend(drawing, ", ".join(names[key] for key in others))
        return drawing

    def heat_map(self, figure: str, x: str, y: str) -> Figure:
        """A figure over two factors (the mean over the others), with its values written in."""
        table = self._summary([figure], x, y).pivot_table(values="mean", index=y, columns=x, sort=False)
        with picture_style():
            drawing, (axes,) = canvas(max(COLUMN, 1.6 + 0.5 * len(table.columns)), 1.0 + 0.32 * len(table.index))
            values = table.to_numpy(dtype=float)
            shown = axes.imshow(values, aspect="auto", cmap="cividis", origin="lower")
            axes.grid(visible=False)
            axes.set_xticks(range(len(table.columns)), [str(each) for each in table.columns])
            axes.set_yticks(range(len(table.index)), [str(each) for each in table.index])
            middle = (np.nanmin(values) + np.nanmax(values)) / 2
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    axes.text(
                        column, row, f"{value:.3g}", ha="center", va="center", color="white" if value < middle else "black", fontsize=7
                    )
            names = short_keys(self.result.factors)
            axes.set(xlabel=names[x], ylabel=names[y])
            drawing.colorbar(shown, ax=axes, label=axis_label(figure))
        return drawing

    def pareto(self, x: str, y: str, maximise: Sequence[str] = ()) -> Figure:
        """Two figures against each other, a point per point of the sweep; those that no other beats in both are joined."""
        summary = self.result.summary([x, y]).pivot(index="point", columns="figure", values="mean")
        signs = np.array([-1.0 if each in maximise else 1.0 for each in (x, y)])
        values = summary[[x, y]].to_numpy(dtype=float)
        best = pareto_front(values * signs)
        front = values[best][np.argsort(values[best][:, 0])]
        with picture_style():
            drawing, (axes,) = canvas()
            axes.scatter(values[:, 0], values[:, 1], s=16, color=PALETTE[5], label="all points")
            axes.plot(front[:, 0], front[:, 1], marker="o", markersize=4, color=PALETTE[4], label="Pareto front, numbers of its points")
            for point, at in zip(summary.index[best], values[best], strict=True):
                axes.annotate(str(point), at, xytext=(3, 3), textcoords="offset points", fontsize=7)
            axes.set(xlabel=axis_label(x), ylabel=axis_label(y))
            legend(drawing)
        return drawing

    def _summary(self, figures: list[str], *factors: str) -> pd.DataFrame:
        for key in factors:
            if key not in self.result.factors:
                raise ValueError(f"{key!r} is no factor of this sweep; accepted: {', '.join(self.result.factors)}")
        return self.result.summary(figures)


def _places(values: Any) -> tuple[Any, list[str]]:
    """Where values stand on an axis: numbers where they are, names side by side with their ticks."""
    if values.map(lambda value: isinstance(value, int | float) and not isinstance(value, bool)).all():
        return values, []
    return range(len(values)), [str(value) for value in values]
