"""Which KV policy at which length of context: how long a token takes, what fits, and what share of the attention is kept.

The baseline is the full cache. Time and memory are simulated; what a policy that forgets retains of the attention is its real selection on
seeded statistics (`policies.kv.quality`), of which nobody knows those of a model: each replicate draws its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.studies.drawing import band
from edgewright.experiments.studies.reading import Span, by_replicate, crossing, said
from edgewright.experiments.studies.study import Level, Part, Rows, Source, Study
from edgewright.experiments.studies.tables import crossed
from edgewright.policies.kv.quality import retained_attention
from edgewright.policies.registry import lookup
from edgewright.workloads import AttentionProcess, Stream

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["STUDY"]

_KV, _PROMPT = "services.chat.kv", "workloads.documents.lengths.prompt.value"
_POLICIES: Mapping[Level, Mapping[str, Any]] = {
    "full": {"policy": "full"},
    "4.5 bits": {"policy": "quantised", "bits": 4.5},
    "window of 2048": {"policy": "sliding_window", "sinks": 4, "window": 2044},
    "snapkv, 1024": {"policy": "snapkv", "tokens": 1024},
    "heavy hitters, a fifth": {"policy": "heavy_hitters", "budget": 0.2},
    "tidaldecode, 256": {"policy": "tidaldecode", "tokens": 256},
    "offload to NVMe": {"policy": "offload", "resident": 1024},
}
_WHOLE = ("full", "4.5 bits", "offload to NVMe")
_PROMPTS = (2048, 4096, 8192, 16384, 24576, 32768, 49152, 65536, 98304, 131072)
_SAMPLED = (2048, 8192, 32768)
_PATIENCE, _FASTER = 60.0, 1.25

# What differs between models, layers and heads, as ranges that a replicate draws from: assumptions around those of `AttentionProcess`.
_RANGES = {
    "sink_share": (0.2, 0.5),
    "recent_share": (0.2, 0.4),
    "exponent": (0.8, 1.2),
    "persistence": (0.6, 0.95),
    "agreement": (0.6, 0.95),
}


def _retained(replications: int) -> pd.DataFrame:
    """The share of attention that each policy which forgets keeps, by context and replicate."""
    import pandas as pd

    rows = []
    for replicate in range(replications):
        drawn = Stream(0, "attention processes").uniforms(len(_RANGES), replicate)
        values: dict[str, Any] = {
            name: low + (high - low) * float(at) for (name, (low, high)), at in zip(_RANGES.items(), drawn, strict=True)
        }
        process = AttentionProcess(**values)
        for name, given in _POLICIES.items():
            if name in _WHOLE:
                continue
            policy = lookup("kv", given["policy"])(**{key: value for key, value in given.items() if key != "policy"})
            for prompt in _SAMPLED:
                kept = retained_attention(policy, process, prompt=prompt, answer=16, requests=1, history=32, seed=replicate)
                rows.append({"policy": name, "context": prompt, "replicate": replicate, "reason": "", "retained": kept.mean})
    return pd.DataFrame(rows)


def _times(rows: Rows, policy: str, figure: str = "tpot_p50_s") -> pd.DataFrame:
    return by_replicate(rows["contexts"], figure, "context", policy=policy)


def _fits(rows: Rows, policy: str) -> float:
    """The longest prompt whose cache fits, by the tokens that memory holds."""
    return Span.of(_times(rows, policy, "chat.only.kv_capacity_tokens").iloc[:, 0]).middle


def _answer(rows: Rows) -> Sequence[str]:
    full, bits = _times(rows, "full"), _times(rows, "4.5 bits")
    worth = Span.of(crossing(_PROMPTS, full, _FASTER * bits))
    patience = Span.of(crossing(_PROMPTS, _times(rows, "4.5 bits", "ttft_p50_s"), np.full(full.shape, _PATIENCE)))
    longest = 32768
    forgetful = []
    for name in _POLICIES:
        if name not in _WHOLE:
            gain = Span.of(bits[longest] / _times(rows, str(name))[longest])
            kept = Span.of(by_replicate(rows["retained"], "retained", "context", policy=name)[longest])
            forgetful.append(f"{name}: {gain} times as fast, {kept} of the attention")
    slower = Span.of(_times(rows, "offload to NVMe")[longest] / bits[longest])
    return [
        f"Keep the full cache up to {worth} tokens, and quantise it to 4.5 bits beyond: from there on that decodes {said(_FASTER)} times as"
        f" fast, and it holds {said(_fits(rows, '4.5 bits'))} tokens in 8 GB where the full cache holds {said(_fits(rows, 'full'))}.",
        f"A prompt of {patience} tokens or more takes longer than {_PATIENCE:g} s to read, before a policy has anything to forget.",
        f"What forgetting gains on 4.5 bits at {longest:,} tokens, and what it keeps: {'; '.join(forgetful)}. Reading the older tokens from"
        f" the NVMe drive in every step keeps all, and takes {slower} times as long.",
    ]


def _picture(rows: Rows) -> Figure:
    from edgewright.simulator.plots import PAGE, PALETTE, canvas, legend, picture_style

    with picture_style():
        drawing, (above, below) = canvas(PAGE, 5.6, rows=2)
        for name, colour in zip(_POLICIES, (*PALETTE[:6], PALETTE[7]), strict=True):
            band(above, _times(rows, str(name)), str(name), colour)
            if name not in _WHOLE:
                band(below, by_replicate(rows["retained"], "retained", "context", policy=name), str(name), colour)
        above.set(xscale="log", yscale="log", ylabel="s per token")
        below.set(xlabel="tokens of the prompt", ylabel="attention retained", ylim=(0.4, 1.02))
        below.set_xticks(_PROMPTS[::3], [f"{each:,}" for each in _PROMPTS[::3]])
        below.minorticks_off()
        legend(drawing, "lines end where the cache no longer fits")
    return drawing


STUDY = Study(
    name="kv-on-8gb",
    question="Which KV policy at which length of context, on a board with 8 GB?",
    parts={
        "contexts": Part(
            factors={
                "policy": {name: {_KV: policy} for name, policy in _POLICIES.items()},
                "context": {each: {_PROMPT: each} for each in _PROMPTS},
            },
            figures={
                "tpot_p50_s": "TPOT (s)",
                "ttft_p50_s": "TTFT (s)",
                "rejected": "rejected",
                "chat.only.kv_capacity_tokens": "tokens that memory holds",
            },
        ),
        "retained": Source(compute=_retained, factors=("policy", "context"), figures={"retained": "attention retained"}),
    },
    answer=_answer,
    picture=_picture,
    tables={
        "Seconds per token, by context:": lambda rows: crossed(rows["contexts"], "tpot_p50_s", "context", "policy"),
        "Seconds to the first token:": lambda rows: crossed(rows["contexts"], "ttft_p50_s", "context", "policy"),
        "Share of the attention that is retained:": lambda rows: crossed(rows["retained"], "retained", "context", "policy"),
    },
)
"""The study."""
