"""How many experts of each layer must be in memory, by the drive that the others are read from and by how unevenly they are chosen.

The baseline has all of them in memory. Reads do not overlap with computing; what the best prefetching could hide is the time of computing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.studies.drawing import band
from edgewright.experiments.studies.reading import Span, by_replicate, crossing, said
from edgewright.experiments.studies.study import Level, Part, Rows, Study
from edgewright.experiments.studies.tables import crossed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["STUDY"]

_EXPERTS, _SKEW = "services.chat.replicas.only.experts", "services.chat.experts_routing.skew"
_SLOTS = (8, 16, 32, 64, 96, 112, 120)
_ALL = 128
_DRIVES = {"SD card": "sd_uhs1_sdr104", "eMMC": "emmc51", "SATA SSD": "sata_ssd", "NVMe gen 3": "nvme_gen3", "NVMe gen 4": "nvme_gen4"}
_USUAL, _SKEWS = 0.8, (0.0, 0.8, 1.6)
_LIMIT = 0.1


def _kept(drive: Level, skew: Level, slots: Level) -> bool:
    """All experts in memory are one baseline; the skew is varied with one drive."""
    return (skew == _USUAL or drive == "NVMe gen 3") and (slots != _ALL or (drive == "NVMe gen 3" and skew == _USUAL))


def _times(rows: Rows, drive: str, skew: float) -> pd.DataFrame:
    """Seconds per token by experts in memory, up to all of them."""
    own = by_replicate(rows["slots"], "tpot_p50_s", "experts in RAM", drive=drive, skew=skew)
    return own[list(_SLOTS)].assign(all=_whole(rows)).set_axis([*_SLOTS, _ALL], axis=1)


def _whole(rows: Rows) -> pd.Series[float]:
    return by_replicate(rows["slots"], "tpot_p50_s", "experts in RAM", drive="NVMe gen 3", skew=_USUAL)[_ALL]


def _needed(rows: Rows, drive: str, skew: float, hidden: bool = False) -> Span:
    """Experts from which on a token takes less than the limit; `hidden`: if reading and computing overlapped without a gap."""
    found = _times(rows, drive, skew)
    if hidden:
        found = found.sub(_whole(rows), axis=0).clip(lower=0.0).apply(lambda column: np.maximum(column, _whole(rows)))
    return Span.of(np.ceil(crossing([*_SLOTS, _ALL], np.full(found.shape, _LIMIT), found)))


def _gigabytes(rows: Rows, experts: float) -> float:
    """Memory of the board in use with so many experts in memory."""
    own = by_replicate(rows["slots"], "board.ram.peak_B", "experts in RAM", drive="NVMe gen 3", skew=_USUAL).iloc[0]
    return float(np.interp(experts, [*_SLOTS, _ALL], own[[*_SLOTS, _ALL]])) / 1e9


def _line(rows: Rows, drive: str, span: Span) -> str:
    if span.middle == -np.inf:
        return f"{drive}: {_SLOTS[0]} or fewer"
    return f"{drive}: {_experts(span)} ({_gigabytes(rows, span.middle):.1f} GB in use)"


def _experts(span: Span) -> str:
    ends = [str(_SLOTS[0]) if each == -np.inf else said(each) for each in (span.middle, span.low, span.high)]
    return ends[0] if ends[1] == ends[2] else f"{ends[0]} ({ends[1]} to {ends[2]})"


def _answer(rows: Rows) -> Sequence[str]:
    needed = {drive: _needed(rows, drive, _USUAL) for drive in _DRIVES}
    hidden = "; ".join(f"{drive}: {_experts(_needed(rows, drive, _USUAL, True))}" for drive in _DRIVES)
    skews = "; ".join(f"{skew:g}: {_experts(_needed(rows, 'NVMe gen 3', skew))}" for skew in _SKEWS)
    whole = Span.of(_whole(rows))
    return [
        f"For {1 / _LIMIT:g} tokens per second, so many of each layer's {_ALL} experts must be in memory:"
        f" {'; '.join(_line(rows, drive, span) for drive, span in needed.items())}.",
        f"With all in memory a token takes {whole} s. Prefetching that hides all of it behind the reads, or the reads behind it, would"
        f" need: {hidden}.",
        f"The more unevenly the router chooses, the fewer, from NVMe gen 3 by Zipf exponent: {skews}.",
    ]


def _picture(rows: Rows) -> Figure:
    from edgewright.simulator.plots import PAGE, PALETTE, canvas, picture_style

    with picture_style():
        drawing, axes = canvas(PAGE, 5.4, rows=2)
        for drive, colour in zip(_DRIVES, PALETTE, strict=False):
            band(axes[0], _times(rows, drive, _USUAL), drive, colour)
        for skew, colour in zip(_SKEWS, (PALETTE[4], PALETTE[3], PALETTE[7]), strict=True):
            band(axes[1], _times(rows, "NVMe gen 3", skew), f"Zipf exponent {skew:g}, NVMe gen 3", colour)
        for axis in axes:
            axis.axhline(_LIMIT, color="#555555", linewidth=1.0, linestyle=":")
            axis.set(yscale="log", ylabel="s per token")
            axis.legend()
        axes[1].set(xlabel=f"experts of each layer in memory, of {_ALL}")
        axes[1].set_xticks([*_SLOTS, _ALL])
    return drawing


STUDY = Study(
    name="experts-in-ram",
    question="How many experts must fit in RAM?",
    parts={
        "slots": Part(
            factors={
                "drive": {name: {"cluster.devices.board.storage.drive": storage} for name, storage in _DRIVES.items()},
                "skew": {each: {_SKEW: each} for each in _SKEWS},
                "experts in RAM": {
                    **{each: {_EXPERTS: {"policy": "on_demand", "slots": each}} for each in _SLOTS},
                    _ALL: {_EXPERTS: "resident"},
                },
            },
            keep=_kept,
            figures={
                "tpot_p50_s": "TPOT (s)",
                "ttft_p50_s": "TTFT (s)",
                "expert_hit_rate": "choices in memory",
                "board.ram.peak_B": "bytes in use",
            },
        )
    },
    answer=_answer,
    picture=_picture,
    tables={
        "Seconds per token, by experts of each layer in memory and drive (Zipf exponent 0.8):": lambda rows: crossed(
            rows["slots"], "tpot_p50_s", "experts in RAM", "drive", skew=_USUAL
        ),
        "The same from NVMe gen 3, by Zipf exponent:": lambda rows: crossed(
            rows["slots"], "tpot_p50_s", "experts in RAM", "skew", drive="NVMe gen 3"
        ),
        "Share of choices that were in memory:": lambda rows: crossed(
            rows["slots"], "expert_hit_rate", "experts in RAM", "skew", drive="NVMe gen 3"
        ),
    },
)
"""The study."""
