"""What a KV policy adds to a model: operators that see a step in a role, and passes over cached tokens besides attention.

A policy that keeps all layers alike and costs nothing says so by counts alone (`Footprint`). One whose layers differ, or that scores,
searches or moves cached tokens, refits the model with these operators; the sums that they price are `Step.roles`, which the policy gives
for each step (`policies.families.KvWork`).

| operator | per cached token and layer | such as |
|---|---|---|
| `InRoles` | what the operator inside asks for, with a role's sums in place of the step's | layers that attend to other tokens |
| `TokenScores` | `numbers` numbers of fp32 per query head | accumulating, Gumbel softmax, the choice of the highest |
| `KeyScan` | `vectors` key vectors read, multiplied with `queries` queries | page bounds, a window of past queries |
| `CacheMove` | its key and its value, read and written | compacting, concatenation, reordering of beams |

How wrong: passes are priced as streaming kernels, one launch per kernel and layer; sorting costs more than a pass where few tokens are
kept of many (`kernels/kv_tokens.py` times it), and a search that is fused into attention costs less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgewright.hwmodels import Quantity, Term
from edgewright.hwmodels.arrays import choose
from edgewright.hwmodels.operator_work import elementwise
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Operator
from edgewright.workloads.step import Attended, Step
from edgewright.workloads.transformer import CausalAttention

__all__ = ["CacheMove", "InRoles", "KeyScan", "TokenScores", "attention_of", "refitted", "with_copies"]

_SCORE_BYTES = 4.0


@dataclass(frozen=True, slots=True)
class InRoles(Operator):
    """An operator that sees the step in one or several roles, computed once for each."""

    operator: Operator
    roles: tuple[str, ...]

    @property
    def parameters(self) -> int:
        return self.operator.parameters

    @property
    def ways(self) -> int:
        return self.operator.ways

    def divides(self, shards: int) -> bool:
        return self.operator.divides(shards)

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        return self.operator.weight_bytes(format, shards)

    def kv_numbers(self, shards: int = 1) -> float:
        return self.operator.kv_numbers(shards)

    @property
    def window(self) -> int | None:
        return self.operator.window

    def state_numbers(self, shards: int = 1) -> float:
        return self.operator.state_numbers(shards)

    @property
    def routed(self) -> bool:
        return self.operator.routed

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        return tuple(term for role in self.roles for term in self.operator.terms(step.seen_as(role), format, shards, layers))


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachePass(Operator):
    """A pass over cached tokens, divided between shards as the attention that caches them.

    Attributes:
        attention: that operator.
        role: whose sums it reads; None: those of the step itself.
        kernels: launches per layer.
    """

    attention: CausalAttention
    role: str | None = None
    kernels: int = 1

    @property
    def ways(self) -> int:
        return self.attention.ways

    def divides(self, shards: int) -> bool:
        return self.attention.divides(shards)

    def _sums(self, step: Step) -> Attended:
        seen = step if self.role is None else step.seen_as(self.role)
        return seen.attended(self.attention.span)

    def _launches(self, amount: Quantity, layers: tuple[int, ...]) -> Quantity:
        """Launches of all layers, none where there is nothing to do."""
        return choose(amount > 0.0, float(self.kernels * len(layers)), 0.0)

    def _key_bytes(self, format: Format, shards: int) -> float:
        """Bytes of one token's key on one shard."""
        return self.attention.kv_numbers(shards) / 2.0 * format.kv_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores(_CachePass):
    """Scores of cached tokens: `numbers` of fp32 read and written, for each query head and each pair of a query and a cached token."""

    numbers: float = 2.0

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        sums = self._sums(step)
        pairs = sums.context + sums.pairs
        numbers = pairs * (self.numbers * self.attention.heads / shards * len(layers))
        launches = self._launches(pairs, layers)
        return (elementwise(format.vector_dtype, numbers=numbers, activation_bytes=_SCORE_BYTES, launches=launches),)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyScan(_CachePass):
    """Products of `queries` queries per head with cached keys, or with `vectors` vectors of a key's size for each token counted."""

    queries: int = 1
    vectors: int = 1

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        sums = self._sums(step)
        tokens = sums.context + sums.reads
        flops = tokens * (2.0 * self.attention.head_dim * self.attention.heads / shards * self.queries * self.vectors * len(layers))
        read = tokens * (self._key_bytes(format, shards) * self.vectors * len(layers))
        kernel = "attention" if self.queries > 1 else "attention_decode"
        return (Term(kernel, format.vector_dtype, flops, kv=read, launches=self._launches(tokens, layers)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMove(_CachePass):
    """Keys and values read from one place and written to another, `times` times."""

    times: float = 1.0

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        sums = self._sums(step)
        tokens = sums.context + sums.reads
        moved = tokens * (4.0 * self.times * self._key_bytes(format, shards) * len(layers))
        return (Term("copy", format.vector_dtype, 0.0, kv=moved, launches=self._launches(tokens, layers)),)


def attention_of(block: Block) -> CausalAttention | None:
    """The attention operator of a block over keys and values per head, in whatever roles; None if it has none."""
    inside = (each.operator if isinstance(each, InRoles) else each for each in block.operators)
    return next((each for each in inside if isinstance(each, CausalAttention)), None)


def refitted(model: Model, name: str, change: Callable[[Block, CausalAttention], tuple[Operator, ...]]) -> Model:
    """The model with other operators in its attention blocks: those that `change` gives for a block and its attention.

    Raises `ValueError` for a model without attention over keys and values per head, saying that `name` cannot work with it.
    """
    blocks = []
    for block in model.blocks:
        attention = attention_of(block)
        if block.kind == "attention" and attention is None:
            raise ValueError(f"{name!r} scores keys and values per head, which {model.name} does not cache; accepted are models that do")
        blocks.append(block if attention is None else replace(block, operators=change(block, attention)))
    if all(attention_of(block) is None for block in model.blocks):
        raise ValueError(f"{name!r} needs a model with attention, and {model.name} has none; accepted are transformers")
    return replace(model, blocks=tuple(blocks))


def with_copies(model: Model, copies: float) -> Model:
    """The model in an engine that copies the attended cache so many times in each step: once to append a token to a contiguous cache,
    once more to reorder beams. Raises `ValueError` as `refitted` does."""
    return refitted(
        model, "cache_copies", lambda block, attention: (*block.operators, CacheMove(attention=attention, times=copies, kernels=2))
    )
