"""TPI-LLM (Li et al., 2024): claims, assumptions, and the runs that answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.simulator import Scenario, simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

_FOLDER = Path(__file__).parent
_REPLICA = "services.chat.replicas.all."
_STREAMED = ("open-llama-3b", "llama-2-7b", "llama-3.1-8b", "llama-2-13b")
_ON_A_MAC = _STREAMED[:3]
_README = "readme (the authors' repository, a table inside an HTML comment)"

_CLAIMS = (
    Claim(
        "vs-accelerate",
        "reduction of time to first token and of token latency",
        "fraction",
        (0.8, 0.8),
        "Accelerate",
        "emulated and real testbeds; the least over 3B, 7B and 8B",
        "abstract ('over 80 %')",
        note="The bound is met: eight disks read what one read before, and nobody waits for arithmetic besides.",
    ),
    Claim(
        "vs-transformers-galaxy",
        "reduction of time to first token and of token latency",
        "fraction (Transformers TTFT, token; Galaxy TTFT, token)",
        (0.9, 0.9, 0.9, 0.9),
        "Transformers, Galaxy",
        "the same; Transformers: the least over 3B, 7B and 8B, Galaxy: 70B, whose shards exceed the memory of a device",
        "abstract ('over 90 %')",
        note="Against Transformers the bound is met. Galaxy's shards of 34 GB are swapped by eight disks as well: with what is written "
        "back it takes twice as long; where shards fit (7B) it reads nothing and is faster than TPI-LLM.",
    ),
    Claim(
        "memory",
        "peak memory of a device",
        "GB",
        3.1,
        "full weights (90 % less)",
        "Llama 2-70B, 8 devices; here the master",
        "abstract",
        note="The master keeps embedding and head (2.1 GB) beside the window; activations, buffers and the runtime are not counted.",
    ),
    Claim(
        "klonet-table",
        "token latency",
        "s (3B, 7B, 8B, 13B)",
        (2.0, 3.0, 4.0, 3.0),
        "none",
        "8 wired devices, fp32, rounded to whole seconds",
        _README,
        note="13B has twice the weights of 7B and the same published time: with a disk that reads 7B in 3 s, 13B takes 5.4 s. The rows "
        "contradict each other unless 13B was not streamed. 3B and 8B come out a third and a quarter low: what opening a file per block "
        "costs is not published, and 8B's table of 128 256 tokens (4.2 GB on the master) would not fit beside anything.",
    ),
    Claim(
        "klonet-34b",
        "token latency",
        "s",
        14.0,
        "none",
        "Yi-34B, 8 wired devices, fp32",
        _README,
        unsimulated="An input: 16.7 GB per device in 14 s are the 1.2 GB/s from which all other times follow (the fifth row of "
        "klonet-table).",
    ),
    Claim(
        "accelerate-table",
        "token latency",
        "s (3B, 7B, 8B)",
        (16.0, 26.0, 31.0),
        "none",
        "Mac M1, 8 GB",
        _README,
        note="7B and 8B follow from the same 1.2 GB/s; 3B would need 0.86 GB/s.",
    ),
    Claim(
        "transformers-table",
        "token latency",
        "s (3B, 7B, 8B)",
        (30.0, 56.0, 65.0),
        "none",
        "Mac M1, 8 GB",
        _README,
        note="Reading and writing everything at 1.2 GB/s explains four fifths of it: thrashing is slower than the disk, by 1.25 in all "
        "three rows.",
    ),
    Claim(
        "vs-llamacpp",
        "reduction of token latency",
        "fraction, least to most",
        (0.43, 0.55),
        "llama.cpp",
        "models above 13B; here 34B and 70B in 4 and 8 bits",
        _README,
        kind="range",
        note="An eighth of 32 bits a weight per disk against 4.5 or 8.5 on one disk: 4 bits give 14 %, 8 bits 55 %. The published most "
        "is that of 8 bits, the least (43 %) lies between the formats.",
    ),
    Claim(
        "70b",
        "token latency",
        "s",
        29.4,
        "none",
        "Llama 2-70B, 8 devices",
        "memory",
        note="Predicted from the disk of the 34B row.",
    ),
)

_ASSUMPTIONS = (
    Assumption("disk", "1.2 GB/s", ("1.15 GB/s", "1.24 GB/s"), "effective rate of each device's disk, by the 34B row: 14 s, rounded"),
    Assumption(
        "mac_disk",
        "1.2 GB/s",
        ("3 GB/s", "0.72 GB/s"),
        "disk of the baselines' laptop: as the other devices'; Apple's sequential rate; what the authors of prima.cpp measured at random",
    ),
    Assumption("loading", "always", ("where needed",), "whether shards are streamed also where they would all fit into 8 GB"),
    Assumption("window", 2, (4,), "blocks in memory: the least, and that of the README's examples"),
    Assumption("hop", "1 ms", ("0.1 ms", "10 ms"), "from device to device through the switch; the paper sweeps it"),
    Assumption("bandwidth", "1 Gbit/s", ("100 Mbit/s",), "of each device's link; the paper sweeps it"),
    Assumption("device", "apple_m1_gpu8", ("xeon_gold_6154",), "whose CPU the wired devices have: the paper emulates them"),
    Assumption("offloaded", "all", ("what does not fit",), "layers that Accelerate keeps on disk"),
    Assumption("swapped", "read and written", ("read",), "whether pages go to swap anew each time, or clean copies are kept there"),
    Assumption("prompt", 16, (128,), "tokens of the prompt: short, by the paper"),
)


class _Times(NamedTuple):
    """Seconds to the first token and per further one, and the peak of the first device's memory in bytes."""

    first: float
    token: float
    memory: float


def _times(file: str, changes: Mapping[str, Any]) -> _Times:
    return _simulated(file, json.dumps(changes, sort_keys=True))


@cache
def _simulated(file: str, changes: str) -> _Times:
    result = simulate(Scenario.load(_FOLDER / file).override(json.loads(changes)))
    last, memory = result.steps.iloc[-1], result.memory.set_index(["pool", "allocation"]).peak_bytes
    first = next(pool for pool, allocation in memory.index if allocation == "total")
    return _Times(float(result.jobs.ttft_s.iloc[0]), float((last.end_s - last.start_s) / last.iterations), float(memory[first, "total"]))


def _length(assumed: Mapping[str, Any]) -> dict[str, Any]:
    return {"workloads.user.lengths.prompt.value": assumed["prompt"]}


def _disk(group: str, rate: str) -> dict[str, Any]:
    return {f"cluster.devices.{group}.storage.ssd.{way}": rate for way in ("read", "write")}


def _together(model: str, assumed: Mapping[str, Any], **changes: Any) -> _Times:
    """Eight devices that stream, with `changes` to their replica."""
    half = float(assumed["hop"].removesuffix(" ms")) / 2000.0
    found = {
        "services.chat.model": model,
        "cluster.devices.node.device": assumed["device"],
        "cluster.links.cable.latency": half,
        "cluster.links.cable.bandwidth": assumed["bandwidth"],
        _REPLICA + "residency.window": assumed["window"],
        _REPLICA + "residency.always": assumed["loading"] == "always",
        **_disk("node", assumed["disk"]),
        **_length(assumed),
    }
    if "residency" in changes:
        found = {key: value for key, value in found.items() if not key.startswith(_REPLICA + "residency.")}
    return _times("scenario.yaml", found | {_REPLICA + key: value for key, value in changes.items()})


def _galaxy(model: str, assumed: Mapping[str, Any]) -> _Times:
    """Resident shards, all-reduced around a ring; what does not fit is swapped."""
    return _together(
        model,
        assumed,
        partitioning={"policy": "tensor_parallel", "algorithm": "ring", "additions": True, "engine": "cpu"},
        residency={"policy": "swap", "write_back": assumed["swapped"] == "read and written"},
        weight_budget="4 GB",
    )


def _alone(model: str, assumed: Mapping[str, Any], residency: Any, format: str = "fp32", engine: str = "cpu") -> _Times:
    """The whole model on the laptop."""
    changes = {
        "services.chat.model": model,
        "services.chat.format": format,
        _REPLICA + "residency": residency,
        _REPLICA + "partitioning.engine": engine,
        **_disk("mac", assumed["mac_disk"]),
        **_length(assumed),
    }
    return _times("alone.yaml", changes)


def _saved(fast: _Times, slow: _Times) -> tuple[float, float]:
    return 1.0 - fast.first / slow.first, 1.0 - fast.token / slow.token


def _least(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(first for first, _ in pairs), min(token for _, token in pairs)


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    streamed = {model: _together(model, assumed) for model in _STREAMED}
    largest, galaxy = _together("llama-2-70b", assumed), _galaxy("llama-2-70b", assumed)
    kept = "lru" if assumed["offloaded"] == "all" else "pinned"
    accelerate = {model: _alone(model, assumed, kept) for model in _ON_A_MAC}
    swapped = {"policy": "swap", "write_back": assumed["swapped"] == "read and written"}
    transformers = {model: _alone(model, assumed, swapped) for model in _ON_A_MAC}
    return {
        "vs-accelerate": _least([_saved(streamed[model], accelerate[model]) for model in _ON_A_MAC]),
        "vs-transformers-galaxy": (
            *_least([_saved(streamed[model], transformers[model]) for model in _ON_A_MAC]),
            *_saved(largest, galaxy),
        ),
        "memory": largest.memory / 1e9,
        "klonet-table": tuple(streamed[model].token for model in _STREAMED),
        "accelerate-table": tuple(accelerate[model].token for model in _ON_A_MAC),
        "transformers-table": tuple(transformers[model].token for model in _ON_A_MAC),
        "vs-llamacpp": _against_llama_cpp(largest, assumed),
        "70b": largest.token,
    }


def _against_llama_cpp(largest: _Times, assumed: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the most that is saved over 34B and 70B in both formats, on the laptop's GPU."""
    ours = {"yi-34b": _together("yi-34b", assumed), "llama-2-70b": largest}
    found = [1.0 - ours[model].token / _alone(model, assumed, "mmap", format, "gpu").token for model in ours for format in ("q4_0", "q8_0")]
    return min(found), max(found)


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """Token latencies by model: TPI-LLM on eight devices, and the baselines on one."""
    groups = {
        "klonet-table": [f"TPI-LLM {size}" for size in ("3B", "7B", "8B", "13B")],
        "70b": ["TPI-LLM 70B"],
        "accelerate-table": [f"Accelerate {size}" for size in ("3B", "7B", "8B")],
        "transformers-table": [f"Transformers {size}" for size in ("3B", "7B", "8B")],
    }
    return bars(rows, groups, "seconds per token")


SYSTEM = System(
    name="tpi-llm",
    title="TPI-LLM: Serving 70B-scale LLMs Efficiently on Low-resource Edge Devices",
    source="Li, Feng, Guo, Yu, arXiv 2410.00531, 2024",
    claims=_CLAIMS,
    assumptions=_ASSUMPTIONS,
    run=_run,
    picture=_picture,
)
"""See `README.md`."""
