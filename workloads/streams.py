"""Randomness by name: every draw is a pure function of (seed, path, index), so the order of events never shifts a draw.

A stream's key is the BLAKE2b hash of its seed and dotted path. Each index then takes one step of SplitMix64 (Steele, Lea & Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014): `state <- mix(state + (index + 1) * golden)` modulo 2**64. The state after the
last index is the draw. Nothing is stored and nothing advances: draws may be taken in any order, any number of times, in any process.

How good is it? A 64-bit state: among n draws of a run two states coincide with probability about n**2 / 2**65 (3 % at n = 10**9), which
repeats one draw and no more. Not for cryptography. The tests check uniformity, and correlation between neighbours and between streams.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Index: TypeAlias = "int | NDArray[np.int64]"

__all__ = ["Stream"]

_MASK = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_TO_UNIT = 2.0**-53


@dataclass(frozen=True, slots=True)
class Stream:
    """A named source of randomness.

    Indices are integers of any sign (taken modulo 2**64); draws of different index lengths differ: `uniform()`, `uniform(0)` and
    `uniform(0, 0)` are three draws. One draw serves one purpose: take a child or another index for another.

    Attributes:
        seed: the seed of the run.
        path: dotted scope, e.g. `sources.chat.lengths`; the root is the empty path.
    """

    seed: int
    path: str = ""
    _key: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", int.from_bytes(_digest(self.seed, self.path, (), 8), "little"))

    def child(self, name: str) -> Stream:
        """The stream `name` below this one; `child("a").child("b")` is `child("a.b")`."""
        return Stream(self.seed, f"{self.path}.{name}" if self.path else name)

    def uniform(self, *index: int) -> float:
        """A draw of the uniform distribution on [0, 1), a multiple of 2**-53."""
        return (self._state(index) >> 11) * _TO_UNIT

    def uniforms(self, count: int, *index: int) -> NDArray[np.float64]:
        """`uniform(*index, 0)` to `uniform(*index, count - 1)`, bit for bit, shape `(count,)`."""
        return _to_unit(_fold(np.uint64(self._state(index)), np.arange(count)))

    def uniforms_at(self, *index: Index) -> NDArray[np.float64]:
        """`uniform` elementwise over integer arrays that broadcast against each other; the result has their common shape."""
        state = np.asarray(self._key, dtype=np.uint64)
        for each in index:
            state = _fold(state, np.asarray(each))
        return _to_unit(state)

    def bernoulli(self, chance: float, *index: int) -> bool:
        """True with probability `chance`; a draw that is true at one chance is true at every higher one."""
        return self.uniform(*index) < chance

    def exponential(self, mean: float, *index: int) -> float:
        """A draw of the exponential distribution with that mean; never infinite."""
        return -mean * math.log1p(-self.uniform(*index))

    def normal(self, mean: float, deviation: float, *index: int) -> float:
        """A draw of the normal distribution, by inversion, so it rises with the uniform draw of the same index."""
        return mean + deviation * _standard()(((self._state(index) >> 12) + 0.5) * 2.0**-52)

    def integer(self, low: int, high: int, *index: int) -> int:
        """An integer of `low` (included) to `high` (excluded), alike likely to 1 part in 2**53 / (high - low)."""
        if high <= low:
            raise ValueError(f"no integer from {low} up to and without {high}")
        return low + int(self.uniform(*index) * (high - low))

    def choice(self, weights: Sequence[float], *index: int) -> int:
        """A position of `weights`, drawn with probability proportional to its weight (>= 0, not all 0)."""
        sums = list(accumulate(weights))
        if not sums or sums[-1] <= 0.0:
            raise ValueError("a choice needs at least one positive weight")
        return bisect_right(sums, self.uniform(*index) * sums[-1], hi=len(sums) - 1)

    def permutation(self, count: int, *index: int) -> NDArray[np.int64]:
        """The numbers 0 to `count - 1` in random order."""
        return np.argsort(self.uniforms(count, *index), kind="stable").astype(np.int64)

    def generator(self, *index: int) -> np.random.Generator:
        """A NumPy generator (Philox) of its own for this index: for bulk draws of distributions that are not here.

        Takes about 20 microseconds to make; successive draws from it do depend on their order.
        """
        key = int.from_bytes(_digest(self.seed, self.path, index, 16), "little")
        return np.random.Generator(np.random.Philox(key=key))

    def _state(self, index: tuple[int, ...]) -> int:
        state = self._key
        for each in index:
            state = _mix((state + (each + 1) * _GOLDEN) & _MASK)
        return state


@cache
def _standard() -> Callable[[float], float]:
    """The inverse of the standard normal distribution; what it needs is loaded on first use."""
    from statistics import NormalDist

    return NormalDist().inv_cdf


def _digest(seed: int, path: str, index: tuple[int, ...], size: int) -> bytes:
    name = f"{seed}|{path}|{','.join(map(str, index))}"
    return blake2b(name.encode(), digest_size=size, person=b"edgewright").digest()


def _mix(state: int) -> int:
    state = ((state ^ (state >> 30)) * _FIRST) & _MASK
    state = ((state ^ (state >> 27)) * _SECOND) & _MASK
    return state ^ (state >> 31)


def _fold(state: NDArray[np.uint64] | np.uint64, index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One SplitMix64 step for each index, in wrapping 64-bit arithmetic, the same bits as `_mix`."""
    step = np.atleast_1d(index).astype(np.uint64)
    step += np.uint64(1)
    step *= np.uint64(_GOLDEN)
    mixed = np.add(step, state)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed.reshape(np.broadcast_shapes(np.shape(state), np.shape(index)))


def _to_unit(state: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (state >> np.uint64(11)).astype(np.float64) * _TO_UNIT
