"""A calibration as a device: an entry in the catalogue's form, with what is known of it, which `device_files` and `--profile` read.

Its `uncertainty` (`hwmodels.uncertainty`) is, per kernel class, that of the three terms with their correlations, and, as a factor on
all that the class takes, what the priced roofline was off by on cold timings (without enough of those: what the fit was off by on sizes
held out); of the bandwidth, the interval of its best stream; of the peaks, how much the scaling over cores differs between arithmetics.

Bandwidth and peaks are those of all cores together; what a kernel class reaches of them was timed on one core, and is taken to be the
same share on all. Figures of power that nothing measured are those of a device of the catalogue, and said to be.

How wrong: prices of `hwmodels.roofline` have no smooth rest and one cache level, so that they miss more than `Calibration.predict` does:
`priced` says how much. A kernel that is divided over cores waits for the slowest, which no timing here contains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from edgewright.hwmodels import catalog
from edgewright.hwmodels.calibration.curve import TERMS
from edgewright.hwmodels.calibration.estimator import Calibration, ClassKey, class_of
from edgewright.hwmodels.calibration.power import MachinePower
from edgewright.hwmodels.calibration.suite import COLD
from edgewright.hwmodels.calibration.timing import timed_class
from edgewright.hwmodels.roofline import price
from edgewright.hwmodels.specs import Device

__all__ = ["CORES", "Unit", "document", "entry_of", "priced"]

_SOURCE = "edgewright calibrate"
_FORMAT_OF_BITS = {4.5: "int4", 4.125: "int4"}
_ENOUGH = 10
_SKIPPED_BITS = {2.5, 1.125, 2.125, 3.125}


@dataclass(frozen=True, slots=True)
class Unit:
    """The engine that was timed.

    Attributes:
        kind: `cpu` or `gpu`, which is its name in the device as well.
        pool: the memory that it works on.
        launch_overhead: seconds between two launches that the host gives it, which every timing contains; 0: a part of each class's ramp.
        source: what measured it.
    """

    kind: str = "cpu"
    pool: str = "ram"
    launch_overhead: float = 0.0
    source: str = _SOURCE

    @property
    def bus(self) -> str:
        """The bus of its memory, as the catalogue names it."""
        return "dram" if self.pool == "ram" else self.pool


CORES = Unit()
"""The cores of a processor."""


def document(
    calibration: Calibration, facts: Mapping[str, Any], name: str, like: str, today: date, power: MachinePower, unit: Unit = CORES
) -> dict[str, Any]:
    """A whole profile: the device under `name`, and under `calibration` where it comes from and how far it is off.

    Args:
        calibration: fitted.
        facts: of the machine (`timing.machine_facts`).
        name: of the device.
        like: the device of the catalogue whose power it is taken to draw.
        today: the date to write.
        power: what it was seen to draw.
        unit: what was timed.
    """
    entry = entry_of(calibration, facts, like, today, power, unit)
    device = catalog.build_device(name, entry)
    inside, outside, whole = calibration.residuals_, calibration.held_out(), priced(calibration, device)
    entry["uncertainty"] |= {f"{unit.kind}.efficiency.{key}": spread for key, spread in _misfits(inside | outside, whole).items()}
    errors = {
        _text(key): {
            "timings": calibration.curves_[key].count_,
            "implementation": _implementation(calibration, key),
            "fitted": _error(inside[key]),
            "held_out": _error(outside[key]) if key in outside else None,
            "as_priced": _error(whole[key]) if key in whole else None,
        }
        for key in calibration.curves_
    }
    trusted = sum(not each.reasons for each in calibration.timings) / len(calibration.timings)
    head = {"date": today.isoformat(), "machine": dict(facts), "timings": len(calibration.timings), "trusted": round(trusted, 3)}
    head |= {"warnings": list(calibration.warnings_)}
    one_core = {
        "peaks": _rounded(calibration.peaks_),
        "bandwidth": _rounded(calibration.bandwidth_),
        "latency": {f"{int(reach)} B": float(f"{seconds:.3g}") for reach, seconds in sorted(calibration.latency_.items())},
        "scaling": {"cores": calibration.cores, **_rounded(calibration.scaling_)},
        "overhead": float(f"{calibration.overhead_:.3g}"),
    }
    kinds = {name: "unavailable" if value is None else power.idle.kind for name, value in power.figures.items()}
    energy = {**kinds, "source": power.idle.source, "model": f"figures that were not measured are those of {like}"}
    return {"calibration": {**head, "one_core": one_core, "energy": energy, "errors": errors}, "devices": {name: entry}}


def entry_of(
    calibration: Calibration, facts: Mapping[str, Any], like: str, today: date, power: MachinePower, unit: Unit = CORES
) -> dict[str, Any]:
    """The device as the catalogue writes one."""
    model, cores = catalog.device(like), calibration.cores
    compute = min(calibration.scaling_["compute"], float(cores))
    peaks = {dtype: peak * compute for dtype, peak in calibration.peaks_.items()}
    if "int8" in peaks:
        peaks["int4"] = peaks["int8"]  # codes of four bits are widened: the arithmetic is that of bytes
    figures, errors, correlations = _efficiencies(calibration, unit)
    engine: dict[str, Any] = {"kind": unit.kind, "peaks": _rounded(peaks), "launch_overhead": unit.launch_overhead, "efficiency": figures}
    last = max((level for level in calibration.bandwidth_ if level != "dram"), default="")
    if last not in ("", "L1"):
        engine |= {
            "cache_bytes": float(calibration.caches[last]),
            "cache_bandwidth": float(f"{calibration.bandwidth_[last] * compute:.4g}"),
        }
    measured = f"{unit.source}, {today.isoformat()}"
    mine = ("peaks", "efficiency", *(["cache_bandwidth", "cache_bytes"] if "cache_bytes" in engine else ()))
    figures_measured = (f"{unit.pool}.capacity", f"{unit.bus}.bandwidth", *(f"{unit.kind}.{each}" for each in mine))
    drawn = {name: float(f"{value:.4g}") for name, value in power.figures.items() if value is not None}
    assumed = ["tdp_W"] + ([] if "idle_W" in drawn else ["idle_W"]) + ([] if facts["memory"] else [f"{unit.pool}.capacity"])
    engine |= _energies(drawn, peaks)
    read = [name if name == "idle_W" else f"{unit.kind}.{name}" for name in drawn]
    errors |= {
        f"{unit.bus}.bandwidth": round(calibration.errors_["bandwidth"], 3),
        f"{unit.kind}.peaks": round(calibration.errors_["compute"], 3),
    }
    return {
        "title": f"{facts['cpu']}, {cores} cores, as calibrated" if unit.kind == "cpu" else f"{facts['cpu']}, as calibrated",
        "kind": model.kind,
        "memory": {
            "pool": unit.pool,
            "capacity": float(facts["memory"] or model.main_pool.capacity),
            "bandwidth": float(f"{calibration.bandwidth_['dram'] * calibration.scaling_['bandwidth']:.4g}"),
        },
        "idle_W": drawn.get("idle_W", model.idle_W),
        "tdp_W": model.tdp_W,
        "engines": {unit.kind: engine},
        "measured": dict.fromkeys(figures_measured, measured)
        | dict.fromkeys(read, f"{measured}, {power.idle.kind} by {power.idle.source}"),
        "assumed": assumed,
        "notes": f"power is that of {like} in the catalogue" + (f", but for {', '.join(drawn)}" if drawn else f": {power.idle.source}"),
        "uncertainty": errors,
        "correlations": correlations,
    }


def _energies(drawn: Mapping[str, float], peaks: Mapping[str, float]) -> dict[str, Any]:
    """The engine's figures of energy: of other formats than fp32 inverse to their peaks."""
    found: dict[str, Any] = {name: drawn[name] for name in ("static_W", "joules_per_byte") if name in drawn}
    if "joules_per_flop" in drawn and "fp32" in peaks:
        each = {dtype: drawn["joules_per_flop"] * peaks["fp32"] / peak for dtype, peak in peaks.items()}
        found["joules_per_flop"] = {dtype: float(f"{joules:.4g}") for dtype, joules in each.items()}
    return found


def priced(calibration: Calibration, device: Device) -> dict[ClassKey, Any]:
    """log(price / measured) of the cold timings, by class: how far the device's roofline is off for one core's share of it."""
    unit = device.main_engine
    shares = min(calibration.scaling_["compute"], float(calibration.cores)), calibration.scaling_["bandwidth"]
    solo = replace(unit, peaks={dtype: peak / shares[0] for dtype, peak in unit.peaks.items()}, cache_bandwidth=None, cache_bytes=0.0)
    bus = device.buses[unit.bus]
    core = replace(device, engines={unit.name: solo}, buses={unit.bus: replace(bus, bandwidth=bus.bandwidth / shares[1])})
    found: dict[ClassKey, list[float]] = {}
    for row in calibration.timings:
        if row.reach < COLD or row.threads > 1 or not timed_class(row.kernel):
            continue
        for key in (each for each in calibration.curves_ if each == class_of(row)):
            term = row.work.terms[0]
            asked = row.work if key[2] not in _FORMAT_OF_BITS else type(row.work)((replace(term, dtype="int4"),))
            if key[2] not in _SKIPPED_BITS:
                found.setdefault(key, []).append(float(np.log(float(price(asked, core).seconds) / row.seconds)))
    return {key: np.array(misses) for key, misses in found.items()}


def _misfits(fitted: Mapping[ClassKey, Any], cold: Mapping[ClassKey, Any]) -> dict[str, list[float] | float]:
    """How far off all of a class is: quantiles of log(measured / priced), of few timings their size; without any, of those of the fit."""
    found: dict[str, list[float] | float] = {}
    for key in fitted:
        if key[2] not in _SKIPPED_BITS:
            misses = -np.asarray(cold.get(key, fitted[key]))
            quantiles = [round(float(each), 3) for each in np.quantile(misses, (0.05, 0.5, 0.95))]
            found[_class_name(key)] = quantiles if len(misses) >= _ENOUGH else round(float(np.sqrt(np.mean(misses**2))), 3)
    return found


def _class_name(key: ClassKey) -> str:
    """The name of a class among an engine's efficiencies: of kernels without weights, what was timed in fp32 stands for all formats."""
    if key[2]:
        return f"{key[0]}.{_FORMAT_OF_BITS.get(key[2], key[1])}"
    return key[0] if key[1] == "fp32" else f"{key[0]}.{key[1]}"


_Errors = dict[str, "list[float] | float"]


def _efficiencies(calibration: Calibration, unit: Unit) -> tuple[dict[str, dict[str, float]], _Errors, dict[str, list[float]]]:
    """Shares of peak and bandwidth by kernel class and arithmetic, the quantiles of log(true / found) of each, and their correlations."""
    figures: dict[str, dict[str, float]] = {}
    errors: _Errors = {}
    correlations: dict[str, list[float]] = {}
    reach, rate = calibration.streams_
    far = float(np.exp(np.interp(np.log(COLD), np.log(reach), np.log(rate)))) / calibration.bandwidth_["dram"]
    for key, curve in calibration.curves_.items():
        if key[2] in _SKIPPED_BITS:
            continue
        name = _class_name(key)
        terms = {
            "compute": min(1.0, curve.terms_["compute"]),
            "memory": min(1.0, curve.terms_["far"] * far),
            "ramp": max(0.0, curve.terms_["ramp"] - unit.launch_overhead),
            "serial": curve.serial_,
        }
        figures[name] = {term: float(f"{value:.4g}") for term, value in terms.items()}
        for term, own in (("compute", "compute"), ("memory", "far"), ("ramp", "ramp")):
            errors[f"{unit.kind}.efficiency.{name}.{term}"] = [round(each, 3) for each in curve.quantiles_[own]]
        places = [TERMS.index(each) for each in ("compute", "far", "ramp")]
        pairs = ((places[0], places[1]), (places[0], places[2]), (places[1], places[2]))
        correlations[f"{unit.kind}.efficiency.{name}"] = [round(float(curve.correlations_[pair]), 3) for pair in pairs]
    return figures, errors, correlations


def _implementation(calibration: Calibration, key: ClassKey) -> str:
    return next(row.implementation for row in calibration.timings if timed_class(row.kernel) == key[0] and class_of(row) == key)


def _error(misses: Any) -> dict[str, float]:
    return {"median": round(float(np.median(np.abs(misses))), 3), "p90": round(float(np.quantile(np.abs(misses), 0.9)), 3)}


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def _text(key: ClassKey) -> str:
    return f"{key[0]}.{key[1]}" + (f", {key[2]:g} bits per weight" if key[2] else "")
