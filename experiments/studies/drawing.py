"""What the pictures of the studies share: medians with the band between extremes, and thresholds with theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.studies.reading import Span

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["band", "threshold"]


def band(axes: Axes, values: pd.DataFrame, label: str, colour: str, **line: Any) -> None:
    """A line through the medians over replicates (rows) by place (columns), with a band from the least to the greatest."""
    places = [float(each) for each in values.columns]
    spans = [Span.of(values[each]) for each in values.columns]
    axes.plot(places, [span.middle for span in spans], marker="o", markersize=3, label=label, color=colour, **line)
    axes.fill_between(places, [span.low for span in spans], [span.high for span in spans], color=colour, alpha=0.18, linewidth=0)


def threshold(axes: Axes, span: Span, label: str) -> None:
    """A threshold on the x axis, shaded from its least to its greatest value; nothing where it is not within the axis."""
    low, high = np.clip((span.low, span.high), *axes.get_xlim())
    if np.isfinite(span.middle):
        axes.axvspan(low, high, color="#999999", alpha=0.25, linewidth=0)
        axes.axvline(span.middle, color="#555555", linewidth=1.0, linestyle="-", label=label)
