"""State-space blocks: Mamba (Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023).

A layer is one block: norm, input product (two branches), short causal convolution, the selective scan, gate, output product. It caches no
tokens: its state is `inner * (state + kernel)` numbers per sequence, read and written once per decoding sequence and once per prefilled
chunk.

A layer does not divide into shards. Its channels could be shared out, but the product that makes dt, B and C takes all of them, so shards
would have to sum its outputs in the middle of the layer, besides the sum at its end; a plan reduces between blocks only. It is held and
computed whole.

How accurate is this? Parameters and products are exact. The scan is counted at 9 operations per state number and token (two
exponent-free multiply-adds for the update, the discretisation of A and B, the product with C); implementations differ by some 30 %, on a
term that is a few per cent of the block. A step counts one chunk's state where it prefills several: an error of kilobytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels import Term
from edgewright.workloads.formats import Format, Role
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Lookup, Operator
from edgewright.workloads.step import Step

__all__ = ["MambaShape", "SelectiveScan", "mamba"]

_SCAN_FLOPS = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MambaShape:
    """A Mamba model.

    Attributes:
        name: of the model.
        hidden, vocab: widths of the residual stream and of the vocabulary.
        inner: channels inside a block; `state` numbers of state per channel; `kernel` taps of the convolution.
        rank: rank of the time-step projection.
        layers: how many.
        tied: whether the head is the embedding table.
    """

    name: str
    hidden: int
    vocab: int
    inner: int
    state: int
    kernel: int
    rank: int
    layers: int
    tied: bool = True


@dataclass(frozen=True, slots=True)
class SelectiveScan(Operator):
    """Convolution over `kernel` tokens, then the scan over `inner` channels of `state` numbers."""

    inner: int
    state: int
    kernel: int

    @property
    def parameters(self) -> int:
        """Taps and bias of the convolution, A, and D."""
        return self.inner * (self.kernel + 1 + self.state + 1)

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self.parameters * format.vector_bits / 8

    def state_numbers(self, shards: int = 1) -> float:
        return float(self.inner * (self.state + self.kernel))

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        tokens = step.tokens
        if not tokens:
            return ()
        count = float(len(layers))
        flops = (2.0 * self.kernel + _SCAN_FLOPS * self.state) * self.inner * tokens * count
        states = 2.0 * self.state_numbers() * (step.decode + (1 if step.prefill else 0))
        moved = (3.0 * self.inner + 2.0 * self.state) * tokens
        size = format.activation_bytes * count
        return (Term("scan", format.vector_dtype, flops, self.weight_bytes(format) * count, moved * size, states * size, count),)


def mamba(shape: MambaShape) -> Model:
    """The model of a Mamba shape; it may be cut between layers."""
    role: Role = "head" if shape.tied else "embedding"
    embed = Block("embed", "embed", -1, (Lookup(shape.vocab, shape.hidden, role=role),), shape.hidden)
    layers = tuple(
        Block(f"layer{index}.ssm", "ssm", index, _operators(shape), shape.hidden, internal=2.0 * shape.inner)
        for index in range(shape.layers)
    )
    norm = Elementwise("head.norm", whole=2 * shape.hidden, vectors=shape.hidden, per="emits")
    rows = Linear("head", shape.hidden, shape.vocab, "emits", role="head", splits="outputs", units=shape.vocab)
    blocks = (embed, *layers, Block("head", "head", -1, (norm, rows), shape.vocab))
    return Model(shape.name, blocks, shape.hidden, shape.vocab, generates=True, cuts=tuple(range(1, len(blocks))), tied=shape.tied)


def _operators(shape: MambaShape) -> tuple[Operator, ...]:
    inner = shape.inner
    return (
        Elementwise("ssm.elementwise", whole=4 * shape.hidden + 3 * inner, kernels=2, vectors=shape.hidden),
        Linear("in", shape.hidden, 2 * inner),
        Linear("dt_b_c", inner, shape.rank + 2 * shape.state),
        Linear("dt", shape.rank, inner, bias=inner),
        SelectiveScan(inner, shape.state, shape.kernel),
        Linear("out", inner, shape.hidden),
    )
