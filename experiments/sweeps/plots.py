"""Pictures of a sweep: a figure over a factor, over two as a heat map, and the trade-off between two figures with its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.sweeps.fronts import pareto_front
from edgewright.simulator.plots import PALETTE, canvas, picture_style

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
        """A figure over one factor, a line for each combination of the others, with error bars."""
        others = [key for key in self.result.factors if key != over]
        summary = self._summary([figure], over)
        with picture_style():
            drawing, (axes,) = canvas()
            groups = summary.groupby(others, sort=False) if others else [("", summary)]
            for label, rows in groups:
                places, ticks = _places(rows[over])
                named = ", ".join(str(part) for part in label) if isinstance(label, tuple) else str(label)
                axes.errorbar(places, rows["mean"], yerr=np.nan_to_num(rows["half_width"]), marker="o", markersize=3, label=named or None)
                if ticks:
                    axes.set_xticks(range(len(ticks)), ticks)
            axes.set(xlabel=over, ylabel=figure)
            if log:
                axes.set_yscale("log")
            if others:
                axes.legend(fontsize=8, title=", ".join(others), title_fontsize=8)
        return drawing

    def heat_map(self, figure: str, x: str, y: str) -> Figure:
        """A figure over two factors (the mean over the others), with its values written in."""
        table = self._summary([figure], x, y).pivot_table(values="mean", index=y, columns=x, sort=False)
        with picture_style():
            drawing, (axes,) = canvas(1.5 + 0.8 * len(table.columns), 1.2 + 0.45 * len(table.index))
            values = table.to_numpy(dtype=float)
            shown = axes.imshow(values, aspect="auto", cmap="cividis", origin="lower")
            axes.grid(visible=False)
            axes.set_xticks(range(len(table.columns)), [str(each) for each in table.columns])
            axes.set_yticks(range(len(table.index)), [str(each) for each in table.index])
            middle = (np.nanmin(values) + np.nanmax(values)) / 2
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    axes.text(
                        column, row, f"{value:.3g}", ha="center", va="center", color="white" if value < middle else "black", fontsize=8
                    )
            axes.set(xlabel=x, ylabel=y)
            drawing.colorbar(shown, ax=axes, label=figure)
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
            axes.plot(front[:, 0], front[:, 1], marker="o", markersize=4, color=PALETTE[4], label="Pareto front")
            for point, at in zip(summary.index[best], values[best], strict=True):
                axes.annotate(str(point), at, xytext=(3, 3), textcoords="offset points", fontsize=7)
            axes.set(xlabel=x, ylabel=y)
            axes.legend(fontsize=8)
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
