"""GemFilter (Shi et al., 2024): claims, assumptions, and the runs that answer them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.simulator import Result, Scenario, simulate
from edgewright.workloads import format_named, zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

_BASE = Scenario.load(Path(__file__).with_name("scenario.yaml"))
_PROMPT = 131_072
_README = "readme (read off a figure)"

_CLAIMS = (
    Claim(
        "speed",
        "speed-up of the prompt",
        "ratio",
        2.4,
        "SnapKV and standard attention",
        "Llama-3.1-8B, 131 072 tokens; here against SnapKV",
        "abstract",
        note="32 layers over 13, less the second pass over the picked tokens.",
    ),
    Claim(
        "mem",
        "GPU memory, reduced",
        "fraction",
        0.3,
        "SnapKV",
        "prompt phase, 128K: some 22 GB against 30 GB, and 45 GB of standard attention",
        "abstract",
        note="Only if the layers behind the filter are not in memory while it runs. With all weights there (`weights: all`) nothing is "
        "saved against SnapKV; a server that answers needs them.",
    ),
    Claim(
        "prompt128",
        "prompt time: standard, SnapKV, GemFilter",
        "s",
        (17.0, 17.3, 7.4),
        "none",
        "131 072 tokens",
        _README,
        note="All three are alike too fast: the published software reaches 39 % of the H100's peak where the catalogue's reaches 57 %. "
        "At 65 536 and 32 768 tokens (5.2, 5.3, 2.3 s and 1.8, 1.9, 0.8 s) it is the same, 3.6, 3.6, 1.5 s and 1.2, 1.2, 0.5 s.",
    ),
    Claim(
        "gen_mem",
        "memory while generating: standard, SnapKV, GemFilter",
        "GB",
        (63.0, 16.5, 15.5),
        "none",
        "after 131 072 tokens",
        _README,
        note="Standard attention: 16.1 GB of weights and 17.2 GB of cache are 33 GB; 63 GB would be the cache almost three times. It "
        "contradicts 45 GB in the prompt phase, which holds the same cache and activations besides.",
    ),
    Claim(
        "reduction",
        "input tokens kept",
        "fraction",
        0.001,
        "the prompt",
        "108K tokens to 100, a demonstration",
        "abstract",
        unsimulated="an input: as many tokens are picked as is asked; whether the answer survives is accuracy",
    ),
)

_ASSUMPTIONS = (
    Assumption(
        "device",
        "h100_sxm",
        ("h100_80gb_pcie", "a100_80gb_sxm"),
        "the card: 6.6e15 operations in 17 s are 390 TFLOP/s, which an A100 (312) cannot reach; the PCIe card has 756 TFLOP/s",
    ),
    Assumption(
        "software",
        "huggingface",
        ("pytorch", "tensorrt-llm", None),
        "whose efficiencies stand for Transformers with FlashAttention-2: Transformers; PyTorch; the fastest; assumed ones",
    ),
    Assumption("tokens", 1024, (2048, 4096), "tokens picked, and kept by SnapKV: the range of the paper"),
    Assumption("layers", 13, (14, 11), "layers of the filter; the paper's 13 of 32 is recalled"),
    Assumption(
        "weights",
        "of the filter",
        ("all",),
        "weights in memory in the prompt phase: embedding and the layers of the filter, or all",
    ),
    Assumption(
        "buffers",
        3,
        (2,),
        "rows of the feed-forward's width alive at once: gate, up and their product, as eager operations leave them; or gate and up, fused",
    ),
)


def _simulated(kv: Any, assumed: Mapping[str, Any]) -> Result:
    changes = {
        "cluster.devices.gpu.device": assumed["device"],
        "cluster.devices.gpu.software": assumed["software"],
        "services.chat.kv": kv,
    }
    return simulate(_BASE.override(changes))


def _peak_GB(result: Result) -> float:
    memory = result.memory.set_index(["pool", "allocation"])["peak_bytes"]
    return float(memory["gpu.vram", "total"]) / 1e9


def _prompt_GB(layers: int, weights: str, buffers: int) -> tuple[float, float]:
    """Peak memory of the prompt phase of SnapKV and GemFilter: weights, activations of a feed-forward, one layer's keys and values."""
    model, format = zoo.model("llama-3.1-8b"), format_named("bf16")
    width = model.blocks[2].internal / 2.0
    activations = _PROMPT * (buffers * width + 2.0 * model.hidden) * format.activation_bytes
    cached = _PROMPT * model.part(format, 1, 2).kv_bytes_per_token
    whole = model.weight_bytes(format)
    held = whole if weights == "all" else model.part(format, 0, 1 + 2 * layers).weight_bytes
    return (whole + activations + cached) / 1e9, (held + activations + cached) / 1e9


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    tokens, layers = assumed["tokens"], assumed["layers"]
    chosen = ("full", {"policy": "snapkv", "tokens": tokens}, {"policy": "gemfilter", "tokens": tokens, "layers": layers})
    results = [_simulated(kv, assumed) for kv in chosen]
    seconds = tuple(float(result.jobs["ttft_s"].iloc[0]) for result in results)
    snapkv, gemfilter = _prompt_GB(layers, assumed["weights"], assumed["buffers"])
    return {
        "speed": seconds[1] / seconds[2],
        "mem": 1.0 - gemfilter / snapkv,
        "prompt128": seconds,
        "gen_mem": tuple(_peak_GB(result) for result in results),
    }


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    return bars(rows, {"prompt128": ["standard", "SnapKV", "GemFilter"]}, "seconds to the first token, 131 072 tokens")


SYSTEM = System(
    name="gemfilter",
    title="Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input Token Reduction",
    source="arXiv 2409.17422",
    claims=_CLAIMS,
    assumptions=_ASSUMPTIONS,
    run=_run,
    picture=_picture,
)
"""GemFilter against SnapKV and standard attention."""
