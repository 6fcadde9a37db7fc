"""What T-MAC claims, and what the simulator and the real kernels say to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.claims import Assumption, System, Value
from edgewright.experiments.reproductions.t_mac.boards import BOARDS, Board, Kernel
from edgewright.experiments.reproductions.t_mac.measured import SHAPES, measure, ratios
from edgewright.experiments.reproductions.t_mac.published import BITNET, CELLS, CLAIMS, LLAMA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

ASSUMPTIONS = (
    Assumption(
        "instructions",
        3.0,
        (2.0, 4.0),
        "vector instructions of a look-up: a shuffle and widening its sum (two); with 8-bit sums only one; with unpacking a fourth",
    ),
    Assumption(
        "kernels", "model", ("measured",), "of `gemv1`: the four processors by the model, or the kernels here on the machine measured"
    ),
)
_FOUR = [BOARDS[name] for name in ("m2", "rpi", "orin", "surface")]


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """Every simulated claim under these assumptions."""
    if assumed["kernels"] == "measured":
        found: dict[str, Value] = {claim.id: None for claim in CLAIMS if claim.unsimulated is None}
        gained = ratios()
        return found | {"gemv1": tuple(gained[bits] for bits in (1, 2, 3, 4))}
    table, base = Kernel("t-mac", assumed["instructions"]), Kernel("llama.cpp")
    return {**_decoding(table, base), **_energy(table, base), **_products(table, base)}


def _decoding(table: Kernel, base: Kernel) -> dict[str, Value]:
    """The cells of the throughput tables: llama.cpp and T-MAC at each number of threads."""
    cells: dict[str, Value] = {
        claim: tuple(kernel.tokens(BOARDS[board], model, bits, count) for count in threads for kernel in (base, table))
        for claim, (board, (model, bits), threads) in CELLS.items()
    }
    m2, most = BOARDS["m2"], [(BOARDS[board], which, threads[-1]) for board, which, threads in CELLS.values()]
    return {
        **cells,
        "headline_tput": max(table.tokens(board, *which, count) / base.tokens(board, *which, count) for board, which, count in most),
        "bitnet_m2": tuple(table.tokens(m2, *BITNET, count) for count in (1, 8)),
        "bitnet_rpi": table.tokens(BOARDS["rpi"], *BITNET, 4),
    }


def _energy(table: Kernel, base: Kernel) -> dict[str, Value]:
    """Watts and joules of the Orin, and what the M2 Ultra saves."""
    orin, two = (BOARDS["orin"], LLAMA, 2, 12), ((LLAMA, 4, 8), (LLAMA, 2, 8), (*BITNET, 8))
    saved = [1.0 - table.joules(BOARDS["m2"], *which) / base.joules(BOARDS["m2"], *which) for which in two]
    return {
        "headline_energy": 1.0 - table.joules(*orin) / base.joules(*orin),
        "orin_power": (table.tokens(*orin), table.power(*orin), table.joules(*orin)),
        "m2_energy": tuple(saved),
    }


def _products(table: Kernel, base: Kernel) -> dict[str, Value]:
    """Products alone, and prompts."""

    def best(board: Board, bits: int) -> float:
        return max(base.product(board, shape, bits, 1) / table.product(board, shape, bits, 1) for shape in SHAPES)

    def several(board: Board) -> float:
        blas = Kernel("llama.cpp-blas")
        return max(blas.product(board, each, 2, board.cores, 256) / table.product(board, each, 2, board.cores, 256) for each in SHAPES)

    return {
        "gemv1": tuple(max(best(board, bits) for board in _FOUR) for bits in (1, 2, 3, 4)),
        "gemm256": tuple(several(BOARDS[name]) for name in ("rpi", "orin", "surface")),
        "prefill_sl7": tuple(table.prefill(BOARDS["laptop7"], LLAMA, 2, count) for count in (4, 8)),
    }


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """Tokens per second in every cell, and the speed-up of single products by bits: paper, model, and the kernels here."""
    from edgewright.simulator.plots import PALETTE, picture_style

    found = {row.claim: row for row in rows}
    with picture_style():
        from matplotlib.figure import Figure

        drawing = Figure(figsize=(8.0, 3.4), layout="constrained")
        cells, bits = drawing.subplots(1, 2)
        for start, label, colour in ((0, "llama.cpp", PALETTE[0]), (1, "T-MAC", PALETTE[1])):
            pairs = [
                pair for claim in CELLS for pair in zip(found[claim].published[start::2], found[claim].simulated[start::2], strict=True)
            ]
            cells.scatter(*zip(*pairs, strict=True), s=16, color=colour, label=label)
        cells.plot([0.5, 100], [0.5, 100], color="#888888", linewidth=0.8)
        cells.set(xscale="log", yscale="log", xlabel="published, tokens/s", ylabel="simulated, tokens/s")
        lines = (("published (largest)", found["gemv1"].published), ("model", found["gemv1"].simulated))
        for label, values in (*lines, ("kernels here, measured", list(ratios().values()))):
            bits.plot((1, 2, 3, 4), values, "o-", label=label)
        bits.set(xlabel="bits", ylabel="speed-up over dequantising, one thread", xticks=(1, 2, 3, 4))
        for axes in (cells, bits):
            axes.legend(fontsize=7)
    return drawing


SYSTEM = System(
    "t-mac",
    "T-MAC: CPU Renaissance via Table Lookup for Low-Bit LLM Deployment on Edge",
    "Wei et al., EuroSys 2025, arXiv 2407.00088; profiling data of its repository",
    CLAIMS,
    ASSUMPTIONS,
    _run,
    _picture,
    measure,
)
"""The system, its claims and how they are simulated."""
