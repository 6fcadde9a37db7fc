"""Convolution of one picture, as products of its rows with the taps where they lie (implicit GEMM; Chetlur et al., cuDNN, 2014).

Pictures are (height, width, channels), taps (groups, rows, columns, channels in, channels out). In that order the numbers that one row of
taps meets lie side by side in the picture, so that a tile of 8 pixels and 32 channels out is a product as any other, and nothing is
unfolded in memory. Taps are packed once, 32 channels out side by side, and meet all pixels before the next. A kernel of one tap and stride
1 is a GEMM over all pixels, and runs as one. Depthwise convolution has a single product per number, and runs along the channels.

How wrong: to rounding. The picture is copied once into its margin of zeros where there is one (engines that fuse layers do not).
Winograd's and Fourier forms need fewer multiplications for some shapes and are not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewright.kernels.jit import compiled
from edgewright.kernels.registry import register
from edgewright.kernels.spec import Array, Kernel, Operands
from edgewright.kernels.tiles import COLUMNS, multiply_rows

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["CONV", "CONV_DEPTHWISE", "convolution_reference", "convolve", "convolve_depthwise", "padded_extent"]

_DEPTH = 256


def padded_extent(extent: int, taps: int, stride: int) -> int:
    """Rows (or columns) with their margin: (taps - 1) // 2 zeros in front, and so many behind that ceil(extent / stride) come out."""
    return max(extent + (taps - 1) // 2, (-(-extent // stride) - 1) * stride + taps)


@compiled
def _surround(margin: Array, picture: Array, top: int, left: int) -> None:
    """Copy the picture into its margin of zeros."""
    height, width, channels = picture.shape
    margin[:] = 0
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                margin[top + y, left + x, c] = picture[y, x, c]


@compiled
def _pack(packed: Array, taps: Array, first: int, depth: int) -> None:
    """Copy rows `first` to `first + depth` of the taps (rows, channels out) to panels (panels, 256, 32) of 32 columns each."""
    outputs = taps.shape[1]
    for p in range(depth):
        for panel in range(outputs // COLUMNS):
            for lane in range(COLUMNS):
                packed[panel, p, lane] = taps[first + p, panel * COLUMNS + lane]
        for lane in range(outputs % COLUMNS):
            packed[outputs // COLUMNS, p, lane] = taps[first + p, outputs // COLUMNS * COLUMNS + lane]


@compiled
def convolve(out: Array, picture: Array, taps: Array, stride: Array, margin: Array, packed: Array) -> None:
    """Convolve a picture (height, width, groups * inputs) with taps (groups, rows, columns, inputs, outputs) to `out`, all fp32.

    `out` is (ceil(height / stride), ceil(width / stride), groups * outputs). Zeros surround the picture: (rows - 1) // 2 above, and what is
    needed below; columns alike. Room to work in: `margin` (padded height, padded width, channels) and `packed`
    (ceil(outputs / 32), 256, 32).
    """
    groups, tall, broad, inputs, outputs = taps.shape
    rows, columns, leaving = out.shape
    step, channels = stride[0], picture.shape[2]
    _surround(margin, picture, (tall - 1) // 2, (broad - 1) // 2)
    line = margin.shape[1] * channels
    flat, flat_out, flat_packed = margin.reshape(margin.size), out.reshape(out.size), packed.reshape(packed.size)
    whole = tall * broad * step == 1 and columns == margin.shape[1]  # one product over all pixels
    lines, pixels = (1, rows * columns) if whole else (rows, columns)
    joined = broad if groups == 1 else 1  # columns of taps whose numbers lie side by side
    for group in range(groups):
        for dy in range(tall):
            for dx in range(0, broad, joined):
                strip = taps[group, dy, dx : dx + joined].reshape(joined * inputs, outputs)
                for first in range(0, joined * inputs, _DEPTH):
                    depth = min(_DEPTH, joined * inputs - first)
                    _pack(packed, strip, first, depth)
                    for left in range(0, outputs, COLUMNS):
                        lanes = min(COLUMNS, outputs - left)
                        for y in range(lines):
                            multiply_rows(
                                flat_out, y * columns * leaving + group * outputs + left, leaving,
                                flat, (y * step + dy) * line + dx * channels + group * inputs + first, step * channels, 1,
                                flat_packed, left * _DEPTH, COLUMNS, pixels, depth, lanes, dy == 0 and dx == 0 and first == 0,
                            )  # fmt: skip


@compiled
def convolve_depthwise(out: Array, picture: Array, taps: Array, stride: Array, margin: Array) -> None:
    """As `convolve` with one channel per group: picture (height, width, channels), taps (rows, columns, channels)."""
    tall, broad, channels = taps.shape
    rows, columns, _ = out.shape
    step = stride[0]
    _surround(margin, picture, (tall - 1) // 2, (broad - 1) // 2)
    for y in range(rows):
        for x in range(columns):
            for dy in range(tall):
                row, above, left = margin[y * step + dy], taps[dy], x * step
                begun = dx = 0
                if dy > 0:
                    begun = 1
                while dx + 3 <= broad:  # three taps at a time: the sum is loaded and stored once for them
                    for c in range(channels):
                        gained = (
                            row[left + dx, c] * above[dx, c]
                            + row[left + dx + 1, c] * above[dx + 1, c]
                            + row[left + dx + 2, c] * above[dx + 2, c]
                        )
                        out[y, x, c] = gained + out[y, x, c] if begun else gained
                    begun, dx = 1, dx + 3
                while dx < broad:
                    for c in range(channels):
                        gained = row[left + dx, c] * above[dx, c]
                        out[y, x, c] = gained + out[y, x, c] if begun else gained
                    begun, dx = 1, dx + 1


def convolution_reference(picture: Array, taps: Array, stride: int, leaving: tuple[int, ...]) -> Array:
    """The same in fp64, tap by tap: picture (height, width, channels), taps (groups, rows, columns, inputs, outputs)."""
    groups, tall, broad, inputs, outputs = taps.shape
    rows, columns, _ = leaving
    high, wide = (padded_extent(extent, span, stride) for extent, span in zip(picture.shape[:2], (tall, broad), strict=True))
    top, left = (tall - 1) // 2, (broad - 1) // 2
    margin = np.zeros((high, wide, groups, inputs))
    margin[top : top + picture.shape[0], left : left + picture.shape[1]] = picture.reshape(*picture.shape[:2], groups, inputs)
    total = np.zeros((rows, columns, groups, outputs))
    for dy in range(tall):
        for dx in range(broad):
            seen = margin[dy : dy + (rows - 1) * stride + 1 : stride, dx : dx + (columns - 1) * stride + 1 : stride]
            total += np.einsum("yxgi,gio->yxgo", seen, taps[:, dy, dx].astype(np.float64))
    return total.reshape(leaving)


def _made(shape: tuple[int, ...], channels: int, leaving: int, generator: Generator) -> tuple[Array, Array, Array, Array]:
    """Out, picture, stride and margin of a square kernel."""
    height, width, taps, stride = shape
    picture = generator.standard_normal((height, width, channels)).astype(np.float32)
    out = np.zeros((-(-height // stride), -(-width // stride), leaving), np.float32)
    margin = np.zeros((padded_extent(height, taps, stride), padded_extent(width, taps, stride), channels), np.float32)
    return out, picture, np.array([stride]), margin


def _operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    height, width, groups, inputs, outputs, span, step = shape
    out, picture, stride, margin = _made((height, width, span, step), groups * inputs, groups * outputs, generator)
    taps = generator.standard_normal((groups, span, span, inputs, outputs)).astype(np.float32)
    return out, picture, taps, stride, margin, np.zeros((-(-outputs // COLUMNS), _DEPTH, COLUMNS), np.float32)


def _depthwise_operands(shape: tuple[int, ...], _: str, generator: Generator) -> Operands:
    height, width, channels, span, step = shape
    out, picture, stride, margin = _made((height, width, span, step), channels, channels, generator)
    return out, picture, generator.standard_normal((span, span, channels)).astype(np.float32), stride, margin


def _reference(out: Array, picture: Array, taps: Array, stride: Array, *_: Array) -> Array:
    return convolution_reference(picture, taps, stride[0], out.shape)


def _depthwise_reference(out: Array, picture: Array, taps: Array, stride: Array, *_: Array) -> Array:
    return convolution_reference(picture, taps.transpose(2, 0, 1)[..., None, None], stride[0], out.shape)


CONV = register(
    Kernel("conv", ("height", "width", "groups", "inputs", "outputs", "taps", "stride"), ("fp32",), _operands, convolve, _reference)
)
"""A square kernel of `taps` by `taps`; `inputs` and `outputs` are channels per group. One tap is a GEMM."""

CONV_DEPTHWISE = register(
    Kernel(
        "conv_depthwise",
        ("height", "width", "channels", "taps", "stride"),
        ("fp32",),
        _depthwise_operands,
        convolve_depthwise,
        _depthwise_reference,
    )
)
"""One square kernel of `taps` by `taps` for each channel."""
