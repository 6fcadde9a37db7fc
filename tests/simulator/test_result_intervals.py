"""Intervals: overlaps, lanes, occupancy, and series that are thinned without losing an extreme."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from edgewright.simulator.intervals import Envelope, StepBins, envelope, lanes, occupancy, overlap, share, step_bins

spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=25).map(
    lambda pairs: (np.array([a for a, _ in pairs], float), np.array([a + b for a, b in pairs], float))
)


def test_overlap_by_hand():
    start, end = np.array([0.0, 5.0, 8.0, 12.0]), np.array([4.0, 9.0, 20.0, 13.0])
    assert overlap(start, end, 3.0, 10.0).tolist() == [1.0, 4.0, 2.0, 0.0]
    assert share(start, end, 3.0, 10.0).tolist() == [0.25, 1.0, 2 / 12, 0.0]


def test_an_instant_lies_within_or_not():
    at = np.array([2.0, 3.0, 10.0])
    assert share(at, at, 3.0, 10.0).tolist() == [0.0, 1.0, 0.0]


def test_lanes_by_hand():
    assert lanes(np.array([0.0, 1.0, 2.0, 4.0]), np.array([3.0, 2.0, 5.0, 6.0])).tolist() == [0, 1, 1, 0]


@given(spans)
def test_no_two_intervals_of_a_lane_overlap_and_no_lane_is_wasted(both):
    start, end = both
    lane = lanes(start, end)
    for each in np.unique(lane):
        mine = np.lexsort((end[lane == each], start[lane == each]))
        assert (start[lane == each][mine][1:] >= end[lane == each][mine][:-1]).all()
    instants = start == end
    depth = max((((start <= at) & (end > at)) & ~instants).sum() for at in start) if len(start) else 0
    assert len(np.unique(lane)) <= depth + instants.any()


@given(spans, st.integers(1, 9))
def test_occupancy_is_overlap_per_second(both, bins):
    edges = np.linspace(0.0, 72.0, bins + 1)
    expected = [overlap(*both, low, high).sum() / (high - low) for low, high in pairwise(edges)]
    np.testing.assert_allclose(occupancy(*both, edges), expected, atol=1e-9)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-99, 99)), min_size=1, max_size=400), st.integers(1, 12))
def test_an_envelope_is_a_part_of_the_series_with_its_extremes(steps, bins):
    time, value = np.cumsum([step for step, _ in steps]).astype(float), np.array([value for _, value in steps], float)
    x, y = envelope(time, value, bins)
    assert len(x) <= max(4 * bins, 1)
    assert (y.min(), y.max(), y[0], y[-1]) == (value.min(), value.max(), value[0], value[-1])
    assert (np.diff(x) >= 0).all()
    assert set(zip(x, y, strict=True)) <= set(zip(time, value, strict=True))


def test_a_step_function_in_bins_by_hand():
    mean, greatest = step_bins(np.array([5.0, 12.0, 14.0]), np.array([2.0, 8.0, 0.0]), np.array([0.0, 4.0, 10.0, 20.0, 30.0]))
    np.testing.assert_allclose(mean, [np.nan, 2.0, (2 * 2 + 2 * 8) / 10, 0.0])  # known from 5 s on
    np.testing.assert_allclose(greatest, [np.nan, 2.0, 8.0, 0.0])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-9, 9)), min_size=1, max_size=60), st.integers(1, 9))
def test_bins_of_a_step_function_agree_with_its_pieces(steps, bins):
    time, value = np.cumsum([step for step, _ in steps]).astype(float), np.array([value for _, value in steps], float)
    edges = np.linspace(0.0, time[-1] + 1, bins + 1)
    mean, _ = step_bins(time, value, edges)
    lasts = np.append(time[1:], edges[-1])
    for low, high, found in zip(edges, edges[1:], mean, strict=False):
        pieces = overlap(time, lasts, low, high)
        assert (np.isnan(found) and pieces.sum() == 0) or abs(found - (pieces * value).sum() / pieces.sum()) < 1e-9


grouped = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(-9, 9)), max_size=40), min_size=1, max_size=6)


@given(grouped, st.integers(1, 9))
def test_samples_in_groups_have_the_envelope_and_the_bins_of_all(groups, bins):
    steps = [step for group in groups for step in group]
    assume(steps)
    time, value = np.cumsum([step for step, _ in steps]).astype(float), np.array([value for _, value in steps], float)
    cuts = np.cumsum([len(group) for group in groups])[:-1]
    edges = np.linspace(0.0, time[-1] + 1, bins + 1)
    in_bins, thinned = StepBins(edges), Envelope(bins, len(time), time[0], time[-1])
    for times, values in zip(np.split(time, cuts), np.split(value, cuts), strict=True):
        in_bins.add(times, values)
        thinned.add(times, values)
    np.testing.assert_array_equal(in_bins.bins()[1], step_bins(time, value, edges)[1])
    np.testing.assert_allclose(in_bins.bins()[0], step_bins(time, value, edges)[0], atol=1e-12)
    np.testing.assert_array_equal(thinned.points(), envelope(time, value, bins))
