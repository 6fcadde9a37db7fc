"""Vision transformers (ViT, Dosovitskiy et al., ICLR 2021; DeiT, Touvron et al., ICML 2021).

Patches are embedded by one product, then layers of bidirectional attention and a two-matrix feed-forward, then a classifier on the class
token. Every item has the same number of tokens, so the work of a step follows its items.

How accurate is this? Parameters equal the published ones; multiply-accumulates include attention (17.6 G for ViT-B/16; figures of
16.9 G in some tables leave it out).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels import Term
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.step import Step

__all__ = ["BidirectionalAttention", "vit"]


@dataclass(frozen=True, slots=True)
class BidirectionalAttention(Operator):
    """Attention of all `tokens` of an item with each other; shards divide the heads."""

    tokens: int
    heads: int
    head_dim: int

    @property
    def ways(self) -> int:
        return self.heads

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        if not step.items:
            return ()
        count = float(len(layers))
        width = float(self.heads * self.head_dim) / shards * step.items * count
        flops = 4.0 * width * self.tokens * self.tokens
        return (Term("attention", format.vector_dtype, flops, 0.0, 4.0 * width * self.tokens * format.activation_bytes, 0.0, count),)


def vit(
    name: str, *, hidden: int, layers: int, heads: int, image: int = 224, patch: int = 16, ratio: int = 4, classes: int = 1000
) -> Model:
    """A ViT with a class token and learned positions; `ratio` is the feed-forward width over `hidden`. It may be cut between layers."""
    patches = (image // patch) ** 2
    tokens, pixels = patches + 1, 3 * patch * patch
    embed = (
        Linear("patches", pixels, hidden, "items", patches, bias=hidden),
        Elementwise("positions", whole=3 * hidden, vectors=hidden + tokens * hidden, per="items", each=tokens),
    )
    blocks = [Block("embed", "embed", -1, embed, float(tokens * hidden))]
    for index in range(layers):
        blocks += _layer(index, tokens, hidden, heads, ratio)
    head = (
        Elementwise("head.norm", whole=2 * hidden, vectors=2 * hidden, per="items", each=tokens),
        Linear("head", hidden, classes, "items", bias=classes, role="head", splits="outputs", units=classes),
    )
    blocks.append(Block("head", "head", -1, head, float(classes)))
    pixels_in = 3.0 * image * image
    cuts = tuple(range(1, len(blocks), 2))
    return Model(name, tuple(blocks), hidden, classes, False, cuts, input=pixels_in, input_bytes=pixels_in, result_bytes=4.0 * classes)


def _layer(index: int, tokens: int, hidden: int, heads: int, ratio: int) -> tuple[Block, Block]:
    leaving, width = float(tokens * hidden), ratio * hidden
    attention: tuple[Operator, ...] = (
        Elementwise("attention.elementwise", 4 * hidden, vectors=2 * hidden, per="items", each=tokens),
        Linear("qkv", hidden, 3 * hidden, "items", tokens, 3 * hidden, splits="outputs", units=heads),
        BidirectionalAttention(tokens, heads, hidden // heads),
        Linear("o", hidden, hidden, "items", tokens, hidden, splits="inputs", units=heads),
    )
    ffn = (
        Elementwise("ffn.elementwise", 4 * hidden, 2 * width, kernels=2, vectors=2 * hidden, per="items", each=tokens),
        Linear("up", hidden, width, "items", tokens, width, splits="outputs", units=width),
        Linear("down", width, hidden, "items", tokens, hidden, splits="inputs", units=width),
    )
    return (
        Block(f"layer{index}.attention", "attention", index, attention, leaving, internal=3 * leaving, reduces=True),
        Block(f"layer{index}.ffn", "ffn", index, ffn, leaving, internal=float(tokens * width), reduces=True),
    )
