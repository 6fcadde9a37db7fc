"""A cap of watts leaves room for what a hot device leaks."""

import pytest

from edgewright.hwmodels import peak_W

HOT = {"air": 75, "leakage": 0.1, "reference": 25, "trip": 80, "resistances": [0.1, 0.1], "capacities": [3.0, 40.0]}
LEAKED = 0.1 * (80 - 25)
"""Watts at the trip point."""


@pytest.fixture
def capped(boards):
    """`capped(budget, heat)`: one board whose plug is held below a budget by fixed caps, busy for a minute."""

    def run(budget, heat):
        power = {"desk": {"devices": ["pi0"], "budget": budget, "policy": "static_cap", "telemetry": {"period": "1 s"}}}
        device = {"supply_efficiency": 1.0, "board": "0 W"} | ({"heat": heat} if heat else {})
        busy = {"process": "poisson", "rate": "60 /min"}
        simulation = boards(1, power=power, device=device, arrivals=busy, output=200)
        simulation.run_until(simulation.end)
        return simulation

    return run


def test_the_peak_of_a_target_holds_what_leaks(capped):
    cold, hot = capped("20 W", None), capped("20 W", HOT)
    (cold,), (hot,) = (each.power.controllers["desk"].targets for each in (cold, hot))
    assert cold.peak_W(1.0) == pytest.approx(peak_W(cold.spec))
    assert hot.peak_W(1.0) == pytest.approx(peak_W(hot.spec) + LEAKED)
    assert hot.clock_for_watts(hot.peak_W(0.7)) == pytest.approx(cold.clock_for_watts(cold.peak_W(0.7)))


def test_a_capped_board_that_leaks_keeps_its_budget(capped):
    """It may draw 10 W, and leaks 5.2 W at 77 degrees: without them in its peak, it draws 10.04 W."""
    bins = capped("10 W", HOT).result().power.query("domain == 'desk' and start_s > 5")
    assert bins.peak_W.max() <= 10.0
    assert bins.mean_W.max() > 5.0, "it was never busy: the test would show nothing"
