"""The confidence interval of a median."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.kernels.intervals import least_samples, median_interval


def test_six_values_enclose_the_median_at_95_percent():
    # All six on one side of the median: 2 / 2**6 = 3.1 % <= 5 %; of five: 2 / 2**5 = 6.3 %.
    assert least_samples(0.95) == 6
    assert median_interval([3, 1, 2, 6, 5, 4], 0.95) == (1, 6)
    with pytest.raises(ValueError, match="5 values cannot enclose a median"):
        median_interval([1, 2, 3, 4, 5], 0.95)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 1.5])
def test_a_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        least_samples(confidence)


@pytest.mark.parametrize(("count", "rank"), [(10, 2), (20, 6), (50, 18), (100, 40)])
def test_ranks_are_those_of_the_tables(count, rank):
    # Two-sided 95 % ranks of the sign test, e.g. Conover, Practical Nonparametric Statistics, table A3.
    low, high = median_interval(list(range(1, count + 1)), 0.95)
    assert (low, high) == (rank, count + 1 - rank)


@given(count=st.integers(8, 300), confidence=st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_the_interval_covers_and_the_next_narrower_one_does_not(count, confidence):
    rank, _ = median_interval(list(range(1, count + 1)), confidence)

    def coverage(rank):
        return 1 - 2 * sum(comb(count, i) for i in range(rank)) / 2**count

    assert coverage(rank) >= confidence
    assert coverage(rank + 1) < confidence


def test_coverage_on_draws():
    # Exponential, median ln 2; 1000 intervals of 25 values: coverage 0.957 by the binomial, standard error 0.0064.
    draws = np.random.default_rng(7).exponential(size=(1000, 25))
    inside = sum(low <= np.log(2) <= high for low, high in (median_interval(row.tolist(), 0.95) for row in draws))
    assert abs(inside / 1000 - 0.957) < 4 * 0.0064
