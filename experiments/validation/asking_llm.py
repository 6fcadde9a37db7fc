"""Rows of language models: time to first token, decode rate, serving throughput, energy per token.

Where a row leaves something open, this is assumed: a decode without a context runs at 128 tokens; `a..b` is the mean of its ends; a model
compiled for a context attends to all of it (`up to 4096`); one token of N is produced by the prefill. Tensor parallelism over GPUs adds two
all-reduces per layer (Megatron-LM), as rings over NVLink or PCIe.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

from edgewright.experiments.validation.asking import Ask, Unpredictable, device_of, format_of, known, software_of, table
from edgewright.experiments.validation.rows import Row
from edgewright.hwmodels import Work, catalog
from edgewright.workloads import Attended, Format, Model, Step, format_named, from_config, zoo

__all__ = ["ask_llm", "context_of", "decode_work", "decoder_of", "prefill_work", "sharded"]

_PROMPT = 128.0
_CHUNKS = {"llama.cpp": 512.0, "genie": 128.0, "distributed-llama": 1.0}
"""Tokens of a prompt per step, for software that always chunks: llama.cpp's `n_ubatch`, Genie's AR-128 graph."""


def decoder_of(row: Row) -> Model:
    """The language model of a row: by name, else a decoder of the size that the row states; raises `Unpredictable`."""
    patterns: dict[str, Any] = table("models")["decoders"]
    found = known(patterns, row.text("model"))
    if found is not None:
        target = patterns[found]
        return zoo.model(target) if isinstance(target, str) else _configured(found)
    size = row.number("params_B")
    if size is None or size < 0.05:
        raise Unpredictable("the model is not known")
    return _of_size(round(size, 3))


@cache
def _configured(pattern: str) -> Model:
    return from_config(table("models")["decoders"][pattern], pattern)


@cache
def _of_size(billions: float) -> Model:
    """A decoder of a size: the shape of the published one that is nearest, with as many layers as the size takes."""
    shapes: dict[str, Any] = table("models")["shapes"]
    name = min(shapes, key=lambda each: abs(float(each) / billions - 1.0))
    layers = max(1, round(shapes[name]["num_hidden_layers"] * billions / float(name)))
    return from_config({**shapes[name], "num_hidden_layers": layers}, f"decoder-{billions}b")


def context_of(row: Row) -> tuple[float, float]:
    """First and last context of a decode."""
    text = row.text("context")
    span = re.match(r"(\d+)\.\.(\d+)", text)
    if span:
        return float(span[1]), float(span[2])
    most = re.match(r"up to (\d+)", text)
    if most:
        return float(most[1]), float(most[1])
    start = row.number("prompt_tokens") or 0.0
    tokens = re.search(r"n=(\d+)", text)
    if tokens:
        return start, start + float(tokens[1])
    output = re.search(r"avg output len (\d+)", row.text("notes"))
    if output:
        return _PROMPT, _PROMPT + float(output[1])
    return (start, start) if start > 1.0 else (_PROMPT, _PROMPT)


def decode_work(model: Model, format: Format, batch: float, context: float, shards: int = 1) -> Work:
    """One decode step of one of `shards` shards."""
    windows = {window: Attended(batch * min(context, float(window))) for window in model.windows}
    rows: Any = batch  # a mean batch need not be whole
    step = Step(decode=rows, emits=rows, full=Attended(batch * context), windowed=windows)
    return model.part(format, shards=shards)(step)


def prefill_work(model: Model, format: Format, tokens: float, batch: float, past: float = 0.0, chunk: float = 0.0, shards: int = 1) -> Work:
    """All steps of a prompt of `tokens` behind `past` cached ones, in chunks (0: whole)."""
    part, whole, done = model.part(format, shards=shards), Work(), 0.0
    size = chunk or tokens
    while done < tokens:
        new = int(min(size, tokens - done))
        step = Step.of(prefill=[(int(past + done), new)], windows=model.windows, emits=1 if done + new >= tokens else 0)
        whole, done = whole + part(_times(step, batch)), done + new
    return whole


def _times(step: Step, batch: float) -> Step:
    if batch == 1.0:
        return step
    full = Attended(*(each * batch for each in step.full))
    windowed = {window: Attended(*(each * batch for each in sums)) for window, sums in step.windowed.items()}
    return replace(step, prefill=int(step.prefill * batch), emits=int(step.emits * batch), full=full, windowed=windowed)


def sharded(row: Row) -> int:
    """Devices over which the model is split, each with a shard."""
    threads = row.number("threads_or_gpus") or 1.0
    found = re.search(r"TP=(\d+)", row.text("notes"))
    return int(found[1]) if found else int(threads)


def ask_llm(row: Row) -> Ask:
    """What a row of a language model asks; raises `Unpredictable`."""
    device, model, format = device_of(row), decoder_of(row), format_of(row)
    unit = device.main_engine
    software = software_of(row)
    if software == "llama.cpp" and format.name == "w4a16":
        format = format_named("q4_0")
    shards = 1 if unit.kind == "cpu" else sharded(row)
    batch = row.number("batch") or 1.0
    threads = row.number("threads_or_gpus") if unit.kind == "cpu" else None
    threads = None if software == "llama.cpp" and "ollama" in row.text("engine") else threads
    base = Ask(device, unit.name, software, threads=threads, model=model.name)
    phase, metric = row.text("phase"), row.text("metric")
    if phase == "memory":
        return _memory(row, base, model, format)
    if phase == "prefill":
        return _prefill(row, base, model, format, batch, shards)
    if phase in ("decode", "serving", "e2e"):
        return _decode(row, base, model, format, batch, shards)
    raise Unpredictable(f"phase {phase!r} with metric {metric!r} of a language model is not known")


def _memory(row: Row, base: Ask, model: Model, format: Format) -> Ask:
    scale = {"MiB": 2.0**20, "GiB": 2.0**30, "MB": 1e6, "GB": 1e9}.get(row.text("unit"))
    if scale is None:
        raise Unpredictable(f"unit {row.text('unit')!r} of memory is not known")
    held = model.weight_bytes(format) + 2048 * model.kv_bytes_per_token(format)
    return replace(base, reading="constant", factor=held / scale)


def _prefill(row: Row, base: Ask, model: Model, format: Format, batch: float, shards: int) -> Ask:
    tokens = row.number("prompt_tokens")
    if not tokens:
        raise Unpredictable("the length of the prompt is not stated")
    past = 0.0
    if "after_history" in row.text("metric"):
        history = row.number("context") or 0.0
        tokens, past = (tokens, history) if base.software == "tinychat-2" else (tokens + history, 0.0)
    chunk = _CHUNKS.get(base.software, 0.0)
    work = prefill_work(model, format, tokens, batch, past, chunk, shards)
    steps = -(-tokens // chunk) if chunk else 1.0
    links, syncs = _links(base, model, format, tokens * batch, shards)
    base = replace(base, work=work, steps=steps, sequences=batch, links_s=links, syncs=syncs)
    metric = row.text("metric")
    if metric == "throughput":
        return replace(base, reading="rate", factor=tokens * batch)
    if metric in ("ttft", "prompt_time", "latency") or metric.startswith("ttft_"):
        return replace(base, reading="seconds", factor=_per_second(row))
    raise Unpredictable(f"metric {metric!r} of a prefill is not known")


def _decode(row: Row, base: Ask, model: Model, format: Format, batch: float, shards: int) -> Ask:
    first, last = context_of(row)
    work = decode_work(model, format, batch, (first + last) / 2.0, shards)
    links, syncs = _links(base, model, format, batch, shards)
    base = replace(base, work=work, sequences=batch, links_s=links, syncs=syncs)
    metric = row.text("metric")
    if metric == "throughput" or metric == "output_throughput":
        return replace(base, reading="rate", factor=batch)
    if metric in ("time_per_token", "token_time", "median_itl", "latency"):
        return replace(base, factor=_per_second(row))
    tokens = re.search(r"output_tokens=(\d+)|decode_time_for_(\d+)_tokens", f"{row.text('notes')} {metric}")
    if metric.startswith("decode_time_for_") and tokens:
        count = float(tokens[1] or tokens[2]) - 1.0
        if count < 1.0:
            raise Unpredictable("the only token comes from the prefill: there is no decode time")
        return replace(base, factor=count)
    if metric == "gpu_energy_total_measured" and tokens:
        return replace(base, reading="joules", scope="rail", factor=float(tokens[1] or tokens[2]))
    if metric == "energy_per_output_token":
        return replace(base, reading="joules", factor=shards / batch)
    if metric == "avg_power_fraction_of_TDP":
        return _mean_power(row, base, model, format, batch, shards)
    raise Unpredictable(f"metric {metric!r} of a decode is not known")


def _mean_power(row: Row, base: Ask, model: Model, format: Format, batch: float, shards: int) -> Ask:
    """A prompt and the decode of its answer, one after the other, as one work."""
    prompt = row.number("prompt_tokens") or 0.0
    output = re.search(r"output (\d+) tokens", row.text("notes"))
    if not output or not prompt:
        raise Unpredictable("the lengths of prompt and answer are not stated")
    if "average_power=0.000" in row.text("notes"):
        raise Unpredictable("the measured power is zero: it was not read")
    count = float(output[1]) - 1.0
    decode = decode_work(model, format, batch, prompt + count / 2.0, shards)
    work = prefill_work(model, format, prompt, batch, shards=shards) + count * decode
    first, each = (_links(base, model, format, rows, shards) for rows in (prompt * batch, batch))
    links, syncs = first[0] + count * each[0], first[1] + count * each[1]
    return replace(base, work=work, steps=1.0 + count, sequences=batch * (1.0 + count), reading="fraction", links_s=links, syncs=syncs)


def _links(base: Ask, model: Model, format: Format, rows: float, shards: int) -> tuple[float, float]:
    """Seconds of two ring all-reduces per layer over the links of the GPUs, and their number."""
    if shards < 2:
        return 0.0, 0.0
    rate = catalog.link(_link_of(base.device.name)).bandwidth
    reduced = sum(1 for block in model.blocks if block.reduces)
    nbytes = rows * model.hidden * format.activation_bytes
    return reduced * 2.0 * (shards - 1) / shards * nbytes / rate, float(reduced)


def _link_of(device: str) -> str:
    """The catalogue's link between GPUs of a kind: the NVLink of their boards, else the bus to their host."""
    patterns: dict[str, str] = table("names")["gpu_links"]
    found = known(patterns, device)
    return patterns[found] if found else catalog.facts(device).host_link or "pcie_gen4_x16"


def _per_second(row: Row) -> float:
    """How many of the row's unit a second is."""
    found = {"s": 1.0, "ms": 1e3, "us": 1e6}.get(row.text("unit"))
    if found is None:
        raise Unpredictable(f"unit {row.text('unit')!r} of a time is not known")
    return found
