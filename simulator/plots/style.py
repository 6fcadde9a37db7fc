"""What all pictures share: colours that colour-blind readers can tell apart, sizes of a printed column, units on the axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DASHES", "PALETTE", "canvas", "picture_style"]

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours (Color Universal Design, 2008), the most distinct first."""

DASHES = ("-", "--", "-.", ":")
"""Line styles that change with the colours, so that a picture printed in grey still tells lines apart."""

_STYLE: Mapping[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "edgewright",
    "savefig.bbox": "tight",
    "figure.dpi": 150,
}


@contextmanager
def picture_style() -> Iterator[None]:
    """The style, for as long as a picture is drawn; raises ModuleNotFoundError, saying what to install, without matplotlib."""
    try:
        import matplotlib
        from cycler import cycler
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("pictures need the extra `plots`: pip install 'edgewright[plots]'") from error
    colours = cycler(color=PALETTE) + cycler(linestyle=DASHES * 2)
    settings: dict[Any, Any] = {**_STYLE, "axes.prop_cycle": colours}
    with matplotlib.rc_context(settings):
        yield


def canvas(width: float = 5.0, height: float = 3.2, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with `rows` axes one above the other. It belongs to no window and to no global list."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, sharex=rows > 1)
    return figure, [row[0] for row in axes]
