"""What a figure of the report is: traces and layout for plotly.js as plain data, and the looks that all share.

A colour is a hexadecimal one, legible on white and on black alike, or `var(--name)`, which the page's theme gives (`style.css`) when it is
drawn: readers who prefer dark pages get one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import envelope

if TYPE_CHECKING:
    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded

__all__ = [
    "BINS",
    "DASHES",
    "INK",
    "PALETTE",
    "SPANS",
    "Drawing",
    "bars",
    "colour",
    "held",
    "line",
    "marked",
    "numbers",
    "over_time",
    "panels",
    "sampled",
]

INK = "var(--ink)"
"""The colour of the text."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "var(--grey)", INK)
"""Okabe and Ito's colours for all kinds of colour vision (Color Universal Design, 2008), without yellow, which is faint on white."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Dashes of a line, for the second and further rounds of colours."""

BINS = 200
"""Bins of time into which a long series is thinned: at most 4 points each, extremes kept."""

SPANS = 400
"""Intervals of one row that are drawn one by one; of more, those that nearly touch are drawn as one."""

_GAP = 0.1

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure.

    Attributes:
        key: identifier in the page.
        title, caption: what it shows; the caption also says what was left out.
        data, layout: as `Plotly.newPlot` takes them; the page merges the layout into what all figures share.
        height: pixels.
        wide: whether it takes the full width of a laptop's page, not half.
    """

    key: str
    title: str
    caption: str
    data: list[Trace]
    layout: Mapping[str, Any] = field(default_factory=dict)
    height: int = 320
    wide: bool = False


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Values for JSON: eight significant digits, None for what is not finite."""
    return [float(f"{value:.8g}") if isfinite(value) else None for value in values]


def colour(index: int) -> str:
    """The colour of the series of that number; they repeat after eight, and `line` changes the dash."""
    return PALETTE[index % len(PALETTE)]


def line(index: int, width: float = 1.6) -> dict[str, Any]:
    """The line of the series of that number, told apart by colour and, beyond eight, by dash."""
    return {"color": colour(index), "width": width, "dash": DASHES[index // len(PALETTE) % len(DASHES)]}


def over_time(run: Recorded, y_title: str, **axes: Any) -> dict[str, Any]:
    """A layout with simulated time along x, the measurement window shaded, and more keys of the layout."""
    start, stop = run.meta["window"]
    shade = {"type": "rect", "xref": "x", "yref": "paper", "x0": start, "x1": stop, "y0": 0, "y1": 1, "layer": "below"}
    return {
        "xaxis": {"title": {"text": "simulated time (s)"}, "range": [0, run.meta["end_s"]]},
        "yaxis": {"title": {"text": y_title}, "rangemode": "tozero"},
        "shapes": [shade | {"fillcolor": "var(--window)", "line": {"width": 0}}],
        **axes,
    }


def panels(run: Recorded, titles: Mapping[str, str]) -> dict[str, Any]:
    """A layout like `over_time`, with a panel for each axis (`y`, `y2`, ...) of these titles, the first on top."""
    layout = over_time(run, "")
    del layout["yaxis"]
    layout["xaxis"] |= {"anchor": list(titles)[-1]}
    height = (1 + _GAP) / len(titles) - _GAP
    for index, (axis, title) in enumerate(titles.items()):
        top = 1 - index * (height + _GAP)
        place = {"domain": numbers([max(top - height, 0), top]), "anchor": "x"}
        layout[f"yaxis{axis[1:]}"] = {"title": {"text": title}, "rangemode": "tozero", **place}
    return layout


def marked(layout: Mapping[str, Any], axis: str, levels: Mapping[float, str]) -> dict[str, Any]:
    """The layout with dotted lines at levels of an axis (`y`, `y2`), and beside each what it means, below the least of several."""
    across = {"xref": "paper", "yref": axis, "x0": 0, "x1": 1, "type": "line", "line": {"color": "var(--soft)", "width": 1, "dash": "dot"}}
    beside = {"xref": "paper", "yref": axis, "x": 1, "xanchor": "right", "showarrow": False}
    beside |= {"font": {"size": 12, "color": "var(--soft)"}}
    shapes = [across | {"y0": level, "y1": level} for level in levels]
    below = [level for level in levels if len(levels) > 1 and level == min(levels)]
    notes = [beside | {"y": at, "text": said, "yanchor": "top" if at in below else "bottom"} for at, said in levels.items()]
    return {**layout, "shapes": [*layout["shapes"], *shapes], "annotations": [*layout.get("annotations", ()), *notes]}


def held(time: Floats, value: Floats, end: float) -> Trace:
    """Steps that take `value` from `time` on, the last up to `end`; long series thinned, extremes kept."""
    x, y = envelope(time, value, BINS)
    return {"type": "scatter", "mode": "lines", "x": numbers([*x, end]), "y": numbers([*y, y[-1]])}


def bars(row: str, start: Floats, end: Floats, shade: str, said: Sequence[str]) -> Trace:
    """Intervals as bars in a row, each with a text on pointing, by start; of more than `SPANS`, neighbours are drawn as one."""
    if len(start) > SPANS:
        ends = np.maximum.accumulate(end)
        near = (ends[-1] - start[0]) / SPANS
        first = np.flatnonzero(np.concatenate([[True], start[1:] - ends[:-1] > near]))
        counts = np.diff([*first, len(start)])
        said = [said[at] if count == 1 else f"{count} of them close together" for at, count in zip(first.tolist(), counts, strict=True)]
        start, end = start[first], ends[first + counts - 1]
    marker = {"color": shade, "line": {"color": shade, "width": 1.5}}  # so that the shortest is seen
    shape = {"type": "bar", "orientation": "h", "marker": marker, "hovertext": list(said), "hoverinfo": "text"}
    return shape | {"y": [row] * len(start), "base": numbers(start), "x": numbers(end - start)}


def sampled(count: int, most: int) -> range:
    """Indices of at most `most` of `count` things, evenly spread: every n-th."""
    return range(0, count, max(1, -(-count // most)))
