"""Trip curves and port classes: seconds at a multiple of the rating, and what adds up to a trip."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels.breakers import BREAKER_CURVES, PORT_CLASSES, TripCurve

CURVE = TripCurve(((1.0, 1000.0), (10.0, 10.0)))
"""From 1000 s to 10 s over a decade of multiples: t = 1000 / m^2."""


@pytest.mark.parametrize(("multiple", "seconds"), [(0.5, inf), (1.0, inf), (2.0, 250.0), (5.0, 40.0), (10.0, 10.0), (50.0, 10.0)])
def test_between_points_it_is_a_power_law(multiple, seconds):
    assert CURVE.seconds(multiple) == pytest.approx(seconds)


def test_below_the_first_point_it_stands_for_ever():
    assert TripCurve(((1.2, 60.0),)).seconds(1.19) == inf
    assert TripCurve(((1.2, 60.0),)).seconds(1.2) == 60.0


def test_parts_of_the_way_add_up_and_fade():
    """100 s at twice the rating are 0.4 of the way, 20 s at five times 0.5; 300 s below with a time constant of 300 s leave 1/e of it."""
    heat = CURVE.heated(CURVE.heated(0.0, 2.0, 100.0, 300.0), 5.0, 20.0, 300.0)
    assert heat == pytest.approx(0.9)
    assert CURVE.heated(heat, 0.9, 300.0, 300.0) == pytest.approx(0.9 / 2.718281828459045)
    assert CURVE.heated(heat, 0.9, 1.0, 0.0) == 0.0


@given(st.floats(0.0, 30.0), st.floats(0.0, 30.0), st.sampled_from(sorted(BREAKER_CURVES)))
def test_the_more_the_sooner_and_never_at_the_rating(a, b, name):
    curve = TripCurve(BREAKER_CURVES[name])
    low, high = sorted((a, b))
    assert curve.seconds(low) >= curve.seconds(high) * (1 - 1e-12)
    assert curve.seconds(min(a, 1.0)) == inf


def test_standard_points():
    assert TripCurve(BREAKER_CURVES["C"]).seconds(2.55) == pytest.approx(60.0)
    assert (PORT_CLASSES[0], PORT_CLASSES[4], PORT_CLASSES[8]) == (15.4, 30.0, 90.0)


@pytest.mark.parametrize("points", [(), ((0.9, 10.0),), ((2.0, 10.0), (1.5, 5.0)), ((1.5, 5.0), (2.0, 10.0)), ((1.5, 0.0),)])
def test_what_is_no_curve_is_refused(points):
    with pytest.raises(ValueError, match=r"curve: accepted are pairs"):
        TripCurve(points)
