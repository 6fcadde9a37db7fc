"""What only the run reveals: exits taken, drafts accepted, classes found. Draws by name, so that the order of events never shifts one.

A source answers `draw(stream, *index)`; `Outcomes` holds the named sources of a service and draws by name, job and index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol

import numpy as np
from annotated_types import Ge, MinLen

from edgewright.workloads.jobs_bounds import NonNegative, Share
from edgewright.workloads.streams import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OUTCOMES", "Acceptance", "Bernoulli", "Categorical", "OutcomeSource", "Outcomes", "Recording", "UnknownOutcome"]


class OutcomeSource(Protocol):
    """One kind of outcome: a pure function of names, as a number (a flag is 0 or 1, a class its position)."""

    def value(self, uniform: float, *index: int) -> float:
        """The outcome that `index` (job, then number within the job) names; `uniform` is its draw on [0, 1)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bernoulli:
    """1 with probability `chance`, else 0. What is 1 at one chance is 1 at every higher one."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    chance: Share
    outcome: Literal["bernoulli"] = "bernoulli"

    def value(self, uniform: float, *index: int) -> float:
        """See `OutcomeSource`."""
        return float(uniform < self.chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Categorical:
    """A position of `weights`, in proportion to its weight: the exit at which an input leaves, the branch that is taken."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    weights: Annotated[tuple[NonNegative, ...], MinLen(1)]
    outcome: Literal["categorical"] = "categorical"

    def __post_init__(self) -> None:
        if not any(self.weights):
            raise ValueError("weights are all 0: nothing could be drawn")

    def value(self, uniform: float, *index: int) -> float:
        """See `OutcomeSource`."""
        sums = np.cumsum(self.weights)
        last = int(np.flatnonzero(self.weights)[-1])
        return float(min(np.searchsorted(sums, uniform * sums[-1], side="right"), last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Draft tokens accepted in one round of speculative decoding: each with probability `rate` until the first refusal, at most `drafted`.

    Leviathan et al., "Fast inference from transformers via speculative decoding", ICML 2023: with the token that the target adds, a
    round yields `(1 - rate ** (drafted + 1)) / (1 - rate)` tokens on average. How wrong: real acceptances are not independent; they
    come in runs.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    rate: Share
    drafted: Annotated[int, Ge(0)]
    outcome: Literal["acceptance"] = "acceptance"

    def value(self, uniform: float, *index: int) -> float:
        """See `OutcomeSource`. Rises with `rate`: `n` are accepted where `rate ** n > uniform`."""
        if self.rate in (0.0, 1.0) or uniform == 0.0:
            return float(self.drafted if self.rate else 0)
        return float(min(self.drafted, math.ceil(math.log(uniform) / math.log(self.rate)) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Outcomes as recorded: one row per job, one entry per number within the job."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    rows: tuple[tuple[float, ...], ...]
    outcome: Literal["recording"] = "recording"

    def value(self, uniform: float, *index: int) -> float:
        """See `OutcomeSource`. Raises `IndexError` outside the recording."""
        job, number = index
        if not (0 <= job < len(self.rows) and 0 <= number < len(self.rows[job])):
            raise IndexError(f"outcome {number} of job {job} is not in the recording of {len(self.rows)} jobs")
        return self.rows[job][number]


class UnknownOutcome(ValueError):
    """No outcome of that name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The named outcomes of one scope.

    Attributes:
        sources: by name.
        stream: the scope's stream; each name draws from a child of its own.
    """

    sources: Mapping[str, OutcomeSource]
    stream: Stream
    _children: Mapping[str, Stream] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_children", {name: self.stream.child(name) for name in self.sources})

    def draw(self, name: str, job: int, index: int, *, key: int | None = None) -> float:
        """Outcome `index` of that name and job.

        `job` is the job's `index` in its source, not its id, so that thinning shifts nothing: recordings are read by it. `key` names the
        draw, and is `job` if not given: give `Job.key` where jobs of several sources, or turns of one session, meet.
        """
        source, stream = self._named(name)
        return source.value(stream.uniform(job if key is None else key, index), job, index)

    def block(self, name: str, job: int, start: int, count: int, *, key: int | None = None) -> NDArray[np.float64]:
        """`draw(name, job, start)` to `draw(name, job, start + count - 1)`, shape `(count,)`."""
        return np.array([self.draw(name, job, index, key=key) for index in range(start, start + count)], dtype=np.float64)

    def _named(self, name: str) -> tuple[OutcomeSource, Stream]:
        if name not in self.sources:
            raise UnknownOutcome(f"unknown outcome {name!r}: accepted are {', '.join(sorted(self.sources)) or 'none'}")
        return self.sources[name], self._children[name]


OUTCOMES: Mapping[str, type[OutcomeSource]] = MappingProxyType(
    {"acceptance": Acceptance, "bernoulli": Bernoulli, "categorical": Categorical, "recording": Recording}
)
"""All outcome sources by name."""
