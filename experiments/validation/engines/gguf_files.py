"""GGUF files of real shapes with random weights, for llama.cpp to run: what its numbers are does not change how long it takes.

Blocks of quantised weights are random codes under a scale that gives weights a spread of about 0.02, which keeps activations finite; one
random piece of some megabytes is repeated through all tensors, so that a file is written as fast as the disk takes it. All matrices are in
the one format (llama.cpp's own quantiser would keep the head of Q4_0 at Q6_K), norms and routers in F32.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.validation.engines.cases import Llm

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["write_gguf"]

_PIECE = 2**20
_SPREAD = 0.02
_LONGEST = 4096


def write_gguf(path: Path, model: Llm, format: str) -> None:
    """Write the model with all matrices in `format` (`F16`, `Q8_0` or `Q4_0`). Needs the package `gguf`."""
    import gguf

    writer = gguf.GGUFWriter(path, "qwen2" if model.family == "qwen2" else "llama")
    _metadata(writer, model)
    kind = gguf.GGMLQuantizationType[format]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    piece = _piece(format)
    tensors = list(_tensors(model))
    for name, shape in tensors:
        if len(shape) == 1 or "gate_inp" in name:
            writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * int(np.prod(shape)))
        else:
            packed = (*shape[:-1], shape[-1] // block * size) if format != "F16" else shape
            dtype = np.dtype(np.float16 if format == "F16" else np.uint8)
            writer.add_tensor_info(name, packed, dtype, int(np.prod(shape)) // block * size, raw_dtype=None if format == "F16" else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, shape in tensors:
        writer.write_tensor_data(_values(name, shape, piece, block, size))
    writer.close()


def _metadata(writer: Any, model: Llm) -> None:
    writer.add_context_length(_LONGEST)
    writer.add_embedding_length(model.hidden)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.inner)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_key_length(model.head_dim)
    writer.add_value_length(model.head_dim)
    writer.add_rope_dimension_count(model.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(model.vocab)
    writer.add_tokenizer_model("no_vocab")
    if model.experts:
        writer.add_expert_count(model.experts)
        writer.add_expert_used_count(model.active)


def _tensors(model: Llm) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes (slowest axis first)."""
    hidden, queries, keys = model.hidden, model.heads * model.head_dim, model.kv_heads * model.head_dim
    yield "token_embd.weight", (model.vocab, hidden)
    for layer in range(model.layers):
        at = f"blk.{layer}."
        yield at + "attn_norm.weight", (hidden,)
        for name, outputs in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{at}attn_{name}.weight", (outputs, hidden)
            if model.family == "qwen2":
                yield f"{at}attn_{name}.bias", (outputs,)
        yield at + "attn_output.weight", (hidden, queries)
        yield at + "ffn_norm.weight", (hidden,)
        routed, suffix = ((model.experts,), "_exps") if model.experts else ((), "")
        if model.experts:
            yield at + "ffn_gate_inp.weight", (model.experts, hidden)
        yield f"{at}ffn_gate{suffix}.weight", (*routed, model.inner, hidden)
        yield f"{at}ffn_up{suffix}.weight", (*routed, model.inner, hidden)
        yield f"{at}ffn_down{suffix}.weight", (*routed, hidden, model.inner)
    yield "output_norm.weight", (hidden,)
    if not model.tied:
        yield "output.weight", (model.vocab, hidden)


def _piece(format: str) -> NDArray[np.uint8]:
    """Random blocks, as bytes."""
    generator = np.random.default_rng(0)
    if format == "F16":
        return (generator.standard_normal(_PIECE) * _SPREAD).astype(np.float16).view(np.uint8)
    codes, spread = (32, 73.6) if format == "Q8_0" else (16, 4.6)
    blocks = generator.integers(0, 256, (_PIECE // 32, 2 + codes), dtype=np.uint8)
    if format == "Q8_0":
        blocks[:, 2:][blocks[:, 2:] == 128] = 0  # -128 is no code of the format
    blocks[:, :2] = np.array([_SPREAD / spread], np.float16).view(np.uint8)
    return blocks.reshape(-1)


def _values(name: str, shape: tuple[int, ...], piece: NDArray[np.uint8], block: int, size: int) -> NDArray[Any]:
    if len(shape) == 1:
        return np.zeros(shape, np.float32) if name.endswith("bias") else np.ones(shape, np.float32)
    if "gate_inp" in name:
        return (np.random.default_rng(1).standard_normal(shape) * _SPREAD).astype(np.float32)
    return np.resize(piece, int(np.prod(shape)) // block * size)
