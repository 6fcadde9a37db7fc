"""How much of a roof each kernel class reaches when a device's own figures are not known.

The table holds *assumptions*, in the latency-plus-rate form of `Efficiency`, by kind of engine. They are rounded middles of what is
commonly published for tuned kernels: dense products reach 60-80 % of a GPU's tensor peak (Jia et al., "Dissecting the NVIDIA Volta GPU
architecture via microbenchmarking", arXiv:1804.06826) and of a CPU's vector peak (Goto and van de Geijn, ACM TOMS 34(3), 2008);
streaming kernels 65-85 % of DRAM bandwidth (McCalpin's STREAM); depthwise convolutions and scans are bound by memory and by address
arithmetic; CMSIS-NN kernels reach 25-45 % of a Cortex-M's multiply rate (Lai et al., arXiv:1801.06601).

How accurate is it? For a device that was not calibrated, expect large dense kernels within 25 % and small or irregular ones within a
factor of two. A calibrated device carries its own `Efficiency` per kernel class, which replaces these.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewright.hwmodels.specs import Efficiency, Engine

__all__ = ["DEFAULTS", "default_efficiency", "efficiency_of"]


def _table(ramp: float, rows: Mapping[str, tuple[float, float]]) -> Mapping[str, Efficiency]:
    return MappingProxyType({kernel: Efficiency(compute, memory, ramp) for kernel, (compute, memory) in rows.items()})


_GPU = _table(
    3e-6,
    {
        "gemm": (0.70, 0.80),
        "gemv": (0.50, 0.75),
        "lut_gemv": (0.30, 0.60),
        "attention": (0.50, 0.75),
        "attention_decode": (0.30, 0.65),
        "conv": (0.50, 0.75),
        "conv_depthwise": (0.10, 0.60),
        "scan": (0.15, 0.60),
        "elementwise": (0.50, 0.80),
        "copy": (0.50, 0.85),
    },
)
_CPU = _table(
    3e-6,
    {
        "gemm": (0.70, 0.70),
        "gemv": (0.50, 0.70),
        "lut_gemv": (0.50, 0.65),
        "attention": (0.45, 0.65),
        "attention_decode": (0.35, 0.60),
        "conv": (0.55, 0.65),
        "conv_depthwise": (0.25, 0.60),
        "scan": (0.25, 0.55),
        "elementwise": (0.40, 0.70),
        "copy": (0.40, 0.75),
    },
)
_NPU = _table(
    1e-5,
    {
        "gemm": (0.50, 0.70),
        "gemv": (0.30, 0.70),
        "lut_gemv": (0.10, 0.40),
        "attention": (0.25, 0.60),
        "attention_decode": (0.15, 0.55),
        "conv": (0.50, 0.70),
        "conv_depthwise": (0.08, 0.50),
        "scan": (0.05, 0.40),
        "elementwise": (0.20, 0.60),
        "copy": (0.40, 0.75),
    },
)
_MCU = _table(
    0.0,
    {
        "gemm": (0.35, 0.80),
        "gemv": (0.30, 0.80),
        "lut_gemv": (0.15, 0.60),
        "attention": (0.25, 0.70),
        "attention_decode": (0.25, 0.70),
        "conv": (0.35, 0.80),
        "conv_depthwise": (0.20, 0.70),
        "scan": (0.20, 0.70),
        "elementwise": (0.25, 0.80),
        "copy": (0.25, 0.90),
    },
)

DEFAULTS: Mapping[str, Mapping[str, Efficiency]] = MappingProxyType(
    {"gpu": _GPU, "cpu": _CPU, "npu": _NPU, "dla": _NPU, "dsp": _NPU, "rdu": _NPU, "fpga": _NPU, "mcu": _MCU}
)
"""Assumed efficiency by engine kind and kernel class; a kind that is not listed is priced as a `cpu`."""


def default_efficiency(kind: str, kernel: str) -> Efficiency:
    """The assumed efficiency of a kernel class on engines of a kind; raises `ValueError` for an unknown kernel class."""
    table = DEFAULTS.get(kind, _CPU)
    try:
        return table[kernel]
    except KeyError:
        raise ValueError(f"unknown kernel class {kernel!r}: accepted are {', '.join(table)}") from None


def efficiency_of(engine: Engine, kernel: str, dtype: str = "") -> Efficiency:
    """The engine's own efficiency of a kernel class in a format (`gemv.int8`) or in any (`gemv`), else the default of its kind."""
    own = engine.efficiency.get(f"{kernel}.{dtype}") or engine.efficiency.get(kernel)
    return default_efficiency(engine.kind, kernel) if own is None else own
