"""Frozen specifications of devices, links and storage: what the catalogue holds and the simulator prices with.

A device is engines around memory buses and pools. Every figure of a specification may carry its `Provenance`; a figure nobody knows
is `None` and refuses to be priced, never 0. SI units throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import Literal

from edgewright.hwmodels.thermal import Thermal

__all__ = [
    "Bus",
    "Device",
    "Efficiency",
    "Engine",
    "Link",
    "Pool",
    "Provenance",
    "Spread",
    "Storage",
    "UnknownFigure",
    "provenance_of",
    "stated",
]


_NINE_OF_TEN = 1.6448536269514722
"""The normal deviate of the 95 % quantile."""


class UnknownFigure(ValueError):
    """A price needs a figure that nobody stated."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a figure comes from.

    Attributes:
        kind: `datasheet`, `measured` or `assumed`.
        source: document, measurement or reasoning, in words.
    """

    kind: Literal["datasheet", "measured", "assumed"]
    source: str


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a figure may be off: the 5, 50 and 95 % quantiles of log(true / stated).

    Between them, and beyond, the logarithm is linear in the normal deviate of a quantile: a normal distribution of its own on either side
    of the middle.
    """

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, deviation: float) -> Spread:
        """Of a normal logarithm with that standard deviation, which nothing says to be off to one side."""
        return cls(-_NINE_OF_TEN * deviation, 0.0, _NINE_OF_TEN * deviation)

    def factor(self, normal: float) -> float:
        """True / stated, where a standard normal number says which quantile is meant."""
        side = self.high - self.middle if normal > 0.0 else self.middle - self.low
        return exp(self.middle + side * normal / _NINE_OF_TEN)


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How much of a roof one kernel class reaches, in latency-plus-rate form, so that prices stay affine in work.

    A launch of `flops` and `bytes` takes `ramp + max(flops / (compute * peak), bytes / (memory * bandwidth))` seconds. Where arithmetic and
    memory hide each other in part only, `(c^n + m^n)^(1/n)` stands for the maximum, with n = 1 / serial.

    Attributes:
        compute: fraction of the engine's peak reached by large launches, in (0, 1].
        memory: fraction of the bus bandwidth reached by large launches, in (0, 1].
        ramp: seconds added per launch (filling pipelines, tails), besides the engine's launch overhead.
        serial: how far arithmetic and memory wait for each other, from 0 (the shorter is hidden) to 1 (they add).
    """

    compute: float
    memory: float
    ramp: float = 0.0
    serial: float = 0.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A unit that executes kernels: CPU cores together, a GPU, a DLA, an NPU.

    Attributes:
        name: unique within the device, e.g. `gpu`.
        kind: `cpu`, `gpu`, `npu`, `dla`, `dsp`, `mcu`, ... decides which default efficiencies apply (`hwmodels.efficiency`).
        peaks: operations per second at `clock_max` by dtype, dense.
        bus: name of the memory bus that it reads and writes.
        efficiency: by kernel class; a class that is missing uses the defaults of the engine's kind.
        launch_overhead: seconds per kernel launch.
        clock_max: hertz; `clock_min` the lowest it can be set to; `clocks` the settable steps (empty: continuous).
        shared: False: first come, first served, one operation at a time. True: operations share it max-min fairly.
        cache_bytes: last-level cache in front of the bus, 0 if none; `cache_bandwidth` bytes/s from it at `clock_max`, None if unknown:
            then the cache is not priced.
        static_W: watts drawn besides dynamic energy while the engine is busy at `clock_max` (clocking, leakage above idle).
        joules_per_flop: dynamic joules per operation by dtype at `clock_max`.
        joules_per_byte: dynamic joules per byte that crosses the bus; `joules_per_cache_byte` per byte that crosses the cache, on
            its way to the bus or not.
        voltage_floor: V(clock_min) / V(clock_max); voltage is linear in the clock between them, dynamic energy goes with V squared.

    Of these energy figures, None, or a format that is missing, is unknown: the engine cannot be priced (`UnknownFigure`) until they are
    stated or derived from `tdp_W` by `hwmodels.energy.with_envelope`. 0 states that it costs nothing, as on ideal hardware.
    """

    name: str
    kind: str
    peaks: Mapping[str, float]
    bus: str
    efficiency: Mapping[str, Efficiency] = field(default_factory=dict)
    launch_overhead: float = 0.0
    clock_max: float = 1.0e9
    clock_min: float = 1.0e8
    clocks: tuple[float, ...] = ()
    shared: bool = False
    cache_bytes: float = 0.0
    cache_bandwidth: float | None = None
    static_W: float | None = None
    joules_per_flop: Mapping[str, float] = field(default_factory=dict)
    joules_per_byte: float | None = None
    joules_per_cache_byte: float | None = None
    voltage_floor: float = 0.7


@dataclass(frozen=True, slots=True)
class Bus:
    """A memory bus: a capacity that engines and DMA share.

    Attributes:
        name: unique within the device, e.g. `dram`.
        bandwidth: bytes per second, peak.
    """

    name: str
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Pool:
    """A memory that holds named allocations.

    Attributes:
        name: unique within the device: `ram`, `vram`, `sram`, ...
        capacity: bytes.
        bus: the bus it hangs on.
        reserved: bytes the operating system and runtime keep for themselves.
    """

    name: str
    capacity: float
    bus: str
    reserved: float = 0.0


@dataclass(frozen=True, slots=True)
class Device:
    """A board or card.

    Attributes:
        name: catalogue name, e.g. `jetson_agx_orin_64gb`.
        title: what people call it.
        kind: `cpu_sbc`, `gpu_integrated`, `gpu_discrete`, `mcu`, `npu`, `phone`, ...
        engines, buses, pools: by name; the first engine and the first pool are the defaults.
        idle_W: module power when awake and idle; `tdp_W` sustained module power limit.
        board_W: carrier board, fans, network interfaces: constant, outside the module.
        supply_efficiency: plug-to-board efficiency in (0, 1].
        sleep_W: module power asleep, None if it cannot sleep; `wake_s` seconds from sleep to awake.
        nic_seconds_per_message: CPU time per message sent or received, added to a transfer's latency.
        host_link: for cards, the link between their memory and their host's, which whatever is read or written crosses; else None.
        thermal: its thermal masses and limits, None if nobody stated them.
        provenance: by figure name (dotted: `gpu.peaks.fp16`); `default` covers the rest.
        uncertainty: how far figures may be off, by the names of `hwmodels.uncertainty`; absent: it says what holds.
        correlations: of the three terms of a fitted efficiency, by its name (`cpu.efficiency.gemv.int8`): of compute with memory, compute
            with ramp, memory with ramp; absent: none.
    """

    name: str
    title: str
    kind: str
    engines: Mapping[str, Engine]
    buses: Mapping[str, Bus]
    pools: Mapping[str, Pool]
    idle_W: float
    tdp_W: float
    board_W: float = 0.0
    supply_efficiency: float = 1.0
    sleep_W: float | None = None
    wake_s: float = 0.0
    nic_seconds_per_message: float = 0.0
    thermal: Thermal | None = None
    host_link: Link | None = None
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    uncertainty: Mapping[str, Spread] = field(default_factory=dict)
    correlations: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def main_engine(self) -> Engine:
        """The first engine, where work goes if nothing else is said."""
        return next(iter(self.engines.values()))

    @property
    def main_pool(self) -> Pool:
        """The first pool, where weights and KV live if nothing else is said."""
        return next(iter(self.pools.values()))


@dataclass(frozen=True, slots=True)
class Link:
    """A kind of link.

    Attributes:
        name: catalogue name, e.g. `eth_1g`.
        title: what people call it.
        bandwidth: bytes/s of payload, from the first to the second end; `bandwidth_back` the other way (None: the same).
        latency: seconds, one way: the least that a message takes.
        duplex: `full` (two capacities), `half` (one for both ways) or `shared` (airtime: one for all stations of a medium).
        efficiency: goodput / bandwidth after headers and acknowledgements, in (0, 1].
        mtu: bytes; messages up to this size are latency and accounted bytes, not flows.
        per_message: seconds of processing per message, added to latency.
        jitter: mean seconds that a message takes beyond `latency`, by queues and retries that are not simulated; exponential.
        loss: share of packets lost, each way, in [0, 0.5); what that does to rate and delay: `hwmodels.transport`.
        congestion: what controls the rate of flows over it, which decides what loss costs: `cubic`, `reno`, `bbr`, or `none`. None: does
            not say; a way on which no link says is `cubic`.
        connections: how many transport connections carry one message side by side; None: does not say (one).
        window: bytes that one connection may have in flight, the smaller of the send and receive buffers; None: unbounded.
        joules_per_byte: dynamic energy of both ends; `idle_W` of both ends together.
        provenance: by figure name.
    """

    name: str
    title: str
    bandwidth: float
    latency: float
    bandwidth_back: float | None = None
    duplex: Literal["full", "half", "shared"] = "full"
    efficiency: float = 1.0
    mtu: float = 1500.0
    per_message: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    congestion: Literal["cubic", "reno", "bbr", "none"] | None = None
    connections: int | None = None
    window: float | None = None
    joules_per_byte: float = 0.0
    idle_W: float = 0.0
    provenance: Mapping[str, Provenance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Storage:
    """A kind of storage device; `hwmodels.storage_access` says how its figures make rates.

    Attributes:
        name: catalogue name, e.g. `nvme_gen3`.
        title: what people call it.
        read, write: bytes/s, sequential.
        latency: seconds from a request to its first byte; `write_latency` of writes (None: the same).
        random_read, random_write: bytes/s of 4 KiB at random with as many in flight as help, None if unknown.
        queue_depth: requests that it takes at a time; more wait.
        duplex: `full`: reading and writing do not slow each other; `half`: they share its time.
        active_W: watts above idle while reading at full rate, `write_W` while writing (None: the same); `idle_W` watts always.
        capacity: bytes, None if it does not matter.
        internal: bytes/s between its medium and its own engine, for computational storage.
        engine: what computes inside it, on the bus `internal`; None: nothing does.
        provenance: by figure name.
    """

    name: str
    title: str
    read: float
    write: float
    latency: float
    random_read: float | None = None
    random_write: float | None = None
    write_latency: float | None = None
    queue_depth: int = 32
    duplex: Literal["full", "half"] = "full"
    active_W: float = 0.0
    write_W: float | None = None
    idle_W: float = 0.0
    capacity: float | None = None
    internal: float | None = None
    engine: Engine | None = None
    provenance: Mapping[str, Provenance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.engine is not None and self.internal is None:
            raise ValueError(f"storage {self.name!r} has an engine, and no rate `internal` at which it reads")

    def as_device(self) -> Device:
        """The storage seen from its engine: a device whose one bus, and main memory, is the medium. Raises `ValueError` without one."""
        if self.engine is None or self.internal is None:
            raise ValueError(f"storage {self.name!r} has no engine")
        buses, pools = {"internal": Bus("internal", self.internal)}, {"medium": Pool("medium", self.capacity or float("inf"), "internal")}
        engines = {self.engine.name: self.engine}
        return Device(self.name, self.title, "csd", engines, buses, pools, self.idle_W, self.idle_W + self.active_W)


def stated(engine: Engine, figure: str, value: float | None) -> float:
    """The value of an engine's figure; raises `UnknownFigure`, naming it, where that is None."""
    if value is None:
        raise UnknownFigure(f"{figure} of engine {engine.name!r} is unknown: state it, or derive it with `hwmodels.energy.with_envelope`")
    return value


def provenance_of(spec: Device | Link | Storage, figure: str) -> Provenance | None:
    """Where a figure comes from: its own entry, else that of the group it belongs to, else `default`; None if nobody said.

    `provenance_of(device, "gpu.peaks.fp16")` looks for `gpu.peaks.fp16`, `gpu.peaks`, `gpu`, and `default`, in this order.
    """
    parts = figure.split(".")
    for length in range(len(parts), 0, -1):
        found = spec.provenance.get(".".join(parts[:length]))
        if found is not None:
            return found
    return spec.provenance.get("default")
