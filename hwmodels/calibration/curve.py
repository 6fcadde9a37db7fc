"""The time of one kernel class as a function of what a launch asks for: a roofline with four physical terms, and a smooth rest.

    seconds = ramp + norm(flops / (compute * peak), bytes / (near * bandwidth(reach)))        reach within the caches
    seconds = ramp + norm(flops / (compute * peak), bytes / (far * bandwidth(reach)))         beyond the last one

times exp(a smooth function of the logarithms of intensity, weights, activations and reach, and of the aspect) (`kriging.py`).
`bandwidth(reach)` is what streams over a working set of that size reach; the norm has the exponent 1 / serial of `Efficiency`. The terms
are found by least squares of logarithms, each with a wide prior, so that one that no size tells about keeps it, and says so by its
uncertainty.

How wrong: `predict` says, from the smooth rest's own uncertainty; see `experiments/validation` for how often that holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgewright.hwmodels.arrays import joined
from edgewright.hwmodels.calibration.kriging import Kriging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["TERMS", "Asked", "Curve"]

TERMS = ("ramp", "compute", "near", "far")
"""The physical terms, in the order of `Curve.terms_`."""

_PRIOR = np.log([5e-7, 0.7, 0.7, 0.7])
_PRIOR_ERRORS = np.array([1.5, 1.0, 0.7, 0.7])
_SERIALS = (0.1, 0.3, 0.6, 1.0)
_LEAST_ERROR = 0.02
_POINTS, _WIDER = 4000, 1.5
_LARGEST_CORRELATION = 0.99


@dataclass(frozen=True, slots=True)
class Asked:
    """What launches ask for, as arrays of one length: operations, bytes of weights and of all else, the bytes gone through between
    two uses of one, and the octaves by which the outputs of a product outnumber its inputs (0 where nobody says)."""

    flops: Floats
    weights: Floats
    others: Floats
    reach: Floats
    aspect: Floats

    @property
    def bytes(self) -> Floats:
        """All bytes."""
        return self.weights + self.others

    @property
    def axes(self) -> Floats:
        """Logarithms (octaves) of what the smooth rest depends on; intensity first."""
        columns = (np.maximum(self.flops, 1.0) / self.bytes, np.maximum(self.weights, 1.0), self.others, self.reach)
        return np.column_stack([np.log2(np.stack(columns, axis=1)), self.aspect])


@dataclass
class Curve:
    """The estimator of one kernel class in one format.

    Attributes:
        peak: operations per second that `compute` is a fraction of.
        stream_reach, stream_rate: bytes of working sets and what streams over them reach, bytes/s, ascending in the former.
        cache: bytes of the last-level cache: beyond it `far` holds.
        terms_: by name of `TERMS`; seconds, and fractions.
        errors_: standard deviation of the logarithm of each term.
        quantiles_: the 5, 50 and 95 % quantiles of log(true / found) of each term; a term that no size tells about is bounded to one side.
        correlations_: of the terms' logarithms, in the order of `TERMS`.
        serial_: how far arithmetic and memory wait for each other.
        spread_: of log(measured / physical terms).
        count_: how many timings there were.
    """

    peak: float
    stream_reach: Floats
    stream_rate: Floats
    cache: float
    terms_: dict[str, float] = field(default_factory=dict, init=False)
    errors_: dict[str, float] = field(default_factory=dict, init=False)
    quantiles_: dict[str, tuple[float, float, float]] = field(default_factory=dict, init=False)
    correlations_: Floats = field(default_factory=lambda: np.eye(len(TERMS)), init=False)
    serial_: float = field(default=0.0, init=False)
    spread_: float = field(default=0.0, init=False)
    count_: int = field(default=0, init=False)

    def fit(self, asked: Asked, seconds: Floats, errors: Floats) -> Curve:
        """To measured seconds, whose logarithms are known to `errors`. Raises `ValueError` for fewer than four."""
        if len(seconds) < 4:
            raise ValueError(f"a kernel class needs at least 4 timings, not {len(seconds)}")
        found = [(self._physical(asked, np.log(seconds), serial), serial) for serial in _SERIALS]
        (_cost, logs, jacobian), self.serial_ = min(found, key=lambda each: each[0][0])
        self._logs, self.count_ = logs, len(seconds)
        rest = np.log(seconds) - np.log(self._times(asked, logs, self.serial_))
        self.spread_ = float(max(np.sqrt(np.mean(rest**2)), _LEAST_ERROR))
        weighed = jacobian.T @ jacobian / self.spread_**2 + np.diag(_PRIOR_ERRORS**-2.0)
        self.terms_ = dict(zip(TERMS, map(float, np.exp(logs)), strict=True))
        self.errors_ = dict(zip(TERMS, map(float, np.sqrt(np.diag(np.linalg.inv(weighed)))), strict=True))
        self._weigh(asked, np.log(seconds), np.asarray(np.linalg.inv(weighed), np.float64))
        self._rest = Kriging().fit(asked.axes, rest, errors)
        return self

    def predict(self, asked: Asked) -> tuple[Floats, Floats]:
        """Seconds, and the standard deviation of their logarithm."""
        rest, errors = self._rest.predict(asked.axes)
        return self._times(asked, self._logs, self.serial_) * np.exp(rest), errors

    def _weigh(self, asked: Asked, measured: Floats, covariance: Floats) -> None:
        """What is known of the terms: points scattered wider than the fit's normal form, each weighed by what the timings say of it."""
        wide = _WIDER**2 * covariance
        moves = np.random.default_rng(_POINTS).multivariate_normal(np.zeros(len(TERMS)), wide, _POINTS)
        rest = np.log(self._times(asked, self._logs + moves, self.serial_)) - measured
        chances = -0.5 * (rest**2).sum(axis=1) / self.spread_**2 - 0.5 * (((self._logs + moves - _PRIOR) / _PRIOR_ERRORS) ** 2).sum(axis=1)
        chances += 0.5 * np.einsum("ij,jk,ik->i", moves, np.linalg.inv(wide), moves)
        weights = np.exp(chances - chances.max())
        weights /= weights.sum()
        self.quantiles_ = {term: _quantiles(moves[:, place], weights) for place, term in enumerate(TERMS)}
        around = moves - weights @ moves
        found = (around * weights[:, None]).T @ around
        scale = np.sqrt(np.maximum(np.diag(found), 1e-300))
        self.correlations_ = np.clip(found / np.outer(scale, scale), -_LARGEST_CORRELATION, _LARGEST_CORRELATION)

    def _bandwidth(self, reach: Floats) -> Floats:
        rate: Floats = np.exp(np.interp(np.log(reach), np.log(self.stream_reach), np.log(self.stream_rate)))
        return rate

    def _times(self, asked: Asked, logs: Floats, serial: float) -> Floats:
        ramp, compute, near, far = np.moveaxis(np.exp(logs), -1, 0)[..., None]
        share = np.where(asked.reach > self.cache, far, near)
        arithmetic, memory = asked.flops / (compute * self.peak), asked.bytes / (share * self._bandwidth(asked.reach))
        return np.asarray(ramp + joined(arithmetic, memory, serial), np.float64)

    def _physical(self, asked: Asked, measured: Floats, serial: float) -> tuple[float, Floats, Floats]:
        """Cost, logarithms of the terms, and derivatives of log(seconds) by them."""
        from scipy.optimize import least_squares

        def residuals(logs: Floats) -> Floats:
            rest = np.log(self._times(asked, logs, serial)) - measured
            return np.concatenate([rest / 0.1, (logs - _PRIOR) / _PRIOR_ERRORS])

        found = least_squares(residuals, _PRIOR, loss="soft_l1")
        return float(found.cost), np.asarray(found.x), np.asarray(found.jac)[: len(measured)] * 0.1


def _quantiles(values: Floats, weights: Floats) -> tuple[float, float, float]:
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    low, middle, high = (float(np.interp(share, below, values[order])) for share in (0.05, 0.5, 0.95))
    return low, middle, high
