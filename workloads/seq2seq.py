"""Encoder-decoders of T5's family, as the two models that they are: an encoder of prompts, and a decoder that looks back at one.

Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (T5), JMLR 2020; Fedus et al., "Switch
Transformers", JMLR 2022: every second layer of either has experts in place of its feed-forward, top-1.

The decoder's prompt is what it starts from (one token). What it looks back at is a source of a fixed number of tokens, whose keys and
values every cross-attention projects once per sequence and keeps (`state_numbers`): they do not grow. The encoder caches nothing.

How wrong it can be: sources shorter than the fixed number cost less than is charged; relative position biases (one table per stack) are
counted as parameters and cost no time; an encoder's chunks attend to all of their own tokens and to no earlier chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgewright.hwmodels import Term
from edgewright.hwmodels.operator_work import attention
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, ExpertShape, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Lookup, Operator
from edgewright.workloads.moe import MoeShape, moe_operators
from edgewright.workloads.step import Step
from edgewright.workloads.transformer import CausalAttention

__all__ = ["BidirectionalAttention", "CrossAttention", "Seq2SeqShape", "decoder", "encoder"]


@dataclass(frozen=True, slots=True)
class BidirectionalAttention(Operator):
    """Every token of a chunk attends to all of them, and nothing is kept.

    A chunk of n tokens has n (n + 1) / 2 causal pairs, so n^2 = 2 * pairs - n.

    Attributes:
        heads, head_dim: query heads, each with keys and values of its own, and numbers per head.
    """

    heads: int
    head_dim: int

    @property
    def ways(self) -> int:
        return self.heads

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        rows = step.prefill
        if not rows:
            return ()
        count, size = float(len(layers)), format.activation_bytes
        numbers = 2.0 * self.head_dim * self.heads / shards * count
        pairs = 2.0 * step.attended(None).pairs - rows
        keys = numbers * size * rows
        return (
            attention(
                "attention",
                format.vector_dtype,
                numbers=numbers,
                pairs=pairs,
                rows=rows,
                activation_bytes=size,
                cached=keys,
                launches=count,
            ),
        )


@dataclass(frozen=True, slots=True)
class CrossAttention(Operator):
    """Every token attends to a source of a fixed length, whose keys and values are part of its sequence's state.

    Attributes:
        heads, head_dim: as in `BidirectionalAttention`.
        source: tokens looked back at.
    """

    heads: int
    head_dim: int
    source: int

    @property
    def ways(self) -> int:
        return self.heads

    def state_numbers(self, shards: int = 1) -> float:
        return 2.0 * self.source * self.head_dim * self.heads / shards

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        rows = step.tokens
        if not rows:
            return ()
        count, size = float(len(layers)), format.activation_bytes
        numbers = 2.0 * self.head_dim * self.heads / shards * count
        keys = self.state_numbers(shards) * format.kv_bytes * rows * count
        return (
            attention(
                "attention_decode",
                format.vector_dtype,
                numbers=numbers,
                pairs=rows * self.source,
                rows=rows,
                activation_bytes=size,
                cached=keys,
                launches=count,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq2SeqShape:
    """One half of an encoder-decoder: RMS norms, no biases, feed-forwards of two matrices, one table of relative positions.

    Attributes:
        name: of the half.
        hidden, heads, head_dim, width, vocab: of the residual stream, of attention, of the feed-forward, and of the embedding.
        layers: of this half.
        experts: the experts of a sparse layer, None if there are none; every `period`-th layer is sparse, the `period`-th first.
        buckets: rows of the table of relative positions.
        source: tokens that a decoder looks back at.
    """

    name: str
    hidden: int
    heads: int
    head_dim: int
    width: int
    vocab: int
    layers: int
    experts: MoeShape | None
    period: int
    buckets: int
    source: int

    @property
    def inner(self) -> int:
        """Numbers of all heads together."""
        return self.heads * self.head_dim


def encoder(shape: Seq2SeqShape) -> Model:
    """The encoder: it yields nothing but what a decoder looks back at, and has no head."""
    return _model(shape, _encoder_attention, Block("head", "head", -1, (_norm(shape, "head.norm"),), shape.hidden))


def decoder(shape: Seq2SeqShape) -> Model:
    """The decoder, its head tied to the embedding."""
    rows = Linear("head", shape.hidden, shape.vocab, "emits", role="head", splits="outputs", units=shape.vocab)
    norm = Elementwise("head.norm", whole=2 * shape.hidden, vectors=shape.hidden, per="emits")
    return _model(shape, _decoder_attention, Block("head", "head", -1, (norm, rows), shape.vocab), tied=True)


def _model(shape: Seq2SeqShape, attending: Callable[[Seq2SeqShape], tuple[Operator, ...]], head: Block, *, tied: bool = False) -> Model:
    table = Lookup(shape.vocab, shape.hidden, shape.buckets * shape.heads, "head")
    blocks = [Block("embed", "embed", -1, (table,), shape.hidden)]
    for index in range(shape.layers):
        blocks += [
            Block(f"layer{index}.attention", "attention", index, attending(shape), shape.hidden, internal=3.0 * shape.inner, reduces=True),
            _ffn(shape, index),
        ]
    blocks.append(head)
    return Model(
        shape.name,
        tuple(blocks),
        shape.hidden,
        shape.vocab,
        generates=True,
        cuts=tuple(range(1, len(blocks), 2)),
        tied=tied,
        experts=_experts(shape, blocks),
    )


def _norm(shape: Seq2SeqShape, name: str, divided: int = 0) -> Elementwise:
    """Residual sum and norm (read both, write both), and the block's own elementwise work."""
    return Elementwise(name, 4 * shape.hidden, divided, kernels=2 if divided else 1, vectors=shape.hidden)


def _products(shape: Seq2SeqShape, name: str) -> tuple[Linear, Linear]:
    """Queries, keys and values together, and what is made of the result."""
    return (
        Linear(
            f"{name}qkv", shape.hidden, 3 * shape.inner, splits="outputs", units=shape.heads, grouped=2 * shape.inner, groups=shape.heads
        ),
        Linear(f"{name}o", shape.inner, shape.hidden, splits="inputs", units=shape.heads),
    )


def _encoder_attention(shape: Seq2SeqShape) -> tuple[Operator, ...]:
    first, last = _products(shape, "")
    return _norm(shape, "attention.elementwise"), first, BidirectionalAttention(shape.heads, shape.head_dim), last


def _decoder_attention(shape: Seq2SeqShape) -> tuple[Operator, ...]:
    """Itself, then the source: its keys and values are projected when the prompt is computed, `source` rows for each token of it."""
    first, last = _products(shape, "")
    return (
        _norm(shape, "attention.elementwise"),
        first,
        CausalAttention(shape.heads, shape.heads, shape.head_dim),
        last,
        _norm(shape, "cross.elementwise"),
        Linear("cross.q", shape.hidden, shape.inner, splits="outputs", units=shape.heads),
        Linear("cross.kv", shape.hidden, 2 * shape.inner, "prefill", shape.source, splits="outputs", units=shape.heads),
        CrossAttention(shape.heads, shape.head_dim, shape.source),
        Linear("cross.o", shape.inner, shape.hidden, splits="inputs", units=shape.heads),
    )


def _ffn(shape: Seq2SeqShape, index: int) -> Block:
    if shape.experts is not None and index % shape.period == shape.period - 1:
        operators = (_norm(shape, "moe.elementwise"), *moe_operators(shape.hidden, shape.experts))
        internal = float(shape.experts.width * shape.experts.top_k)
        return Block(f"layer{index}.moe", "moe", index, operators, shape.hidden, internal=internal, reduces=True)
    found = (
        _norm(shape, "ffn.elementwise", 2 * shape.width),
        Linear("up", shape.hidden, shape.width, splits="outputs", units=shape.width),
        Linear("down", shape.width, shape.hidden, splits="inputs", units=shape.width),
    )
    return Block(f"layer{index}.ffn", "ffn", index, found, shape.hidden, internal=float(shape.width), reduces=True)


def _experts(shape: Seq2SeqShape, blocks: list[Block]) -> ExpertShape | None:
    one = shape.experts
    if one is None:
        return None
    where = tuple(index for index, block in enumerate(blocks) if block.kind == "moe")
    return ExpertShape(where, one.count, one.top_k, one.shared, one.parameters(shape.hidden))
