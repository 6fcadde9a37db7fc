"""Devices as they may also be: which of their figures are uncertain, by how much, and a device with each of them drawn.

    true figure = stated figure x factor,    log(factor) distributed as a `Spread` says

Figures by name: `ENGINE.time`, what all work takes on an engine; `ENGINE.efficiency.CLASS`, what that of one kernel class takes
(`cpu.efficiency.gemv.int8`); `ENGINE.efficiency.CLASS.TERM`, one term of it (`compute`, `memory`, `ramp`); `ENGINE.peaks`, peaks and cache;
`BUS.bandwidth`; `power`, all watts and joules of the module. What is known of them, first to last:

1. What the device itself states (`Device.uncertainty`): profiles of `edgewright calibrate` do, with the correlations of their fit; of the
   kernel classes that such a device has no figure of, the class's as in 3.
2. With measured software on it (`hwmodels.software`), the residuals of the fit on devices that it has seen, or that were left out of it.
3. Of a device of the catalogue that nobody calibrated, what such devices were found to be off by, by class of engine
   (`catalog/datasheet_errors.yaml`): mostly slower than their datasheet, so that the middle is not 0.

How wrong: factors are common to all work of an engine (or class), while what was measured is off by something else for every model and
size, which partly averages out: intervals are too wide rather than too narrow for a mix of work, and say nothing of how two models
compare. No engine is drawn above its datasheet's bandwidth, nor above its peak unless it states to be. Links, storages, memory sizes and
engine presets are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from math import log, sqrt
from typing import Any

from edgewright.hwmodels.efficiency import default_efficiency
from edgewright.hwmodels.software import engine_class, power_class, software
from edgewright.hwmodels.specs import Device, Efficiency, Engine, Spread
from edgewright.hwmodels.work import KERNELS

__all__ = ["check_uncertainty", "drawn", "host_factor", "uncertainties"]

Normal = Callable[[str], float]
_TERMS = ("compute", "memory", "ramp")


def uncertainties(device: Device, family: str | None = None) -> dict[str, Spread]:
    """How far which figures of a device may be off, with a family of software on all its engines, or without."""
    found = dict(device.uncertainty)
    for name in device.engines:
        if any(figure.startswith(f"{name}.") for figure in device.uncertainty):
            found |= _uncalibrated(device, name)
        else:
            found[f"{name}.time"] = _of_software(device, name, family) if family else _of_datasheets("time", engine_class(device, name))
    found.setdefault("power", _of_datasheets("power", power_class(device, device.main_engine.name)))
    return found


def drawn(device: Device, spreads: Mapping[str, Spread], normal: Normal) -> Device:
    """The device with every uncertain figure drawn.

    Args:
        device: as it is stated.
        spreads: by figure, as `uncertainties` gives them.
        normal: a standard normal number by the name of a figure; the same for the same name.

    Raises `ValueError` for a figure that the device does not have.
    """
    engines, buses = dict(device.engines), dict(device.buses)
    factors = {figure: spread.factor(_correlated(device, figure, spreads, normal)) for figure, spread in spreads.items()}
    for figure, factor in factors.items():
        owner, _, rest = figure.partition(".")
        if owner in engines and rest:
            engines[owner] = _engine(engines[owner], rest, factor)
        elif owner in buses:
            buses[owner] = replace(buses[owner], bandwidth=buses[owner].bandwidth * factor)
    return _powered(replace(device, engines=engines, buses=buses), factors.get("power", 1.0))


def host_factor(spreads: Mapping[str, Spread], engine: str, normal: Normal) -> float:
    """By how much the time that software spends on the host differs: as its time on the engine, of which it was learned."""
    figure = f"{engine}.time"
    return spreads[figure].factor(normal(figure)) if figure in spreads else 1.0


def check_uncertainty(device: Device) -> None:
    """Raise `ValueError` for a stated uncertainty, or correlation, of what the device does not have."""
    known = {"power", *(f"{bus}.bandwidth" for bus in device.buses)}
    for name, engine in device.engines.items():
        classes = [f"{name}.efficiency.{each}" for each in (*KERNELS, *engine.efficiency)]
        known |= {f"{name}.time", f"{name}.peaks", *classes, *(f"{each}.{term}" for each in classes for term in _TERMS)}
    for key, figures in (("uncertainty", device.uncertainty), ("correlations", device.correlations)):
        for figure in figures:
            if figure not in known:
                accepted = "power, BUS.bandwidth, ENGINE.time, ENGINE.peaks, ENGINE.efficiency.CLASS, ENGINE.efficiency.CLASS.TERM"
                raise ValueError(f"{device.name}.{key}: {figure!r} is no figure of the device: accepted are {accepted}")


def _of_software(device: Device, engine: str, family: str) -> Spread:
    made = software(device, engine, family)
    return Spread(log(made.low), min(max(0.0, log(made.low)), log(made.high)), log(made.high))


def _of_datasheets(figure: str, where: str) -> Spread:
    table = _datasheets()[figure]
    low, middle, high = table.get(where, table["any"])["spread"]
    return Spread(float(low), float(middle), float(high))


@cache
def _datasheets() -> Any:
    import yaml

    return yaml.safe_load(files("edgewright.hwmodels.catalog").joinpath("datasheet_errors.yaml").read_text(encoding="utf-8"))


def _uncalibrated(device: Device, name: str) -> dict[str, Spread]:
    """Of the kernel classes that a device with some figures has none of."""
    own, stated = device.engines[name].efficiency, device.uncertainty
    if f"{name}.time" in stated:
        return {}
    usual = _of_datasheets("time", engine_class(device, name))
    covered = {figure.split(".")[2] for figure in stated if figure.startswith(f"{name}.efficiency.")} | {key.split(".")[0] for key in own}
    return {f"{name}.efficiency.{kernel}": usual for kernel in KERNELS if kernel not in covered}


def _correlated(device: Device, figure: str, spreads: Mapping[str, Spread], normal: Normal) -> float:
    """The normal number of a figure: of a term that was fitted with others, from theirs and its own (Cholesky)."""
    fitted, _, term = figure.rpartition(".")
    if fitted not in device.correlations or term not in _TERMS:
        return normal(figure)
    cm, cr, mr = device.correlations[fitted]
    first, second, third = (normal(f"{fitted}.{each}") for each in _TERMS)
    if term == "compute":
        return first
    own = sqrt(max(0.0, 1.0 - cm**2))
    if term == "memory":
        return cm * first + own * second
    across = (mr - cm * cr) / own if own else 0.0
    return cr * first + across * second + sqrt(max(0.0, 1.0 - cr**2 - across**2)) * third


def _engine(engine: Engine, rest: str, factor: float) -> Engine:
    """The engine with one figure drawn."""
    kind, _, name = rest.partition(".")
    if kind == "peaks":
        cache_rate = None if engine.cache_bandwidth is None else engine.cache_bandwidth * factor
        return replace(engine, peaks={dtype: peak * factor for dtype, peak in engine.peaks.items()}, cache_bandwidth=cache_rate)
    whole = {kernel: default_efficiency(engine.kind, kernel) for kernel in KERNELS} | dict(engine.efficiency)
    if kind == "time":
        slower = {key: _slower(each, factor) for key, each in whole.items()}
        cache_rate = None if engine.cache_bandwidth is None else engine.cache_bandwidth / factor
        return replace(engine, efficiency=slower, launch_overhead=engine.launch_overhead * factor, cache_bandwidth=cache_rate)
    if name in whole:
        return replace(engine, efficiency={**engine.efficiency, name: _slower(whole[name], factor)})
    key, _, term = name.rpartition(".")
    return replace(engine, efficiency={**engine.efficiency, key: _term(whole[key], term, factor)})


def _slower(own: Efficiency, factor: float) -> Efficiency:
    """All terms of an efficiency such that what they price takes `factor` times as long."""
    return replace(own, compute=_share(own.compute, 1 / factor), memory=_share(own.memory, 1 / factor), ramp=own.ramp * factor)


def _term(own: Efficiency, term: str, factor: float) -> Efficiency:
    value: float = getattr(own, term)
    return replace(own, **{term: value * factor if term == "ramp" else _share(value, factor)})


def _share(value: float, factor: float) -> float:
    """A share of a roof, no more than the roof (or than it stated to be)."""
    return min(max(1.0, value), value * factor)


def _powered(device: Device, factor: float) -> Device:
    """The device with all energy figures of its module times a factor."""
    return replace(device, idle_W=device.idle_W * factor, engines={key: _fed(each, factor) for key, each in device.engines.items()})


def _fed(engine: Engine, factor: float) -> Engine:
    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    return replace(
        engine,
        static_W=times(engine.static_W),
        joules_per_flop={dtype: joules * factor for dtype, joules in engine.joules_per_flop.items()},
        joules_per_byte=times(engine.joules_per_byte),
        joules_per_cache_byte=times(engine.joules_per_cache_byte),
    )
