"""Which points of the factors' space a sweep visits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from edgewright.experiments.sweeps.spec import Factor, Range, Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["points_of"]


def points_of(spec: Spec, seed: int) -> tuple[dict[str, object], ...]:
    """The values of the factors at each point, in order; the same in every process. Without factors: one point.

    Samples are drawn from `seed`: uniformly, or one in each of `samples` equal slices of every factor (McKay, Beckman and Conover,
    Technometrics 21(2), 1979). A list of values counts as equal slices of its own.
    """
    keys = list(spec.factors)
    if spec.design in ("random", "latin_hypercube"):
        return tuple(
            {key: _sampled(spec.factors[key], float(fraction)) for key, fraction in zip(keys, row, strict=True)}
            for row in _fractions(spec, seed)
        )
    levels = [_levels(spec.factors[key]) for key in keys]
    rows: Iterator[tuple[object, ...]] = product(*levels) if spec.design == "grid" or not keys else zip(*levels, strict=True)
    return tuple(dict(zip(keys, row, strict=True)) for row in rows)


def _levels(factor: Factor) -> list[object]:
    if isinstance(factor, Range):
        assert factor.steps is not None, "the spec requires steps where there are no samples"
        return [factor.at(step / (factor.steps - 1)) for step in range(factor.steps)]
    return list(factor)


def _sampled(factor: Factor, fraction: float) -> object:
    if isinstance(factor, Range):
        return factor.at(fraction)
    return factor[min(int(fraction * len(factor)), len(factor) - 1)]


def _fractions(spec: Spec, seed: int) -> NDArray[np.float64]:
    import numpy as np

    assert spec.samples is not None, "the spec requires samples of a sampled design"
    draw = np.random.Generator(np.random.Philox(seed))
    uniform = draw.random((spec.samples, len(spec.factors)))
    if spec.design == "random":
        return uniform
    slices = np.stack([draw.permutation(spec.samples) for _ in spec.factors], axis=1) if spec.factors else uniform
    fractions: NDArray[np.float64] = (slices + uniform) / spec.samples
    return fractions
