"""Rows of several boards that share one model over Ethernet: distributed-llama (tensor parallel, root and workers on one switch).

Bytes follow from what the program sends (github.com/b4rtaz/distributed-llama, `src/llama2-tasks.cpp`, versions as in the rows). Before
0.7.1 the root computes attention: per layer it receives the workers' slices of queries, keys, values, attention output, hidden layer and
feed-forward output, sends every worker the inputs of the three products whole, and the slices of the hidden layer that it lacks. Since
0.7.1 every worker sends its partial sums of both sub-blocks, and receives the others'. A buffer in Q80 takes 34 bytes per 32 numbers.
"""

from __future__ import annotations

import re
from dataclasses import replace

from edgewright.experiments.validation.asking import Ask, Unpredictable, device_of, format_of, software_of
from edgewright.experiments.validation.asking_llm import decode_work, decoder_of
from edgewright.experiments.validation.rows import Row
from edgewright.hwmodels import Cluster, Connection, Device, catalog
from edgewright.workloads import Model
from edgewright.workloads.model_operators import Linear

__all__ = ["ask_cluster", "link_seconds", "traffic"]

_CONTEXT = 8.0
_KB = 1024.0


def ask_cluster(row: Row) -> Ask:
    """What a row of distributed-llama asks; raises `Unpredictable`."""
    model, format, metric = decoder_of(row), format_of(row), row.text("metric")
    count = int(row.number("threads_or_gpus") or 1)
    sent, received = traffic(model, count, _bytes_per_number(row), ">=0.7.1" in row.text("engine"))
    parts = {"bytes_per_token_total": sent + received, "bytes_per_token_sent_by_root": sent, "bytes_per_token_received_by_root": received}
    if metric in parts:
        device = catalog.device("rpi5_8gb")
        value = parts[metric] / _KB
        return Ask(device, device.main_engine.name, "distributed-llama", reading="constant", factor=value, model=model.name)
    device = device_of(row)
    shared = decode_work(model, format, 1.0, _CONTEXT, count)
    links = link_seconds(device, model, count, sent, received)
    unit = {"ms": 1e3, "s": 1.0}.get(row.text("unit"))
    if unit is None:
        raise Unpredictable(f"unit {row.text('unit')!r} of a time is not known")
    base = Ask(device, device.main_engine.name, software_of(row), shared, factor=unit, model=model.name)
    if metric in ("time_per_token", "latency"):
        return replace(base, links_s=links, syncs=_messages(model, count))
    if metric == "compute_time_root":
        return base
    if metric == "network_time_root" and count > 1:
        return replace(base, work=type(shared)(), steps=0.0, links_s=links, syncs=_messages(model, count))
    raise Unpredictable(
        "the time of the network on one machine is that of its own bookkeeping" if count == 1 else f"metric {metric!r} is not known"
    )


def traffic(model: Model, count: int, number: float, all_gather: bool) -> tuple[float, float]:
    """Bytes per token that the root sends and receives; `number` bytes per number in the buffer."""
    layers = sum(1 for block in model.blocks if block.kind == "attention")
    operators = {each.name: each for block in model.blocks for each in block.operators if isinstance(each, Linear)}
    width, ffn, qkv = operators["qkv"].inputs, operators["down"].inputs, operators["qkv"].outputs
    others, share = count - 1, 1.0 - 1.0 / count
    if all_gather:
        each = others * layers * 2 * width * number
        return each, each
    return others * layers * (3 * width + ffn * share) * number, layers * share * (qkv + 2 * width + ffn) * number


def link_seconds(device: Device, model: Model, count: int, sent: float, received: float) -> float:
    """Seconds of that traffic at the root's port of a gigabit switch: it sends, then receives."""
    if count < 2:
        return 0.0
    names = [f"board{index}" for index in range(count)]
    connections = tuple(Connection(f"port{name}", (name, "switch"), catalog.link("eth_1g")) for name in names)
    cluster = Cluster(dict.fromkeys(names, device), ("switch",), connections)
    moved = sum(float(cluster.transfer(a, b, nbytes).alone(cluster.capacities)) for a, b, nbytes in _halves(names, sent, received))
    latency = float(cluster.transfer(names[0], names[1], 1.0).alone(cluster.capacities))
    return moved + (_messages(model, count) - 2.0) * latency


def _halves(names: list[str], sent: float, received: float) -> tuple[tuple[str, str, float], ...]:
    return (names[0], names[1], sent), (names[1], names[0], received)


def _messages(model: Model, count: int) -> float:
    """Messages in a row that the root waits for per token: to and from the workers for each of four exchanges per layer."""
    layers = sum(1 for block in model.blocks if block.kind == "attention")
    return 0.0 if count < 2 else 8.0 * layers


def _bytes_per_number(row: Row) -> float:
    text = row.text("dtype")
    if re.search(r"Q80 (sync )?buffer", text):
        return 34.0 / 32.0
    if "F32 buffer" in text:
        return 4.0
    raise Unpredictable("the format of the synchronised buffers is not stated")
