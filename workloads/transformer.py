"""Transformers: attention operators, and the blocks of a decoder from its shape.

A layer is two blocks, `attention` and `ffn` (or `moe`), each with its norm and residual sum in front; their shards' outputs are all-reduced
(Megatron-LM, Shoeybi et al., 2019). Before them stands `embed`, behind them `head` (with the final norm, on emitted rows only).

Attention is fused (FlashAttention, Dao et al., NeurIPS 2022): scores never reach memory, a prefilled chunk reads the cache before it and
itself once. Latent attention (DeepSeek-V2, 2024) caches one latent vector and one shared rotary key per token; decoding uses the absorbed
form.

How accurate is this? FLOPs and cache bytes are exact for a causal implementation that skips masked tiles. A fused prefill kernel re-reads
keys once per tile of queries, mostly from cache; that traffic is not counted. Rotary positions of keys are shared out between shards even
where the keys are repeated: bytes by the hundred per token and layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels import Quantity, Term
from edgewright.hwmodels.operator_work import attention
from edgewright.workloads.formats import Format, Role
from edgewright.workloads.model import Block, ExpertShape, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Lookup, Operator, nested
from edgewright.workloads.moe import MoeShape, moe_operators
from edgewright.workloads.step import Step

__all__ = [
    "AttentionShape",
    "CausalAttention",
    "FfnShape",
    "LatentAttention",
    "LatentShape",
    "LayerShape",
    "TransformerShape",
    "transformer",
]


@dataclass(frozen=True, slots=True)
class CausalAttention(Operator):
    """Softmax attention over cached keys and values, grouped queries included.

    Shards divide the query heads, and none straddles key-value heads: it has whole ones, or, where there are more shards than such
    heads, queries of a single one, which it repeats.

    Attributes:
        heads: query heads; `kv_heads` key-value heads (a divisor).
        head_dim: numbers per head.
        span: the window: how many of the last tokens are attended and kept, None for all.
    """

    heads: int
    kv_heads: int
    head_dim: int
    span: int | None = None

    @property
    def ways(self) -> int:
        return self.heads

    def divides(self, shards: int) -> bool:
        return self.heads % shards == 0 and nested(self.kv_heads, shards)

    @property
    def window(self) -> int | None:
        return self.span

    def kv_numbers(self, shards: int = 1) -> float:
        return 2.0 * self.head_dim * self.kv_heads / min(shards, self.kv_heads)

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        attended = step.attended(self.span)
        count = float(len(layers))
        numbers, dtype, size = 2.0 * self.head_dim * self.heads / shards * count, format.vector_dtype, format.activation_bytes
        cached = self.kv_numbers(shards) * format.kv_bytes * count

        def term(kernel: str, pairs: Quantity, rows: Quantity, tokens: Quantity) -> Term:
            return attention(
                kernel, dtype, numbers=numbers, pairs=pairs, rows=rows, activation_bytes=size, cached=tokens * cached, launches=count
            )

        found: tuple[Term, ...] = ()
        if step.prefill:
            found = (term("attention", attended.pairs, step.prefill, attended.reads + step.prefill),)
        if step.decode:
            found += (term("attention_decode", attended.context, step.decode, attended.context + step.decode),)
        return found


@dataclass(frozen=True, slots=True)
class LatentAttention(Operator):
    """Multi-head latent attention. Every shard caches the whole latent; heads are divided.

    Prefill expands latents to keys and values per head (the product itself is the layer's `kv_up`; what is added here is expanding again
    the tokens that a chunk finds in the cache). Decoding stays in the latent space: `2 * rank + rope` multiply-accumulates per head and
    cached token, and the same products as `kv_up` per new token.

    Attributes:
        heads: query heads.
        rank: numbers of the cached latent (`kv_lora_rank`).
        rope: numbers of the shared rotary key.
        nope, value: numbers per head of the other part of a key, and of a value.
    """

    heads: int
    rank: int
    rope: int
    nope: int
    value: int

    @property
    def ways(self) -> int:
        return self.heads

    def kv_numbers(self, shards: int = 1) -> float:
        return float(self.rank + self.rope)

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        attended = step.attended(None)
        count = float(len(layers))
        heads = self.heads / shards * count
        cached = self.kv_numbers() * format.kv_bytes * count
        per_pair, per_latent = self.nope + self.rope + self.value, 2 * self.rank + self.rope
        dtype = format.vector_dtype
        found: tuple[Term, ...] = ()
        if step.prefill:
            again = (attended.reads - step.prefill) * (self.rank * (self.nope + self.value))
            flops = 2.0 * heads * (attended.pairs * per_pair + again)
            moved = heads * per_pair * step.prefill * format.activation_bytes
            found = (Term("attention", dtype, flops, 0.0, moved, (attended.reads + step.prefill) * cached, count),)
        if step.decode:
            flops = 2.0 * heads * attended.context * per_latent
            moved = heads * per_latent * step.decode * format.activation_bytes
            found += (Term("attention_decode", dtype, flops, 0.0, moved, (attended.context + step.decode) * cached, count),)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionShape:
    """Attention of a layer with keys and values per head.

    Attributes:
        heads, kv_heads, head_dim, window: as in `CausalAttention`.
        bias, out_bias: whether the query-key-value and the output products have biases.
        qk_norm: parameters of norms on queries and keys.
        rope: whether positions are rotary (otherwise they cost nothing here).
    """

    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    bias: bool = False
    out_bias: bool = False
    qk_norm: int = 0
    rope: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentShape:
    """Latent attention of a layer: `q_rank` is the rank of the compressed queries (None: not compressed); else as in `LatentAttention`."""

    heads: int
    q_rank: int | None
    kv_rank: int
    nope: int
    rope: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FfnShape:
    """A feed-forward block: `width` hidden numbers, `gated` (three matrices, SwiGLU) or not (two), `bias` on all of them."""

    width: int
    gated: bool = True
    bias: bool = False


@dataclass(frozen=True, slots=True)
class LayerShape:
    """One decoder layer."""

    attention: AttentionShape | LatentShape
    ffn: FfnShape | MoeShape


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerShape:
    """A decoder.

    Attributes:
        name: of the model.
        hidden, vocab: widths of the residual stream and of the vocabulary.
        layers: in order.
        tied: whether the head is the embedding table.
        norm: parameters of one norm (`hidden` for RMS, twice that with an offset, 0 without parameters).
        sandwich: whether each block has a norm behind it as well as before it.
        positions: rows of learned positions, 0 if there are none; `embed_norm`: parameters of a norm behind the embedding.
        head_bias: whether the head has a bias.
    """

    name: str
    hidden: int
    vocab: int
    layers: tuple[LayerShape, ...]
    tied: bool
    norm: int
    sandwich: bool = False
    positions: int = 0
    embed_norm: int = 0
    head_bias: bool = False


def transformer(shape: TransformerShape) -> Model:
    """The model of a decoder's shape. It may be cut between layers, behind the embedding and before the head."""
    blocks = [_embed(shape)]
    for index, layer in enumerate(shape.layers):
        blocks += [_attention_block(shape, index, layer.attention), _ffn_block(shape, index, layer.ffn)]
    blocks.append(_head(shape))
    return Model(
        shape.name,
        tuple(blocks),
        shape.hidden,
        shape.vocab,
        generates=True,
        cuts=tuple(range(1, len(blocks), 2)),
        tied=shape.tied,
        experts=_experts(shape, blocks),
    )


def _embed(shape: TransformerShape) -> Block:
    role: Role = "head" if shape.tied else "embedding"
    found: tuple[Operator, ...] = (Lookup(shape.vocab, shape.hidden, shape.positions * shape.hidden, role),)
    if shape.embed_norm:
        found += (Elementwise("embed.norm", whole=2 * shape.hidden, vectors=shape.embed_norm),)
    return Block("embed", "embed", -1, found, shape.hidden)


def _head(shape: TransformerShape) -> Block:
    bias = shape.vocab if shape.head_bias else 0
    norm = Elementwise("head.norm", whole=2 * shape.hidden, vectors=shape.norm, per="emits")
    rows = Linear("head", shape.hidden, shape.vocab, "emits", bias=bias, role="head", splits="outputs", units=shape.vocab)
    return Block("head", "head", -1, (norm, rows), shape.vocab)


def _norm(shape: TransformerShape, name: str, divided: int, vectors: int = 0) -> Elementwise:
    """Residual sum and norm (read both, write both), the sandwich norm behind, and the block's own elementwise work."""
    norms = 2 if shape.sandwich else 1
    whole = 4 * shape.hidden + (2 * shape.hidden if shape.sandwich else 0)
    return Elementwise(name, whole, divided, kernels=norms + (1 if divided else 0), vectors=norms * shape.norm + vectors)


def _attention_block(shape: TransformerShape, index: int, attention: AttentionShape | LatentShape) -> Block:
    operators, internal = _latent(shape, attention) if isinstance(attention, LatentShape) else _grouped(shape, attention)
    return Block(f"layer{index}.attention", "attention", index, operators, shape.hidden, internal=internal, reduces=True)


def _grouped(shape: TransformerShape, one: AttentionShape) -> tuple[tuple[Operator, ...], float]:
    queries, keys = one.heads * one.head_dim, one.kv_heads * one.head_dim
    outputs = queries + 2 * keys
    return (
        _norm(shape, "attention.elementwise", 2 * (queries + keys) if one.rope else 0, one.qk_norm),
        Linear(
            "qkv",
            shape.hidden,
            outputs,
            bias=outputs if one.bias else 0,
            splits="outputs",
            units=one.heads,
            grouped=2 * keys,
            groups=one.kv_heads,
        ),
        CausalAttention(one.heads, one.kv_heads, one.head_dim, one.window),
        Linear("o", queries, shape.hidden, bias=shape.hidden if one.out_bias else 0, splits="inputs", units=one.heads),
    ), float(outputs)


def _latent(shape: TransformerShape, one: LatentShape) -> tuple[tuple[Operator, ...], float]:
    queries = one.heads * (one.nope + one.rope)
    down = one.kv_rank + one.rope
    up = one.heads * (one.nope + one.value)
    norms = one.kv_rank + (one.q_rank or 0)
    q_in = shape.hidden if one.q_rank is None else one.q_rank
    found: tuple[Operator, ...] = (
        _norm(shape, "attention.elementwise", 2 * one.heads * one.rope, norms),
        Linear("down", shape.hidden, down + (one.q_rank or 0)),
        Linear("q_up", q_in, queries, splits="outputs", units=one.heads),
        Linear("kv_up", one.kv_rank, up, splits="outputs", units=one.heads),
        LatentAttention(one.heads, one.kv_rank, one.rope, one.nope, one.value),
        Linear("o", one.heads * one.value, shape.hidden, splits="inputs", units=one.heads),
    )
    return found, float(queries + down + up)


def _ffn_block(shape: TransformerShape, index: int, ffn: FfnShape | MoeShape) -> Block:
    if isinstance(ffn, MoeShape):
        operators = (_norm(shape, "moe.elementwise", 0), *moe_operators(shape.hidden, ffn))
        internal = float(2 * ffn.width * ffn.top_k + 2 * ffn.shared_width)
        return Block(f"layer{index}.moe", "moe", index, operators, shape.hidden, internal=internal, reduces=True)
    sides = 2 if ffn.gated else 1
    found = (
        _norm(shape, "ffn.elementwise", (sides + 1) * ffn.width),
        Linear("up", shape.hidden, sides * ffn.width, bias=sides * ffn.width if ffn.bias else 0, splits="outputs", units=ffn.width),
        Linear("down", ffn.width, shape.hidden, bias=shape.hidden if ffn.bias else 0, splits="inputs", units=ffn.width),
    )
    return Block(f"layer{index}.ffn", "ffn", index, found, shape.hidden, internal=float(sides * ffn.width), reduces=True)


def _experts(shape: TransformerShape, blocks: list[Block]) -> ExpertShape | None:
    where = tuple(index for index, block in enumerate(blocks) if block.kind == "moe")
    found = {layer.ffn for layer in shape.layers if isinstance(layer.ffn, MoeShape)}
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{shape.name}: MoE layers of different shapes are not supported")
    one = found.pop()
    return ExpertShape(where, one.count, one.top_k, one.shared, one.parameters(shape.hidden))
