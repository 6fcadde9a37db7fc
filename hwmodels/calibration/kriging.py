"""A smooth function through scattered points, with the uncertainty between them: Gaussian-process regression ("kriging").

Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1: mean zero, Matern-3/2 covariance with one length for
the first axis and one for the others, chosen with the amplitude and the noise by the marginal likelihood over a small grid.

How wrong: far from every point it returns zero with the amplitude as uncertainty. A step (a tile's edge) is smoothed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Kriging"]

_AMPLITUDES = (0.03, 0.1, 0.3)
_LENGTHS = (0.7, 2.0, 6.0)
_NOISES = (0.01, 0.03, 0.05, 0.08)


@dataclass
class Kriging:
    """The estimator.

    Attributes:
        amplitudes, lengths, noises: the grids that are searched; lengths in units of the axes.
        amplitude_, length_, breadth_, noise_: what was chosen; `length_` of the first axis, `breadth_` of the others.
    """

    amplitudes: tuple[float, ...] = _AMPLITUDES
    lengths: tuple[float, ...] = _LENGTHS
    noises: tuple[float, ...] = _NOISES
    amplitude_: float = field(default=0.0, init=False)
    length_: float = field(default=1.0, init=False)
    breadth_: float = field(default=1.0, init=False)
    noise_: float = field(default=0.0, init=False)

    def fit(self, points: Floats, values: Floats, errors: Floats) -> Kriging:
        """Through `values` (n) at `points` (n, axes), each known to `errors` (n; standard deviations) besides the common noise."""
        best = -np.inf
        self._points = points
        apart = {lengths: _correlation(points, points, *lengths) for lengths in product(self.lengths, self.lengths)}
        for amplitude, lengths, noise in product(self.amplitudes, apart, self.noises):
            covariance = amplitude**2 * apart[lengths] + np.diag(noise**2 + errors**2)
            lower = np.linalg.cholesky(covariance)
            weights = np.linalg.solve(lower.T, np.linalg.solve(lower, values))
            likelihood = float(-0.5 * values @ weights - np.log(np.diag(lower)).sum())
            if likelihood > best:
                best, self._lower, self._weights = likelihood, lower, weights
                self.amplitude_, (self.length_, self.breadth_), self.noise_ = amplitude, lengths, noise
        return self

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Means and standard deviations (noise of a single value included) at `points` (m, axes)."""
        across = self.amplitude_**2 * _correlation(points, self._points, self.length_, self.breadth_)
        halves = np.linalg.solve(self._lower, across.T)
        variance = self.amplitude_**2 - (halves**2).sum(axis=0) + self.noise_**2
        return across @ self._weights, np.sqrt(np.maximum(variance, 0.0))


def _correlation(first: Floats, second: Floats, length: float, breadth: float) -> Floats:
    lengths = np.array([length, *[breadth] * (first.shape[1] - 1)])
    apart = np.sqrt(3.0 * (((first[:, None, :] - second[None, :, :]) / lengths) ** 2).sum(axis=2))
    correlated: Floats = (1.0 + apart) * np.exp(-apart)
    return correlated
