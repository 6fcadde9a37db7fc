"""Number formats: how many bits a weight, a cached number and an activation really take, and what arithmetic they are multiplied in.

Block formats carry scales, so a "4-bit" weight takes 4.5 bits (GGUF Q4_0: 16-bit scale per 32 weights) or 4.16 (AWQ/GPTQ: 16-bit scale and
4-bit zero per group of 128). Quantisers also leave some tensors wider than the rest; a `Format` therefore has one width per `Role`.

How accurate is this? Against published GGUF files of Llama-2-7B, Llama-3-8B and Llama-3.2-3B the weight bytes computed from these widths
agree within 0.5 % (tests/workloads/test_model_formats.py); the rest is the vocabulary stored in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, TypeAlias

__all__ = ["Format", "Role", "UnknownFormat", "format_named", "format_names", "lut_format"]

Role: TypeAlias = Literal["matrix", "embedding", "head", "vector"]
"""What a parameter is: of a matrix product, an embedding table, the language-model head, or a vector (norms, biases, routers)."""


class UnknownFormat(ValueError):
    """No format of that name; the message lists those there are and the nearest."""


@dataclass(frozen=True, slots=True)
class Format:
    """A number format of weights, cache, activations and arithmetic.

    Attributes:
        name: unique name, e.g. `q4_0`; formats that differ should be named differently.
        weight_bits: bits per weight of the matrices, scales and zeros included.
        kv_bits: bits per cached number.
        activation_bits: bits per activation, in memory and on links; recurrent states are kept in it too.
        dtype: arithmetic of the products with weights, a key of `Engine.peaks`.
        vector_dtype: arithmetic of everything else (attention, norms), a key of `Engine.peaks`.
        dequantises: whether weights are expanded to `dtype` inside the product. The expansion is not counted as FLOPs: what it costs
            is part of a kernel's measured efficiency.
        embedding_bits, head_bits: widths of the embedding table and of the head; None: as the matrices. A head tied to the embedding
            table takes `head_bits` for both (llama.cpp's rule).
        vector_bits: width of norms, biases and routers.
        gemv: kernel class of products with one row: `gemv`, or `lut_gemv` for table look-up engines.
        lookups: of formats that are multiplied by tables, operations of the arithmetic's peak per weight and row, in place of the two of
            a multiply-accumulate; several rows are then looked up too. None: products multiply.
        source: where the widths come from.
    """

    name: str
    weight_bits: float
    kv_bits: float = 16.0
    activation_bits: float = 16.0
    dtype: str = "fp16"
    vector_dtype: str = "fp16"
    dequantises: bool = False
    embedding_bits: float | None = None
    head_bits: float | None = None
    vector_bits: float = 16.0
    gemv: str = "gemv"
    lookups: float | None = None
    source: str = ""

    def bits(self, role: Role) -> float:
        """Bits per parameter of that role."""
        if role == "vector":
            return self.vector_bits
        if role == "embedding" and self.embedding_bits is not None:
            return self.embedding_bits
        if role == "head" and self.head_bits is not None:
            return self.head_bits
        return self.weight_bits

    @property
    def activation_bytes(self) -> float:
        """Bytes per activation."""
        return self.activation_bits / 8

    @property
    def kv_bytes(self) -> float:
        """Bytes per cached number."""
        return self.kv_bits / 8


def format_named(name: str) -> Format:
    """The format of that name (case does not matter); raises `UnknownFormat`."""
    formats = _formats()
    found = formats.get(name.lower())
    if found is not None:
        return found
    near = get_close_matches(name.lower(), formats, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownFormat(f"unknown number format {name!r}: accepted are {', '.join(formats)}{hint}")


def format_names() -> tuple[str, ...]:
    """Names of all formats, in the order of this module."""
    return tuple(_formats())


def _formats() -> dict[str, Format]:
    return {each.name: each for each in (*_plain(), *_integer(), *_gguf(), *(lut_format(bits) for bits in (1, 2, 3, 4)))}


def lut_format(bits: int, instructions: float = 3.0) -> Format:
    """Weights of some bits that are multiplied by table look-ups: Wei et al., T-MAC, EuroSys 2025 (arXiv 2407.00088).

    Each bit-plane costs a look-up and additions for four weights: `instructions` per vector of 16 bytes (a byte shuffle, and adding its
    8-bit results up to 16 bits: two). The dot-product instruction, which the peak of int8 counts, does 32 operations on such a vector.
    So a weight of b bits costs `instructions / 16 * 32 * b / 4` operations of that peak: 1.5 b, against 2 of a dot product, before
    whose use a dequantising kernel unpacks. Scales of 16 bits stand for 128 weights.

    How wrong: building the tables is not counted (16 sums for each four activations: 1/m of the look-ups of m outputs); where dot
    products and shuffles issue at different rates, the ratio is another (cores of Arm and x86 shuffle on half of their vector units or
    on all).
    """
    source = "T-MAC (Wei et al., EuroSys 2025): bit-planes, a look-up per plane and four weights; 16-bit scales for 128 weights"
    operations = instructions / 16 * 32 * bits / 4
    return Format(f"lut_int{bits}", bits + 16 / 128, 16.0, 32.0, "int8", "fp16", False, 16.0, None, 32.0, "lut_gemv", operations, source)


def _plain() -> tuple[Format, ...]:
    ieee, eight = "IEEE 754", "Micikevicius et al., FP8 Formats for Deep Learning, 2022"
    return (
        Format("fp32", 32.0, 32.0, 32.0, "fp32", "fp32", vector_bits=32.0, source=ieee),
        Format("fp16", 16.0, source=ieee),
        Format("bf16", 16.0, dtype="bf16", vector_dtype="bf16", source="bfloat16: the upper half of IEEE 754 single"),
        Format("fp8", 8.0, 8.0, dtype="fp8", embedding_bits=16.0, head_bits=16.0, source=eight),
    )


def _integer() -> tuple[Format, ...]:
    """Formats of GPU and NPU quantisers. LLM quantisers leave embeddings and head at 16 bits; `int8` and `int4` quantise everything."""
    group = "AWQ/GPTQ, groups of 128: 4 + (16-bit scale + 4-bit zero) / 128"
    served = "QServe (Lin et al., MLSys 2025): 4-bit weights and cache in groups of 128, 8-bit activations in the products"
    packed = "BitNet b1.58, I2_S packing: 2 bits per ternary weight, one scale per tensor"
    channel = "SmoothQuant (Xiao et al., ICML 2023): one scale per channel, less than 0.01 bit"
    whole = "whole-network integer inference (Jacob et al., CVPR 2018): one scale per channel"
    return (
        Format("w8a8", 8.0, dtype="int8", embedding_bits=16.0, head_bits=16.0, source=channel),
        Format("w8a16", 8.0, dequantises=True, embedding_bits=16.0, head_bits=16.0, source=channel),
        Format("w4a16", 4 + 20 / 128, dequantises=True, embedding_bits=16.0, head_bits=16.0, source=group),
        Format("w4a8", 4 + 20 / 128, 4 + 20 / 128, dtype="int8", embedding_bits=16.0, head_bits=16.0, source=served),
        Format("ternary", 2.0, dtype="int8", embedding_bits=16.0, head_bits=16.0, source=packed),
        Format("int8", 8.0, 8.0, 8.0, "int8", "int8", source=whole),
        Format("int4", 4.0, 8.0, 8.0, "int4", "int8", source=whole),
    )


def _gguf() -> tuple[Format, ...]:
    """GGUF block formats: activations are F32, products run in int8 on blocks of quantised activations, the cache is F16.

    llama.cpp keeps the head at Q6_K in the 4-bit formats. Q4_K_M holds half of `attn_v` and `ffn_down` at Q6_K and the other matrices at
    Q4_K, which gives 4.79 (Llama-3.2-3B) to 4.82 bits (Llama-2-7B) over the matrices (4.85 to 4.90 over the whole file).
    """
    rules = "ggml block layouts; llama.cpp tensor-type rules"

    def block(name: str, bits: float, head: float | None, source: str, table: float | None = None) -> Format:
        return Format(name, bits, 16.0, 32.0, "int8", "fp16", False, table, head, 32.0, source=f"{rules}: {source}")

    return (
        block("q8_0", 8.5, None, "32 weights of 8 bits and a 16-bit scale"),
        block("q6_k", 6.5625, None, "210 bytes per 256 weights"),
        block("q5_k_m", 5.66, 6.5625, "Q5_K 5.5 bits, half of attn_v and ffn_down Q6_K", 5.5),
        block("q4_k_m", 4.80, 6.5625, "Q4_K 4.5 bits, half of attn_v and ffn_down Q6_K", 4.5),
        block("q4_0", 4.5, 6.5625, "32 weights of 4 bits and a 16-bit scale"),
        block("q2_k", 2.94, 6.5625, "Q2_K 2.625 bits, attn_v, ffn_down and attn_output Q3_K", 2.625),
        block("tq2_0", 2.0625, 6.5625, "66 bytes per 256 ternary weights"),
        block("tq1_0", 1.6875, 6.5625, "54 bytes per 256 ternary weights"),
    )
