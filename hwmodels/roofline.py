"""The roofline: what a work costs on one engine, in seconds, joules and bytes on the bus.

Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009, with a cache tier after Ilic, Pratas and Sousa, IEEE CAL 13(1), 2014.
Each `Term` of a work is priced by itself and the prices add:

    seconds = launches * (launch overhead + ramp)
            + max(flops / (peak * e_c), bus bytes / (bandwidth * e_m), all bytes / cache bandwidth)

`e_c`, `e_m` and the ramp belong to the kernel class (`Efficiency`): a small launch is slow because the ramp dominates it. Where a
measured `serial` is above 0, a norm of arithmetic and memory stands for the maximum.

Which bytes cross the bus: weights and KV cache always do (a step reads each once, and what lies between two reads exceeds any cache
of an edge device); the activations of a launch do unless they fit in the last-level cache together. All bytes cross the cache, which
is a roof of its own; a cache whose bandwidth is unknown serves nothing. The rule looks at one launch at a time: prices stay additive.

Clocks: the peak, the cache and the ramp go with the engine's clock; DRAM does not; the launch overhead does on CPUs and
microcontrollers, which issue their own launches, and does not elsewhere, where a host issues them.

    4 GFLOP fp16, 80 MB of weights on 10 TFLOP/s and 100 GB/s (e_c = e_m = 0.8, no overhead): max(0.5 ms, 1 ms) = 1 ms, bound by memory

How accurate is this model? With measured efficiencies, 10-20 % on kernels of one class over two decades of size; with the defaults
of `hwmodels.efficiency`, see there. A model whose weights fit in the last-level cache and that runs back to back is overestimated, at
most by the ratio of cache to bus bandwidth. Two operations that overlap on one engine are not modelled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from edgewright.hwmodels.arrays import choose, greatest, joined
from edgewright.hwmodels.efficiency import efficiency_of
from edgewright.hwmodels.energy import dynamic_scale, flop_joules
from edgewright.hwmodels.specs import Device, Engine, stated
from edgewright.hwmodels.work import Quantity, Term, Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FALLBACKS", "Bound", "Price", "overhead", "peak_of", "price"]

Bound: TypeAlias = Literal["compute", "memory", "cache", "overhead"]

FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "int4": ("int8", "fp16", "fp32"),
    "int8": ("fp16", "fp32"),
    "fp8": ("fp16", "bf16", "fp32"),
    "fp16_acc16": ("fp16", "fp32"),
    "fp16": ("fp32",),
    "bf16": ("fp32",),
    "tf32": ("fp32",),
    "fp32": (),
}
"""In what an engine without a peak for a format computes it instead: the next wider formats, in order, each exact for the narrower one's
values. Integers fall back to floats (dequantised arithmetic); `bf16` skips `fp16`, whose range is too small."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a work costs on one engine with nothing else running. Floats, or arrays with one entry per priced point.

    Attributes:
        fluid_seconds: sum over terms of the binding roof's time; what contention on the bus can stretch.
        overhead_seconds: launch overheads and ramps.
        compute_seconds, memory_seconds, cache_seconds: sums over terms of each roof's own time.
        compute_joules, dram_joules, cache_joules: dynamic energy by part; idle and static power are not in it.
        bus_bytes: bytes that cross the memory bus.
    """

    fluid_seconds: Quantity = 0.0
    overhead_seconds: Quantity = 0.0
    compute_seconds: Quantity = 0.0
    memory_seconds: Quantity = 0.0
    cache_seconds: Quantity = 0.0
    compute_joules: Quantity = 0.0
    dram_joules: Quantity = 0.0
    cache_joules: Quantity = 0.0
    bus_bytes: Quantity = 0.0

    @property
    def seconds(self) -> Quantity:
        """From start to end: overheads, then the binding roofs."""
        return self.overhead_seconds + self.fluid_seconds

    @property
    def joules(self) -> dict[str, Quantity]:
        """Dynamic energy by part: `compute`, `dram`, `cache`."""
        return {"compute": self.compute_joules, "dram": self.dram_joules, "cache": self.cache_joules}

    @property
    def total_joules(self) -> Quantity:
        """Dynamic energy of all parts."""
        return self.compute_joules + self.dram_joules + self.cache_joules

    def bound(self) -> Bound | NDArray[np.str_]:
        """Which part takes longest; the first of `compute`, `memory`, `cache`, `overhead` on a tie. Elementwise for arrays."""
        parts = {
            "compute": self.compute_seconds,
            "memory": self.memory_seconds,
            "cache": self.cache_seconds,
            "overhead": self.overhead_seconds,
        }
        if all(isinstance(seconds, int | float) for seconds in parts.values()):
            return cast("Bound", max(parts, key=lambda name: cast("float", parts[name])))
        import numpy as np

        stacked = np.stack(np.broadcast_arrays(*parts.values()))
        return cast("NDArray[np.str_]", np.array(list(parts))[stacked.argmax(axis=0)])


def price(work: Work, device: Device, engine: str | None = None, clock: float = 1.0) -> Price:
    """The price of a work on an engine of a device.

    Args:
        work: what is asked; quantities may be arrays, elementwise.
        device: its engine reads and writes the bus that it names.
        engine: name of the engine, None for the device's first.
        clock: fraction of the engine's highest clock, in (0, 1].

    Raises:
        ValueError: unknown engine or kernel class, clock outside (0, 1], or a format that the engine can compute in no way.
        UnknownFigure: an energy figure of the engine that the work needs is unknown.
    """
    unit = _engine(device, engine)
    if not 0.0 < clock <= 1.0:
        raise ValueError(f"clock {clock!r} is not in (0, 1], a fraction of the engine's highest clock")
    totals: list[Quantity] = [0.0] * 9
    bandwidth = device.buses[unit.bus].bandwidth
    scale = dynamic_scale(unit, clock)
    for term in work.terms:
        for index, part in enumerate(_term(term, unit, bandwidth, clock, scale)):
            totals[index] = totals[index] + part
    return Price(*totals)


def peak_of(engine: Engine, dtype: str) -> tuple[str, float]:
    """The format in which an engine computes `dtype` (itself, or the first of its `FALLBACKS` that the engine has), and its peak.

    Raises `ValueError` if the engine has a peak for none of them.
    """
    peak = engine.peaks.get(dtype)
    if peak is not None:
        return dtype, peak
    for wider in FALLBACKS.get(dtype, ()):
        if wider in engine.peaks:
            return wider, engine.peaks[wider]
    raise ValueError(f"engine {engine.name!r} computes neither {dtype!r} nor a wider format: it has {', '.join(engine.peaks) or 'none'}")


def _engine(device: Device, name: str | None) -> Engine:
    if name is None:
        return device.main_engine
    try:
        return device.engines[name]
    except KeyError:
        raise ValueError(f"device {device.name!r} has no engine {name!r}: it has {', '.join(device.engines)}") from None


def _term(term: Term, engine: Engine, bandwidth: float, clock: float, scale: float) -> tuple[Quantity, ...]:
    """The fields of `Price` for one term, in order."""
    dtype, peak = peak_of(engine, term.dtype)
    efficiency = efficiency_of(engine, term.kernel, dtype)
    total, streamed = term.bytes, term.weights + term.kv + _spilled(term, engine)
    compute = term.flops / (peak * efficiency.compute * clock)
    memory = streamed / (bandwidth * efficiency.memory)
    cache = total / (engine.cache_bandwidth * clock) if engine.cache_bandwidth else 0.0
    return (
        greatest(joined(compute, memory, efficiency.serial), cache),
        term.launches * overhead(engine, efficiency.ramp, clock),
        compute,
        memory,
        cache,
        term.flops * (flop_joules(engine, dtype) * scale),
        streamed * stated(engine, "joules_per_byte", engine.joules_per_byte),
        total * (stated(engine, "joules_per_cache_byte", engine.joules_per_cache_byte) * scale) if engine.cache_bandwidth else 0.0,
        streamed,
    )


def _spilled(term: Term, engine: Engine) -> Quantity:
    """Activations that cross the bus: none if one launch's fit in the cache, else all."""
    if not engine.cache_bandwidth:
        return term.activations
    return choose(term.activations <= engine.cache_bytes * term.launches, 0.0, term.activations)


def overhead(engine: Engine, ramp: float, clock: float) -> float:
    """Seconds per launch at a clock: of the launch itself, and of the ramp of its kernel class."""
    launch = engine.launch_overhead / clock if engine.kind in ("cpu", "mcu") else engine.launch_overhead
    return launch + ramp / clock
