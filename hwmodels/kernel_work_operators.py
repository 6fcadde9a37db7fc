"""What a call of the kernels other than dense products asks of hardware: each by the function that counts the operator of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edgewright.hwmodels.operator_work import attention, causal_pairs, convolution, elementwise, rows_read, sparse_product
from edgewright.hwmodels.work import Work

__all__ = ["OPERATOR_WORKS"]

_CACHE_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0}


def _attention(shape: tuple[int, ...], dtype: str) -> Work:
    tokens, context, kv_heads, group, width = shape[:5]
    window = shape[5] if len(shape) > 5 else context
    past = context - tokens
    read = (min(past, window) + tokens) * 2 * kv_heads * width * _CACHE_BYTES[dtype]
    numbers, pairs = 2.0 * kv_heads * group * width, causal_pairs(past, tokens, window)
    return Work((attention("attention", "fp32", numbers=numbers, pairs=pairs, rows=tokens, activation_bytes=4.0, cached=read),))


def _attention_decode(shape: tuple[int, ...], dtype: str) -> Work:
    batch, context, kv_heads, group, width = shape
    read = 2.0 * batch * context * kv_heads * width * _CACHE_BYTES[dtype]
    numbers, pairs = 2.0 * kv_heads * group * width, batch * context
    return Work((attention("attention_decode", "fp32", numbers=numbers, pairs=pairs, rows=batch, activation_bytes=4.0, cached=read),))


def _torch_attention(shape: tuple[int, ...], dtype: str) -> Work:
    batch, tokens, kv_heads, group, width = shape
    size = _CACHE_BYTES[dtype]
    numbers, read = 2.0 * kv_heads * group * width, 2.0 * batch * tokens * kv_heads * width * size
    pairs = batch * causal_pairs(0, tokens, tokens)
    return Work((attention("attention", dtype, numbers=numbers, pairs=pairs, rows=batch * tokens, activation_bytes=size, cached=read),))


def _torch_attention_decode(shape: tuple[int, ...], dtype: str) -> Work:
    batch, context, kv_heads, group, width = shape
    size = _CACHE_BYTES[dtype]
    numbers, read = 2.0 * kv_heads * group * width, 2.0 * batch * context * kv_heads * width * size
    pairs = batch * context
    return Work((attention("attention_decode", dtype, numbers=numbers, pairs=pairs, rows=batch, activation_bytes=size, cached=read),))


def _conv(shape: tuple[int, ...], dtype: str) -> Work:
    height, width, groups, inputs, outputs, taps, stride = shape
    return _convolved(height, width, groups, inputs, outputs, taps, stride, dtype, False)


def _conv_depthwise(shape: tuple[int, ...], dtype: str) -> Work:
    height, width, channels, taps, stride = shape
    return _convolved(height, width, channels, 1, 1, taps, stride, dtype, True)


def _convolved(height: int, width: int, groups: int, inputs: int, outputs: int, taps: int, stride: int, dtype: str, deep: bool) -> Work:
    matrix, pixels = groups * inputs * outputs * taps * taps, -(-height // stride) * -(-width // stride)
    moved = 4.0 * groups * (height * width * inputs + pixels * outputs)
    return Work((convolution(dtype, depthwise=deep, taps=matrix, pixels=pixels, weights=4.0 * matrix, moved=moved),))


def _sparse(kernel: str, rows: int, inputs: int, outputs: int, kept: float, bits: float, extra: float = 0.0) -> Work:
    """Kept numbers of `bits` bits each, indices included, and so many bytes besides."""
    weights = kept * bits / 8 + extra
    return Work((sparse_product(kernel, "fp32", rows, inputs, outputs, kept=kept, weights=weights, activation_bytes=4.0),))


def _gemm_experts(shape: tuple[int, ...], _: str) -> Work:
    rows, experts, n, k = shape
    return Work((sparse_product("gemm", "fp32", rows, k, n, kept=n * k, weights=4.0 * min(rows, experts) * n * k, activation_bytes=4.0),))


def _spmm_nm(shape: tuple[int, ...], _: str) -> Work:
    m, n, k = shape
    return _sparse("gemm", n, k, m, m * k / 2, 34.0)


def _spmm_block(shape: tuple[int, ...], _: str) -> Work:
    m, n, k, one_in = shape
    blocks = max(1, (m // 16) * (k // 16) // one_in)
    return _sparse("gemm", n, k, m, blocks * 256.0, 32.0, blocks * 4.0 + (m // 16 + 1) * 8.0)


def _spmm_decoded(shape: tuple[int, ...], _: str) -> Work:
    m, n, k, one_in = shape
    return _sparse("gemm", n, k, m, float(max(1, m * k // one_in)), 48.0, ((m // 16) * (k // 64) + 1) * 8.0)


def _gemv_channels(shape: tuple[int, ...], _: str) -> Work:
    m, n, one_in = shape
    return _sparse("gemv", 1, n, m, float(max(1, n // one_in) * m), 32.0, 4.0 * n)


def _rows(arrays: int, vectors: int = 0, dtype: str = "fp32") -> Callable[[tuple[int, ...], str], Work]:
    """A pass over so many arrays (rows, width) of 4-byte numbers, and so many vectors (width) of parameters."""

    def work(shape: tuple[int, ...], _: str) -> Work:
        rows, width = shape
        return Work((elementwise(dtype, numbers=arrays * rows * width, activation_bytes=4.0, weights=4.0 * vectors * width),))

    return work


def _lookup(shape: tuple[int, ...], dtype: str) -> Work:
    rows, width, _ = shape
    return Work((rows_read(dtype, numbers=float(rows * width), weight_bits=32.0, activation_bytes=4.0),))


def _scored(noisy: bool) -> Callable[[tuple[int, ...], str], Work]:
    """Products of a new token's queries with all keys, and their softmax, added to one array of scores: and noise, read besides."""

    def work(shape: tuple[int, ...], dtype: str) -> Work:
        context, kv_heads, group, width = shape
        heads = kv_heads * group
        moved = 4.0 * heads * ((3 if noisy else 2) * context + width)
        return Work.of("attention_decode", dtype, 2.0 * heads * width * context, activations=moved, kv=4.0 * kv_heads * width * context)

    return work


def _kv_select(shape: tuple[int, ...], dtype: str) -> Work:
    rows, context, one_in = shape
    return Work((elementwise(dtype, numbers=rows * (context + 2.0 * max(1, context // one_in)), activation_bytes=4.0),))


def _kv_gather(shape: tuple[int, ...], dtype: str) -> Work:
    context, heads, width, one_in = shape
    kept = float(max(1, context // one_in) * heads)
    return Work.of("copy", dtype, 0.0, activations=8.0 * kept, kv=2 * 4.0 * kept * width)


def _kv_cluster(shape: tuple[int, ...], dtype: str) -> Work:
    context, clusters, width = shape
    return Work.of("gemm", dtype, 2.0 * context * clusters * width, activations=2 * 4.0 * clusters * width, kv=4.0 * context * width)


def _requantised(shape: tuple[int, ...], dtype: str) -> Work:
    """A pass over a cache in fp32 and in the few bits of `dtype`, whose groups of 32 have 32 bits of step and least number."""
    tokens, heads, width = shape
    numbers, bits = float(tokens * heads * width), int(dtype.removeprefix("int"))
    return Work.of("elementwise", "fp32", 1.25 * numbers, kv=numbers * (32 + bits + 1) / 8)


OPERATOR_WORKS: Mapping[str, Callable[[tuple[int, ...], str], Work]] = MappingProxyType(
    {
        "attention": _attention,
        "attention_window": _attention,
        "attention_decode": _attention_decode,
        "torch_attention": _torch_attention,
        "torch_attention_decode": _torch_attention_decode,
        "conv": _conv,
        "conv_depthwise": _conv_depthwise,
        "gemm_experts": _gemm_experts,
        "spmm_nm": _spmm_nm,
        "spmm_block": _spmm_block,
        "spmm_decoded": _spmm_decoded,
        "gemv_channels": _gemv_channels,
        "rms_norm": _rows(2, 1),
        "layer_norm": _rows(2, 2),
        "softmax": _rows(2),
        "swiglu": _rows(3),
        "lookup": _lookup,
        "shiftmax": _rows(2, dtype="int8"),
        "shiftgelu": _rows(2, dtype="int8"),
        "i_layer_norm": _rows(2, 1, dtype="int8"),
        "kv_accumulate": _scored(noisy=False),
        "kv_gumbel": _scored(noisy=True),
        "kv_select": _kv_select,
        "kv_gather": _kv_gather,
        "kv_cluster": _kv_cluster,
        **{f"kv_{does}_{what}": _requantised for does in ("quantise", "widen") for what in ("keys", "values")},
    }
)
"""The work of a call, by the kernel's name: of its shape and number format."""
