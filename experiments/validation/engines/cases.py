"""What is run, and which models are held out from what is fitted: decided by rules, before anything was measured.

Shapes are those of published configurations; two mixtures of experts are made up, in the manner of Mixtral (few large experts) and of OLMoE
(many small ones), small enough to be run here. Weights are random.

The halves: dense models in order of their names, every other one from the first to half 0, the rest to half 1; mixtures likewise, and
vision models likewise. Each half is predicted by what was fitted to the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright import workloads

__all__ = ["FORMATS", "LLMS", "VISION", "Llm", "LlmCase", "VisionCase", "half_of", "llm_cases", "vision_cases"]

FORMATS = ("F16", "Q8_0", "Q4_0")
"""Number formats of weights, by llama.cpp's names."""

VISION = ("deit-base", "deit-small", "deit-tiny", "efficientnet-b0", "mobilenet-v2", "resnet-18", "resnet-50", "vgg-11")
"""Vision models, by the zoo's names."""

_PREFILLS = (32, 128, 512, 1024)
_CONTEXTS = (128, 512, 1024, 2048)
_BATCHES = (2, 3, 4, 6, 8)
_BATCH_CONTEXT = 128
_PREFILL_FLOPS = {1: 1.6e11, 2: 3.2e11}
_FILL_FLOPS = 1.3e12


@dataclass(frozen=True, slots=True)
class Llm:
    """The shape of a decoder.

    Attributes:
        name: of the zoo, or of a made-up mixture.
        family: `llama`, `qwen2` or `moe`.
        hidden, inner: width of the model, and of its feed-forward networks (of one expert).
        layers, heads, kv_heads, head_dim: as usual.
        vocab, tied: rows of the embedding table, and whether it is the head as well.
        experts, active: routed experts of a layer, and of a token; 0 for a dense model.
    """

    name: str
    family: str
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    experts: int = 0
    active: int = 0

    @property
    def config(self) -> dict[str, Any]:
        """As the configuration of a published architecture, which `workloads.from_config` reads."""
        kind = {"llama": "llama", "qwen2": "qwen2", "moe": "mixtral"}[self.family]
        experts = {"num_local_experts": self.experts, "num_experts_per_tok": self.active} if self.experts else {}
        return {
            "model_type": kind,
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab,
            "tie_word_embeddings": self.tied,
            **experts,
        }

    @property
    def computed(self) -> int:
        """Parameters of the layers that one token passes."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.inner * max(self.active, 1))


def _of_zoo(name: str) -> Llm:
    found = json.loads((Path(workloads.__file__).parent / "zoo" / f"{name}.json").read_text(encoding="utf-8"))
    heads = found["num_attention_heads"]
    return Llm(
        name,
        found["model_type"],
        found["hidden_size"],
        found["intermediate_size"],
        found["num_hidden_layers"],
        heads,
        found["num_key_value_heads"],
        found.get("head_dim", found["hidden_size"] // heads),
        found["vocab_size"],
        found["tie_word_embeddings"],
    )


LLMS: Mapping[str, Llm] = {
    each.name: each
    for each in (
        *map(_of_zoo, ("llama-3.2-1b", "qwen2-0.5b", "smollm-135m", "smollm-360m", "tinyllama-1.1b")),
        Llm("moe-8x2", "moe", 768, 2048, 12, 12, 4, 64, 32000, False, 8, 2),
        Llm("moe-32x4", "moe", 1024, 512, 16, 16, 4, 64, 32000, False, 32, 4),
    )
}
"""The decoders by name."""


@dataclass(frozen=True, slots=True)
class LlmCase:
    """A step of llama.cpp.

    Attributes:
        model, format, threads: what runs on how many threads.
        phase: `prefill` of `tokens` tokens from nothing, or `decode` of one token of each of `batch` sequences.
        tokens: of the prompt, or in the cache of each sequence before the step.
        batch: sequences.
    """

    model: str
    format: str
    threads: int
    phase: str
    tokens: int
    batch: int = 1


@dataclass(frozen=True, slots=True)
class VisionCase:
    """An inference of `batch` images by `engine` (`onnxruntime` or `torch`)."""

    engine: str
    model: str
    threads: int
    batch: int


def llm_cases(model: Llm, format: str) -> Iterator[LlmCase]:
    """The designed subset: prompts as far as their operations fit the time, contexts one by one and batches over short contexts."""
    for threads in (1, 2):
        for tokens in _PREFILLS:
            if 2.0 * model.computed * tokens <= _PREFILL_FLOPS[threads] or tokens == _PREFILLS[0]:
                yield LlmCase(model.name, format, threads, "prefill", tokens)
        for tokens in _CONTEXTS:
            if 2.0 * model.computed * tokens <= _FILL_FLOPS:
                yield LlmCase(model.name, format, threads, "decode", tokens)
        for batch in _BATCHES:
            yield LlmCase(model.name, format, threads, "decode", _BATCH_CONTEXT, batch)


def vision_cases() -> Iterator[VisionCase]:
    """Every engine, model, batch of 1 and 4, and 1 and 2 threads."""
    for engine in ("onnxruntime", "torch"):
        for model in VISION:
            yield from (VisionCase(engine, model, threads, batch) for threads in (1, 2) for batch in (1, 4))


def half_of(model: str) -> int:
    """The half (0 or 1) that a model is in; raises `ValueError` for one that is not run."""
    dense = [name for name, each in sorted(LLMS.items()) if not each.experts]
    mixtures = [name for name, each in sorted(LLMS.items()) if each.experts]
    kinds: Sequence[Sequence[str]] = (dense, mixtures, sorted(VISION))
    for names in kinds:
        if model in names:
            return names.index(model) % 2
    raise ValueError(f"{model!r} is not run: accepted are {', '.join((*dense, *mixtures, *VISION))}")
