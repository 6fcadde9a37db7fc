"""Changes of vision models: a bottleneck to send, or several small models side by side in place of a large one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import isqrt
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.vision import Convolution, Shape
from edgewright.workloads.vision_transformer import BidirectionalAttention, vit

__all__ = ["Bottleneck", "ClassSplit"]

_NORM = 2
_DECODED = (64, 128, 256)
"""Channels of a decoder between the bottleneck and the map that it restores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """A convolutional network with a narrow place to cut it at: Matsubara et al., BottleFit, IEEE WoWMoM 2022 (arXiv 2201.02693).

    An encoder ends in few channels of about an eighth of the image's side; a decoder of four 2 x 2 convolutions restores the map that the
    rest of the network expects. BottleFit's encoder stands in place of all blocks up to `after`: a 7 x 7 convolution to 64 channels and a
    pooling, each of stride 2, and a 2 x 2 convolution of stride 2. An autoencoder in a deep layer keeps these blocks before it.

    Attributes:
        after: name of the block whose map is restored, an eighth of the image high and wide.
        channels: of the bottleneck.
        instead: whether the encoder stands in place of the blocks up to `after`, or behind them.

    How wrong: the decoder's widths (64, 128, 256) are those of the authors' toolbox as recalled; it runs on the server, at a fifth of the
    work that it replaces. What quantising the bottleneck costs is not counted.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    after: str
    channels: Annotated[int, Ge(1)] = 12
    instead: bool = True
    change: Literal["bottleneck"] = "bottleneck"

    def apply(self, model: Model) -> Model:
        """See `ModelChange`. Raises `ValueError` where more than one map crosses the cut, or the map is of another size."""
        names = [block.name for block in model.blocks]
        if self.after not in names:
            raise ValueError(
                f"{model.name} has no block {self.after!r}: accepted are names of its blocks, such as {names[len(names) // 3]!r}"
            )
        cut = names.index(self.after) + 1
        image = isqrt(round(model.input / 3))
        restored = self._restored(model, cut, image // 8)
        before = [self._stem(image)] if self.instead else [model.blocks[:cut]]
        encoder = self._encoder(restored)
        front = tuple(block for part in (*before, encoder, self._decoder(restored)) for block in part)
        shift = len(front) - cut
        behind = tuple(replace(block, inputs=_shifted(block.inputs, cut, shift)) for block in model.blocks[cut:])
        blocks = tuple(replace(block, layer=index) for index, block in enumerate((*front, *behind)))
        name = f"{model.name} with {self.channels} channels {'for' if self.instead else 'behind'} {self.after}"
        return replace(model, name=name, blocks=blocks, cuts=tuple(range(1, len(blocks))))

    @property
    def added(self) -> int:
        """Blocks that it puts before the bottleneck's end: the cut is behind them (behind those kept, too)."""
        return 3 if self.instead else 1

    def _restored(self, model: Model, cut: int, side: int) -> Shape:
        late = [block.name for block in model.blocks[cut:] if any(0 <= each < cut - 1 or each == -1 for each in block.inputs or ())]
        numbers = round(model.blocks[cut - 1].output)
        if late:
            raise ValueError(f"{model.name}: {late[0]} reads past {self.after!r}; accepted is a block whose output alone goes on")
        shapes = [each.leaving for block in model.blocks[:cut] for each in block.operators if isinstance(each, Convolution)]
        if not shapes or shapes[-1].height != side or numbers % side**2:
            raise ValueError(f"{model.name}: the map behind {self.after!r} is no {side} x {side} one; accepted is an eighth of the image")
        return Shape(numbers // side**2, side, side)

    def _stem(self, image: int) -> tuple[Block, ...]:
        half, quarter = Shape(64, image // 2, image // 2), Shape(64, image // 4, image // 4)
        pooled = Elementwise("pool", half.numbers + quarter.numbers, flops=1.0, per="items")
        return (
            _convolved("encoder.stem", Shape(3, image, image), half, 49),
            Block("encoder.pool", "pool", 0, (pooled,), float(quarter.numbers)),
        )

    def _encoder(self, restored: Shape) -> tuple[Block, ...]:
        side = restored.height
        entering = Shape(64, 2 * side, 2 * side) if self.instead else restored
        return (_convolved("encoder.bottleneck", entering, self._narrow(side), 4),)

    def _narrow(self, side: int) -> Shape:
        return Shape(self.channels, side + 1, side + 1)

    def _decoder(self, restored: Shape) -> tuple[Block, ...]:
        side = restored.height
        shapes = [self._narrow(side), *(Shape(channels, side, side) for channels in (*_DECODED, restored.channels))]
        return tuple(_convolved(f"decoder.{index}", entering, leaving, 4) for index, (entering, leaving) in enumerate(pairwise(shapes)))


def _convolved(name: str, entering: Shape, leaving: Shape, taps: int) -> Block:
    return Block(name, "conv", 0, (Convolution(entering, leaving, taps, 1, _NORM * leaving.channels),), float(leaving.numbers))


def _shifted(inputs: tuple[int, ...] | None, cut: int, shift: int) -> tuple[int, ...] | None:
    """Where blocks behind the cut find what they read."""
    return None if inputs is None else tuple(each + shift if each >= cut - 1 else each for each in inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSplit:
    """A vision transformer as several narrow ones, each for a subset of the classes, and an MLP that fuses their features.

    Liu et al., ED-ViT, 2024 (arXiv 2410.11650). Of H heads each keeps h, and of the residual and feed-forward widths as large a share
    s = h / H: matrices and their work scale with s^2, attention maps and the patch embedding with s. All see the same image.

    Attributes:
        parts: how many narrow models.
        heads: heads that each keeps.
        fusion: width of the hidden layer of the MLP.

    How wrong: sizes follow the rule; what is pruned for which classes, and what that costs in accuracy, is not modelled. All parts are
    alike.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    parts: Annotated[int, Ge(2)]
    heads: Annotated[int, Ge(1)]
    fusion: Annotated[int, Ge(1)] = 256
    change: Literal["class_split"] = "class_split"

    def apply(self, model: Model) -> Model:
        """See `ModelChange`. Raises `ValueError` for a model that is no vision transformer, or more heads than it has."""
        narrow = self._narrow(model)
        blocks: list[Block] = []
        for part in range(self.parts):
            inputs: tuple[int, ...] | None = (-1,)
            for block in narrow:
                blocks.append(replace(block, name=f"part{part}.{block.name}", inputs=inputs))
                inputs = None
        ends = tuple((part + 1) * len(narrow) - 1 for part in range(self.parts))
        blocks.append(self._fuse(round(narrow[-1].output), model.vocab, ends))
        name = f"{model.name} in {self.parts} parts of {self.heads} heads"
        return replace(model, name=name, blocks=tuple(blocks), hidden=0, cuts=())

    def _narrow(self, model: Model) -> tuple[Block, ...]:
        """The blocks of one narrow model, its last without the classifier: it puts out features."""
        attention = next((each for block in model.blocks for each in block.operators if isinstance(each, BidirectionalAttention)), None)
        if attention is None:
            raise ValueError(f"{model.name} is no vision transformer; accepted are those of the zoo")
        if self.heads > attention.heads:
            raise ValueError(f"{model.name}: {self.heads} heads cannot be kept of {attention.heads}; accepted are fewer")
        image, hidden = isqrt(round(model.input / 3)), self.heads * attention.head_dim
        patch = image // isqrt(attention.tokens - 1)
        layers = 1 + max(block.layer for block in model.blocks)
        *blocks, head = vit("narrow", hidden=hidden, layers=layers, heads=self.heads, image=image, patch=patch).blocks
        norm = tuple(each for each in head.operators if isinstance(each, Elementwise))
        return (*blocks, replace(head, name="features", kind="norm", operators=norm, output=float(hidden)))

    def _fuse(self, features: int, classes: int, ends: tuple[int, ...]) -> Block:
        joined = features * self.parts
        operators: tuple[Operator, ...] = (
            Linear("fuse.hidden", joined, self.fusion, "items", bias=self.fusion),
            Linear("fuse.classes", self.fusion, classes, "items", bias=classes, role="head"),
        )
        return Block("fuse", "head", -1, operators, float(classes), inputs=ends)
