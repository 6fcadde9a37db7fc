"""Rows of one-shot networks: images per second, latency of a frame, energy of an inference, in the scenarios of MLPerf.

MLPerf (Reddi et al., ISCA 2020): SingleStream is one sample at a time (90th percentile), MultiStream a query of eight (99th percentile),
Offline all samples at hand, Server a rate under a latency bound. A deterministic device's percentiles are its latency; Offline batches 256
samples (fewer of large ones) and, on Jetsons, runs the DLAs beside the GPU; Server is Offline at nine tenths.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

from edgewright.experiments.validation.asking import Ask, Unpredictable, device_of, format_of, known, software_of, table
from edgewright.experiments.validation.rows import Row
from edgewright.hwmodels import Device
from edgewright.workloads import Format, Model, format_named, zoo
from edgewright.workloads.vision_nets import mobilenet_v1, mobilenet_v2
from edgewright.workloads.vision_summary import summary
from edgewright.workloads.vision_transformer import vit

__all__ = ["ask_net", "net_of"]

_RATES = {"images/s", "samples/s", "queries/s", "inf/s"}
_SERVER = 0.9
_PARAMETER_SHARE = 0.82
_LATENCIES = ("latency", "latency_avg", "latency_p90", "latency_p99", "encoder_latency")


def net_of(row: Row) -> Model:
    """The network of a row: a layer table if there is one, else totals that are known or that the row states; raises `Unpredictable`."""
    stated = _stated(row)
    if stated is not None:
        return stated
    nets: dict[str, Any] = table("nets")["nets"]
    name = row.text("model")
    mobile = re.search(r"mobilenet[-_]?v([12])\D*?(?:precision_\w+-)?(1\.[034]|0\.\d+)[-_ ](\d{2,3})", name, re.IGNORECASE)
    if mobile:
        return _mobilenet(int(mobile[1]), float(mobile[2]), int(mobile[3]))
    found = known(nets, name)
    if found is None:
        raise Unpredictable("the model is not known")
    return _net(found)


@cache
def _mobilenet(version: int, width: float, image: int) -> Model:
    build = mobilenet_v1 if version == 1 else mobilenet_v2
    return build(f"mobilenet-v{version}-{width}-{image}", width=width, image=image)


@cache
def _net(pattern: str) -> Model:
    entry: Any = table("nets")["nets"][pattern]
    if isinstance(entry, str):
        return zoo.model(entry)
    if "vit" in entry:
        return vit(pattern, **entry["vit"])
    kind: dict[str, float] = table("nets")["kinds"][entry.get("kind", "dense")]
    macs, parameters = entry["macs_M"] * 1e6, entry["parameters_M"] * 1e6
    return _summarised(pattern, macs, parameters, entry.get("activations_M", 0.0) * 1e6, entry.get("layers", 0.0), kind)


def _stated(row: Row) -> Model | None:
    """A summary of what the notes state: `GMACs=...; Mactivations=...`, or `GFLOPs=...`; None if they state neither."""
    notes, size = row.text("notes"), (row.number("params_B") or 0.0) * 1e9
    macs, moved = re.search(r"GMACs=([\d.]+)", notes), re.search(r"Mactivations=([\d.]+)", notes)
    nets = table("nets")
    kind = nets["kinds"][nets["families"][known(nets["families"], row.text("model")) or "."]]
    if macs and moved and size and float(macs[1]) > 0.0:
        return _summarised(row.text("model"), float(macs[1]) * 1e9, size, float(moved[1]) * 1e6, 0.0, kind)
    flops = re.search(r"GFLOPs=([\d.]+)", notes)
    if flops and size:
        return _summarised(row.text("model"), float(flops[1]) * 0.5e9, size, 0.0, 0.0, kind)
    return None


@cache
def _totals(name: str, macs: float, parameters: float, activations: float, layers: float, kind: tuple[tuple[str, Any], ...]) -> Model:
    figures = dict(kind)
    per_mac, per_layer = figures.pop("macs_per_activation"), figures.pop("activations_per_layer")
    moved = activations or macs / per_mac
    launches = layers or max(20.0, min(figures.pop("most_layers"), moved / per_layer))
    figures.pop("most_layers", None)
    return summary(name, macs=macs, parameters=parameters, activations=moved, layers=launches, **figures)


def _summarised(name: str, macs: float, parameters: float, activations: float, layers: float, kind: dict[str, Any]) -> Model:
    return _totals(name, macs, parameters, activations, layers, tuple(sorted(kind.items())))


def ask_net(row: Row) -> Ask:
    """What a row of a one-shot network asks; raises `Unpredictable`."""
    device, model = device_of(row), net_of(row)
    engine, software = _engine(row, device), software_of(row)
    kind = device.engines[engine].kind
    threads = table("names")["threads"].get(software, row.number("threads_or_gpus")) if kind == "cpu" else None
    clock = _clock(row, device, engine)
    base = Ask(device, engine, software, threads=threads, clock=clock, model=model.name)
    format = _format(row, device, engine)
    base = replace(base, links_s=_streamed_s(row, device, model, format))
    gpus = (row.number("threads_or_gpus") or 1.0) if device.kind == "gpu_discrete" else 1.0
    return _read(row, base, model, format, gpus)


def _read(row: Row, base: Ask, model: Model, format: Format, gpus: float) -> Ask:
    metric, unit, scenario = row.text("metric"), row.text("unit"), row.text("notes")
    if metric in ("peak_sram", "flash"):
        raise Unpredictable("buffers and code of a firmware are not modelled")
    if row.text("batch") == "offline" or metric == "throughput_server":
        batch = _offline_batch(model)
        share = (_SERVER if metric == "throughput_server" else 1.0) * (_with_dla(base.device) if "GPU+" in scenario else 1.0)
        work = model.infer(batch, format=format)
        return replace(base, work=work, reading="rate", factor=batch * gpus * share)
    batch_ = row.number("batch")
    if batch_ is None:
        raise Unpredictable(f"batch {row.text('batch')!r} is not known")
    if metric in _LATENCIES:
        ms = {"ms": 1e3, "s": 1.0, "us": 1e6}.get(unit)
        if ms is None:
            raise Unpredictable(f"unit {unit!r} of a latency is not known")
        work = model.infer(max(1, round(batch_ / gpus)), format=format)
        return replace(base, work=work, factor=ms)
    work = model.infer(round(batch_), format=format)
    if unit in _RATES:
        return replace(base, work=work, reading="rate", factor=batch_ * gpus)
    if metric in ("energy_per_query", "energy_per_inference"):
        per = {"mJ": 1e3, "uJ": 1e6, "J": 1.0}.get(unit)
        if per is None:
            raise Unpredictable(f"unit {unit!r} of an energy is not known")
        return replace(base, work=work, reading="joules", factor=per, scope="plug" if metric == "energy_per_query" else "board")
    raise Unpredictable(f"metric {metric!r} of a network is not known")


def _with_dla(device: Device) -> float:
    """How much faster the DLAs make a GPU that leaves them their share, by their int8 peaks, of which both reach as much."""
    peaks = {kind: sum(each.peaks.get("int8", 0.0) for each in device.engines.values() if each.kind == kind) for kind in ("gpu", "dla")}
    return 1.0 + peaks["dla"] / peaks["gpu"] if peaks["gpu"] else 1.0


def _offline_batch(model: Model) -> int:
    """256 samples, fewer of large ones: a batch of up to 2 TFLOP."""
    one = float(sum(model.infer(1).flops.values()))
    return max(1, min(256, int(2e12 / one)))


def _engine(row: Row, device: Device) -> str:
    """The engine that did the work: the device's first, or the CPU where the notes say that it fell back to it."""
    notes = row.text("notes")
    placed = re.search(r"layers (\d+) on (\w+) of (\d+)", notes)
    wanted = "cpu" if "this row ran on the CPU" in notes else placed[2] if placed else None
    if placed and placed[1] != placed[3] and wanted != device.main_engine.kind:
        raise Unpredictable("the layers were divided between engines, which the row does not list")
    if wanted == "cpu" and "cpu" not in device.engines:
        raise Unpredictable("the work ran on the CPU of a host that is not stated")
    return wanted if wanted is not None and wanted in device.engines else device.main_engine.name


def _streamed_s(row: Row, device: Device, model: Model, format: Format) -> float:
    """Seconds in which a scratchpad accelerator's host sends the image, and the parameters that its memory does not hold.

    Rates of the host: 320 MB/s over USB 3 (Coral's documents: 300-350), 35 MB/s over USB 2, 400 MB/s over one lane of PCIe 2.
    """
    if device.main_pool.name != "sram" or device.main_engine.kind != "npu":
        return 0.0
    rate = 3.5e7 if "rpi3" in row.text("device_id") else 4.0e8 if "devboard" in device.name else 3.2e8
    held = device.main_pool.capacity * _PARAMETER_SHARE
    return (model.input_bytes + max(0.0, model.weight_bytes(format) - held)) / rate


def _clock(row: Row, device: Device, engine: str) -> float:
    stated = re.search(r"clock=(\d+) MHz", row.text("notes"))
    if not stated:
        return 1.0
    return min(1.0, float(stated[1]) * 1e6 / device.engines[engine].clock_max)


def _format(row: Row, device: Device, engine: str) -> Format:
    text, name = row.text("dtype"), row.text("model")
    if "int8/fp16" in text:
        return format_named("fp16" if re.search(r"99\.9|stable|gptj|rnnt", name) else "int8")
    if not text:
        text = "int8" if re.search("uint8|int8|(?<!non-)quant", name) else "fp32"
        return format_named(text)
    if text.startswith("fp16/fp32"):
        return format_named("fp16")
    return format_of(row)
