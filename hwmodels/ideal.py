"""Ideal hardware with round numbers: full efficiency, no overheads, no power unless given. For learning, tests and bounds.

cluster = Cluster({"a": ideal_device(flops=10.0, bandwidth=5.0)}, (), (), ())
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgewright.hwmodels.specs import Bus, Device, Efficiency, Engine, Link, Pool, Storage
from edgewright.hwmodels.work import KERNELS

__all__ = ["ideal_device", "ideal_link", "ideal_storage"]

_PERFECT: Mapping[str, Efficiency] = {kernel: Efficiency(1.0, 1.0) for kernel in KERNELS}


def ideal_device(
    flops: float = 1.0,
    bandwidth: float = float("inf"),
    memory: float = float("inf"),
    *,
    engines: tuple[str, ...] = ("cpu",),
    idle_W: float = 0.0,
    busy_W: float = 0.0,
    joules_per_flop: float = 0.0,
) -> Device:
    """A device whose engines (each of `flops` operations per second in every format, at 1 Hz) share one bus and one pool.

    `busy_W`: static watts above idle while an engine is busy; `joules_per_flop`: dynamic energy. Moving bytes costs none.
    """
    peaks = dict.fromkeys(("fp32", "fp16", "bf16", "int8", "int4"), flops)
    units = {
        name: Engine(
            name,
            "cpu",
            peaks,
            "dram",
            _PERFECT,
            clock_max=1.0,
            clock_min=0.1,
            static_W=busy_W,
            joules_per_flop=dict.fromkeys(peaks, joules_per_flop),
            joules_per_byte=0.0,
            joules_per_cache_byte=0.0,
            voltage_floor=1.0,
        )
        for name in engines
    }
    peak = idle_W + len(engines) * (busy_W + joules_per_flop * flops)
    return Device(
        "ideal",
        "ideal device",
        "ideal",
        units,
        {"dram": Bus("dram", bandwidth)},
        {"ram": Pool("ram", memory, "dram")},
        idle_W,
        max(peak, idle_W),
    )


def ideal_link(
    bandwidth: float,
    latency: float = 0.0,
    *,
    duplex: Literal["full", "half", "shared"] = "full",
    mtu: float = 0.0,
    joules_per_byte: float = 0.0,
) -> Link:
    """A link without headers or message costs; `mtu` 0 makes every message a flow."""
    return Link("ideal", "ideal link", bandwidth, latency, duplex=duplex, mtu=mtu, joules_per_byte=joules_per_byte)


def ideal_storage(read: float, write: float | None = None, latency: float = 0.0) -> Storage:
    """A storage that reads and writes at full rate from the first byte."""
    return Storage("ideal", "ideal storage", read, read if write is None else write, latency)
