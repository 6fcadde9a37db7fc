"""Power modes: a device as its vendor's tool (nvpmodel, a turbo limit) sets it up before the run.

A mode that states clocks and units makes a smaller device: peaks and energies at the lower clock, the share of units (cores, texture
processing clusters) that is switched on, and the memory's clock. A mode of which only watts are known lowers all clocks to the highest at
which the module cannot draw more, which is slower than a device that reaches its limit seldom.

How wrong: idle power stays what it is, though units that are off leak less, and engines whose clock nobody stated keep theirs. On the
Jetson AGX Orin the most that its modes of 50, 30 and 15 W could draw comes out at 0.81, 1.03 and 1.44 of their watts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from edgewright.hwmodels.energy import clock_for_watts, dynamic_scale, voltage
from edgewright.hwmodels.specs import Device, Engine, Provenance

__all__ = ["PowerMode", "with_mode"]


@dataclass(frozen=True, slots=True)
class PowerMode:
    """A named power mode.

    Attributes:
        watts: that the module is held to.
        clocks: highest clock by engine in hertz; empty if nobody stated them.
        units: share of an engine's units that are on, in (0, 1]; 1 where nothing is said.
        memory: share of the memory's bandwidth.
    """

    watts: float
    clocks: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    units: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    memory: float = 1.0


def with_mode(device: Device, name: str, mode: PowerMode) -> Device:
    """The device in that mode; its figures are those at the mode's clocks, which are the highest from now on."""
    fallback = 1.0 if mode.clocks else clock_for_watts(device, mode.watts)
    engines = {}
    for key, engine in device.engines.items():
        clock = min(1.0, mode.clocks.get(key, fallback * engine.clock_max) / engine.clock_max)
        engines[key] = _at(engine, clock, mode.units.get(key, 1.0))
    bus = device.main_pool.bus
    buses = {**device.buses, bus: replace(device.buses[bus], bandwidth=device.buses[bus].bandwidth * mode.memory)}
    provenance = {**device.provenance, "tdp_W": Provenance("datasheet", f"power mode {name}")}
    return replace(device, engines=engines, buses=buses, tdp_W=min(device.tdp_W, mode.watts), provenance=provenance)


def _at(engine: Engine, clock: float, units: float) -> Engine:
    """An engine whose highest clock is a fraction of what it was, with a share of its units."""
    if clock == units == 1.0:
        return engine
    scale = dynamic_scale(engine, clock)
    lowest = min(engine.clock_min, clock * engine.clock_max)
    return replace(
        engine,
        peaks={dtype: peak * clock * units for dtype, peak in engine.peaks.items()},
        clock_max=engine.clock_max * clock,
        clock_min=lowest,
        clocks=tuple(step for step in engine.clocks if step <= engine.clock_max * clock * (1.0 + 1e-9)),
        launch_overhead=engine.launch_overhead / clock if engine.kind in ("cpu", "mcu") else engine.launch_overhead,
        cache_bandwidth=None if engine.cache_bandwidth is None else engine.cache_bandwidth * clock * units,
        static_W=None if engine.static_W is None else engine.static_W * clock * scale * units,
        joules_per_flop={dtype: joules * scale for dtype, joules in engine.joules_per_flop.items()},
        joules_per_cache_byte=None if engine.joules_per_cache_byte is None else engine.joules_per_cache_byte * scale,
        voltage_floor=min(1.0, engine.voltage_floor / voltage(engine, clock)),
    )
