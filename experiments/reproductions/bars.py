"""Bars of published figures beside simulated ones with their band: the picture of most systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.verdicts import Row
from edgewright.simulator.plots import PALETTE, canvas, picture_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bars"]


def bars(rows: Sequence[Row], groups: Mapping[str, Sequence[str]], unit: str, *, logarithmic: bool = False) -> Figure:
    """Per claim of `groups` a pair of bars for each of its figures, under the labels given; whiskers are the band over assumptions."""
    by_claim = {row.claim: row for row in rows}
    figures = [figure for claim, labels in groups.items() for figure in zip(labels, *_columns(by_claim[claim]), strict=True)]
    with picture_style():
        drawing, (axes,) = canvas(max(4.0, 1.2 + 0.5 * len(figures)), 3.4)
        for place, (_, published, simulated, low, high) in enumerate(figures):
            axes.bar(place - 0.2, published, 0.38, color=PALETTE[0], label=None if place else "published")
            whisker = [[simulated - low], [high - simulated]]
            axes.bar(place + 0.2, simulated, 0.38, color=PALETTE[1], label=None if place else "simulated, with its band")
            axes.errorbar(place + 0.2, simulated, yerr=whisker, color="#333333", linestyle="none", linewidth=0.9, capsize=2.5)
        axes.set_xticks(range(len(figures)), [label for label, *_ in figures], rotation=40, ha="right")
        axes.set_ylabel(unit)
        axes.grid(visible=False, axis="x")
        if logarithmic:
            axes.set_yscale("log")
        axes.legend()
    return drawing


def _columns(row: Row) -> tuple[list[Any], ...]:
    columns = (row.published, row.simulated, row.low, row.high)
    return tuple(list(each) if isinstance(each, list | tuple) else [each] for each in columns)
