"""What ParScale claims, and what the simulator says to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.experiments.reproductions.parscale.costs import device_of, latency, memory, model_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

_CONDITIONS = "1.6B, P = 8, batch 1"
_EQUAL = "which model has the loss of eight streams decides: the published pair fits none (22x needs one of 3.9 B, 6x one of 2.8 B)"

CLAIMS = (
    Claim(
        "memory",
        "memory increase, times less",
        "ratio",
        22.0,
        "parameter scaling with equal loss",
        _CONDITIONS,
        "abstract",
        note=f"{_EQUAL}; weights, the mixture, the cache with its prefixes, and one layer's activations of the prompt",
    ),
    Claim(
        "latency",
        "latency increase, times less",
        "ratio",
        6.0,
        "parameter scaling with equal loss",
        _CONDITIONS,
        "abstract",
        note=f"{_EQUAL}; the published latencies themselves give 9.9x against 4.4B and 4.4x against 2.8B",
    ),
    Claim(
        "points_b1",
        "latency of 1.6B at P = 1 and 8, of 2.8B and of 4.4B",
        "s",
        (0.48, 0.56, 0.83, 1.27),
        "none",
        "batch 1, means over prompts and outputs of 64 to 512 tokens",
        "readme (read off the figure)",
        note="the published cost model, rebuilt: 0.9 of the bandwidth, 0.7 of the peak, no launches. With the catalogue's efficiencies and"
        " launches an answer takes twice as long",
    ),
    Claim("law", "equivalent growth of parameters", "O(log P)", None, "none", "quality", "abstract", unsimulated="loss is an input"),
)
ASSUMPTIONS = (
    Assumption("equal_loss", "4.4b", ("2.8b",), "the model that parameters are scaled to: the figure has both"),
    Assumption("roofs", "published", ("catalogue",), "the publication's cost model, or the A100 as every other system has it"),
)


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """Every claim under these assumptions."""
    device = device_of(assumed["roofs"])
    alone, streams, larger = model_of("1.6b"), model_of("1.6b", 8), model_of(assumed["equal_loss"])
    points = [latency(model, device) for model in (alone, streams, model_of("2.8b"), model_of("4.4b"))]
    return {
        "memory": (memory(larger) - memory(alone)) / (memory(streams) - memory(alone)),
        "latency": (latency(larger, device) - points[0]) / (points[1] - points[0]),
        "points_b1": tuple(points) if assumed["equal_loss"] == SYSTEM.defaults["equal_loss"] else None,
    }


_COUNTS = (1, 2, 4, 8, 16, 32, 64)
_DEVICES = {
    "a100_80gb_sxm": "A100",
    "rtx4090": "RTX 4090",
    "jetson_agx_orin_64gb": "AGX Orin",
    "rpi5_8gb": "Raspberry Pi 5",
}


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """The published latencies beside the simulated ones, and what streams cost on edge devices."""
    from edgewright.simulator.plots import PALETTE, picture_style

    row = next(each for each in rows if each.claim == "points_b1")
    with picture_style():
        from matplotlib.figure import Figure

        drawing = Figure(figsize=(8.0, 3.2), layout="constrained")
        bars, lines = drawing.subplots(1, 2)
        for offset, (label, values) in enumerate((("published", row.published), ("simulated", row.simulated))):
            bars.bar([place + 0.4 * offset for place in range(4)], values, 0.38, color=PALETTE[offset], label=label)
        bars.set_xticks([place + 0.2 for place in range(4)], ["1.6B", "1.6B, P = 8", "2.8B", "4.4B"], fontsize=7)
        bars.set(ylabel="latency at batch 1, s")
        bars.legend(fontsize=7)
        for name, label in _DEVICES.items():
            device = device_of("catalogue", name)
            seconds = [latency(model_of("1.6b", count), device) for count in _COUNTS]
            lines.plot(_COUNTS, [each / seconds[0] for each in seconds], label=label)
        lines.set(xscale="log", yscale="log", xlabel="streams P", ylabel="latency over that of P = 1")
        lines.legend(fontsize=7)
    return drawing


SYSTEM = System(
    "parscale",
    "Parallel Scaling Law for Language Models",
    "Chen et al., 2025, arXiv 2505.10475; cost_analysis.py and figures of its repository",
    CLAIMS,
    ASSUMPTIONS,
    _run,
    _picture,
)
"""The system, its claims and how they are simulated."""
