"""Devices that become hot: temperatures by the energy drawn, throttling with hysteresis, leakage, and switching off."""

from dataclasses import replace
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Work
from edgewright.hwmodels.ideal import ideal_device
from edgewright.hwmodels.series import Series
from edgewright.hwmodels.thermal import Thermal
from edgewright.simulator.heat import Governor, Heat
from edgewright.simulator.machine import Machine
from edgewright.simulator.recorder import Recorder

BOARD = ideal_device(1.0, idle_W=2.0, joules_per_flop=8.0)
"""2 W idle, 10 W when it computes at full clock."""

AIR = Series([0.0], [20.0])


class Bench:
    """A board of 5 K/W and 20 J/K (a time constant of 100 s) in air of 20 degrees, which computes from 0 s on."""

    def __init__(self, trip=1000.0, critical=None, board=BOARD, air=AIR, **governor):
        self.machine, self.recorder = Machine(Cluster({"a": board})), Recorder((0.0, 1e9))
        thermal = Thermal((5.0,), (20.0,), trip, critical)
        self.heat = Heat(self.machine, "a", thermal, Governor(air, **governor), self.recorder)
        self.machine.env.process(self.heat.run())
        self.done = 0
        self._again(None)

    def _again(self, _):
        self.done += 1
        self.machine.run(lambda: self.machine.cluster.compute("a", Work.of("gemm", "fp32", 1.0), None, self.clock), self._again)

    @property
    def clock(self):
        return self.machine.clocks.get("a.cpu", 1.0)

    def run(self, until):
        self.machine.env.run(until=until)
        self.machine.settle()
        rows = self.recorder.rows["power_events"]
        return list(zip(rows["time_s"], rows["event"], strict=True))


def test_it_warms_up_as_its_energy_says():
    """From 20 + 2 x 5 = 30 degrees towards 20 + 10 x 5 = 70, with a time constant of 100 s."""
    bench = Bench()
    bench.run(100.5)
    assert bench.heat.temperatures[0] == pytest.approx(70.0 - 40.0 * exp(-1.0))


def test_it_is_throttled_and_stays_about_its_trip_point():
    """At 60 degrees 8 W can be drawn: 2 W idle and 6 W of 8, a clock of 0.75. It is reached, and then kept within steps of 0.1."""
    bench = Bench(trip=60.0, hysteresis=1.0)
    events = bench.run(139.5)
    assert events == [(pytest.approx(139.0, abs=1.0), "throttled")]  # 30 degrees of 40 are gone after 100 ln 4 = 138.6 s
    bench.run(2000.5)
    assert bench.heat.throttles >= 1
    assert bench.heat.hottest < 61.0
    assert bench.heat.temperatures[0] > 58.0
    assert 0.5 < bench.clock <= 1.0


@settings(deadline=None, max_examples=30)
@given(st.floats(25.0, 75.0), st.floats(0.0, 10.0), st.floats(0.01, 1.0), st.floats(0.05, 1.0), st.floats(0.5, 20.0), st.floats(0.0, 0.1))
def test_throttled_work_is_never_more_than_unthrottled(trip, hysteresis, step, floor, period, leakage):
    free, hot = Bench(), Bench(trip=trip, hysteresis=hysteresis, step=step, floor=floor, period=period, leakage=leakage)
    free.run(500.0)
    hot.run(500.0)
    assert hot.done <= free.done
    assert hot.heat.limit >= min(floor, 1.0)
    if hot.heat.throttles == 0:
        assert hot.done == free.done


def test_all_steps_down_are_undone_by_as_many_up():
    """Steps of 0.15 do not add up in binary: who steps up as often as down, in the cold from 500 s on, is at 1 all the same, once."""
    bench = Bench(trip=35.0, hysteresis=0.5, step=0.15, air=Series([0.0, 500.0], [20.0, -40.0], repeat=1000.0))
    events = [event for _, event in bench.run(3000.0)]
    assert bench.heat.throttles > 1
    assert events == ["throttled", "unthrottled"] * (len(events) // 2) + ["throttled"] * (len(events) % 2)


def test_asleep_it_leaks_no_more_than_its_sleep_says():
    board = replace(BOARD, sleep_W=0.5)
    bench = Bench(board=board, leakage=0.05)
    bench.run(500.5)
    bench.machine.sleep("a", "us")
    before = bench.machine.joules()["a", "leakage"]
    bench.run(510.0)
    assert bench.machine.joules()["a", "leakage"] == before > 0.0


def test_leakage_adds_to_what_makes_it_hot():
    """0.05 W/K above 25 degrees: T = 20 + 5 (10 + 0.05 (T - 25)) ends at (70 - 6.25) / 0.75 = 85 degrees, with 3 W of leakage."""
    bench = Bench(leakage=0.05)
    bench.run(3000.0)
    assert bench.heat.temperatures[0] == pytest.approx(85.0, abs=0.01)
    before = bench.machine.joules()["a", "leakage"]
    bench.run(3100.0)
    assert bench.machine.joules()["a", "leakage"] - before == pytest.approx(300.0, rel=1e-3)


def test_too_hot_it_is_off_until_it_has_cooled():
    """The trip point is of no use: at 50 degrees it is switched off. (Its work goes on here: nobody listens who would stop it.)"""
    bench = Bench(trip=49.0, critical=50.0, step=0.01, hysteresis=1.0)
    events = bench.run(120.0)
    assert [event for _, event in events][:2] == ["throttled", "overheated"]
    assert not bench.machine.up("a")


def test_the_air_may_follow_a_trace():
    bench = Bench()
    cold = Heat(bench.machine, "a", bench.heat.thermal, Governor(Series([0.0, 10.0], [20.0, 5.0])), bench.recorder)
    bench.machine.env.process(cold.run())
    bench.run(1000.5)
    assert cold.temperatures[0] == pytest.approx(bench.heat.temperatures[0] - 15.0, abs=0.01)
