"""Distributions of one length: each turns a uniform draw into whole tokens by inversion, so that draws can be made dependent.

Every distribution has `at(u)`: the quantile at `u` in [0, 1), a whole number, never falling as `u` grows.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from edgewright.workloads.jobs_bounds import NonNegative, Positive, Share, Tokens

if TYPE_CHECKING:
    from statistics import NormalDist

__all__ = ["Empirical", "Fixed", "LogNormal", "Marginal", "Uniform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Always `value`."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    value: Tokens
    shape: Literal["fixed"] = "fixed"

    def at(self, u: float) -> int:
        """`value`, whatever `u`."""
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Every whole number from `low` to `high`, both included, alike likely."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    low: Tokens
    high: Tokens
    shape: Literal["uniform"] = "uniform"

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)

    def at(self, u: float) -> int:
        """The quantile at `u`."""
        return self.low + int(u * (self.high - self.low + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """Log-normal, rounded and held within `low` and `high` (what lies outside is moved to the end it lies beyond).

    Attributes:
        median: tokens.
        sigma: standard deviation of the natural logarithm; the mean is `median * exp(sigma ** 2 / 2)` before rounding and bounds.
        low, high: bounds, included.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    median: Positive
    sigma: NonNegative
    low: Tokens = 1
    high: Tokens = 1_000_000
    shape: Literal["lognormal"] = "lognormal"

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)

    def at(self, u: float) -> int:
        """The quantile at `u`."""
        from math import exp, log

        normal = _standard_normal().inv_cdf(min(max(u, 2.0**-53), 1.0 - 2.0**-53))
        exponent = min(log(self.median) + self.sigma * normal, log(self.high + 1.0))
        return min(max(round(exp(exponent)), self.low), self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Empirical:
    """Measured quantiles, joined by straight lines and rounded.

    How wrong: a point mass between two levels is spread over the values between them.

    Attributes:
        levels: probabilities, rising, the first 0 and the last 1.
        values: tokens at each level, never falling.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    levels: tuple[Share, ...]
    values: tuple[NonNegative, ...]
    shape: Literal["empirical"] = "empirical"

    def __post_init__(self) -> None:
        if len(self.levels) != len(self.values) or len(self.levels) < 2:
            raise ValueError(f"levels and values must be as many, two or more: got {len(self.levels)} and {len(self.values)}")
        if self.levels[0] != 0.0 or self.levels[-1] != 1.0 or any(b <= a for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels must rise from 0 to 1: got {self.levels}")
        if any(b < a for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError(f"values must not fall: got {self.values}")

    @property
    def mean(self) -> float:
        """The mean, before rounding."""
        parts = zip(self.levels, self.levels[1:], self.values, self.values[1:], strict=False)
        return sum((right - left) * (below + above) / 2.0 for left, right, below, above in parts)

    def at(self, u: float) -> int:
        """The quantile at `u`."""
        return round(self.interpolate(u))

    def interpolate(self, u: float) -> float:
        """The quantile at `u`, not rounded."""
        upper = min(bisect_right(self.levels, u), len(self.levels) - 1)
        left, right = self.levels[upper - 1], self.levels[upper]
        below, above = self.values[upper - 1], self.values[upper]
        return below + (above - below) * (u - left) / (right - left)


Marginal: TypeAlias = Fixed | Uniform | LogNormal | Empirical
"""Any distribution of one length; its field `shape` tells which."""


def _ordered(low: int, high: int) -> None:
    if high < low:
        raise ValueError(f"high must not be below low: got low {low}, high {high}")


def _standard_normal() -> NormalDist:
    from statistics import NormalDist

    return NormalDist()
