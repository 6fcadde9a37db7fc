"""A recorded serving run: what was asked of a real engine, under which limits, and when each request got its tokens.

A folder `DEVICE_MODEL` with `meta.json` (engine arguments, KV blocks), `requests.jsonl` (tokens and times of every request) and, where they
were kept, `timeseries.csv` (throughput and running sequences per second) and `llmservingsim_prediction.csv` (what LLMServingSim 2.0,
github casys-kaist/LLMServingSim, predicts of the same run).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.experiments.validation.asking import known, table
from edgewright.hwmodels import catalog
from edgewright.simulator.errors import ScenarioError

__all__ = ["Request", "ServingRun", "Timings", "measured", "peer", "read_run"]

_FORMATS = {"bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a run.

    Attributes:
        arrival, first, last: when the server had it, and when its first and its last token were there: seconds after the first arrival.
        scheduled: when the engine began it.
        prompt, output: tokens.
    """

    arrival: float
    scheduled: float
    first: float
    last: float
    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class ServingRun:
    """A run as it was recorded.

    Attributes:
        name: of its folder.
        device, model, format: names of the catalogue, of the zoo and of the formats.
        max_sequences, max_tokens: the engine's limits of a step.
        memory_fraction, kv_tokens: share of the memory that the engine took and tokens of its KV cache; None where the run does not say.
        block_size: tokens of a block of the KV cache.
        prefix_caching: whether prompts shared blocks.
        requests: in order of arrival.
        folder: where it lies.
    """

    name: str
    device: str
    model: str
    format: str
    max_sequences: int
    max_tokens: int
    memory_fraction: float | None
    kv_tokens: int | None
    block_size: int
    prefix_caching: bool
    requests: tuple[Request, ...] = field(repr=False)
    folder: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timings:
    """What a run or its prediction is judged by, in seconds: arrays with one entry per request; `step` may be None, not known.

    Attributes:
        ttft: from arrival to the first token; `tpot` per token after it; `latency` from arrival to the last token.
        prefill: from the moment the engine began the request to its first token.
        step: of decode steps, one for every second in which no prompt was computed.
    """

    ttft: np.ndarray
    tpot: np.ndarray
    latency: np.ndarray
    prefill: np.ndarray
    step: np.ndarray | None


def read_run(folder: Path) -> ServingRun:
    """The run in a folder. Raises `ScenarioError` that names file, key and value where it cannot be read."""
    meta = _meta(folder)
    engine: Mapping[str, Any] = meta.get("engine_kwargs", {})
    cache: Mapping[str, Any] = meta.get("kv_cache", {})
    for key in ("max_num_seqs", "max_num_batched_tokens"):
        if not isinstance(engine.get(key), int):
            raise _error(folder, "meta.json", f"engine_kwargs.{key}", f"{engine.get(key)!r} is no limit", "a whole number")
    if engine.get("dtype") not in _FORMATS:
        raise _error(folder, "meta.json", "engine_kwargs.dtype", f"{engine.get('dtype')!r} is not known", ", ".join(_FORMATS))
    if engine.get("tensor_parallel_size", 1) != 1:
        raise _error(folder, "meta.json", "engine_kwargs.tensor_parallel_size", "is not one device", "1")
    return ServingRun(
        folder.name,
        _device(folder),
        _model(folder, str(meta.get("model", ""))),
        _FORMATS[engine["dtype"]],
        engine["max_num_seqs"],
        engine["max_num_batched_tokens"],
        cache.get("gpu_memory_utilization"),
        cache.get("num_kv_tokens"),
        int(cache.get("block_size", 16)),
        bool(cache.get("enable_prefix_caching", True)),
        _requests(folder),
        folder,
    )


def measured(run: ServingRun) -> Timings:
    """What was measured; the time of a step is read off the throughput of seconds in which no prompt was computed."""
    asked = run.requests
    return Timings(
        np.array([each.first - each.arrival for each in asked]),
        np.array([(each.last - each.first) / (each.output - 1) for each in asked if each.output > 1]),
        np.array([each.last - each.arrival for each in asked]),
        np.array([each.first - each.scheduled for each in asked]),
        _steps(run.folder / "timeseries.csv"),
    )


def peer(run: ServingRun) -> Timings | None:
    """What LLMServingSim predicts of the run, None if that was not kept; it does not say which steps computed prompts."""
    path = run.folder / "llmservingsim_prediction.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{key: float(row[key]) / 1e9 for key in ("TTFT", "TPOT", "latency", "queuing_delay")} for row in csv.DictReader(file)]
    of = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return Timings(of["TTFT"], of["TPOT"], of["latency"], of["TTFT"] - of["queuing_delay"], None)


def _error(folder: Path, file: str, key: str, problem: str, accepted: str, line: int | None = None) -> ScenarioError:
    return ScenarioError(str(folder / file), key, problem, accepted, line)


def _meta(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise _error(folder, "meta.json", "", f"cannot be read ({error.strerror})", "the folder of a recorded run") from None
    except ValueError as error:
        raise _error(folder, "meta.json", "", f"is no JSON ({error})", "a JSON table") from None
    if not isinstance(found, dict):
        raise _error(folder, "meta.json", "", "is no table", "a JSON table")
    return found


def _device(folder: Path) -> str:
    """The device by the first part of the folder's name."""
    name = folder.name.split("_")[0]
    device = table("names")["devices"].get(name, name)
    if device not in catalog.devices():
        raise _error(folder, "", "", f"device {device!r} is not in the catalogue", "a folder named DEVICE_MODEL")
    return str(device)


def _model(folder: Path, text: str) -> str:
    patterns: dict[str, Any] = table("models")["decoders"]
    found = known(patterns, text)
    if found is None or not isinstance(patterns[found], str):
        raise _error(folder, "meta.json", "model", f"{text!r} is no model of the zoo", "the name of a language model")
    return str(patterns[found])


def _requests(folder: Path) -> tuple[Request, ...]:
    """The requests; the wall clock of arrivals is laid over the engine's clock where the quickest request came into its queue."""
    rows = list(_lines(folder))
    if not rows:
        raise _error(folder, "requests.jsonl", "", "holds no request", "a JSON table per line")
    offset = max(row["arrival_time"] - row["queued_ts"] for row in rows)
    start = min(row["arrival_time"] for row in rows)
    found = [
        Request(
            row["arrival_time"] - start,
            row["scheduled_ts"] + offset - start,
            row["first_token_ts"] + offset - start,
            row["last_token_ts"] + offset - start,
            int(row["input_toks"]),
            int(row["output_toks"]),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda each: each.arrival))


def _lines(folder: Path) -> Iterator[Mapping[str, float]]:
    keys = ("arrival_time", "queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts", "input_toks", "output_toks")
    try:
        lines = (folder / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise _error(folder, "requests.jsonl", "", f"cannot be read ({error.strerror})", "a JSON table per line") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            yield {key: float(row[key]) for key in keys}
        except (ValueError, KeyError, TypeError) as error:
            raise _error(folder, "requests.jsonl", "", f"is no request ({error})", f"a table with {', '.join(keys)}", number) from None


def _steps(path: Path) -> np.ndarray | None:
    """Seconds per decode step, second by second: sequences that run over tokens per second."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    pure = [
        row["running"] / row["gen_throughput"] for row in rows if not row["prompt_throughput"] and row["running"] and row["gen_throughput"]
    ]
    return np.array(pure) if pure else None
