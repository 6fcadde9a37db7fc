"""What a figure of the report is: traces and layout for plotly.js as plain data, and the looks that all share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.simulator.result_meta import Recorded

__all__ = ["BINS", "DASHES", "PALETTE", "Drawing", "colour", "line", "numbers", "over_time", "sampled"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555", "#000000")
"""Okabe and Ito's colours for all kinds of colour vision (Color Universal Design, 2008), without yellow, which is faint on white."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Dashes of a line, for the second and further rounds of colours."""

BINS = 200
"""Bins of time into which a long series is thinned: at most 4 points each, extremes kept."""

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
        "shapes": [shade | {"fillcolor": "#eef3f7", "line": {"width": 0}}],
        **axes,
    }


def sampled(count: int, most: int) -> range:
    """Indices of at most `most` of `count` things, evenly spread: every n-th."""
    return range(0, count, max(1, -(-count // most)))
