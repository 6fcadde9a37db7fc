"""A model whose decoding over the cache happens elsewhere: in a storage that computes, or on a device beside the one with the weights.

What touches cached keys and values (attention, and a KV policy's passes over them) is taken apart in two: prompts stay with the weights,
decoding goes where the cache is.

How wrong: a prompt's own attention reads the keys and values that it has just made; earlier chunks of it would have to be read back
from where the cache is, which is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgewright.hwmodels import Term
from edgewright.workloads.formats import Format
from edgewright.workloads.kv_operators import CacheMove, KeyScan, TokenScores
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Operator
from edgewright.workloads.step import Step

__all__ = ["Decoding", "Prompting", "cache_only", "without_cache"]


@dataclass(frozen=True, slots=True)
class _Apart(Operator):
    """A part of what an operator over the cache does, divided as the operator is."""

    operator: Operator

    @property
    def ways(self) -> int:
        return self.operator.ways

    def divides(self, shards: int) -> bool:
        return self.operator.divides(shards)

    @property
    def window(self) -> int | None:
        return self.operator.window


@dataclass(frozen=True, slots=True)
class Prompting(_Apart):
    """An operator over the cache, as far as prompts go; it caches nothing here."""

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        return self.operator.terms(_prompts(step), format, shards, layers) if step.prefill else ()


@dataclass(frozen=True, slots=True)
class Decoding(_Apart):
    """An operator over the cache, as far as decoding goes, and what it caches."""

    def kv_numbers(self, shards: int = 1) -> float:
        return self.operator.kv_numbers(shards)

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        return self.operator.terms(_decoded(step), format, shards, layers) if step.decode else ()


def without_cache(model: Model) -> Model:
    """The model with what touches its cache cut down to prompts, at the same block indices; it caches nothing.

    Raises `ValueError` for a model that caches nothing in the first place.
    """
    if not any(_over_cache(each) for block in model.blocks for each in block.operators):
        raise ValueError(f"{model.name} caches no keys and values; accepted are models that do")
    blocks = tuple(
        _changed(block, tuple(Prompting(each) if _over_cache(each) else each for each in block.operators)) for block in model.blocks
    )
    return replace(model, name=f"{model.name}-without-cache", blocks=blocks)


def cache_only(model: Model) -> Model:
    """What touches the model's cache in decoding, and nothing else of it, at the same block indices."""
    blocks = tuple(_changed(block, tuple(Decoding(each) for each in block.operators if _over_cache(each))) for block in model.blocks)
    return replace(model, name=f"{model.name}-cache", blocks=blocks, tied=False, experts=None)


def _over_cache(operator: Operator) -> bool:
    return operator.kv_numbers() > 0.0 or isinstance(operator, KeyScan | TokenScores | CacheMove)


def _changed(block: Block, operators: tuple[Operator, ...]) -> Block:
    return block if operators == block.operators else replace(block, operators=operators)


def _prompts(step: Step) -> Step:
    """Nothing decodes."""
    windowed = {window: sums._replace(context=0.0) for window, sums in step.windowed.items()}
    return replace(step, decode=0, full=step.full._replace(context=0.0), windowed=windowed, roles=_each(step, _prompts))


def _decoded(step: Step) -> Step:
    """No prompt is computed."""
    windowed = {window: sums._replace(pairs=0.0, reads=0.0) for window, sums in step.windowed.items()}
    return replace(step, prefill=0, full=step.full._replace(pairs=0.0, reads=0.0), windowed=windowed, roles=_each(step, _decoded))


def _each(step: Step, change: Callable[[Step], Step]) -> Mapping[str, Step] | None:
    return None if step.roles is None else {role: change(seen) for role, seen in step.roles.items()}
