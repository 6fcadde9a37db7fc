"""Power and energy of devices: idle, static and dynamic parts, clocks and voltage, and where a figure is read.

    module watts = idle + sum over busy engines of static + dynamic joules per second

*Dynamic* energy (per operation by format, per byte by tier) is priced with the work. *Static* power is drawn while an engine is busy, and
*idle* power always; power domains integrate those. Clocks: voltage falls linearly with the clock from 1 at `clock_max` to `voltage_floor`
at `clock_min`; energy per operation goes with V squared, static power with f V squared (clock trees dominate it), DRAM with neither.

Where nothing better is known, `with_envelope` derives the dynamic and static figures of a device from its power limit, an *assumption*:
with every engine at the most that its kernels reach (`reach`) and every bus filled as far as its engines' kernels together reach, idle +
static + dynamic = `tdp_W`; of `tdp_W - idle_W`, 35 % is static, 35 % arithmetic, and 30 % moving bytes, a byte from the cache costing a
tenth of one from memory (Horowitz, ISSCC 2014).
A format's energy per operation is inverse to its peak. The engines of a device divide the static and arithmetic parts as GPU 6, CPU 2,
other 1.

How accurate is this model? Measured parts are as good as the meter. Of the derived ones: language-model decoding at full bandwidth
stands at 0.65 of the way from idle to the limit; an H100 that decodes Llama-3.1-8B at batch 8 was measured at 0.66 (ML.ENERGY v3), but at
0.91 at batch 96, where little more than half of that is derived from arithmetic: expect 15-30 %, mostly too low. Boards whose limit is
set by the supply and seldom reached are overestimated by up to 50 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from edgewright.hwmodels.efficiency import efficiency_of
from edgewright.hwmodels.specs import Device, Engine, Storage, stated
from edgewright.hwmodels.work import KERNELS

__all__ = [
    "Draw",
    "Scope",
    "bus_peak_W",
    "clock_floor",
    "clock_for_watts",
    "dynamic_scale",
    "engine_clock_for_watts",
    "engine_floor",
    "engine_peak_W",
    "engine_static_W",
    "flop_joules",
    "idle_draw",
    "largest_clock",
    "peak_W",
    "peak_draw",
    "reach",
    "settable_clock",
    "settable_clocks",
    "storage_peak_W",
    "voltage",
    "with_envelope",
]

Scope: TypeAlias = Literal["rail", "module", "board", "plug"]

STATIC_SHARE = 0.35
COMPUTE_SHARE = 0.35
MEMORY_SHARE = 0.30
CACHE_BYTE_RATIO = 0.1
_ENGINE_WEIGHT: Mapping[str, float] = {"gpu": 6.0, "cpu": 2.0}


@dataclass(frozen=True, slots=True)
class Draw:
    """Watts of one device by part. Every part is a rate at one moment, or a mean over a stated time.

    Attributes:
        idle: the module awake with nothing to do.
        static: engines that are busy, besides what their operations cost.
        compute, cache, dram: dynamic energy per second.
    """

    idle: float
    static: float = 0.0
    compute: float = 0.0
    cache: float = 0.0
    dram: float = 0.0

    @property
    def module(self) -> float:
        """All parts."""
        return self.idle + self.static + self.compute + self.cache + self.dram

    def at(self, scope: Scope, device: Device) -> float:
        """What a meter reads at a scope.

        `rail`: the engines' own supply (static, arithmetic, caches). `module`: with idle and memory. `board`: with the carrier board, fans
        and network. `plug`: that, divided by the supply's efficiency. Raises `ValueError` for an unknown scope.
        """
        board = self.module + device.board_W
        readings = {
            "rail": self.static + self.compute + self.cache,
            "module": self.module,
            "board": board,
            "plug": board / device.supply_efficiency,
        }
        if scope not in readings:
            raise ValueError(f"unknown energy scope {scope!r}: accepted are {', '.join(readings)}")
        return readings[scope]


class _Terms(NamedTuple):
    """An engine's share of the peak at its highest clock, all of which goes with f V squared."""

    engine: Engine
    static: float
    compute: float
    cache: float

    def factor(self, clock: float) -> float:
        fraction = max(clock, self.engine.clock_min / self.engine.clock_max)
        return fraction * dynamic_scale(self.engine, fraction)


def voltage(engine: Engine, clock: float) -> float:
    """V(clock) / V(clock_max) at a fraction of the highest clock: linear down to `voltage_floor` at `clock_min`, constant below it."""
    floor = engine.clock_min / engine.clock_max
    if floor >= 1.0:
        return 1.0
    above = max(0.0, clock - floor) / (1.0 - floor)
    return engine.voltage_floor + (1.0 - engine.voltage_floor) * above


def dynamic_scale(engine: Engine, clock: float) -> float:
    """Energy per operation at a fraction of the highest clock, relative to that at the highest: voltage squared."""
    if clock == 1.0:
        return 1.0
    return voltage(engine, clock) ** 2


def engine_static_W(engine: Engine, clock: float = 1.0) -> float:
    """Watts that an engine draws while it is busy besides its dynamic energy, at a fraction of its highest clock.

    Raises `UnknownFigure` if nobody stated them.
    """
    return stated(engine, "static_W", engine.static_W) * clock * dynamic_scale(engine, clock)


def flop_joules(engine: Engine, dtype: str) -> float:
    """Dynamic joules per operation in a format, at the highest clock; raises `UnknownFigure` if nobody stated them."""
    joules = engine.joules_per_flop.get(dtype)
    return stated(engine, f"joules_per_flop.{dtype}", None) if joules is None else joules


def reach(engine: Engine) -> tuple[float, float]:
    """The largest fractions of its compute peak and of its bus bandwidth that any kernel class reaches on an engine."""
    all_of_them = [*(efficiency_of(engine, kernel) for kernel in KERNELS), *engine.efficiency.values()]
    return max(each.compute for each in all_of_them), max(each.memory for each in all_of_them)


def idle_draw(device: Device) -> Draw:
    """The device awake with nothing to do."""
    return Draw(idle=device.idle_W)


def peak_draw(device: Device, clock: float = 1.0) -> Draw:
    """Every engine at the most that its kernels reach in its hungriest format, its cache likewise, at a fraction of the clock.

    Every bus is as full as its engines get it, those first whose bytes cost most. No work on any of the engines, nor on all of them at
    the same time, draws more: this is the bound `idle <= load <= peak`. An engine whose lowest clock is above `clock` runs at its lowest.
    Raises `UnknownFigure` where an energy figure of an engine is unknown.
    """
    terms = _peak_terms(device)
    return Draw(
        idle=device.idle_W,
        static=sum(each.static * each.factor(clock) for each in terms),
        compute=sum(each.compute * each.factor(clock) for each in terms),
        cache=sum(each.cache * each.factor(clock) for each in terms),
        dram=_bus_W(device),
    )


def peak_W(device: Device, clock: float = 1.0) -> float:
    """The most that the module can draw at a fraction of its highest clock."""
    return peak_draw(device, clock).module


def engine_peak_W(engine: Engine, clock: float = 1.0) -> float:
    """The most that an engine can draw by itself, without its bus, at a fraction of its highest clock."""
    terms = _terms_of(engine)
    return (terms.static + terms.compute + terms.cache) * terms.factor(clock)


def bus_peak_W(device: Device, bus: str) -> float:
    """The most that a bus of a device draws, as full as its engines' kernels get it."""
    engines = [each for each in device.engines.values() if each.bus == bus]
    per_byte = _filled_bus((stated(each, "joules_per_byte", each.joules_per_byte), reach(each)[1]) for each in engines)
    return device.buses[bus].bandwidth * per_byte if per_byte else 0.0  # an ideal bus may be infinite


def storage_peak_W(storage: Storage) -> float:
    """The most that a storage draws: idle, reading and writing (the hungrier of the two if half duplex), and its engine at its peak."""
    write = storage.active_W if storage.write_W is None else storage.write_W
    moving = storage.active_W + write if storage.duplex == "full" else max(storage.active_W, write)
    inside = peak_W(storage.as_device()) if storage.engine is not None else storage.idle_W
    return inside + moving


def engine_floor(engine: Engine) -> float:
    """The lowest fraction of its highest clock that an engine can be set to."""
    return min(1.0, min(engine.clocks, default=engine.clock_min) / engine.clock_max)


def clock_floor(device: Device) -> float:
    """The lowest fraction of its highest clock that the device's first engine can be set to."""
    return engine_floor(device.main_engine)


def settable_clock(engine: Engine, clock: float) -> float:
    """The highest fraction that an engine can be set to within `clock`; the lowest of all if there is none."""
    if not engine.clocks:
        return min(1.0, max(clock, engine_floor(engine)))
    steps = _steps(engine)
    return max((step for step in steps if step <= clock * (1.0 + 1e-9)), default=steps[0])


def settable_clocks(device: Device) -> tuple[float, ...]:
    """The fractions that the first engine can be set to, ascending; empty if any between `clock_floor` and 1 can."""
    return _steps(device.main_engine)


def clock_for_watts(device: Device, watts: float) -> float:
    """The largest settable clock, as a fraction, whose `peak_W` is within `watts`.

    Monotone in `watts`. A budget below `peak_W(device, clock_floor(device))` cannot be kept by clocks alone: the floor is returned.
    """
    constant, terms = device.idle_W + _bus_W(device), _peak_terms(device)
    return largest_clock(
        device.main_engine,
        lambda clock: constant + sum((each.static + each.compute + each.cache) * each.factor(clock) for each in terms) <= watts,
    )


def engine_clock_for_watts(engine: Engine, watts: float) -> float:
    """The largest settable clock of an engine, as a fraction, whose `engine_peak_W` is within `watts`; its lowest if there is none."""
    return largest_clock(engine, lambda clock: engine_peak_W(engine, clock) <= watts)


def largest_clock(engine: Engine, fits: Callable[[float], bool]) -> float:
    """The largest settable clock that fits, where all below one that fits do, too; the lowest if none does."""
    steps = _steps(engine)
    if steps:
        return max((step for step in steps if fits(step)), default=steps[0])
    low, high = engine_floor(engine), 1.0
    if fits(high):
        return high
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _steps(engine: Engine) -> tuple[float, ...]:
    return tuple(sorted({step / engine.clock_max for step in engine.clocks}))


def with_envelope(device: Device) -> Device:
    """The device with every missing static and dynamic figure derived from `tdp_W - idle_W`, as the module describes.

    A figure is missing where it is None, or where `joules_per_flop` lacks a format that the engine has a peak for. Figures that are given
    stay, zeros too, and change no other share.
    """
    envelope = max(0.0, device.tdp_W - device.idle_W)
    weights = {name: _ENGINE_WEIGHT.get(engine.kind, 1.0) for name, engine in device.engines.items()}
    whole, byte = sum(weights.values()), _joules_per_byte(device, envelope)
    engines = {name: _filled(engine, envelope * weights[name] / whole, byte) for name, engine in device.engines.items()}
    return replace(device, engines=engines)


def _peak_terms(device: Device) -> list[_Terms]:
    return [_terms_of(engine) for engine in device.engines.values()]


def _terms_of(engine: Engine) -> _Terms:
    return _Terms(engine, engine_static_W(engine), reach(engine)[0] * _hungriest_format(engine), _cache_W(engine))


def _hungriest_format(engine: Engine) -> float:
    """Watts of arithmetic at the peak of the format that draws most."""
    return max((flop_joules(engine, dtype) * peak for dtype, peak in engine.peaks.items()), default=0.0)


def _cache_W(engine: Engine) -> float:
    """Watts of the cache at its bandwidth; a cache of unknown bandwidth serves nothing."""
    if not engine.cache_bandwidth:
        return 0.0
    return stated(engine, "joules_per_cache_byte", engine.joules_per_cache_byte) * engine.cache_bandwidth


def _bus_W(device: Device) -> float:
    """Watts of all buses, each as full as its engines' kernels get it together, those first whose bytes cost most."""
    return sum(bus_peak_W(device, bus) for bus in device.buses)


def _filled_bus(users: Iterable[tuple[float, float]]) -> float:
    """Joules per byte of a bus's bandwidth: users, `(joules per byte, share that it reaches)`, get their shares until none is left."""
    total, left = 0.0, 1.0
    for joules, share in sorted(users, reverse=True):
        taken = min(share, left)
        total, left = total + joules * taken, left - taken
    return total


def _joules_per_byte(device: Device, envelope: float) -> float:
    """Joules per byte, so that all caches and all buses that engines use draw the memory share together."""
    shares = dict.fromkeys((engine.bus for engine in device.engines.values()), 0.0)
    for engine in device.engines.values():
        shares[engine.bus] += reach(engine)[1]
    used = sum(device.buses[bus].bandwidth * min(1.0, share) for bus, share in shares.items())
    cached = sum(engine.cache_bandwidth or 0.0 for engine in device.engines.values())
    return MEMORY_SHARE * envelope / (used + CACHE_BYTE_RATIO * cached)


def _filled(engine: Engine, share: float, byte: float) -> Engine:
    reached = reach(engine)[0]
    flop = {dtype: engine.joules_per_flop.get(dtype, COMPUTE_SHARE * share / (peak * reached)) for dtype, peak in engine.peaks.items()}
    return replace(
        engine,
        static_W=_or(engine.static_W, STATIC_SHARE * share),
        joules_per_flop=flop,
        joules_per_byte=_or(engine.joules_per_byte, byte),
        joules_per_cache_byte=_or(engine.joules_per_cache_byte, CACHE_BYTE_RATIO * byte),
    )


def _or(figure: float | None, derived: float) -> float:
    return derived if figure is None else figure
