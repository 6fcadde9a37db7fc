"""A timed point, and the file of them: one JSON line each, written as they come, so that a run that was stopped goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgewright.hwmodels.kernel_work import kernel_work
from edgewright.hwmodels.work import Work
from edgewright.kernels import Sample, kernel

__all__ = ["TORCH_AXES", "Timing", "TimingFile", "axes_of", "machine_facts", "reach_of", "read_timings", "timed_class", "write_timings"]

TORCH_AXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "torch_gemv": ("m", "n"),
        "torch_gemm": ("m", "n", "k"),
        "torch_attention": ("batch", "tokens", "kv_heads", "group", "width"),
        "torch_attention_decode": ("batch", "context", "kv_heads", "group", "width"),
    }
)
"""Operators of PyTorch that timings may be of, beside our own kernels, with the axes of their shapes."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of one call of a kernel: what of a harness's `Sample` a fit needs.

    Attributes:
        kernel, shape, dtype, threads, implementation: as in `Sample`.
        reach: bytes that calls go through before any is used again; the operands of one, or the footprint of a cold cache.
        seconds, low, high: median of a call and its confidence interval.
        reasons: what speaks against the figure.
    """

    kernel: str
    shape: tuple[int, ...]
    dtype: str
    threads: int
    implementation: str
    reach: float
    seconds: float
    low: float
    high: float
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, sample: Sample, footprint: float) -> Timing:
        """The timing of a sample, whose operands were at least `footprint` bytes in all."""
        known = (sample.kernel, tuple(sample.shape), sample.dtype, sample.threads, sample.implementation)
        own = reach_of(sample.kernel, tuple(sample.shape), sample.dtype)
        return cls(*known, max(own, footprint), sample.seconds, sample.low, sample.high, sample.reasons)

    @property
    def work(self) -> Work:
        """What the call asks of hardware; raises `ValueError` for a probe of latency."""
        return kernel_work(self.kernel, self.shape, self.dtype)

    @property
    def log_error(self) -> float:
        """Half the width of the interval of log(seconds)."""
        return 0.5 * log(self.high / self.low)


_PAST = "_past"
"""Kernels that write past the caches exist where native code runs; their timings are read everywhere."""


def reach_of(name: str, shape: tuple[int, ...], dtype: str) -> float:
    """Bytes of the operands that one call goes through: a probe's passes go over the same ones again."""
    if name == "chase":
        return 64.0 * shape[0]
    if name in ("read", "triad", "triad_past"):
        shape = (shape[0], 1)
    return float(sum(kernel_work(name, shape, dtype).bytes.values()))


def timed_class(name: str) -> str:
    """The kernel class that timings of `name` tell about; empty for a probe of the machine."""
    if name.startswith("peak_") or name.endswith(_PAST):
        return ""  # a probe: perhaps one of PyTorch's, in a format that no kernel here has
    return name.removeprefix("torch_") if name in TORCH_AXES else kernel(name).kernel_class


def axes_of(name: str) -> tuple[str, ...]:
    """The names of the entries of its shape."""
    return TORCH_AXES[name] if name in TORCH_AXES else kernel(name.removesuffix(_PAST)).axes


class TimingFile:
    """Timings in a file of JSON lines, headed by the machine that they are of.

    A line that was cut off by a crash is the last one, and dropped when the file is opened again.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Opens or makes the file; raises `ValueError` if it is of another machine, or holds something else."""
        self.path = path
        self.timings: list[Timing] = []
        if path.exists() and path.stat().st_size:
            found, self.timings = read_timings(path)
            differing = [key for key in ("cpu", "cores", "kernels") if found.get(key) != facts.get(key)]
            if differing:
                raise ValueError(f"{path} is of another machine: {differing[0]} is {found.get(differing[0])!r} there")
            facts = found
        self.facts = dict(facts)
        self._rewrite()

    def append(self, timing: Timing) -> None:
        """Add one, on the disk when this returns."""
        self.timings.append(timing)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(timing))
            file.flush()
            os.fsync(file.fileno())

    def _rewrite(self) -> None:
        fresh = self.path.with_name(self.path.name + ".part")
        write_timings(fresh, self.facts, self.timings)
        os.replace(fresh, self.path)


def write_timings(path: Path, facts: Mapping[str, Any], timings: Iterable[Timing]) -> None:
    """Write a whole file."""
    path.write_text(json.dumps({"machine": dict(facts)}) + "\n" + "".join(map(_line, timings)), encoding="utf-8")


def read_timings(path: Path) -> tuple[dict[str, Any], list[Timing]]:
    """The machine and the timings of a file, a torn last line left out; raises `ValueError` for a file of something else."""
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        facts = dict(json.loads(lines[0])["machine"])
        rows = [json.loads(line) for line in lines[1:-1]]
    except (ValueError, KeyError, TypeError, IndexError):
        raise ValueError(f"{path} holds no timings of kernels: its first line must name the machine, each other be a timing") from None
    with contextlib.suppress(ValueError):
        rows += [json.loads(line) for line in lines[1:][-1:]]
    return facts, [Timing(**{**row, "shape": tuple(row["shape"]), "reasons": tuple(row["reasons"])}) for row in rows]


def _line(timing: Timing) -> str:
    return json.dumps(asdict(timing)) + "\n"


def machine_facts(names: Iterable[str]) -> dict[str, Any]:
    """What is known of this machine and of the named kernels: `cpu`, `cores`, `caches` (bytes by level), `memory` (bytes), `kernels`
    (implementation by name), `path` (the native code path), `software` (versions). What cannot be read is None."""
    import platform
    from importlib.metadata import version

    from edgewright.kernels import native_status

    return {
        "cpu": _cpu_model() or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(Path("/sys/devices/system/cpu/cpu0/cache")),
        "memory": _memory(),
        "system": platform.system(),
        "kernels": {name: kernel(name).implementation for name in sorted(names)},
        "path": native_status().path,
        "software": {name: version(name) for name in ("edgewright", "numpy", "numba")},
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    # x86 numbers its `model` besides naming it; Arm boards have a capital `Model` alone.
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))), None)


def _caches(folder: Path) -> dict[str, int] | None:
    """Bytes of data caches by level, as the kernel of Linux lists them."""
    found = {}
    for index in sorted(folder.glob("index*")):
        try:
            kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = int(size.rstrip("KM")) * (2**20 if size.endswith("M") else 2**10)
    return found or None


def _memory() -> int | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
