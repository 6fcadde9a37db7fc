"""What software gets out of hardware: measured figures per family of software and class of engine, and devices tuned to them.

A datasheet says what a device could do, and software what of that is reached. `tuned(device, engine, software)` is the device with the
efficiencies, the launch overhead and the arithmetic of a family of software (`llama.cpp`, `vllm`, `ncnn`, ...), as priced by
`hwmodels.roofline`. The figures were learned from published measurements (`python -m edgewright.experiments.validation.fit`) and lie in
`catalog/software.yaml`:

    log efficiency = family's figure for the kernel class and format  +  effect of the architecture  +  of the device  +  of the pair

A device that was never measured has its datasheet, its family's figures and its architecture's effect; one of an architecture that was
never measured, the first two. Software that is not known is `other`, the pool of all software on that class of engine.

In a scenario, `software` of a device brings all of it but `sync_s`: collectives of a simulated plan pay their links' latencies instead.

How accurate is this? `experiments/validation/README.md` has the errors, with and without the device or the model at hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from math import exp, inf, log
from typing import Any

from edgewright.hwmodels.efficiency import default_efficiency
from edgewright.hwmodels.specs import Device, Efficiency, Engine
from edgewright.hwmodels.work import KERNELS

__all__ = [
    "OTHER",
    "CollectiveCosts",
    "Effect",
    "Figures",
    "Power",
    "Software",
    "architecture_of",
    "arithmetic",
    "bus_share",
    "collective_costs",
    "core_share",
    "engine_class",
    "families",
    "figures_of",
    "measured_name",
    "power_class",
    "power_of",
    "software",
    "software_names",
    "tuned",
]

OTHER = "other"
"""The family of software that is not known: the pool of all on a class of engine."""

_MOST_COMPUTE, _MOST_MEMORY = 2.0, 1.0


@dataclass(frozen=True, slots=True)
class Effect:
    """Logarithms by which times differ from the family's: of arithmetic, of memory, and of launches and steps."""

    compute: float = 0.0
    memory: float = 0.0
    overhead: float = 0.0

    def __add__(self, other: Effect) -> Effect:
        return Effect(self.compute + other.compute, self.memory + other.memory, self.overhead + other.overhead)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a family of software reaches on a class of engines.

    Attributes:
        compute, memory: fractions of peak and of bandwidth by kernel class and format (`gemv.int8`; `elementwise` in any).
        ramp: seconds per launch by kernel class and format, besides the launch itself.
        launch: kernel launches cost so many times the device's launch overhead.
        step_s: seconds of the host per step (a decode step, a batch) that nothing hides.
        sync_s: seconds per synchronisation of several devices, besides the links'.
        sequence_s: seconds of the host per sequence of a step (sampling, bookkeeping).
        core: fraction of the bus that one core of a CPU can draw.
        overlap: exponent of the roofs, the inverse of `Efficiency.serial`.
        spread: 5 % and 95 % quantiles of log(measured / predicted) on devices that the fit has seen; `spread_unseen` on those it has not.
        rows: measurements behind the figures.
    """

    compute: Mapping[str, float]
    memory: Mapping[str, float]
    ramp: Mapping[str, float] = field(default_factory=dict)
    launch: float = 1.0
    step_s: float = 0.0
    sync_s: float = 0.0
    sequence_s: float = 0.0
    core: float = 0.4
    overlap: float = inf
    spread: tuple[float, float] = (-0.7, 0.7)
    spread_unseen: tuple[float, float] = (-0.7, 0.7)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class CollectiveCosts:
    """What the collectives of a library cost on a system of GPUs.

    Attributes:
        figures: by the names of `hwmodels.collective_library.cost_terms`.
        spread: 5 % and 95 % quantiles of log(measured / predicted).
    """

    figures: Mapping[str, float]
    spread: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Power:
    """How the power of a class of devices differs from what `hwmodels.energy` derives of their limits.

    Attributes:
        static, compute, memory: factors on the static power of the engine, and on the energy of arithmetic and caches, and of memory.
        rail: fraction of the module's idle power that flows over the engine's own rail.
        spread: 5 % and 95 % quantiles of log(measured / predicted energy).
        rows: measurements behind the factors.
    """

    static: float = 1.0
    compute: float = 1.0
    memory: float = 1.0
    rail: float = 0.0
    spread: tuple[float, float] = (-0.5, 0.5)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Software:
    """A device tuned to a family of software, and what its price leaves out.

    Attributes:
        device: with the efficiencies of the software on the engine in question.
        step_s, sync_s, sequence_s: as in `Figures`, with the device's effect in them.
        low, high: factors on a predicted time between which nine of ten measurements fall.
        seen: whether the device was among those that the figures come from.
    """

    device: Device
    step_s: float
    sync_s: float
    sequence_s: float
    low: float
    high: float
    seen: bool
    figures: Figures = field(repr=False)


def engine_class(device: Device, engine: str) -> str:
    """The class of an engine whose software is comparable: `cuda`, `metal` and `mobile` GPUs, else the kind of the engine."""
    kind = device.engines[engine].kind
    if kind != "gpu":
        return kind
    return {"gpu_discrete": "cuda", "gpu_integrated": "cuda", "mac": "metal"}.get(device.kind, "mobile")


def architecture_of(device: Device, engine: str) -> str:
    """The family of the engine's design (`ampere`, `cortex-a76`, ...) by the device's name; empty if nobody says."""
    table: Mapping[str, str] = _document("architectures").get(device.engines[engine].kind, {})
    return next((name for pattern, name in table.items() if re.search(pattern, device.name)), "")


def measured_name(device: Device) -> str:
    """The name under which measurements of a device are kept: without the engine that a companion's name ends with."""
    return re.sub(r"_(cpu|npu|gpu\d*)$", "", device.name)


def software_names(engine: str) -> tuple[str, ...]:
    """The families known on a class of engines, sorted."""
    return tuple(sorted(name for name, classes in _document("software")["software"].items() if engine in classes))


def families() -> tuple[str, ...]:
    """All families of software that anything is known of, sorted."""
    return tuple(sorted(_document("software")["software"]))


def software(device: Device, engine: str, family: str, threads: float | None = None, cores: float | None = None) -> Software:
    """A device tuned to a family of software.

    Args:
        device, engine: a specification and the name of one of its engines.
        family: of the software; one that is unknown on this class of engine is taken as `other`.
        threads: of a CPU with `cores` cores; None: all of them.

    Raises `ValueError` for a device without that engine.
    """
    if engine not in device.engines:
        raise ValueError(f"device {device.name!r} has no engine {engine!r}: it has {', '.join(device.engines)}")
    figures, effect, seen = figures_of(device, engine, family)
    low, high = figures.spread if seen else figures.spread_unseen
    made = tuned(device, engine, family, figures, effect, threads, cores)
    scale = exp(effect.overhead)
    return Software(made, figures.step_s * scale, figures.sync_s * scale, figures.sequence_s * scale, exp(low), exp(high), seen, figures)


def collective_costs(system: str) -> CollectiveCosts | None:
    """The costs that were learned for a system, None if it was not measured."""
    entry = _document("software").get("collectives", {}).get(system)
    return None if entry is None else CollectiveCosts(entry["costs"], (float(entry["spread"][0]), float(entry["spread"][1])))


def power_class(device: Device, engine: str) -> str:
    """The class of devices whose power is comparable: the kind of the device and of the engine that works, or the core of a controller."""
    kind = device.engines[engine].kind
    return f"{device.kind}/{architecture_of(device, engine) if kind == 'mcu' else kind}"


def power_of(device: Device, engine: str) -> Power:
    """The factors of a device's class; those of `hwmodels.energy` as they are where nothing was measured."""
    entry: dict[str, Any] = dict(_document("software").get("power", {}).get(power_class(device, engine), {}))
    if "spread" in entry:
        entry["spread"] = (float(entry["spread"][0]), float(entry["spread"][1]))
    return Power(**entry)


def figures_of(device: Device, engine: str, family: str) -> tuple[Figures, Effect, bool]:
    """The figures of a family on a class of engines, the effect of the device at hand, and whether the device was measured with it."""
    where, data = engine_class(device, engine), _document("software")
    known = data["software"].get(family, {})
    name = family if where in known else OTHER
    figures = _figures(name, where)
    effects = data["effects"]
    pair = f"{name}/{where}/{measured_name(device)}"
    parts = (
        effects["architectures"].get(f"{where}/{architecture_of(device, engine)}"),
        effects["devices"].get(f"{where}/{measured_name(device)}"),
        effects["pairs"].get(pair),
    )
    total = Effect()
    for part in parts:
        total = total + Effect(*part) if part else total
    return figures, total, pair in effects["pairs"]


def tuned(
    device: Device,
    engine: str,
    family: str,
    figures: Figures,
    effect: Effect | None = None,
    threads: float | None = None,
    cores: float | None = None,
) -> Device:
    """The device with an engine whose efficiencies, launch overhead and arithmetic are those of given figures."""
    unit, shift = device.engines[engine], effect or Effect()
    share = core_share(threads, cores)
    peaks = {name: peak * share for name, peak in arithmetic(family, unit.kind, unit.peaks).items()}
    bus = bus_share(unit) * _drawn(figures.core, threads, cores)
    efficiency = _efficiencies(unit, figures, shift, bus, engine_class(device, engine))
    launch = unit.launch_overhead * figures.launch * exp(shift.overhead)
    made = replace(unit, peaks=peaks, efficiency=efficiency, launch_overhead=launch, joules_per_flop=_joules(unit, peaks))
    return replace(device, engines=dict(device.engines) | {engine: made})


def _joules(unit: Engine, peaks: Mapping[str, float]) -> dict[str, float]:
    """Energy per operation of every format: of one that other units compute, as much as of fp32, or of the first that has a figure."""
    known = dict(unit.joules_per_flop)
    usual = known.get("fp32", next(iter(known.values()), None))
    return known if usual is None else {dtype: known.get(dtype, usual) for dtype in (*known, *peaks)}


def arithmetic(family: str, kind: str, peaks: Mapping[str, float]) -> dict[str, float]:
    """The peaks of the units that a family of software really computes on, by the format it is asked in.

    Several engines multiply a format on other units than the fastest (llama.cpp's byte products ran on the vector units, its half-precision
    products accumulate in half precision where the card allows): `catalog/architectures.yaml` lists format, unit and ratio.
    """
    rules: Mapping[str, Mapping[str, Any]] = _document("architectures")["arithmetic"].get(f"{family}/{kind}", {})
    found = dict(peaks)
    for dtype, rule in rules.items():
        unit = next((name for name in rule["units"] if name in peaks), None)
        if unit is not None:
            found[dtype] = peaks[unit] * float(rule.get("times", 1.0))
    return found


def core_share(threads: float | None, cores: float | None) -> float:
    """The fraction of a CPU's arithmetic that some of its cores do."""
    return 1.0 if not threads or not cores else min(1.0, threads / cores)


def bus_share(unit: Engine) -> float:
    """The fraction of the bus that streams reach on a device whose entry says so, relative to what is usual for its kind."""
    usual, own = default_efficiency(unit.kind, "copy").memory, unit.efficiency.get("copy")
    return 1.0 if own is None else min(1.0, own.memory / usual)


def _drawn(core: float, threads: float | None, cores: float | None) -> float:
    """The fraction of what all cores draw from the bus together that some of them draw: each takes `core` of what the others leave."""
    if not threads or not cores:
        return 1.0
    return float((1.0 - (1.0 - core) ** min(threads, cores)) / (1.0 - (1.0 - core) ** cores))


def _efficiencies(unit: Engine, figures: Figures, shift: Effect, bus: float, where: str) -> dict[str, Efficiency]:
    """Of every kernel class, in every format that has a figure and in any other."""
    found: dict[str, Efficiency] = {}
    slower = exp(shift.overhead)
    for kernel in KERNELS:
        compute, memory, ramp = (_rates(kernel, each) for each in (figures.compute, figures.memory, figures.ramp))
        if not compute:
            usual = _figures(OTHER, where)
            compute, memory, ramp = (_rates(kernel, each) for each in (usual.compute, usual.memory, usual.ramp))
        if not compute:
            plain = default_efficiency(unit.kind, kernel)
            compute, memory, ramp = {kernel: plain.compute}, {kernel: plain.memory}, {kernel: plain.ramp}
        for key, rate in (compute | {kernel: _middle(compute)}).items():
            fast = min(_MOST_COMPUTE, rate * exp(-shift.compute))
            wide = min(_MOST_MEMORY, memory.get(key, _middle(memory)) * exp(-shift.memory)) * bus
            filled = ramp.get(key, _middle(ramp) if ramp else 0.0) * slower
            found[key] = Efficiency(fast, wide, filled, 1.0 / figures.overlap)
    return found


def _rates(kernel: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in figures.items() if key == kernel or key.startswith(f"{kernel}.")}


def _middle(rates: Mapping[str, float]) -> float:
    """The geometric mean."""
    return exp(sum(log(max(rate, 1e-12)) for rate in rates.values()) / len(rates))


@cache
def _figures(family: str, where: str) -> Figures:
    entry: dict[str, Any] = dict(_document("software")["software"].get(family, {}).get(where, {"compute": {}, "memory": {}}))
    for name in ("spread", "spread_unseen"):
        if name in entry:
            entry[name] = (float(entry[name][0]), float(entry[name][1]))
    return Figures(**entry)


@cache
def _document(name: str) -> Any:
    import yaml

    text = files("edgewright.hwmodels.catalog").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
