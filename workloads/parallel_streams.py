"""Parallel streams of one input through the same weights: Chen et al., Parallel Scaling Law for Language Models (ParScale), 2025.

Every block between the embedding and the head computes `streams` versions of each token, made different by a learned prefix of `prefix`
tokens of keys and values per layer and stream; embedding and head see each token once, and in front of the head a gating network of
`(hidden + 1) * hidden * streams` parameters mixes the outputs. So weights are read once for P rows: rows and cached tokens are P-fold.

    1.6 B weights of 2 bytes on 1.8 TB/s: 2 ms a token for 1 stream, and for 8 as long as 8 rows stay below the ridge of the roofline

How wrong: prompts count one prefix per chunk. The mixture is computed at the head alone, once per token that is emitted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from edgewright.hwmodels import Quantity, Term
from edgewright.workloads.formats import Format
from edgewright.workloads.model import Block, Model
from edgewright.workloads.model_operators import Elementwise, Linear, Operator
from edgewright.workloads.step import Attended, Step

__all__ = ["PREFIX", "ParallelStreams", "Streamed", "parallel_streams", "streamed_step"]

PREFIX = 48
"""Learned prefix tokens per layer and stream in the publication."""


@dataclass(frozen=True, slots=True)
class Streamed(Operator):
    """An operator that computes `streams` versions of its rows, each with `prefix` cached tokens of its own besides."""

    inner: Operator
    streams: int
    prefix: int

    @property
    def parameters(self) -> int:
        return self.inner.parameters + round(self.streams * self.prefix * self.inner.kv_numbers())

    @property
    def ways(self) -> int:
        return self.inner.ways

    def divides(self, shards: int) -> bool:
        return self.inner.divides(shards)

    def weight_bytes(self, format: Format, shards: int = 1) -> float:
        prefixes = self.streams * self.prefix * self.inner.kv_numbers(shards) * format.kv_bytes
        return self.inner.weight_bytes(format, shards) + prefixes

    def kv_numbers(self, shards: int = 1) -> float:
        return self.streams * self.inner.kv_numbers(shards)

    @property
    def window(self) -> int | None:
        return self.inner.window

    def state_numbers(self, shards: int = 1) -> float:
        return self.streams * self.inner.state_numbers(shards)

    @property
    def routed(self) -> bool:
        return self.inner.routed

    def terms(self, step: Step, format: Format, shards: int, layers: tuple[int, ...]) -> tuple[Term, ...]:
        return self.inner.terms(streamed_step(step, self.streams, self.prefix), format, shards, layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelStreams:
    """So many streams through the same weights (`parallel_streams`).

    Attributes:
        count: of streams; 1: the model as it is.
        prefix: learned prefix tokens per layer and stream.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    count: Annotated[int, Ge(1)] = 8
    prefix: Annotated[int, Ge(0)] = PREFIX
    change: Literal["streams"] = "streams"

    def apply(self, model: Model) -> Model:
        """See `changes.ModelChange`."""
        return parallel_streams(model, self.count, self.prefix)


def parallel_streams(model: Model, streams: int, prefix: int = PREFIX) -> Model:
    """The model with that many streams; the model itself for one.

    Raises `ValueError` for less than one stream, and for a model that does not generate or has experts.
    """
    if streams < 1:
        raise ValueError(f"streams: {streams} is less than 1")
    if streams == 1:
        return model
    if not model.generates or model.experts is not None:
        raise ValueError(f"{model.name}: parallel streams are for generating models without experts")
    first, *layers, last = model.blocks
    return replace(
        model,
        name=f"{model.name}, {streams} streams",
        blocks=(first, *(_streamed(block, streams, prefix) for block in layers), _mixed(last, model.hidden, streams)),
    )


def streamed_step(step: Step, streams: int, prefix: int) -> Step:
    """What the layers between embedding and head see of a step: every row and every cached token once per stream, and the prefixes."""
    chunks = max(step.emits - step.decode, 1) if step.prefill else 0

    def widened(sums: Attended) -> Attended:
        return Attended(
            _times(sums.context, step.decode * prefix, streams),
            _times(sums.pairs, step.prefill * prefix, streams),
            _times(sums.reads, chunks * prefix, streams),
        )

    return replace(
        step,
        decode=step.decode * streams,
        prefill=step.prefill * streams,
        full=widened(step.full),
        windowed={window: widened(sums) for window, sums in step.windowed.items()},
        roles=None if step.roles is None else {role: streamed_step(seen, streams, prefix) for role, seen in step.roles.items()},
    )


def _times(amount: Quantity, more: float, streams: int) -> Quantity:
    return (amount + more) * streams


def _streamed(block: Block, streams: int, prefix: int) -> Block:
    operators = tuple(Streamed(each, streams, prefix) for each in block.operators)
    return replace(block, operators=operators, output=block.output * streams, internal=block.internal * streams)


def _mixed(head: Block, hidden: int, streams: int) -> Block:
    mixture = (
        Linear("mixture", streams * hidden, hidden, per="emits"),
        Linear("gate", hidden, streams, per="emits"),
        Elementwise("mix", whole=(streams + 1) * hidden, per="emits"),
    )
    return replace(head, operators=(*mixture, *head.operators))
