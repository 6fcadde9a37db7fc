"""Engine presets: what the serving software adds to the hardware — limits of the batch, how KV memory is handed out, host time.

A replica imitates one of them (`engine: vllm`) and may change its figures (`engine: {preset: vllm, max_sequences: 64}`), or one that a file
holds (`engine: {file: server.yaml}`), which `edgewright calibrate --from-log` writes.

How wrong can this be? Limits and block sizes are the engines' own and exact for the versions named. Host time per step is assumed
where the preset says so: it matters where a step takes about as long (small models on fast devices), and is lost in the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["PRESETS", "EnginePreset"]


@dataclass(frozen=True, slots=True)
class EnginePreset:
    """How a serving engine behaves.

    Attributes:
        name: what a scenario calls it.
        source: which version and settings the figures are of, and where they are written.
        memory: `paged`: KV memory is taken block by block as sequences grow, and a sequence is preempted when none is left;
            `slots`: every sequence has a slot of `slot_tokens`, reserved from the start.
        max_sequences: sequences in the batch (of slots: how many there are).
        max_tokens: tokens computed in one step.
        block_size: tokens per block of KV memory.
        slot_tokens: tokens of context per slot; None for paged memory.
        watermark: fraction of the blocks that admitting a waiting job must leave free.
        memory_fraction: fraction of a memory pool that the engine takes for weights, workspace and KV together.
        workspace: bytes on each device for activations, graphs and libraries, outside weights and KV.
        step_overhead: host seconds per step that nothing hides; `sequence_overhead` per sequence of the step besides. Those of measured
            software (`software` of a replica's first device) stand in their place, unless the scenario sets them.
        context_overhead: the same per token of context of the sequences that decode; `prompt_overhead` per prompt token computed.
        whole_step: whether these four are all that a step takes (as where they were fitted to a server's log): the first engine of the
            replica's first device is busy for as long at its full clock, and computes nothing else. Its energy is then an estimate: that
            of an engine which arithmetic binds all the while.
        kv_tokens: tokens of KV memory; None: as many as there is memory for.
        preemption: what happens to a sequence when no block is left: `recompute` drops its KV and computes prompt and output so far
            again; `swap` copies it to a slower tier until there is room (and recomputes where that is full); `reject` fails it. That
            sequences keep fewer tokens, and so run out later, is the business of the KV policy, which evicts tokens, not sequences.
        swap_to: that tier: `host`, the memory of a card's host, or the name of a storage; `swap_space` bytes of it per device.
        instances: whether every sequence of a batch is decoded by an instance of the model of its own, as servers do that know no batches
            of requests (CUDA streams or processes that share one copy of the weights): each reads all weights again, and they take turns.
        padding: whether the row of a sequence that has ended is computed on until another takes its place or none runs, as in engines that
            cannot compact their buffers.
        prefix_caching: whether prompts that begin alike share the blocks of their beginning (paged memory only).
        cache_copies: how often each decode step copies the cache that it attends to: 0 where tokens are written in place, 1 where a
            contiguous cache is concatenated with the new token, 2 where beams are reordered besides.
        assumed: which of the figures are assumptions.
    """

    name: str
    source: str
    memory: Literal["paged", "slots"] = "paged"
    max_sequences: int = 1_000_000
    max_tokens: int = 1_000_000
    block_size: int = 1
    slot_tokens: int | None = None
    watermark: float = 0.0
    memory_fraction: float = 1.0
    workspace: float = 0.0
    step_overhead: float = 0.0
    sequence_overhead: float = 0.0
    context_overhead: float = 0.0
    prompt_overhead: float = 0.0
    whole_step: bool = False
    kv_tokens: int | None = None
    preemption: Literal["recompute", "swap", "reject"] = "recompute"
    swap_to: str = "host"
    swap_space: float = 4.0 * 2**30
    instances: bool = False
    padding: bool = False
    prefix_caching: bool = True
    cache_copies: float = 0.0
    assumed: tuple[str, ...] = ()

    def with_(self, figures: Mapping[str, Any]) -> EnginePreset:
        """This preset with some figures replaced; the scenario's own figures are no longer assumptions of the preset."""
        return replace(self, **figures, assumed=tuple(name for name in self.assumed if name not in figures))


_IDEAL = EnginePreset("ideal", "no engine: no limits but memory, no host time, KV memory token by token")

_VLLM = EnginePreset(
    "vllm",
    "vLLM 0.19 (V1) on one GPU below 70 GB: engine arguments max_num_seqs 256, max_num_batched_tokens 2048, block_size 16, "
    "gpu_memory_utilization 0.9 of a published run (LLMServingSim 2.0, bench/examples, RTX 4090, Llama-3.1-8B bf16), whose 2588 blocks "
    "leave 0.9 x 25.25 GB - 16.06 GB weights - 5.43 GB KV = 1.24 GB for the workspace; KV use reaches 100 % in it: no watermark",
    max_sequences=256,
    max_tokens=2048,
    block_size=16,
    memory_fraction=0.9,
    workspace=1.24e9,
    step_overhead=1e-3,
    assumed=("step_overhead",),
)

_LLAMA_CPP = EnginePreset(
    "llama.cpp",
    "llama-server with 4 parallel slots of 4096 tokens (-np 4 -c 16384, no unified KV), logical batch 2048 (-b, tools/server/README)",
    memory="slots",
    max_sequences=4,
    max_tokens=2048,
    block_size=1,
    slot_tokens=4096,
    workspace=0.3e9,
    step_overhead=2e-4,
    sequence_overhead=1e-4,
    assumed=("slot_tokens", "workspace", "step_overhead", "sequence_overhead"),
)

_TRANSFORMERS = EnginePreset(
    "transformers",
    "Hugging Face Transformers `generate`, eager: the cache is one tensor per layer, as long as the context, which each step concatenates"
    " with the new token (`DynamicCache.update`); nothing is shared; host time is the device's `software`",
    preemption="reject",
    prefix_caching=False,
    cache_copies=1.0,
)

PRESETS: Mapping[str, EnginePreset] = MappingProxyType({preset.name: preset for preset in (_IDEAL, _VLLM, _LLAMA_CPP, _TRANSFORMERS)})
"""The engine presets by name."""
