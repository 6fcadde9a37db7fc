"""Scissorhands (Liu et al., NeurIPS 2023): claims, assumptions, and the runs that answer them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.policies.kv import HeavyHitters, Scissorhands, SlidingWindow, retained_attention
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.check import check
from edgewright.simulator.plots import PALETTE, canvas, picture_style
from edgewright.workloads import AttentionProcess

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row
    from edgewright.policies.families import KvPolicy

__all__ = ["SYSTEM", "capacity", "throughput"]

_BASE = Scenario.load(Path(__file__).with_name("scenario.yaml"))
_OUTPUT, _CONTEXT = 410, 2048
_PAPER = "paper page"
_ACCURACY = "accuracy; `retained_attention` says what share of the attention the buffer holds"

_CLAIMS = (
    Claim(
        "mem5x",
        "memory of the KV cache, reduced",
        "ratio",
        5.0,
        "full cache",
        "no loss of accuracy, OPT-66B; here at a context of 2048",
        "abstract",
        note="Arithmetic of a buffer of a fifth, once the prompt is cut. A prompt computed at once is held whole until then.",
    ),
    Claim(
        "mem20x",
        "memory of the KV cache in 4 bits, reduced",
        "ratio",
        20.0,
        "full cache in fp16",
        "5x * 4x",
        "abstract",
        note="4 bits with a 16-bit scale and zero point per 64 numbers are 4.5 bits, and 17.8.",
    ),
    Claim(
        "keep", "part of the cache that preserves accuracy", "fraction", (0.15, 0.3), "full cache", "tasks", _PAPER, unsimulated=_ACCURACY
    ),
    Claim(
        "quant",
        "HellaSwag accuracy",
        "accuracy",
        (0.702, 0.706, 0.704),
        "original, 2x, 2x and 4 bits",
        "OPT-6B; OPT-13B 0.720 in all three",
        _PAPER,
        unsimulated="accuracy",
    ),
    Claim(
        "persist",
        "persistence of importance",
        "fraction",
        0.95,
        "none",
        "above that in most layers, lower in later ones",
        "memory",
        unsimulated="a property of models, which the seeded attention has as an input (`persistence`)",
    ),
)

_ASSUMPTIONS = (
    Assumption("bits", 4.0, (4.5,), "bits per number of the quantised cache: the codes alone, as published; with scales and zero points"),
    Assumption("buffer", 0.2, (0.25, 0.15), "part of the context that the buffer holds: a fifth by the abstract; what tasks need"),
)


def _changes(buffer: float, bits: float | None, requests: int = 1) -> dict[str, Any]:
    """The scenario with a buffer of that part of the context (1: the full cache)."""
    own = {} if bits is None else {"bits": bits}
    short = {"policy": "scissorhands", "tokens": round(buffer * _CONTEXT), **own}
    whole = "full" if bits is None else {"policy": "quantised", **own}
    return {"services.chat.kv": whole if buffer == 1.0 else short, "workloads.batch.arrivals.at": [0.0] * requests}


def _kv_bytes(buffer: float, bits: float | None) -> float:
    """The most bytes of cache that one request held."""
    memory = simulate(_BASE.override(_changes(buffer, bits))).memory
    return float(memory[memory["allocation"] == "chat.all KV"]["peak_bytes"].sum())


def capacity(buffer: float, bits: float | None = None) -> int:
    """Sequences of 2048 tokens whose caches fit at once."""
    checked = check(_BASE.override(_changes(buffer, bits)))
    tokens = checked.capacities["chat.all"].tokens or 0
    return tokens // (_CONTEXT if buffer == 1.0 else round(buffer * _CONTEXT))


@cache
def throughput(buffer: float, bits: float | None = None) -> float:
    """Tokens per second while as many sequences decode as fit, their prompts included."""
    requests = capacity(buffer, bits)
    result = simulate(_BASE.override(_changes(buffer, bits, requests)))
    return requests * _OUTPUT / float(result.jobs["finished_s"].max())


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    buffer, full = assumed["buffer"], _kv_bytes(1.0, None)
    return {"mem5x": full / _kv_bytes(buffer, None), "mem20x": full / _kv_bytes(buffer, assumed["bits"])}


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """The paper's question, what may be left out of the cache, twice: tokens per second, and the attention that is retained."""
    parts = (1.0, 0.5, 0.2)
    with picture_style():
        drawing, (above, below) = canvas(5.0, 5.4, rows=2)
        for shift, bits, label in ((-0.2, None, "16 bits"), (0.2, 4.0, "4 bits")):
            heights = [throughput(part, bits) for part in parts]
            bars = above.bar([place + shift for place in range(3)], heights, 0.38, label=label, color=PALETTE[0 if bits is None else 1])
            above.bar_label(bars, [f"batch {capacity(part, bits)}" for part in parts], fontsize=7)
        above.set_ylabel("tokens/s (derived, no claim)")
        above.legend()
        names = {"Scissorhands": PALETTE[0], "heavy hitters": PALETTE[2], "latest tokens": PALETTE[3]}
        for name, colour in names.items():
            below.plot(range(3), [_retained(name, part) for part in parts], color=colour, linestyle="-", marker="o", label=name)
        below.set_ylabel("attention retained")
        below.set_xticks(range(3), ["whole cache", "1/2", "1/5"])
        below.legend()
    return drawing


def _retained(name: str, part: float) -> float:
    """Of a context of 512 and 48 tokens, 50 requests, 4 layers; a buffer is on average three quarters full."""
    if part == 1.0:
        return 1.0
    tokens = round(part * 512)
    policies: dict[str, KvPolicy] = {
        "Scissorhands": Scissorhands(tokens=tokens),
        "heavy hitters": HeavyHitters(tokens=tokens),
        "latest tokens": SlidingWindow(sinks=0, window=tokens),
    }
    return retained_attention(policies[name], AttentionProcess(), prompt=512, answer=48, history=64).mean


SYSTEM = System(
    name="scissorhands",
    title="Scissorhands: Exploiting the Persistence of Importance Hypothesis for LLM KV Cache Compression at Test Time",
    source="arXiv 2305.17118",
    claims=_CLAIMS,
    assumptions=_ASSUMPTIONS,
    run=_run,
    picture=_picture,
)
"""Scissorhands against the full cache."""
