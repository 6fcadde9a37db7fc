"""Batteries, the sun and traces, with the arithmetic visible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels.battery import BatterySpec
from edgewright.hwmodels.series import Series, read_series
from edgewright.hwmodels.sun import Panel

CELL = BatterySpec(1000.0, 0.9, 0.8, max_charge=20.0, max_discharge=40.0)


def test_charging_stores_what_the_efficiency_leaves():
    """10 W for 10 s: 100 J taken in, 90 J stored."""
    assert CELL.charge(0.0, 100.0, 10.0) == pytest.approx((100.0, 90.0, 10.0))


def test_charging_stops_at_its_power_and_when_full():
    assert CELL.charge(0.0, 1000.0, 10.0).moved == pytest.approx(200.0)
    assert CELL.charge(991.0, 100.0, 10.0) == pytest.approx((10.0, 9.0, 1.0))


def test_giving_takes_more_than_it_gives():
    """100 J given cost 125 J of the store."""
    assert CELL.discharge(500.0, 100.0, 10.0) == pytest.approx((100.0, -125.0, 25.0))
    assert CELL.discharge(500.0, 1000.0, 10.0).moved == pytest.approx(400.0)
    assert CELL.discharge(50.0, 100.0, 10.0) == pytest.approx((40.0, -50.0, 10.0))


def test_peukert_counts_above_the_rated_power():
    """1000 J in 20 h are 1/72 W; at 256 times that an exponent of 1.25 makes each joule cost 4. Below it, 1."""
    lead = BatterySpec(1000.0, peukert=1.25)
    rated = 1000.0 / 72_000.0
    assert lead.drain(256 * rated) == pytest.approx(4.0)
    assert lead.drain(0.5 * rated) == 1.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 1e4), st.floats(1e-3, 1e3), st.booleans())
def test_terminals_store_and_losses_add_up(share, joules, seconds, charging):
    stored = share * CELL.capacity
    passage = (CELL.charge if charging else CELL.discharge)(stored, joules, seconds)
    assert passage.lost >= 0.0
    assert -1e-9 <= stored + passage.stored <= CELL.capacity + 1e-9
    assert passage.moved == pytest.approx(passage.stored + passage.lost if charging else -passage.stored - passage.lost, abs=1e-9)


def test_the_sun_of_a_clear_day():
    """Equinox on the equator: overhead at noon, 1098 exp(-0.059) = 1035 W/m2; up for twelve hours."""
    panel = Panel(100.0, latitude=0.0, day=81)
    assert panel.at(12 * 3600.0) == pytest.approx(103.5, abs=0.1)
    assert panel.at(5.9 * 3600.0) == panel.at(18.1 * 3600.0) == 0.0
    assert panel.at(7 * 3600.0) > 0.0
    assert panel.at(12 * 3600.0 + 86_400.0) == pytest.approx(panel.at(12 * 3600.0), rel=1e-3)


def test_its_energy_is_the_integral_of_its_power():
    panel = Panel(100.0, latitude=48.0, day=172, clearness=0.7)
    steps = 17_280
    riemann = sum(panel.at((index + 0.5) * 86_400.0 / steps) for index in range(steps)) * 86_400.0 / steps
    assert panel.integral(0.0, 86_400.0) == pytest.approx(riemann, rel=1e-4)
    assert panel.integral(0.0, 3e4) + panel.integral(3e4, 8e4) == pytest.approx(panel.integral(0.0, 8e4), rel=1e-4)


def test_a_series_holds_each_value_until_the_next_time():
    series = Series([0.0, 10.0, 30.0], [1.0, 4.0, 2.0])
    assert [series.at(time) for time in (0.0, 9.9, 10.0, 100.0)] == [1.0, 1.0, 4.0, 2.0]
    assert series.integral(5.0, 35.0) == pytest.approx(5 * 1.0 + 20 * 4.0 + 5 * 2.0)


def test_a_series_may_repeat():
    series = Series([0.0, 10.0], [1.0, 4.0], repeat=20.0)
    assert series.at(35.0) == 4.0
    assert series.integral(5.0, 65.0) == pytest.approx(3 * 50.0)


def test_a_trace_is_read_from_a_file(tmp_path):
    path = tmp_path / "sun.csv"
    path.write_text("seconds,watts\n0,5\n60,7.5\n")
    assert read_series(path).at(61.0) == 7.5
    path.write_text("seconds,watts\n0,5\nlater,7.5\n")
    with pytest.raises(ValueError, match=r"sun.csv: .*later.*; accepted are a line of headings"):
        read_series(path)


@pytest.mark.parametrize(("times", "repeat"), [([], None), ([1.0], None), ([0.0, 0.0], None)])
def test_what_is_no_series_is_refused(times, repeat):
    with pytest.raises(ValueError, match="begin at 0 and ascend"):
        Series(times, [1.0] * len(times), repeat)


def test_a_series_repeats_after_its_last_time():
    with pytest.raises(ValueError, match=r"repeat: 10 s is not accepted"):
        Series([0.0, 10.0], [1.0, 2.0], repeat=10.0)
