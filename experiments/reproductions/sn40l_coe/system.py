"""What the SN40L's composition of experts claims, and what the simulator says to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.experiments.reproductions.sn40l_coe.nodes import EXPERT, HOST_DRAM, Node, Situation, speedup_of_fusion
from edgewright.hwmodels import catalog

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

_PAPER, _DGX = "paper page", "DGX H100 / DGX A100"
_LONG = (
    "with 200 tokens decoding decides, and a fused node decodes a token in 2.2 ms here, hardly faster than the DGX (2.2 to 3.0 ms): the"
    " claim needs the 85 % of bandwidth and the cheap launches that the paper states, and the catalogue's 70 % and 15 us a kernel lack"
)

CLAIMS = (
    Claim(
        "fusion",
        "speed-up",
        "ratio",
        (2.0, 13.0),
        "unfused on the same node",
        "various benchmarks (prefill 1.5 to 3, decode 1 to 13; 13 is FlashFFTConv)",
        "abstract",
        "range",
        note="prefill of 4096 tokens and decoding of Llama-2-7B: launches and activations that a fused layer saves. The 13 is an FFT"
        " convolution on one socket, which is no model here",
    ),
    Claim(
        "hw_launch",
        "hardware-orchestrated launches",
        "ratio",
        (1.4, 8.0),
        "software-orchestrated",
        "decode",
        _PAPER,
        unsimulated="neither kind of launch has a published duration: the ratio would be that of two assumptions",
    ),
    Claim(
        "switch",
        "model switching time",
        "ratio",
        (15.0, 31.0),
        _DGX,
        "7B expert",
        "abstract",
        note="13.48 GB over 64 and 32 GB/s against 1 TB/s: one card's host link for a node of eight cards. Eight links side by side, which"
        " a sharded expert could use, leave 2 and 4",
    ),
    Claim(
        "overall",
        "speed-up of a batch of 8, 20 tokens each",
        "ratio",
        (3.7, 6.6),
        _DGX,
        "more than 50 experts",
        "abstract",
        note="switching decides; nothing is calibrated. With all eight host links of a DGX in use little of it is left",
    ),
    Claim("overall_200_b8", "batch of 8, 200 tokens", "ratio", (2.7, 4.2), _DGX, "more than 50 experts", _PAPER, note=_LONG),
    Claim("overall_200_b1", "one prompt, 200 tokens", "ratio", (2.6, 3.9), _DGX, "more than 50 experts", _PAPER, note=_LONG),
    Claim(
        "knee",
        "experts at which a DGX begins to use host memory, and at which it is full",
        "experts",
        (50.0, 150.0),
        "none",
        "640 GB of HBM",
        _PAPER,
        note="capacity over 13.48 GB; HBM less a twentieth for caches",
    ),
    Claim(
        "footprint",
        "fewer machines for 850 experts",
        "ratio",
        19.0,
        "DGX nodes that keep all experts in HBM",
        "one SN40L node",
        "abstract",
        note="850 over the experts that a DGX holds in HBM, with a twentieth of it for caches",
    ),
    Claim(
        "hbm_util",
        "HBM bandwidth in decode",
        "fraction",
        0.85,
        "below 0.5 on GPUs",
        "Llama decoders",
        _PAPER,
        unsimulated="an efficiency of kernels, which is an input; the catalogue's assumption for this kind of engine is 0.70",
    ),
    Claim(
        "intensity",
        "operational intensity",
        "FLOP/byte",
        (39.5, 102.6, 410.4),
        "none",
        "FlashFFTConv: no fusion, partial, full",
        _PAPER,
        unsimulated="the sizes of the FFT convolution's graph are not at hand",
    ),
)
ASSUMPTIONS = (
    Assumption("experts", 150, (100,), "how many of 7 B, all as popular: above 50 and up to what a DGX can hold"),
    Assumption("software", "tensorrt-llm", ("none", "vllm"), "what the DGX's cards reach: its times are estimates of the authors"),
    Assumption("prompt", 256, (1024,), "tokens of a prompt"),
    Assumption("links", 1, (8,), "host links of a DGX over which an expert is copied: the publication counts one for eight cards"),
)


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """Every simulated claim under these assumptions."""
    situation = Situation(assumed["experts"], assumed["software"], assumed["prompt"], assumed["links"])
    node, *others = (Node(name, situation) for name in ("sn40l", "h100", "a100"))
    in_hbm = int(0.95 * catalog.device("dgx_a100_640gb").main_pool.capacity // EXPERT)
    return {
        "fusion": speedup_of_fusion(),
        "switch": tuple(other.switch / node.switch for other in others),
        "overall": tuple(other.batch(8, 20) / node.batch(8, 20) for other in others),
        "overall_200_b8": tuple(other.batch(8, 200) / node.batch(8, 200) for other in others),
        "overall_200_b1": tuple(other.batch(1, 200) / node.batch(1, 200) for other in others),
        "knee": (float(in_hbm), float(HOST_DRAM // EXPERT)),
        "footprint": 850.0 / in_hbm,
    }


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """Published and simulated speed-ups over both DGX, with their bands."""
    from edgewright.simulator.plots import PALETTE, picture_style

    names = ("switch", "overall", "overall_200_b8", "overall_200_b1")
    chosen = [next(row for row in rows if row.claim == name) for name in names]
    with picture_style():
        from matplotlib.figure import Figure

        drawing = Figure(figsize=(7.5, 3.2), layout="constrained")
        axes = drawing.subplots()
        labels = [f"{row.claim}\n{dgx}" for row in chosen for dgx in ("H100", "A100")]
        for offset, (what, colour) in enumerate((("published", PALETTE[0]), ("simulated", PALETTE[1]))):
            values = [value for row in chosen for value in getattr(row, what)]
            axes.bar([place + 0.4 * offset for place in range(len(values))], values, 0.38, color=colour, label=what)
        lows, highs, middles = ([value for row in chosen for value in getattr(row, name)] for name in ("low", "high", "simulated"))
        errors = [[m - low for m, low in zip(middles, lows, strict=True)], [h - m for m, h in zip(middles, highs, strict=True)]]
        axes.errorbar(
            [place + 0.4 for place in range(len(middles))], middles, errors, fmt="none", ecolor="#000000", capsize=2, linewidth=0.8
        )
        axes.set_xticks([place + 0.2 for place in range(len(labels))], labels, fontsize=6)
        axes.set(yscale="log", ylabel="times faster than the DGX")
        axes.legend(fontsize=7)
    return drawing


SYSTEM = System(
    "sn40l-coe",
    "SambaNova SN40L: Scaling the AI Memory Wall with Dataflow and Composition of Experts",
    "Prabhakar et al., MICRO 2024, arXiv 2405.07518",
    CLAIMS,
    ASSUMPTIONS,
    _run,
    _picture,
)
"""The system, its claims and how they are simulated."""
