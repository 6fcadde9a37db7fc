"""The suite of a device: of the catalogue, of a file in its form, of a calibration, or built in Python."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import pairwise
from math import inf, isfinite

import numpy as np

from edgewright.hwmodels.conformance.promises import require
from edgewright.hwmodels.conformance.suite import Suite
from edgewright.hwmodels.efficiency import DEFAULTS, efficiency_of
from edgewright.hwmodels.energy import idle_draw, peak_W
from edgewright.hwmodels.roofline import FALLBACKS, peak_of, price
from edgewright.hwmodels.specs import Bus, Device, Engine, Pool
from edgewright.hwmodels.work import KERNELS, Work

__all__ = ["DEVICE", "check_device"]

_FORMATS = (*FALLBACKS, "fp64")
"""Formats that engines may have a peak in."""

_CLOSE = 1e-9


def check_device(device: Device) -> None:
    """Require of a device all that `DEVICE` checks; raises `AssertionError` that names the checks that fail."""
    DEVICE.require(device, device.name)


def _names(device: Device) -> None:
    """It has a name, a title and a kind; engines of known kinds, buses and pools stand under their own names, and hang on its buses."""
    for figure in ("name", "title", "kind"):
        require(getattr(device, figure), f"{figure} is empty")
    held: dict[str, Mapping[str, Engine | Bus | Pool]] = {"engine": device.engines, "bus": device.buses, "pool": device.pools}
    for kind, each in held.items():
        require(each, f"it has no {kind}")
        for key, part in each.items():
            require(part.name == key, f"{kind} {part.name!r} stands under the name {key!r}")
    for engine in device.engines.values():
        require(
            engine.kind in DEFAULTS, f"{engine.name} is of the kind {engine.kind!r}, and priced as a cpu; known are {', '.join(DEFAULTS)}"
        )
    hanging = [(part.name, part.bus) for part in device.engines.values()] + [(part.name, part.bus) for part in device.pools.values()]
    for name, bus in hanging:
        require(bus in device.buses, f"{name} hangs on the bus {bus!r}: it has {', '.join(device.buses)}")


def _memory(device: Device) -> None:
    """Every bus has a bandwidth; every pool has room besides what is reserved."""
    for bus in device.buses.values():
        require(bus.bandwidth > 0, f"bandwidth of {bus.name} is {bus.bandwidth}")
    for pool in device.pools.values():
        require(0 <= pool.reserved < pool.capacity, f"{pool.name} reserves {pool.reserved:g} of {pool.capacity:g} bytes")


def _peaks(device: Device) -> None:
    """Every engine has positive peaks, in formats that are known."""
    for engine in device.engines.values():
        require(engine.peaks, f"{engine.name} has no peak")
        for dtype, peak in engine.peaks.items():
            require(dtype in _FORMATS, f"{engine.name} has a peak for {dtype!r}; known are {', '.join(_FORMATS)}")
            require(peak > 0, f"peak of {engine.name} in {dtype} is {peak}")


def _efficiencies(device: Device) -> None:
    """Efficiencies are of kernel classes that are known, shares of a roof in (0, 1], with ramps and overheads that are not negative."""
    for engine in device.engines.values():
        require(0 <= engine.launch_overhead < inf, f"launch overhead of {engine.name} is {engine.launch_overhead}")
        for key in engine.efficiency:
            kernel, _, dtype = key.partition(".")
            known = kernel in KERNELS and (not dtype or dtype in _FORMATS)
            require(known, f"{engine.name} has an efficiency of {key!r}; known are {', '.join(KERNELS)}, each with `.format` or without")
            found = efficiency_of(engine, kernel, dtype)
            require(0 < found.compute <= 1 and 0 < found.memory <= 1, f"{key} of {engine.name} reaches {found}: shares are in (0, 1]")
            require(found.ramp >= 0 and 0 <= found.serial <= 1, f"{key} of {engine.name} has {found}")


def _clocks(device: Device) -> None:
    """The lowest clock of an engine is not above its highest, its steps lie between them, and voltage does not rise as clocks fall."""
    for engine in device.engines.values():
        require(0 < engine.clock_min <= engine.clock_max, f"{engine.name} goes from {engine.clock_min:g} to {engine.clock_max:g} Hz")
        for clock in engine.clocks:
            require(engine.clock_min <= clock <= engine.clock_max, f"{engine.name} has the step {clock:g} Hz")
        require(0 < engine.voltage_floor <= 1, f"{engine.name} has a voltage floor of {engine.voltage_floor}")


def _power(device: Device) -> None:
    """Asleep it draws no more than idle, idle no more than busy; its power does not rise as its clocks fall; supplies lose, not gain."""
    require(0 <= device.idle_W < inf and device.board_W >= 0, f"idle_W is {device.idle_W}, board_W {device.board_W}")
    require(device.idle_W <= device.tdp_W, f"idle_W is {device.idle_W:g}, tdp_W {device.tdp_W:g}")
    require(device.sleep_W is None or 0 <= device.sleep_W <= device.idle_W, f"asleep it draws {device.sleep_W}, idle {device.idle_W}")
    require(0 < device.supply_efficiency <= 1, f"supply_efficiency is {device.supply_efficiency}")
    require(idle_draw(device).module <= peak_W(device) * (1 + _CLOSE), "idle it draws more than busy")
    for lower, higher in pairwise((0.4, 0.6, 0.8, 1.0)):
        few, many = peak_W(device, lower), peak_W(device, higher)
        require(few <= many * (1 + _CLOSE), f"{few:g} W at {lower} of its clocks, {many:g} W at {higher}")


def _prices(device: Device) -> None:
    """Every engine prices every kernel class in every format of its own: positive and finite; twice a work costs twice."""
    for engine, work, what in _works(device):
        once, twice = price(work, device, engine.name), price(work + work, device, engine.name)
        seconds, joules = float(once.seconds), float(once.total_joules)
        require(0 < seconds < inf and 0 <= joules < inf, f"{what} takes {seconds} s and {joules} J")
        require(abs(float(twice.seconds) - 2 * seconds) <= _CLOSE * seconds, f"{what} takes {seconds} s once, {twice.seconds} s twice")
        require(
            abs(float(twice.total_joules) - 2 * joules) <= _CLOSE * joules, f"{what} costs {joules} J once, {twice.total_joules} J twice"
        )


def _roofs(device: Device) -> None:
    """Nothing is faster than arithmetic at the peak, or than its weights over the bus."""
    for engine, work, what in _works(device):
        (term,) = work.terms
        least = max(float(term.flops) / peak_of(engine, term.dtype)[1], float(term.weights) / device.buses[engine.bus].bandwidth)
        seconds = float(price(work, device, engine.name).seconds)
        require(seconds >= least * (1 - _CLOSE), f"{what} takes {seconds:g} s; its roofs allow {least:g} s")


def _slower(device: Device) -> None:
    """At a lower clock a work takes no less time, and no more dynamic energy."""
    for engine, work, what in _works(device):
        floor = engine.clock_min / engine.clock_max
        slow, fast = price(work, device, engine.name, floor), price(work, device, engine.name)
        require(float(slow.seconds) >= float(fast.seconds) * (1 - _CLOSE), f"{what} takes {slow.seconds:g} s at {floor:g} of the clock")
        require(float(slow.total_joules) <= float(fast.total_joules) * (1 + _CLOSE), f"{what} costs more at {floor:g} of the clock")


def _together(device: Device) -> None:
    """A price of many works at once is the price of each."""
    for engine in device.engines.values():
        dtype, sizes = next(iter(engine.peaks)), np.array([1e3, 1e6, 1e9])
        many = price(Work.of("gemm", dtype, sizes, weights=sizes / 10), device, engine.name).seconds
        each = [float(price(Work.of("gemm", dtype, size, weights=size / 10), device, engine.name).seconds) for size in sizes.tolist()]
        require(np.allclose(many, each, rtol=_CLOSE, atol=0), f"on {engine.name} {many} s together, {each} s one by one")


def _origins(device: Device) -> None:
    """What is said of a figure's origin or spread names a figure that the device has, and where it comes from."""
    known = {"default", "memory", "reserved_bytes", *(each.name for each in fields(Device))}
    of_engine = {each.name for each in fields(Engine)} | {"memory_ceiling", "compute_ceiling", "ramp", "time", "units", "memory"}
    for figure, origin in device.provenance.items():
        require(origin.kind in ("datasheet", "measured", "assumed"), f"{figure} is {origin.kind!r}")
        require(origin.source, f"{figure} is {origin.kind}, and nobody says by whom")
        head, _, rest = figure.partition(".")
        require(head in known or head in device.engines or head in device.pools or head in device.buses, f"it has no figure {figure!r}")
        if head in device.engines and rest:
            require(rest.partition(".")[0] in of_engine, f"engine {head!r} has no figure {rest!r}")
    for name, spread in device.uncertainty.items():
        require(isfinite(spread.low) and spread.low <= spread.middle <= spread.high, f"the spread of {name} is {spread}")


def _value(device: Device) -> None:
    """It is a value: it survives the way to another process."""
    require(pickle.loads(pickle.dumps(device)) == device, "another device comes back from pickle")


def _works(device: Device) -> Iterator[tuple[Engine, Work, str]]:
    """One launch of each kernel class in each format of each engine, small and large."""
    for engine in device.engines.values():
        for kernel in KERNELS:
            for dtype in engine.peaks:
                for flops, weights in ((2e4, 1e4), (4e9, 8e7)):
                    what = f"{kernel} of {flops:g} operations in {dtype} on {engine.name}"
                    yield engine, Work.of(kernel, dtype, flops, weights=weights), what


DEVICE: Suite[Device] = Suite(
    "device",
    {
        "names": _names,
        "memory": _memory,
        "peaks": _peaks,
        "efficiencies": _efficiencies,
        "clocks": _clocks,
        "power": _power,
        "prices": _prices,
        "roofs": _roofs,
        "slower clocks": _slower,
        "many at once": _together,
        "origins": _origins,
        "value": _value,
    },
)
"""The checks of a device. How wrong: that figures agree with each other and can be priced says nothing of whether they are true."""
