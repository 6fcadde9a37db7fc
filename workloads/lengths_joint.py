"""Prompt and output lengths together: a Gaussian copula over any two distributions, a table of conditional quantiles, a recording."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

from annotated_types import Interval

from edgewright.workloads.jobs_bounds import Count, Tagged, Tokens
from edgewright.workloads.lengths_marginals import Empirical, Fixed, Marginal
from edgewright.workloads.streams import Stream

__all__ = ["Conditional", "Joint", "LengthProcess", "Lengths", "OneShot", "Recorded", "fixed"]


class Lengths(NamedTuple):
    """Tokens of one request."""

    prompt: int
    output: int


class LengthProcess(Protocol):
    """Lengths of requests, as functions of names."""

    def draw(self, stream: Stream, *index: int) -> Lengths:
        """The lengths of the request that `index` names (an arrival's ordinal; a session and its turn)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Any two distributions joined by a Gaussian copula (Nelsen, An Introduction to Copulas, 2006).

    Attributes:
        prompt, output: the distributions, each kept exactly.
        correlation: of the underlying normal draws, in [-1, 1]; the rank correlation of continuous lengths is
            `6 / pi * asin(correlation / 2)`.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    prompt: Annotated[Marginal, Tagged("shape")]
    output: Annotated[Marginal, Tagged("shape")]
    correlation: Annotated[float, Interval(ge=-1.0, le=1.0)] = 0.0
    lengths: Literal["joint"] = "joint"

    def draw(self, stream: Stream, *index: int) -> Lengths:
        """See `LengthProcess`."""
        first = stream.child("prompt").uniform(*index)
        second = stream.child("output").uniform(*index)
        return Lengths(self.prompt.at(first), self.output.at(_coupled(first, second, self.correlation)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShot:
    """One input and no generated tokens: a frame, an image, a window of samples."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    inputs: Count = 1
    lengths: Literal["one_shot"] = "one_shot"

    def draw(self, stream: Stream, *index: int) -> Lengths:
        """See `LengthProcess`."""
        return Lengths(self.inputs, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """A distribution of prompts, and one of outputs for each range of prompts: dependence of any shape.

    Attributes:
        prompt: the distribution of prompts.
        edges: the largest prompt of each range but the last, rising.
        output: the distribution of outputs in each range; one more than there are edges.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    prompt: Empirical
    edges: tuple[Tokens, ...]
    output: tuple[Empirical, ...]
    lengths: Literal["conditional"] = "conditional"

    def __post_init__(self) -> None:
        if len(self.output) != len(self.edges) + 1:
            raise ValueError(f"output needs one distribution more than there are edges: got {len(self.output)} and {len(self.edges)}")
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"edges must rise: got {self.edges}")

    def draw(self, stream: Stream, *index: int) -> Lengths:
        """See `LengthProcess`."""
        prompt = self.prompt.at(stream.child("prompt").uniform(*index))
        output = self.output[bisect_left(self.edges, prompt)]
        return Lengths(prompt, output.at(stream.child("output").uniform(*index)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Lengths as recorded, in the order of arrival; request n has the n-th, whatever is drawn."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    rows: tuple[Lengths, ...]
    lengths: Literal["recorded"] = "recorded"

    def draw(self, stream: Stream, *index: int) -> Lengths:
        """See `LengthProcess`; `index` is the arrival's ordinal. Raises `IndexError` past the end of the recording."""
        (ordinal,) = index
        if not 0 <= ordinal < len(self.rows):
            raise IndexError(f"request {ordinal} of a recording of {len(self.rows)}")
        return self.rows[ordinal]


def fixed(prompt: int, output: int) -> Joint:
    """Every request alike."""
    return Joint(prompt=Fixed(value=prompt), output=Fixed(value=output))


def _coupled(first: float, second: float, correlation: float) -> float:
    """A uniform draw whose normal score has that correlation with the score of `first`, made with the independent draw `second`."""
    if correlation == 0.0:
        return second
    from statistics import NormalDist

    normal = NormalDist()
    x, y = (normal.inv_cdf(min(max(u, 2.0**-53), 1.0 - 2.0**-53)) for u in (first, second))
    return min(normal.cdf(correlation * x + sqrt(1.0 - correlation**2) * y), 1.0 - 2.0**-53)
