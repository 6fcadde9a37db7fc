"""The picture over all systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgewright.experiments.reproductions.verdicts import TOLERANCE, Row
from edgewright.simulator.plots import PALETTE, canvas, picture_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["scatter"]

_COLOURS = {"reproduced": PALETTE[2], "partly": PALETTE[1], "not reproduced": PALETTE[4]}
_MARKERS = {"reproduced": "o", "partly": "s", "not reproduced": "X"}


def scatter(found: Mapping[str, Sequence[Row]]) -> Figure:
    """Simulated over published for every figure above 0, both logarithmic, with the 15 % band."""
    with picture_style():
        drawing, (axes,) = canvas(5.5, 5.0)
        for verdict, colour in _COLOURS.items():
            points = [point for rows in found.values() for row in rows if row.verdict == verdict for point in _points(row)]
            if points:
                x, y = zip(*points, strict=True)
                axes.scatter(x, y, s=16, c=colour, marker=_MARKERS[verdict], label=f"{verdict} ({len(points)})", linewidths=0)
        axes.set(xscale="log", yscale="log", xlabel="published (each claim in its own unit)", ylabel="simulated")
        low, high = axes.get_xlim()
        axes.fill_between(
            [low, high], [low * (1 - TOLERANCE), high * (1 - TOLERANCE)], [low * (1 + TOLERANCE), high * (1 + TOLERANCE)], color="#dddddd"
        )
        axes.plot([low, high], [low, high], color="#888888", linewidth=0.8, linestyle="-")
        axes.set_xlim(low, high)
        axes.legend(fontsize=8, title="verdict of the claim (figures)", title_fontsize=8)
    return drawing


def _points(row: Row) -> list[tuple[float, float]]:
    pairs = zip(*(each if isinstance(each, list) else [each] for each in (row.published, row.simulated)), strict=True)
    return [(published, simulated) for published, simulated in pairs if published and simulated and min(published, simulated) > 0]
