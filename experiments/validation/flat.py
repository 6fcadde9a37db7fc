"""Questions as arrays: the price of hundreds of rows at once, for the fit.

`Flat.seconds` is the formula of `hwmodels.roofline` for devices tuned by `hwmodels.software`, with the figures as variables; that both
agree is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.validation.asking import Ask, cores_of
from edgewright.hwmodels.efficiency import default_efficiency
from edgewright.hwmodels.roofline import peak_of
from edgewright.hwmodels.software import arithmetic, bus_share, core_share, engine_class, measured_name
from edgewright.hwmodels.work import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COMMON", "Flat", "family_of", "key_of"]

COMMON = ("launch", "step_s", "sync_s", "core", "overlap", "sequence_s")
"""Figures of a family that are not of a kernel class."""

_RAMP, _RAMP_MCU = 5e-7, 1e-7
_FORMATLESS = ("elementwise", "copy")
_START = {"launch": 1.0, "step_s": 2e-4, "sync_s": 1e-5, "core": 0.4, "overlap": 4.0, "sequence_s": 1e-6}
_WIDTH = {"launch": 1.0, "step_s": 1.5, "sync_s": 1.0, "core": 0.5, "overlap": 0.4, "sequence_s": 1.5}


def family_of(ask: Ask) -> tuple[str, str]:
    """The family of software and the class of engine that a question is about."""
    return ask.software, engine_class(ask.device, ask.engine)


def key_of(kernel: str, dtype: str) -> str:
    """The key of a figure: kernel class and format."""
    return kernel if kernel in _FORMATLESS else f"{kernel}.{dtype}"


class Flat:
    """The terms of many questions to one family on one class of engines.

    Attributes:
        keys: kernel classes and formats that occur; `devices` likewise.
        names: of the figures, in the order of `start`.
        start, width: logarithms of the figures before the fit, and how far they may plausibly move: `COMMON`, then the compute figure of
            every key, then the memory figure of every key, then its ramp.
    """

    def __init__(self, asks: Sequence[Ask]) -> None:
        keys: dict[str, int] = {}
        devices: dict[str, int] = {}
        table: list[tuple[float, ...]] = []
        for index, ask in enumerate(asks):
            device = devices.setdefault(measured_name(ask.device), len(devices))
            table += [_term(term, ask, keys, index, device) for term in ask.work]
        self.count = len(asks)
        rows: NDArray[np.float64] = np.array(table, dtype=float).reshape(-1, 11)
        self.row: NDArray[np.int64] = rows[:, 0].astype(np.int64)
        self.key: NDArray[np.int64] = rows[:, 1].astype(np.int64)
        self.device: NDArray[np.int64] = rows[:, 2].astype(np.int64)
        self.compute, self.memory, self.cache, self.launch = (rows[:, column] for column in range(3, 7))
        self.threads, self.cores, self.bus, self.launches = (rows[:, column] for column in range(7, 11))
        names = ("steps", "links_s", "syncs", "sequences")
        self.steps, self.links, self.syncs, self.sequences = (np.array([getattr(each, name) for each in asks]) for name in names)
        self.owner = np.array([devices[measured_name(each.device)] for each in asks], dtype=int)
        self.keys, self.devices = tuple(keys), tuple(devices)
        self.names = (*COMMON, *(f"{figure} {key}" for figure in ("compute", "memory", "ramp") for key in self.keys))
        kind = asks[0].device.engines[asks[0].engine].kind
        usual = [default_efficiency(kind, key.split(".")[0]) for key in self.keys]
        first = dict(_START, step_s=1e-5 if kind == "mcu" else _START["step_s"])
        ramp = _RAMP_MCU if kind == "mcu" else _RAMP
        self.start = np.log([*first.values(), *(each.compute for each in usual), *(each.memory for each in usual), *(ramp for _ in usual)])
        self.width = np.array([*_WIDTH.values(), *(0.7 for _ in usual), *(0.35 for _ in usual), *(1.0 for _ in usual)])

    def seconds(self, logs: NDArray[np.float64], effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds of every question for logarithms of the figures, and an effect per device (compute, memory, overhead)."""
        launch, step_s, sync_s = np.exp(logs[:3])
        slower = np.exp(effects[:, 2])
        arithmetic_s, memory_s = self._roofs(logs, effects)
        fluid = np.maximum(_norm(arithmetic_s, memory_s, _exponent(logs)), self.cache)
        priced = fluid + (self.launch * launch + self.launches * self._ramps(logs)) * slower[self.device]
        host = (self.steps * step_s + self.syncs * sync_s + self.sequences * np.exp(logs[5])) * slower[self.owner] + self.links
        summed: NDArray[np.float64] = np.bincount(self.row, priced, self.count) + host
        return summed

    def slopes(self, logs: NDArray[np.float64], effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of the seconds: a row per question, a column per figure, then three per device."""
        keys, devices = len(self.keys), len(self.devices)
        launch, step_s, sync_s = np.exp(logs[:3])
        slower = np.exp(effects[:, 2])
        arithmetic_s, memory_s = self._roofs(logs, effects)
        joined = _norm(arithmetic_s, memory_s, _exponent(logs))
        binds = (joined >= self.cache) / np.where(joined > 0.0, joined, 1.0) ** (_exponent(logs) - 1.0)
        by_compute, by_memory = arithmetic_s ** _exponent(logs) * binds, memory_s ** _exponent(logs) * binds
        by_launch = self.launch * launch * slower[self.device]
        by_ramp = self.launches * self._ramps(logs) * slower[self.device]
        host, sync = self.steps * step_s * slower[self.owner], self.syncs * sync_s * slower[self.owner]
        found = np.zeros((self.count, 6 + 3 * keys + 3 * devices))
        found[:, 0] = np.bincount(self.row, by_launch, self.count)
        sequences = self.sequences * np.exp(logs[5]) * slower[self.owner]
        found[:, 1], found[:, 2], found[:, 5] = host, sync, sequences
        for column in (3, 4):
            moved = logs.copy()
            moved[column] += 1e-4
            found[:, column] = (self.seconds(moved, effects) - self.seconds(logs, effects)) / 1e-4
        found[:, 6 : 6 + keys] = -self._summed(by_compute, self.key, keys)
        found[:, 6 + keys : 6 + 2 * keys] = -self._summed(by_memory, self.key, keys)
        found[:, 6 + 2 * keys : 6 + 3 * keys] = self._summed(by_ramp, self.key, keys)
        last = found[:, 6 + 3 * keys :].reshape(self.count, devices, 3)
        last[:, :, 0], last[:, :, 1] = self._summed(by_compute, self.device, devices), self._summed(by_memory, self.device, devices)
        last[:, :, 2] = self._summed(by_launch + by_ramp, self.device, devices)
        last[np.arange(self.count), self.owner, 2] += host + sync + sequences
        return found

    def _roofs(self, logs: NDArray[np.float64], effects: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds of arithmetic and of memory of every term."""
        count, core = len(self.keys), min(float(np.exp(logs[3])), 0.95)
        compute, memory = logs[6 : 6 + count], logs[6 + count : 6 + 2 * count]
        fast = np.minimum(2.0, np.exp(compute[self.key] - effects[self.device, 0]))
        wide = np.minimum(1.0, np.exp(memory[self.key] - effects[self.device, 1])) * self.bus
        drawn = (1.0 - (1.0 - core) ** self.threads) / (1.0 - (1.0 - core) ** self.cores)
        return self.compute / fast, self.memory / (wide * drawn)

    def _ramps(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.exp(logs[6 + 2 * len(self.keys) :])[self.key]
        return found

    def _summed(self, values: NDArray[np.float64], column: NDArray[np.int64], columns: int) -> NDArray[np.float64]:
        summed = np.bincount(self.row * columns + column, values, self.count * columns)
        found: NDArray[np.float64] = np.reshape(summed, (self.count, columns))
        return found


def _exponent(logs: NDArray[np.float64]) -> float:
    return max(float(np.exp(logs[4])), 1.0)


def _norm(first: NDArray[np.float64], second: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    larger, smaller = np.maximum(first, second), np.minimum(first, second)
    ratio = smaller / np.where(larger > 0.0, larger, 1.0)
    found: NDArray[np.float64] = larger * (1.0 + ratio**exponent) ** (1.0 / exponent)
    return found


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
        float(term.launches) / ask.clock,
    )


def _peak(name: str, peaks: dict[str, float], dtype: str) -> tuple[str, float]:
    from edgewright.hwmodels import Engine

    return peak_of(Engine(name, "", peaks, ""), dtype)
