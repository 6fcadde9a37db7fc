"""A cache in 2, 4 or 8 bits: Liu et al., KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache, ICML 2024.

Keys have channels that are large in every token, so that they are quantised per channel, over groups of 32 tokens; values per token, over
groups of 32 channels. A group is a step and a least number in bf16, and 32 codes: x ~ least + code step. In bits per number: the code and
32 / 32 = 1.

How wrong: by half a step, step = (largest - least) / (2^bits - 1), and by the rounding of step and least to bf16, which is at most 2^-8 of
the largest absolute number of the group for each (tests hold it to that). KIVI keeps the latest 32 to 128 tokens in full; that is
the caller's to do: whole groups of 32 tokens are quantised here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.functions import widened_bf16
from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = [
    "GROUP",
    "KV_QUANTISE_KEYS",
    "KV_QUANTISE_VALUES",
    "KV_WIDEN_KEYS",
    "KV_WIDEN_VALUES",
    "quantise_keys",
    "quantise_values",
    "widen_keys",
    "widen_values",
]

GROUP = 32
"""Numbers of a group."""
_BITS = {"int2": 2, "int4": 4, "int8": 8}


@compiled
def _rounded_bf16(raw: np.uint32) -> np.uint32:
    """The upper half of the 32 bits of a finite fp32 number, rounded to nearest, ties to even."""
    return (raw + np.uint32(0x7FFF) + (raw >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)


@compiled
def quantise_keys(packed: Array, keys: Array, bits: Array, room: Array) -> None:
    """Keys (heads, tokens, d) fp32 to (heads, tokens / 32, 2 + 2 bits, d) uint16: a row of steps, one of least numbers, then of codes.

    Half-word w of a channel holds the codes of tokens w, w + 2 bits, w + 4 bits ..., the first in its lowest bits. `room` (3, d) uint32 is
    room to work in.
    """
    heads, tokens, width = keys.shape
    codes, words = 16 // bits[0], 2 * bits[0]
    most = np.float32((1 << bits[0]) - 1)
    steps, lows, word = room[0].view(np.float32), room[1].view(np.float32), room[2]
    for head in range(heads):
        for group in range(tokens // 32):
            out, first = packed[head, group], group * 32
            for p in range(width):
                steps[p] = lows[p] = keys[head, first, p]
            for j in range(1, 32):
                for p in range(width):
                    steps[p] = max(steps[p], keys[head, first + j, p])
                    lows[p] = min(lows[p], keys[head, first + j, p])
            for p in range(width):
                steps[p] = (steps[p] - lows[p]) / most
            for p in range(width):
                out[0, p] = _rounded_bf16(room[0, p])
                out[1, p] = _rounded_bf16(room[1, p])
                step = widened_bf16(out[0, p])
                steps[p] = np.float32(1) / step if step > 0 else np.float32(0)
                lows[p] = widened_bf16(out[1, p])
            for row in range(words):
                word[:] = 0
                for j in range(codes):
                    for p in range(width):
                        scaled = (keys[head, first + j * words + row, p] - lows[p]) * steps[p] + np.float32(0.5)
                        word[p] |= np.uint32(np.int32(min(max(scaled, np.float32(0)), most))) << np.uint32(j * bits[0])
                for p in range(width):
                    out[2 + row, p] = word[p]


@compiled
def widen_keys(keys: Array, packed: Array, bits: Array, room: Array) -> None:
    """What `quantise_keys` packed, as fp32 (heads, tokens, d); `room` (2, d) fp32 is room to work in."""
    heads, tokens, width = keys.shape
    words, mask = 2 * bits[0], np.uint32((1 << bits[0]) - 1)
    for head in range(heads):
        for group in range(tokens // 32):
            held = packed[head, group]
            for p in range(width):
                room[0, p], room[1, p] = widened_bf16(held[0, p]), widened_bf16(held[1, p])
            for j in range(32):
                row, shift = 2 + j % words, np.uint32(j // words * bits[0])
                for p in range(width):
                    keys[head, group * 32 + j, p] = np.float32(np.int32(np.uint32(held[row, p]) >> shift & mask)) * room[0, p] + room[1, p]


@compiled
def quantise_values(packed: Array, values: Array, bits: Array, room: Array) -> None:
    """Values (heads, tokens, d) fp32 to (heads, tokens, d / 32, 2 + 2 bits) uint16: a step, a least number, then the codes of 32 channels.

    Half-words hold codes of channels as those of keys do of tokens. `room` (2) uint32 is room to work in.
    """
    heads, tokens, width = values.shape
    codes, words = 16 // bits[0], 2 * bits[0]
    most, reals = np.float32((1 << bits[0]) - 1), room.view(np.float32)
    for head in range(heads):
        for token in range(tokens):
            for group in range(width // 32):
                out, first = packed[head, token, group], group * 32
                high = low = values[head, token, first]
                for j in range(1, 32):
                    high = max(high, values[head, token, first + j])
                    low = min(low, values[head, token, first + j])
                reals[0], reals[1] = (high - low) / most, low
                out[0], out[1] = _rounded_bf16(room[0]), _rounded_bf16(room[1])
                step, low = widened_bf16(out[0]), widened_bf16(out[1])
                inverse = np.float32(1) / step if step > 0 else np.float32(0)
                out[2:] = 0
                for j in range(codes):
                    for row in range(words):
                        scaled = (values[head, token, first + j * words + row] - low) * inverse + np.float32(0.5)
                        out[2 + row] |= np.uint32(np.int32(min(max(scaled, np.float32(0)), most))) << np.uint32(j * bits[0])


@compiled
def widen_values(values: Array, packed: Array, bits: Array) -> None:
    """What `quantise_values` packed, as fp32 (heads, tokens, d)."""
    heads, tokens, width = values.shape
    codes, words, mask = 16 // bits[0], 2 * bits[0], np.uint32((1 << bits[0]) - 1)
    for head in range(heads):
        for token in range(tokens):
            for group in range(width // 32):
                held = packed[head, token, group]
                step, low = widened_bf16(held[0]), widened_bf16(held[1])
                for j in range(codes):
                    for row in range(words):
                        code = np.uint32(held[2 + row]) >> np.uint32(j * bits[0]) & mask
                        values[head, token, group * 32 + j * words + row] = np.float32(np.int32(code)) * step + low


def _rounded(numbers: Array) -> Array:
    """fp32 rounded to bf16, as its 16 bits."""
    raw = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    made: Array = ((raw + 0x7FFF + (raw >> 16 & 1)) >> 16).astype(np.uint16)
    return made


def _widened(halves: Array) -> Array:
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _packed(groups: Array, bits: int) -> Array:
    """Groups (..., 32) to half-words (..., 2 + 2 bits)."""
    most = np.float32((1 << bits) - 1)
    low = groups.min(axis=-1)
    step = _rounded((groups.max(axis=-1) - low) / most)
    least, wide = _rounded(low), _widened(step)
    inverse = np.divide(np.float32(1), wide, out=np.zeros_like(wide), where=wide > 0)
    scaled = (groups - _widened(least)[..., None]) * inverse[..., None] + np.float32(0.5)
    codes = np.clip(scaled, 0, most).astype(np.uint16).reshape(*groups.shape[:-1], 16 // bits, 2 * bits)
    words = (codes << np.arange(0, 16, bits, dtype=np.uint16)[:, None]).sum(axis=-2, dtype=np.uint16)
    return np.concatenate([step[..., None], least[..., None], words], axis=-1)


def _unpacked(halves: Array, bits: int) -> Array:
    """Half-words (..., 2 + 2 bits) to groups (..., 32)."""
    words = halves[..., None, 2:] >> np.arange(0, 16, bits, dtype=np.uint16)[:, None] & np.uint16((1 << bits) - 1)
    codes = words.reshape(*halves.shape[:-1], GROUP).astype(np.float32)
    made: Array = codes * _widened(halves[..., 0])[..., None] + _widened(halves[..., 1])[..., None]
    return made


def _by_channel(keys: Array) -> Array:
    """Keys (heads, tokens, d) as groups (heads, tokens / 32, d, 32)."""
    heads, tokens, width = keys.shape
    return keys.reshape(heads, tokens // GROUP, GROUP, width).swapaxes(2, 3)


def _random_cache(shape: tuple[int, ...], generator: Generator) -> Array:
    """A cache (heads, tokens, d) some channels of which are larger than the others, as those of keys are."""
    tokens, heads, width = shape
    channels = np.exp(generator.standard_normal((heads, 1, width)))
    return (generator.standard_normal((heads, tokens, width)) * channels).astype(np.float32)


def _key_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    keys, bits = _random_cache(shape, generator), _BITS[dtype]
    packed = np.zeros((shape[1], shape[0] // GROUP, 2 + 2 * bits, shape[2]), np.uint16)
    return packed, keys, np.array([bits]), np.zeros((3, shape[2]), np.uint32)


def _value_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    values, bits = _random_cache(shape, generator), _BITS[dtype]
    packed = np.zeros((shape[1], shape[0], shape[2] // GROUP, 2 + 2 * bits), np.uint16)
    return packed, values, np.array([bits]), np.zeros(2, np.uint32)


def _key_reference(_: Array, keys: Array, bits: Array, *__: Array) -> Array:
    return np.ascontiguousarray(_packed(_by_channel(keys), int(bits[0])).swapaxes(2, 3))


def _value_reference(_: Array, values: Array, bits: Array, *__: Array) -> Array:
    return _packed(values.reshape(*values.shape[:2], -1, GROUP), int(bits[0]))


def _wide_key_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    _packed_room, keys, bits, _room = _key_operands(shape, dtype, generator)
    return keys * 0, _key_reference(keys, keys, bits), bits, np.zeros((2, shape[2]), np.float32)


def _wide_value_operands(shape: tuple[int, ...], dtype: str, generator: Generator) -> Operands:
    _packed_room, values, bits, _room = _value_operands(shape, dtype, generator)
    return values * 0, _value_reference(values, values, bits), bits


def _wide_key_reference(keys: Array, packed: Array, bits: Array, *_: Array) -> Array:
    return _unpacked(packed.swapaxes(2, 3), int(bits[0])).swapaxes(2, 3).reshape(keys.shape)


def _wide_value_reference(values: Array, packed: Array, bits: Array) -> Array:
    return _unpacked(packed, int(bits[0])).reshape(values.shape)


_AXES, _DTYPES = ("tokens", "heads", "head_dim"), tuple(_BITS)

KV_QUANTISE_KEYS = register(
    Kernel("kv_quantise_keys", _AXES, _DTYPES, _key_operands, quantise_keys, _key_reference, calibrates="", multiples=(GROUP, 1, 1))
)
"""`tokens` keys of `heads` heads, quantised per channel."""

KV_QUANTISE_VALUES = register(
    Kernel("kv_quantise_values", _AXES, _DTYPES, _value_operands, quantise_values, _value_reference, calibrates="", multiples=(1, 1, GROUP))
)
"""`tokens` values of `heads` heads, quantised per token."""

KV_WIDEN_KEYS = register(
    Kernel("kv_widen_keys", _AXES, _DTYPES, _wide_key_operands, widen_keys, _wide_key_reference, calibrates="", multiples=(GROUP, 1, 1))
)
"""Quantised keys back to fp32."""

KV_WIDEN_VALUES = register(
    Kernel(
        "kv_widen_values", _AXES, _DTYPES, _wide_value_operands, widen_values, _wide_value_reference, calibrates="", multiples=(1, 1, GROUP)
    )
)
"""Quantised values back to fp32."""
