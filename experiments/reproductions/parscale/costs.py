"""Latency and memory of one answer, from the simulator's prices: no queue, no batch, nothing else on the device."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

from edgewright.hwmodels import KERNELS, Device, Efficiency, catalog, price
from edgewright.workloads import Model, format_named, from_config
from edgewright.workloads.parallel_streams import parallel_streams

__all__ = ["LENGTHS", "device_of", "latency", "memory", "model_of"]

LENGTHS = (64, 128, 256, 512)
"""Tokens of prompts and of outputs: figures are means over all pairs."""
_BF16 = format_named("bf16")


@cache
def model_of(size: str, streams: int = 1) -> Model:
    """A model of the publication by its parameters outside the embedding, with that many streams."""
    return parallel_streams(from_config(Path(__file__).with_name(f"qwen-{size}.json")), streams)


@cache
def device_of(roofs: str, name: str = "a100_80gb_sxm") -> Device:
    """A device by the publication's cost model (0.7 of the peak, 0.9 of the bandwidth, no launches), or as the catalogue has it."""
    device = catalog.device(name)
    if roofs == "catalogue":
        return device
    engine = replace(
        device.main_engine,
        efficiency=dict.fromkeys(KERNELS, Efficiency(0.7, 0.9, 0.0)),
        launch_overhead=0.0,
        cache_bandwidth=float("inf"),
    )
    return replace(device, engines={**device.engines, engine.name: engine})


def latency(model: Model, device: Device, batch: int = 1) -> float:
    """Seconds of an answer: its prompt, then token by token."""
    return _mean([_answer(model, device, batch, prompt, output) for prompt, output in product(LENGTHS, LENGTHS)])


def memory(model: Model, batch: int = 1) -> float:
    """Bytes: weights, cache at its longest, and the activations of the prompt while a layer computes."""
    return model.weight_bytes(_BF16) + _mean([_cache(model, batch, prompt, output) for prompt, output in product(LENGTHS, LENGTHS)])


def _answer(model: Model, device: Device, batch: int, prompt: int, output: int) -> float:
    first = price(model.prefill(prompt, batch, format=_BF16), device).seconds
    middle = price(model.decode(batch, prompt + output / 2, format=_BF16), device).seconds
    return float(first) + (output - 1) * float(middle)


def _cache(model: Model, batch: int, prompt: int, output: int) -> float:
    cached = model.kv_bytes_per_token(_BF16) * (prompt + output)
    return batch * (cached + model.peak_activation_bytes(_BF16, rows=prompt))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
