"""Joules that a machine, a board or a meter says were used: RAPL, perf, INA3221, NVML, or the log of an external meter.

`reader()` gives the first that can be read here; `used(reader, act)` says what an act took. Each answer is *measured* (a counter of
energy), *estimated* (power sampled and integrated) or *unavailable*, with the reason, and never zero for unknown.

How wrong: RAPL counts a package (and, where there is, DRAM), without fans, disks and losses of the supply; on processors that model their
power rather than sense it, some per cent off. INA3221 rails are those that the board's maker wired. Sampling misses what is shorter than
its period. A counter that wraps more than once between two readings (hours at full power) is read too low.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from time import time as wall_time
from types import MappingProxyType
from typing import Literal, Protocol

__all__ = ["READERS", "Ina3221", "MeterLog", "Nvml", "Perf", "Rapl", "Reader", "Reading", "meter_joules", "perf_joules", "reader", "used"]

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Energy over a span.

    Attributes:
        joules: None where it is unavailable.
        seconds: of the span.
        kind: `measured`, `estimated` or `unavailable`.
        source: what was read; or, where it is unavailable, why.
    """

    joules: float | None
    seconds: float
    kind: Literal["measured", "estimated", "unavailable"]
    source: str


class Reader(Protocol):
    """Something that can be read on this machine."""

    @property
    def source(self) -> str:
        """What is read, in words."""

    def begin(self) -> Callable[[], Reading]:
        """Start; what it gives ends the span and says its joules and seconds. Raises `OSError` where nothing can be read."""


class Rapl:
    """The counters of processor packages (and of DRAM) under `powercap`, in microjoules; they wrap at `max_energy_range_uj`.

    Since 2020 only root may read them.
    """

    def __init__(self, root: Path = Path("/sys/class/powercap")) -> None:
        """Raises `OSError` if no package can be read."""
        zones = [zone for zone in sorted(root.glob("*-rapl:*")) if _counts(zone)]
        self._zones = [zone for zone in zones if re.fullmatch(r"[^:]+:\d+", zone.name) or _text(zone / "name") == "dram"]
        if not self._zones:
            raise OSError(f"no package under {root}")
        self.source = "RAPL: " + ", ".join(_text(zone / "name") for zone in self._zones)
        self._read()

    def begin(self) -> Callable[[], Reading]:
        """Joules of all packages until the call, one wrap of each counter allowed for."""
        before, start = self._read(), monotonic()

        def end() -> Reading:
            ranges = [_number(zone / "max_energy_range_uj") for zone in self._zones]
            after, seconds = self._read(), monotonic() - start
            spent = [now - then if now >= then else now - then + top for then, now, top in zip(before, after, ranges, strict=True)]
            return Reading(sum(spent) * 1e-6, seconds, "measured", self.source)

        return end

    def _read(self) -> list[float]:
        return [_number(zone / "energy_uj") for zone in self._zones]


class Ina3221:
    """The power monitor of Jetson boards: millivolts and milliamperes by rail under `hwmon`, sampled.

    The whole module is the rail `VDD_IN` (or `POM_5V_IN`, by board); if there is none of these, all rails are added.
    """

    def __init__(self, root: Path = Path("/sys/bus/i2c/drivers/ina3221"), period: float = 0.02) -> None:
        """Raises `OSError` if there is no rail."""
        self._rails: dict[str, tuple[Path, Path]] = {}
        for label in sorted(root.glob("*/hwmon/hwmon*/in*_label")):
            number = re.sub(r"\D", "", label.name)
            current = label.with_name(f"curr{number}_input")
            if current.exists():
                self._rails[_text(label)] = (label.with_name(f"in{number}_input"), current)
        if not self._rails:
            raise OSError(f"no rail under {root}")
        inputs = [name for name in self._rails if name in ("VDD_IN", "POM_5V_IN")]
        self._chosen = inputs or list(self._rails)
        self._period = period
        self.source = "INA3221: " + ", ".join(self._chosen)

    def watts(self) -> float:
        """Power of the module now."""
        return sum(_number(volts) * _number(amperes) for volts, amperes in (self._rails[name] for name in self._chosen)) * 1e-6

    def begin(self) -> Callable[[], Reading]:
        """Power sampled every period and integrated by trapezoids."""
        samples, stop = [(monotonic(), self.watts())], Event()

        def sample() -> None:
            while not stop.wait(self._period):
                samples.append((monotonic(), self.watts()))

        thread = Thread(target=sample, daemon=True)
        thread.start()

        def end() -> Reading:
            stop.set()
            thread.join()
            samples.append((monotonic(), self.watts()))
            return Reading(_integral(samples), samples[-1][0] - samples[0][0], "estimated", self.source)

        return end


class Nvml:
    """The energy counter of NVIDIA GPUs since Volta, in millijoules, of all cards together."""

    def __init__(self) -> None:
        """Raises `OSError` if `pynvml` (package `nvidia-ml-py`) or a card with a counter is missing."""
        try:
            import pynvml  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise OSError("NVML needs the package nvidia-ml-py") from None
        try:
            pynvml.nvmlInit()
            self._cards = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            self._count = pynvml.nvmlDeviceGetTotalEnergyConsumption
            self._read()
        except pynvml.NVMLError as error:
            raise OSError(f"NVML: {error}") from None
        self.source = f"NVML: {len(self._cards)} cards"

    def begin(self) -> Callable[[], Reading]:
        """Joules of all cards until the call."""
        before, start = self._read(), monotonic()
        return lambda: Reading(self._read() - before, monotonic() - start, "measured", self.source)

    def _read(self) -> float:
        return sum(float(self._count(card)) for card in self._cards) * 1e-3


class Perf:
    """The same counters through `perf stat`, which may be allowed where the files of RAPL are not."""

    EVENTS = ("power/energy-pkg/", "power/energy-ram/")
    """What is counted, where the processor has it."""

    def __init__(self, command: Sequence[str] = ("perf",)) -> None:
        """Raises `OSError` if `perf` is missing, or counts no energy here."""
        self._command = tuple(command)
        if shutil.which(self._command[0]) is None:
            raise OSError(f"no command {self._command[0]}")
        if perf_joules(self._ended(self._started(), wait=0.05)) is None:
            raise OSError("perf counts no energy here")
        self.source = "perf: " + ", ".join(self.EVENTS)

    def begin(self) -> Callable[[], Reading]:
        """Joules of all packages until the call. The call raises `OSError` where nothing was counted."""
        running, start = self._started(), monotonic()

        def end() -> Reading:
            seconds = monotonic() - start
            joules = perf_joules(self._ended(running))
            if joules is None:
                raise OSError("perf counted no energy")
            return Reading(joules, seconds, "measured", self.source)

        return end

    def _started(self) -> subprocess.Popen[str]:
        """Counting as long as `cat` reads, which ends with its input."""
        events = [part for event in self.EVENTS for part in ("-e", event)]
        call = [*self._command, "stat", "-a", "-x,", *events, "--", "cat"]
        return subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def _ended(self, running: subprocess.Popen[str], wait: float = 0.0) -> str:
        sleep(wait)
        return running.communicate(timeout=_PATIENCE)[1]


class MeterLog:
    """An external meter that writes its log while the spans run: a CSV with columns of time (seconds since 1970) and power (watts)."""

    def __init__(self, path: Path, time: str = "seconds", power: str = "watts", patience: float = 10.0) -> None:
        """Waits up to `patience` seconds for the log to cover a span. Raises `OSError` if there is no such file."""
        if not path.is_file():
            raise OSError(f"no file {path}")
        self._path, self._columns, self._patience = path, (time, power), patience
        self.source = f"meter: {path.name}"

    def begin(self) -> Callable[[], Reading]:
        """Joules in the log until the call, which raises `ValueError` where the log lacks columns, or does not come to cover the span."""
        start = wall_time()

        def end() -> Reading:
            stop = wall_time()
            last = stop + self._patience
            while True:
                try:
                    return meter_joules(self._path, start, stop, *self._columns)
                except ValueError:
                    if wall_time() > last:
                        raise
                    sleep(0.1)

        return end


READERS: Mapping[str, Callable[[], Reader]] = MappingProxyType({"ina3221": Ina3221, "rapl": Rapl, "perf": Perf, "nvml": Nvml})
"""Readers by name."""


def reader(makers: Sequence[Callable[[], Reader]] = (Ina3221, Rapl, Perf)) -> Reader | Reading:
    """The first that can be read here; if none, an unavailable `Reading` that says why of each.

    Those of a whole machine, if none are named: NVML counts cards alone.
    """
    why = []
    for make in makers:
        try:
            return make()
        except OSError as error:
            why.append(str(error))
    return Reading(None, 0.0, "unavailable", "; ".join(why))


def used(source: Reader | Reading, act: Callable[[], object]) -> Reading:
    """What an act took, or that this cannot be known."""
    if isinstance(source, Reading):
        start = monotonic()
        act()
        return Reading(None, monotonic() - start, "unavailable", source.source)
    end = source.begin()
    act()
    return end()


def perf_joules(text: str) -> float | None:
    """Joules in what `perf stat -x, -e power/energy-pkg/` wrote, summed over its events; None if none was counted."""
    found = []
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[1] == "Joules":
            with suppress(ValueError):
                found.append(float(fields[0]))
    return sum(found) if found else None


def meter_joules(path: Path, start: float, stop: float, time: str = "seconds", power: str = "watts") -> Reading:
    """The energy between two moments, on the clock of an external meter's CSV with columns of time and power.

    Power between samples is interpolated. Raises `ValueError` for a missing column, and where the log does not cover the span.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or _missing(rows[0], time, power):
        raise ValueError(f"{path}: the columns {time!r} and {power!r} are needed")
    samples = sorted((float(row[time]), float(row[power])) for row in rows)
    if not samples[0][0] <= start < stop <= samples[-1][0]:
        raise ValueError(f"{path}: the log covers {samples[0][0]:g} to {samples[-1][0]:g} s, not {start:g} to {stop:g} s")
    inside = [(at, watts) for at, watts in samples if start < at < stop]
    span = [(start, _at(samples, start)), *inside, (stop, _at(samples, stop))]
    return Reading(_integral(span), stop - start, "measured", f"meter: {path.name}")


def _missing(row: dict[str, str], *columns: str) -> bool:
    """Whether a row lacks one of the columns."""
    return any(row.get(column) is None for column in columns)


def _at(samples: Sequence[tuple[float, float]], moment: float) -> float:
    import numpy as np

    return float(np.interp(moment, [at for at, _ in samples], [watts for _, watts in samples]))


def _integral(samples: Sequence[tuple[float, float]]) -> float:
    return sum((later - at) * (watts + then) / 2 for (at, watts), (later, then) in pairwise(samples))


def _counts(zone: Path) -> bool:
    try:
        return _number(zone / "energy_uj") >= 0
    except (OSError, ValueError):
        return False


def _number(path: Path) -> float:
    return float(_text(path))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
