"""Questions as arrays: the price of hundreds of rows at once, for the fit.

`Flat.seconds` is the formula of `hwmodels.roofline` for devices tuned by `hwmodels.software`, with the figures as variables; that both agree
is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.validation.asking import Ask, cores_of
from edgewright.hwmodels.efficiency import default_efficiency
from edgewright.hwmodels.roofline import peak_of
from edgewright.hwmodels.software import arithmetic, bus_share, core_share, engine_class
from edgewright.hwmodels.work import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COMMON", "Flat", "family_of", "key_of"]

COMMON = ("launch", "step_s", "sync_s", "core", "overlap")
"""Figures of a family that are not of a kernel class."""

_FORMATLESS = ("elementwise", "copy")
_START = {"launch": 1.0, "step_s": 2e-4, "sync_s": 1e-5, "core": 0.4, "overlap": 4.0}
_WIDTH = {"launch": 1.0, "step_s": 1.5, "sync_s": 1.0, "core": 0.5, "overlap": 0.4}


def family_of(ask: Ask) -> tuple[str, str]:
    """The family of software and the class of engine that a question is about."""
    return ask.software, engine_class(ask.device, ask.engine)


def key_of(kernel: str, dtype: str) -> str:
    """The key of a figure: kernel class and format."""
    return kernel if kernel in _FORMATLESS else f"{kernel}.{dtype}"


class Flat:
    """The terms of many questions to one family on one class of engines.

    Attributes:
        keys: kernel classes and formats that occur; `devices`, `architectures` likewise.
        start, width: logarithms of the figures before the fit, and how far they may plausibly move: `COMMON`, then the compute figure of
            every key, then the memory figure of every key.
    """

    def __init__(self, asks: Sequence[Ask]) -> None:
        keys: dict[str, int] = {}
        devices: dict[str, int] = {}
        table: list[tuple[float, ...]] = []
        for index, ask in enumerate(asks):
            device = devices.setdefault(ask.device.name, len(devices))
            table += [_term(term, ask, keys, index, device) for term in ask.work]
        self.count = len(asks)
        rows: NDArray[np.float64] = np.array(table, dtype=float).reshape(-1, 10)
        self.row, self.key, self.device = (rows[:, column].astype(int) for column in range(3))
        self.compute, self.memory, self.cache, self.launch = (rows[:, column] for column in range(3, 7))
        self.threads, self.cores, self.bus = rows[:, 7], rows[:, 8], rows[:, 9]
        self.steps, self.links, self.syncs = (np.array([getattr(each, name) for each in asks]) for name in ("steps", "links_s", "syncs"))
        self.owner = np.array([devices[each.device.name] for each in asks], dtype=int)
        self.keys, self.devices = tuple(keys), tuple(devices)
        kind = asks[0].device.engines[asks[0].engine].kind
        usual = [default_efficiency(kind, key.split(".")[0]) for key in self.keys]
        first = dict(_START, step_s=1e-5 if kind == "mcu" else _START["step_s"])
        self.start = np.log([*first.values(), *(each.compute for each in usual), *(each.memory for each in usual)])
        self.width = np.array([*_WIDTH.values(), *(0.7 for _ in usual), *(0.35 for _ in usual)])

    def seconds(self, logs: NDArray[np.float64], effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds of every question for logarithms of the figures, and an effect per device (compute, memory, overhead)."""
        count = len(self.keys)
        launch, step_s, sync_s, core, overlap = np.exp(logs[:5])
        core, overlap = min(core, 0.95), max(overlap, 1.0)
        compute, memory = logs[5 : 5 + count], logs[5 + count :]
        fast = np.minimum(2.0, np.exp(compute[self.key] - effects[self.device, 0]))
        wide = np.minimum(1.0, np.exp(memory[self.key] - effects[self.device, 1])) * self.bus
        drawn = (1.0 - (1.0 - core) ** self.threads) / (1.0 - (1.0 - core) ** self.cores)
        arithmetic_s, memory_s = self.compute / fast, self.memory / (wide * drawn)
        larger, smaller = np.maximum(arithmetic_s, memory_s), np.minimum(arithmetic_s, memory_s)
        ratio = smaller / np.where(larger > 0.0, larger, 1.0)
        fluid = np.maximum(larger * (1.0 + ratio**overlap) ** (1.0 / overlap), self.cache)
        slower = np.exp(effects[:, 2])
        priced = fluid + self.launch * launch * slower[self.device]
        host = self.steps * step_s * slower[self.owner] + self.links + self.syncs * sync_s * slower[self.owner]
        summed: NDArray[np.float64] = np.bincount(self.row, priced, self.count) + host
        return summed


def _term(term: Term, ask: Ask, keys: dict[str, int], index: int, device: int) -> tuple[float, ...]:
    engine = ask.device.engines[ask.engine]
    cores = cores_of(ask.device, ask.engine)
    threads = min(ask.threads, cores) if ask.threads and cores else (cores or 1.0)
    peaks = {name: peak * core_share(ask.threads, cores) for name, peak in arithmetic(ask.software, engine.kind, engine.peaks).items()}
    dtype, peak = _peak(engine.name, peaks, term.dtype)
    spilled = term.activations
    if engine.cache_bandwidth and float(term.activations) <= engine.cache_bytes * float(term.launches):
        spilled = 0.0
    streamed = float(term.weights + term.kv + spilled)
    cache = float(term.bytes) / (engine.cache_bandwidth * ask.clock) if engine.cache_bandwidth else 0.0
    own = engine.launch_overhead / (ask.clock if engine.kind in ("cpu", "mcu") else 1.0)
    key = keys.setdefault(key_of(term.kernel, dtype), len(keys))
    bandwidth = ask.device.buses[engine.bus].bandwidth
    return (
        index,
        key,
        device,
        float(term.flops) / (peak * ask.clock),
        streamed / bandwidth,
        cache,
        float(term.launches) * own,
        threads,
        cores or 1.0,
        bus_share(engine),
    )


def _peak(name: str, peaks: dict[str, float], dtype: str) -> tuple[str, float]:
    from edgewright.hwmodels import Engine

    return peak_of(Engine(name, "", peaks, ""), dtype)
