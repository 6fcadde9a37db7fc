"""Operators: what a block is made of, and the one place where its work is written down.

An operator is a frozen value that knows its sizes. `terms` turns the sums of a `Step` into `Term`s; equal operators of different layers
are asked once, for all their layers together, so a step of a 32-layer model is some ten terms.

FLOPs are two per multiply-accumulate. Weights are read once per step, activations are read by and written from each operator
(fused neighbours are one operator), rows are tokens, emitted rows or items.

How accurate is this? FLOPs of products and attention are exact. Bytes are the least that a fused implementation moves: real kernels
re-read activations when tiles do not fit, which shows in measured efficiencies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from edgewright.hwmodels import Term
from edgewright.hwmodels.kernel_work import product
from edgewright.hwmodels.operator_work import elementwise, rows_read
from edgewright.workloads.formats import Format, Role
from edgewright.workloads.step import Step

__all__ = ["Elementwise", "Linear", "Lookup", "Operator", "Per", "nested", "rows_of"]

Per: TypeAlias = Literal["tokens", "prefill", "emits", "items"]
"""Which count of a step an operator's rows follow: all tokens, those of prompts, those that yield an output token, or one-shot inputs."""


def rows_of(step: Step, per: Per, each: int = 1) -> int:
    """Rows through an operator in one step: the count that it follows, times `each`."""
    if per == "tokens":
        return (step.decode + step.prefill) * each
    if per == "prefill":
        return step.prefill * each
    return (step.emits if per == "emits" else step.items) * each


def nested(groups: int, shards: int) -> bool:
    """Whether that many groups of heads fall into shards without straddling: each shard has whole groups, or a part of a single one."""
    return groups % shards == 0 or shards % groups == 0


class Operator(ABC):
    """A node of a model: frozen, hashable, and equal to any other of the same sizes.

    `shards` is the number of equal parts a divisible operator is split in; sizes and work are those of one of them. Operators that
    cannot be divided are whole on every shard.
    """

    __slots__ = ()

    @property
    def parameters(self) -> int:
        """Parameters of the whole operator."""
        return 0

    @property
    def ways(self) -> int:
        """The equal units (heads, columns) that its shards share out. 1: held whole by every shard."""
        return 1

    def divides(self, shards: int) -> bool:
        """Whether its units fall into that many equal shards."""
        return self.ways % shards == 0

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        """Bytes of parameters that one shard holds."""
        return 0.0

    def kv_numbers(self, shards: int = 1) -> float:
        """Numbers that one shard caches per token."""
        return 0.0

    @property
    def window(self) -> int | None:
        """How many of the last tokens it attends to and caches; None: all."""
        return None

    def state_numbers(self, shards: int = 1) -> float:
        """Numbers of recurrent state that one shard keeps per sequence."""
        return 0.0

    @property
    def routed(self) -> bool:
        """Whether its work depends on what the run finds out in a layer (`Step.outcomes`)."""
        return False

    @abstractmethod
    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        """The work of one shard of this operator in each of `layers`, all together; no term where there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Linear(Operator):
    """A product with a weight matrix.

    One row is a `gemv` (or what the format says), more are a `gemm`. Split by columns or rows of the matrix: one shard has
    `1/shards` of the multiply-accumulates and of the divided side's activations; the bias of a matrix split by rows is whole on each.

    Attributes:
        name: e.g. `qkv`.
        inputs, outputs: numbers per row, in and out.
        per, each: what its rows follow, and how many rows per token or item.
        bias: parameters of its bias.
        role: which width of a format its weights take.
        splits: which side is divided between shards, if any.
        units: the divided side consists of this many equal units (heads, columns), which bounds the number of shards.
        grouped: of the outputs, the columns of grouped keys and values, which exist `groups` times and are repeated beyond: with more
            shards than groups each has the columns of one whole group.
        groups: heads of the grouped columns.
    """

    name: str
    inputs: int
    outputs: int
    per: Per = "tokens"
    each: int = 1
    bias: int = 0
    role: Role = "matrix"
    splits: Literal["inputs", "outputs", "none"] = "none"
    units: int = 1
    grouped: int = 0
    groups: int = 1

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs + self.bias

    @property
    def ways(self) -> int:
        return 1 if self.splits == "none" else self.units

    def divides(self, shards: int) -> bool:
        return self.ways % shards == 0 and nested(self.groups, shards)

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self._bytes(*self._sides(shards), format)

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        rows = rows_of(step, self.per, self.each)
        if not rows:
            return ()
        inputs, outputs = self._sides(shards)
        kernel = format.gemv if rows == 1 or format.lookups is not None else "gemm"
        weights, launches = self._bytes(inputs, outputs, format), float(len(layers))
        size = format.activation_bytes
        made = product(kernel, format.dtype, rows, inputs, outputs, weights=weights, activation_bytes=size, launches=launches)
        return (made if format.lookups is None else replace(made, flops=made.flops * format.lookups / 2.0),)

    def _bytes(self, inputs: float, outputs: float, format: Format) -> float:
        return (inputs * outputs * format.bits(self.role) + self.bias * (outputs / self.outputs) * format.vector_bits) / 8

    def _sides(self, shards: int) -> tuple[float, float]:
        if shards == 1 or self.splits == "none":
            return float(self.inputs), float(self.outputs)
        if self.splits == "inputs":
            return self.inputs / shards, float(self.outputs)
        return float(self.inputs), (self.outputs - self.grouped) / shards + self.grouped / min(shards, self.groups)


@dataclass(frozen=True, slots=True)
class Lookup(Operator):
    """An embedding table: one row read per token. Held whole by every shard that has it.

    Attributes:
        vocab, width: rows and columns of the table.
        extra: further parameters of the same width (learned positions).
        role: `embedding`, or `head` when the head is tied to it.
    """

    vocab: int
    width: int
    extra: int = 0
    role: Role = "embedding"

    @property
    def parameters(self) -> int:
        return self.vocab * self.width + self.extra

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self.parameters * format.bits(self.role) / 8

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        rows = step.tokens
        if not rows:
            return ()
        bits, size = format.bits(self.role), format.activation_bytes
        return (rows_read(format.vector_dtype, numbers=rows * float(self.width), weight_bits=bits, activation_bytes=size),)


@dataclass(frozen=True, slots=True)
class Elementwise(Operator):
    """Norms, activations, positions, residual sums: bound by the bytes they move.

    Attributes:
        name: e.g. `norm`.
        whole: numbers read and written per row, by every shard.
        divided: numbers read and written per row, shared out between shards.
        flops: operations per number moved; an estimate (5 operations per number of a norm over 4 moved), which no roof feels.
        kernels: launches per layer.
        vectors: parameters (scales and offsets), whole on every shard.
        per, each: what its rows follow, and how many rows per token or item.
    """

    name: str
    whole: int = 0
    divided: int = 0
    flops: float = 1.25
    kernels: int = 1
    vectors: int = 0
    per: Per = "tokens"
    each: int = 1

    @property
    def parameters(self) -> int:
        return self.vectors

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self.vectors * format.vector_bits / 8

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        rows = rows_of(step, self.per, self.each)
        if not rows:
            return ()
        count = float(len(layers))
        numbers = (self.whole + self.divided / shards) * rows * count
        return (
            elementwise(
                format.vector_dtype,
                numbers=numbers,
                activation_bytes=format.activation_bytes,
                weights=self.weight_bytes(format) * count,
                flops=self.flops,
                launches=self.kernels * count,
            ),
        )
