"""Thermal masses: steps against a numerical integration, and what they end in."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels.thermal import Thermal

ONE = Thermal((2.0,), (50.0,), 80.0)
TWO = Thermal((1.0, 4.0), (2.0, 30.0), 80.0)


def test_one_mass_approaches_its_end_exponentially():
    """10 W over 2 K/W end 20 K above the air; after one time constant of 100 s, 63 % of that."""
    assert ONE.after((25.0,), 10.0, 25.0, 100.0)[0] == pytest.approx(25.0 + 20.0 * (1.0 - exp(-1.0)))
    assert TWO.steady(10.0, 25.0) == (75.0, 65.0)


def test_two_masses_against_small_steps():
    first, second, steps = 40.0, 30.0, 200_000
    for _ in range(steps):
        flow = (first - second) / 1.0
        first, second = first + (8.0 - flow) / 2.0 * 50.0 / steps, second + (flow - (second - 25.0) / 4.0) / 30.0 * 50.0 / steps
    assert TWO.after((40.0, 30.0), 8.0, 25.0, 50.0) == pytest.approx((first, second), rel=1e-4)


figures = st.floats(0.1, 100.0)


@given(st.tuples(figures, figures), st.tuples(figures, figures), st.floats(0.0, 100.0), figures, figures)
def test_steps_may_be_cut_anywhere_and_end_in_the_steady_state(resistances, capacities, watts, seconds, more):
    thermal = Thermal(resistances, capacities, 80.0)
    whole = thermal.after((25.0, 25.0), watts, 25.0, seconds + more)
    assert thermal.after(thermal.after((25.0, 25.0), watts, 25.0, seconds), watts, 25.0, more) == pytest.approx(whole, rel=1e-7)
    steady = thermal.steady(watts, 25.0)
    assert thermal.after(steady, watts, 25.0, seconds) == pytest.approx(steady)
    assert all(25.0 * (1 - 1e-9) <= now <= end * (1 + 1e-7) for now, end in zip(whole, steady, strict=True))


@pytest.mark.parametrize(("resistances", "capacities"), [((), ()), ((1.0,) * 3, (1.0,) * 3), ((1.0,), (1.0, 2.0)), ((0.0,), (1.0,))])
def test_other_masses_are_refused(resistances, capacities):
    with pytest.raises(ValueError, match="resistances: accepted are"):
        Thermal(resistances, capacities, 80.0)
