"""Which sizes of the kernels other than products are timed: attention, convolutions and the operators between, at sizes of edge models.

Shapes are those of `kernels`, in the order of their axes. Attention has the heads of small language models and of vision transformers; the
layers of convolutional nets are those of ResNet, MobileNet and EfficientNet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

__all__ = ["OPERATORS", "full_shapes", "quick_shapes", "scattered_shape"]

Shape: TypeAlias = "tuple[int, ...]"

_ELEMENTWISE = ("rms_norm", "layer_norm", "softmax", "swiglu")
_INTEGER = ("shiftmax", "shiftgelu", "i_layer_norm")

OPERATORS = ("attention", "attention_decode", "conv", "conv_depthwise", *_ELEMENTWISE, *_INTEGER)
"""The kernels that this module has sizes of."""

_HEADS = ((1, 4, 64), (8, 4, 64), (12, 1, 64), (4, 4, 128))
_PROMPTS = ((16, 16), (64, 64), (197, 197), (256, 256), (512, 512), (32, 512), (128, 1024))
_CONTEXTS = (32, 128, 512, 1024, 2048, 4096)
_LAYERS = (
    (224, 224, 3, 32, 3, 2),
    (112, 112, 32, 64, 3, 1),
    (56, 56, 64, 64, 3, 1),
    (56, 56, 64, 256, 1, 1),
    (56, 56, 128, 128, 3, 2),
    (28, 28, 128, 128, 3, 1),
    (28, 28, 256, 512, 1, 1),
    (14, 14, 96, 576, 1, 1),
    (14, 14, 256, 256, 3, 1),
    (14, 14, 1024, 256, 1, 1),
    (7, 7, 320, 1280, 1, 1),
    (7, 7, 512, 512, 3, 1),
)
_DEPTHWISE = (
    (112, 112, 32, 3, 1),
    (112, 112, 96, 3, 2),
    (56, 56, 144, 3, 1),
    (56, 56, 144, 5, 2),
    (28, 28, 192, 3, 1),
    (28, 28, 240, 5, 1),
    (14, 14, 384, 3, 1),
    (14, 14, 576, 3, 2),
    (14, 14, 672, 5, 1),
    (7, 7, 960, 3, 1),
    (7, 7, 1152, 5, 1),
)
_ROWS = ((1, 576), (1, 4096), (8, 2048), (64, 768), (197, 768), (256, 2048), (1024, 4096))


def quick_shapes() -> Iterator[tuple[str, Shape]]:
    """Six or seven sizes of each kernel class."""
    yield from (("attention", (*prompt, *_HEADS[1])) for prompt in _PROMPTS[:6])
    yield from (("attention_decode", (1, context, *_HEADS[1])) for context in _CONTEXTS)
    yield from (("conv", (height, width, 1, *rest)) for height, width, *rest in _LAYERS[2::2] + _LAYERS[1:2])
    yield from (("conv_depthwise", shape) for shape in _DEPTHWISE[::2])
    yield from (("rms_norm", shape) for shape in _ROWS)
    yield from (("softmax", shape) for shape in _ROWS[::2])


def full_shapes() -> Iterator[tuple[str, Shape]]:
    """Every size of the design."""
    yield from (("attention", (*prompt, *heads)) for prompt in _PROMPTS for heads in _HEADS)
    yield from (
        ("attention_decode", (batch, context, *heads)) for context in _CONTEXTS for batch, heads in zip((1, 1, 1, 4), _HEADS, strict=True)
    )
    yield from (("attention_decode", (8, context, *_HEADS[1])) for context in _CONTEXTS[:4])
    yield from (("conv", (height, width, 1, *rest)) for height, width, *rest in _LAYERS)
    yield from (("conv_depthwise", shape) for shape in _DEPTHWISE)
    yield from ((name, shape) for name in (*_ELEMENTWISE, *_INTEGER) for shape in _ROWS)


def scattered_shape(name: str, generator: np.random.Generator) -> Shape:
    """A size drawn evenly in its logarithms, within the range of the design."""

    def size(low: int, high: int, multiple: int = 1) -> int:
        return max(multiple, round(float(np.exp(generator.uniform(np.log(low), np.log(high)))) / multiple) * multiple)

    return _DRAWN.get(name, _rows_drawn)(size)


def _attention_drawn(size: Callable[..., int]) -> Shape:
    tokens = size(16, 512)
    return (tokens, tokens + size(1, 512), size(1, 12), size(1, 4), size(64, 128, 64))


def _decode_drawn(size: Callable[..., int]) -> Shape:
    return (size(1, 8), size(32, 4096), size(1, 8), size(1, 4), size(64, 128, 64))


def _conv_drawn(size: Callable[..., int]) -> Shape:
    extent = size(7, 112)
    # what two such layers ask for differs less than their extents: channels grow as pictures shrink
    inputs, outputs = (max(16, min(1024, round(size(1000, 8000) / extent / 16) * 16)) for _ in range(2))
    return (extent, extent, 1, inputs, outputs, 1 if size(1, 2) == 1 else 3, 1)


def _depthwise_drawn(size: Callable[..., int]) -> Shape:
    extent = size(7, 112)
    return (extent, extent, max(16, min(1152, round(size(2000, 8000) / extent / 16) * 16)), 3, 1)


def _rows_drawn(size: Callable[..., int]) -> Shape:
    return (size(1, 1024), size(256, 4096, 64))


_DRAWN: Mapping[str, Callable[[Callable[..., int]], Shape]] = MappingProxyType(
    {"attention": _attention_drawn, "attention_decode": _decode_drawn, "conv": _conv_drawn, "conv_depthwise": _depthwise_drawn}
)
