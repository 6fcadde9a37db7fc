"""What all pictures share: colours that colour-blind readers can tell apart, sizes of a printed column, units on the axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLUMN", "DASHES", "MARKERS", "PAGE", "PALETTE", "axis_label", "canvas", "legend", "picture_style", "short_keys"]

COLUMN = 3.5
"""Inches of a printed column."""

PAGE = 7.2
"""Inches of two columns and what is between them."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours (Color Universal Design, 2008), the most distinct first."""

DASHES = ("-", "--", "-.", ":")
"""Line styles that change with the colours, so that a picture printed in grey still tells lines apart."""

MARKERS = "osD^v<>P"
"""Markers that change with the colours, likewise."""

_UNITS = {"_per_s": "1/s", "_s": "s", "_J": "J", "_W": "W", "_B": "bytes", "_C": "°C", "_g": "g"}
_SHORT = ("ttft", "tpot", "itl", "e2e", "kv", "slo")

_STYLE: Mapping[str, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "lines.linewidth": 1.2,
    "axes.linewidth": 0.6,
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
    "figure.dpi": 200,
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


def canvas(width: float = COLUMN, height: float = 2.4, rows: int = 1, *, shared: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with `rows` axes one above the other, on one scale of x if `shared`. It belongs to no window and to no
    global list."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, sharex=shared and rows > 1)
    return figure, [row[0] for row in axes]


def legend(figure: Figure, title: str | None = None, further: Sequence[Artist] = ()) -> None:
    """One legend of all labelled artists of the figure's axes, and further ones, above the axes: it covers no data."""
    handles = {label: each for axes in figure.axes for each, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    handles |= {str(each.get_label()): each for each in further}
    if handles:
        letters = max(map(len, handles)) + 6
        columns = max(1, min(len(handles), int(figure.get_size_inches()[0] * 17 / letters)))
        figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=columns, title=title, columnspacing=1.2)


def axis_label(metric: str) -> str:
    """A figure of a run in words, its unit in brackets: `ttft_p99_s` is `TTFT p99 (s)`, `rack.energy_J` is `energy of rack (J)`."""
    of, _, name = metric.rpartition(".")
    ending = next((each for each in _UNITS if name.endswith(each)), "")
    words = [word.upper() if word in _SHORT else word for word in name.removesuffix(ending).split("_")]
    return " ".join(words) + (f" of {of}" if of else "") + (f" ({_UNITS[ending]})" if ending else "")


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Dotted keys by their last two parts, or as many as tell them apart."""
    parts = {key: key.split(".") for key in keys}

    def cut(key: str) -> str:
        fits = (".".join(parts[key][-count:]) for count in range(2, len(parts[key]) + 1))
        return next((end for end in fits if sum(("." + each).endswith("." + end) for each in keys) == 1), key)

    return {key: cut(key) for key in keys}
