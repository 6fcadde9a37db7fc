"""Models and their true number format from a GGUF file: architecture from the metadata, widths from the type of each tensor.

Needs the `gguf` package (`pip install 'edgewright[formats]'`). Weights are not read: the file is mapped, and only its tables are looked at.

How accurate is this? The model's parameters are checked against the tensors of the file; a difference of more than a thousandth is
refused. Widths are means per role (matrices, embedding, head, vectors): bytes of the whole are exact, bytes of one layer are off where
the file mixes types between layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgewright.workloads.formats import Format, Role
from edgewright.workloads.hf import from_config
from edgewright.workloads.hf_config import BadConfig
from edgewright.workloads.model import Model

__all__ = ["from_gguf"]

_TYPES = {
    "deepseek2": "deepseek_v2",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "llama": "llama",
    "mamba": "mamba",
    "olmoe": "olmoe",
    "phi3": "phi3",
    "phimoe": "phimoe",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "qwen3moe": "qwen3_moe",
}
_KEYS = {
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.q_lora_rank": "q_lora_rank",
    "attention.sliding_window": "sliding_window",
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "expert_count": "num_experts",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_count": "n_shared_experts",
    "expert_used_count": "num_experts_per_tok",
    "feed_forward_length": "intermediate_size",
    "leading_dense_block_count": "first_k_dense_replace",
    "rope.dimension_count": "qk_rope_head_dim",
    "ssm.conv_kernel": "conv_kernel",
    "ssm.inner_size": "intermediate_size",
    "ssm.state_size": "state_size",
    "ssm.time_step_rank": "time_step_rank",
}


def from_gguf(path: str | Path) -> tuple[Model, Format]:
    """The model in a GGUF file, and its number format with the widths that the file really has.

    Raises `BadConfig` for a file that is no GGUF, an unknown architecture, or tensors that do not add up to the model;
    `ModuleNotFoundError`, saying what to install, without the `gguf` package.
    """
    reader = _open(Path(path))
    metadata = {key: field.contents() for key, field in reader.fields.items() if not key.startswith(("GGUF.", "tokenizer."))}
    tensors = [each for each in reader.tensors if not each.name.startswith("rope_")]
    model = from_config(_config(path, metadata, {each.name: each for each in tensors}), Path(path).stem)
    found = sum(int(each.n_elements) for each in tensors)
    if abs(found - model.parameters) > 1e-3 * found:
        raise BadConfig(f"{path}: tensors hold {found} parameters, but its metadata describe a model of {model.parameters}")
    return model, _format(Path(path).stem, tensors)


def _open(path: Path) -> Any:
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("reading GGUF files needs the gguf package: pip install 'edgewright[formats]'") from error
    try:
        return gguf.GGUFReader(path)
    except (OSError, ValueError) as error:
        raise BadConfig(f"{path}: not a readable GGUF file ({error})") from error


def _config(path: str | Path, metadata: dict[str, Any], tensors: dict[str, Any]) -> dict[str, Any]:
    architecture = metadata.get("general.architecture")
    if architecture not in _TYPES:
        raise BadConfig(f"{path}: architecture {architecture!r} is unknown; accepted are {', '.join(_TYPES)}")
    own = {full.removeprefix(f"{architecture}."): value for full, value in metadata.items()}
    known = {_KEYS[key]: value for key, value in own.items() if key in _KEYS and value != 0}
    config: dict[str, Any] = {
        "model_type": _TYPES[architecture],
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "tie_word_embeddings": "output.weight" not in tensors,
        "attention_bias": "blk.0.attn_q.bias" in tensors,
        "lm_head_bias": "output.bias" in tensors,
        **known,
    }
    experts = config.get("num_experts")
    config |= {"num_local_experts": experts, "n_routed_experts": experts}
    if architecture == "llama" and experts:
        config["model_type"] = "mixtral"
    if architecture == "deepseek2":
        config |= _latent(metadata, config, tensors)
    return config


def _latent(metadata: dict[str, Any], config: dict[str, Any], tensors: dict[str, Any]) -> dict[str, Any]:
    """Head widths of latent attention; newer files name them `*_length_mla`."""
    key = metadata.get("deepseek2.attention.key_length_mla", metadata.get("deepseek2.attention.key_length"))
    value = metadata.get("deepseek2.attention.value_length_mla", metadata.get("deepseek2.attention.value_length"))
    bias = any(name.endswith("exp_probs_b.bias") for name in tensors)
    found = {"qk_nope_head_dim": int(key or 0) - int(config["qk_rope_head_dim"]), "v_head_dim": value}
    return found | {"topk_method": "noaux_tc" if bias else "greedy"}


def _format(name: str, tensors: Iterable[Any]) -> Format:
    """Mean width per role; activations and arithmetic as llama.cpp runs them."""
    bits: dict[Role, float] = {}
    numbers: dict[Role, int] = {}
    for each in tensors:
        role = _role(each.name, len(each.shape))
        bits[role] = bits.get(role, 0.0) + 8.0 * int(each.n_bytes)
        numbers[role] = numbers.get(role, 0) + int(each.n_elements)
    width = {role: bits[role] / numbers[role] for role in bits}
    quantised = width["matrix"] < 16
    embedding = width["embedding"]
    return Format(
        name=f"gguf:{name}",
        weight_bits=width["matrix"],
        activation_bits=32.0,
        dtype="int8" if quantised else "fp16",
        embedding_bits=embedding,
        head_bits=width.get("head", embedding),
        vector_bits=width.get("vector", 32.0),
        source=f"tensor types of {name}.gguf",
    )


def _role(name: str, dimensions: int) -> Role:
    if name == "token_embd.weight":
        return "embedding"
    if name == "output.weight":
        return "head"
    return "vector" if dimensions == 1 or ".ffn_gate_inp." in name else "matrix"
