"""How weights of few bits lie in memory: codes of 2 or 4 bits in blocks, and bit-planes for tables, with 16 rows interleaved.

Engines repack weights when they load a model, so that the 32-bit lanes of a vector are rows and nothing is added up across lanes (as
llama.cpp does for its Q4_0 on Arm and x86). Formats:

`q4_0`, `q2_0`: 32 weights of a row under an fp16 scale d: w = d (q - 2^(b-1)), q of b bits: 4.5 and 2.5 bits a weight. `q4_0` has the codes
and scales of ggml's type of that name; `q2_0` is its like for 2 bits (ggml has none so simple).

`int1` to `int4` (for look-up tables): 128 weights of a row under an fp16 scale d: w = d (q - 2^(b-1)), or d (q - 1/2) for one bit, so that
a bit is a sign: b + 1/8 bits a weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from edgewright.kernels.spec import Array

__all__ = [
    "BLOCK",
    "GROUP",
    "LANES",
    "pack_blocks",
    "pack_planes",
    "quantised",
    "random_codes",
    "unpack_blocks",
    "unpack_planes",
    "zero_of",
]

LANES = 16
"""Rows that are interleaved."""
BLOCK = 32
"""Weights of a row under one scale in `q4_0` and `q2_0`."""
GROUP = 128
"""Weights of a row under one scale in bit-planes."""


def zero_of(bits: int) -> float:
    """The code that stands for zero (between the two codes, for one bit)."""
    return 0.5 if bits == 1 else float(2 ** (bits - 1))


def quantised(weights: Array, bits: int, group: int) -> tuple[Array, Array]:
    """Codes (m, n) uint8 and scales (m, n / group) fp16 of real weights (m, n): the scale that the largest magnitude of a group needs.

    One bit keeps signs under the group's mean magnitude, doubled: d (q - 1/2) is then plus or minus that mean (BinaryConnect's scale).
    """
    import numpy as np

    m, n = weights.shape
    grouped = np.abs(weights.reshape(m, n // group, group))
    size = 2 * grouped.mean(axis=2) if bits == 1 else grouped.max(axis=2) / (2 ** (bits - 1) - 0.5)
    scales = size.astype(np.float16)
    steps = np.repeat(np.where(scales > 0, scales, 1).astype(np.float32), group, axis=1)
    if bits == 1:
        return (weights >= 0).astype(np.uint8), scales
    codes = np.clip(np.rint(weights / steps) + 2 ** (bits - 1), 0, 2**bits - 1)
    return codes.astype(np.uint8), scales


def pack_blocks(codes: Array, scales: Array, bits: int) -> Array:
    """Codes (m, n) and scales (m, n / 32) to (m / 16, n / 32, 32 + 64 bits) bytes; m and n multiples of 16 and 32."""
    import numpy as np

    m, n = codes.shape
    vectors, shifts = bits, 8 // bits
    # m = (strip, row), n = (block, vector, shift, i): byte 4 row + i of each vector, codes shifted by `shift` places
    parts = codes.reshape(m // LANES, LANES, n // BLOCK, vectors, shifts, 4).transpose(0, 2, 3, 1, 5, 4).astype(np.uint8)
    places = (np.arange(shifts) * bits).astype(np.uint8)
    body = np.bitwise_or.reduce(parts << places, axis=-1)
    return _with_scales(body.reshape(m // LANES, n // BLOCK, -1), scales)


def unpack_blocks(packed: Array, bits: int) -> Array:
    """The weights (m, n), fp32, of what `pack_blocks` made."""
    import numpy as np

    strips, blocks, _ = packed.shape
    vectors, shifts = bits, 8 // bits
    body = packed[:, :, 2 * LANES :].reshape(strips, blocks, vectors, LANES, 4, 1)
    codes = body >> (np.arange(shifts) * bits).astype(np.uint8) & (2**bits - 1)
    rows = codes.transpose(0, 3, 1, 2, 5, 4).reshape(strips * LANES, blocks * BLOCK)
    made: Array = (rows - np.float32(zero_of(bits))) * np.repeat(_scales(packed), BLOCK, axis=1)
    return made


def pack_planes(codes: Array, scales: Array, bits: int, by_rows: bool) -> Array:
    """Codes (m, n) and scales (m, n / 128) to (m / 16, n / 128, 32 + 256 bits) bytes; m and n multiples of 16 and 128.

    Four weights in a row give a plane's nibble. Nibbles of the even quads (of four such groups) lie low, of the odd ones high; bytes
    are in order of row and group (`by_rows`: byte 4 row + group) or of group and row (byte 16 group + row): see `native/lut.c`.
    """
    import numpy as np

    m, n = codes.shape
    # n = (scale group, pair of quads, high or low, group, bit of the nibble)
    bitwise = codes.reshape(m // LANES, LANES, n // GROUP, 4, 2, 4, 4, 1) >> np.arange(bits, dtype=np.uint8) & 1
    nibbles = (bitwise << np.arange(4, dtype=np.uint8)[:, None]).sum(axis=6, dtype=np.uint8)
    pairs = nibbles[:, :, :, :, 0] | nibbles[:, :, :, :, 1] << 4  # (strip, row, scale group, pair, group, plane)
    order = (0, 2, 3, 5, 1, 4) if by_rows else (0, 2, 3, 5, 4, 1)
    return _with_scales(pairs.transpose(order).reshape(m // LANES, n // GROUP, -1), scales)


def unpack_planes(packed: Array, by_rows: bool) -> tuple[Array, Array]:
    """The codes (m, n) uint8 and scales (m, n / 128) fp32 of what `pack_planes` made."""
    import numpy as np

    strips, groups, size = packed.shape
    bits = (size - 2 * LANES) // (2 * GROUP)
    ends = (LANES, 4) if by_rows else (4, LANES)
    body = packed[:, :, 2 * LANES :].reshape(strips, groups, 4, bits, *ends)
    pairs = body.transpose((0, 4, 1, 2, 5, 3) if by_rows else (0, 5, 1, 2, 4, 3))  # (strip, row, scale group, pair, group, plane)
    nibbles = np.stack((pairs & 15, pairs >> 4), axis=4)
    bitwise = nibbles[:, :, :, :, :, :, None, :] >> np.arange(4, dtype=np.uint8)[:, None] & 1
    codes = (bitwise << np.arange(bits, dtype=np.uint8)).sum(axis=-1, dtype=np.uint8)
    return codes.reshape(strips * LANES, groups * GROUP), _scales(packed)


def random_codes(m: int, n: int, bits: int, group: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Codes and scales of normal weights of variance 1 / n, as a layer's are."""
    return quantised(generator.standard_normal((m, n)) / n**0.5, bits, group)


def _with_scales(body: Array, scales: Array) -> Array:
    """Scales (m, groups), 16 rows at a time, in front of the bytes of each group."""
    import numpy as np

    m, groups = scales.shape
    heads = np.ascontiguousarray(scales.astype(np.float16).reshape(m // LANES, LANES, groups).transpose(0, 2, 1)).view(np.uint8)
    return np.concatenate((heads, body), axis=2)


def _scales(packed: Array) -> Array:
    """The scales (m, groups), fp32, in front of each group."""
    import numpy as np

    strips, groups, _ = packed.shape
    heads = np.ascontiguousarray(packed[:, :, : 2 * LANES]).view(np.float16)
    return heads.transpose(0, 2, 1).reshape(strips * LANES, groups).astype(np.float32)
