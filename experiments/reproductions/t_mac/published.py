"""The claims of T-MAC as published, and which cells of its tables they are."""

from __future__ import annotations

from edgewright.experiments.reproductions.claims import Claim

__all__ = ["BITNET", "CELLS", "CLAIMS", "LLAMA"]

LLAMA = "llama-2-7b"
"""The model of the 4-bit and 2-bit rows."""
BITNET = ("open-llama-3b", 2)
"""BitNet-b1.58-3B has these shapes, and its ternary weights are stored in 2 bits."""

CELLS = {
    "m2_bitnet": ("m2", BITNET, (1, 4)),
    "m2_w4": ("m2", (LLAMA, 4), (1, 8)),
    "orin_bitnet": ("orin", BITNET, (1, 12)),
    "orin_w4": ("orin", (LLAMA, 4), (1, 12)),
    "rpi_bitnet": ("rpi", BITNET, (1, 2)),
    "rpi_w4": ("rpi", (LLAMA, 4), (1, 2)),
    "surface_bitnet": ("surface", BITNET, (1, 4)),
    "surface_w4": ("surface", (LLAMA, 4), (1, 4)),
}
"""Board, model and bits, and threads of every claim about tokens per second; each has llama.cpp and T-MAC at each number of threads."""

_README, _PAPER = "readme", "paper page"
_BASE = "llama.cpp's figures of the catalogue are learned from measurements that hold this paper's rows of llama.cpp among others"
_ALONE = f"T-MAC is predicted: look-ups are counted in instructions, and the memory is as fast as for llama.cpp on the device; {_BASE}"
_ROW = "llama.cpp and T-MAC at the first number of threads, then at the second"
_LOW = (
    "the direction and the fall with bits hold; the largest of many devices and shapes is more than the model's middle: dequantising 1 to 3"
    " bits costs llama.cpp unpacking that its learned figures, from whole models, hold only in the mean"
)
_WATTS = (
    "tokens agree; watts do not: the model's power is by cores that are busy and does not fall because shuffles replace dot products, which"
    " the paper measures to save a third"
)


def _cell(name: str, value: tuple[float, ...], where: str, note: str = _ALONE) -> Claim:
    return Claim(name, f"tokens/s of {_ROW}", "tok/s", value, "llama.cpp", where, _README, note=note)


CLAIMS = (
    Claim(
        "headline_tput",
        "throughput",
        "ratio",
        4.0,
        "llama.cpp",
        "up to",
        "abstract",
        note="the largest cell at the most threads, where both kernels near the memory's roof",
    ),
    Claim("headline_energy", "energy reduction", "fraction", 0.7, "llama.cpp", "up to (Orin, 2 bits)", "abstract", note=_WATTS),
    Claim(
        "bitnet_m2",
        "BitNet-3B at 1 and 8 cores",
        "tok/s",
        (30.0, 71.0),
        "none",
        "M2 Ultra",
        "abstract",
        note="the readme's 22.08 at one thread contradicts the abstract's 30; the model stands below both",
    ),
    Claim(
        "bitnet_rpi",
        "BitNet-3B",
        "tok/s",
        11.0,
        "none",
        "Raspberry Pi 5",
        "abstract",
        note="with all four cores; the readme reaches it with two",
    ),
    _cell("m2_bitnet", (6.49, 22.08, 22.09, 54.46), "BitNet-3B, M2 Ultra, 1 and 4 threads"),
    _cell("m2_w4", (5.65, 8.97, 31.57, 35.65), "Llama-2-7B W4, M2 Ultra, 1 and 8 threads"),
    _cell("orin_bitnet", (1.62, 8.18, 12.34, 26.02), "BitNet-3B, AGX Orin, 1 and 12 threads"),
    _cell("orin_w4", (1.04, 2.46, 7.42, 8.09), "Llama-2-7B W4, AGX Orin, 1 and 12 threads"),
    _cell("rpi_bitnet", (1.37, 8.03, 2.71, 11.09), "BitNet-3B, Raspberry Pi 5, 1 and 2 threads"),
    _cell("rpi_w4", (0.85, 2.42, 1.63, 3.35), "Llama-2-7B W4, Raspberry Pi 5, 1 and 2 threads"),
    _cell("surface_bitnet", (5.65, 12.65, 14.85, 28.6), "BitNet-3B, Surface Book 3, 1 and 4 threads"),
    _cell("surface_w4", (2.5, 3.74, 6.52, 9.34), "Llama-2-7B W4, Surface Book 3, 1 and 4 threads"),
    Claim(
        "orin_power",
        "tokens/s, watts, joules per token",
        "tok/s, W, J",
        (15.62, 10.4, 0.66),
        "llama.cpp: 7.08, 15.0, 2.12",
        "Llama-2-7B W2, AGX Orin, 12 threads",
        _README,
        note=_WATTS,
    ),
    Claim(
        "m2_energy",
        "energy reduction",
        "fraction",
        (0.206, 0.612, 0.513),
        "llama.cpp",
        "M2 Ultra: Llama-2-7B W4, W2, BitNet-3B, at 8 threads",
        _PAPER,
        note=f"{_WATTS}; the threads of this claim are assumed",
    ),
    Claim(
        "gemv1",
        "largest speed-up of a product with one row, one thread, at 1, 2, 3, 4 bits",
        "ratio",
        (11.2, 5.8, 4.7, 3.1),
        "llama.cpp",
        "over devices and shapes of Llama",
        _PAPER,
        note=f"{_LOW}. The band reaches from the kernels here, whose dequantising"
        " products are as good as they could be made, to two instructions a look-up, which the published figures fit",
    ),
    Claim(
        "gemm256",
        "largest speed-up of 2-bit products of 256 rows, all threads",
        "ratio",
        (4.0, 5.3, 5.3),
        "llama.cpp with BLAS",
        "Raspberry Pi 5, AGX Orin, Surface",
        _PAPER,
        note="the learned figures of BLAS in llama.cpp are two measurements on one other device: as fast as blocks of bytes; in the"
        " paper several times slower",
    ),
    Claim(
        "prefill_sl7",
        "prompt tokens per second at 4 and 8 threads",
        "tok/s",
        (50.1, 94.4),
        "OpenBLAS 21.5, 37.7; llama.cpp 12.0, 21.3",
        "Llama-2-7B W2, 256 tokens, Surface Laptop 7",
        _README,
        note="look-ups for every row, 3 operations a weight of the cores' byte products",
    ),
    Claim(
        "breakdown",
        "steps of the optimisation",
        "ratio",
        (0.83, 1.0, 1.45, 1.39),
        "llama.cpp",
        "first version, quantised tables, tiling, permutation",
        _PAPER,
        unsimulated="stages of a kernel's development: the model has kernels as they are when tuned",
    ),
)
"""Every claim of the publication."""
