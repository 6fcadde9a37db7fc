"""Breakers, ports, supplies, batteries and rails in time: constant loads, so that every moment can be reckoned."""

from dataclasses import replace
from math import inf

import pytest

from edgewright.hwmodels import Attachment, Cluster, Work
from edgewright.hwmodels.battery import BatterySpec
from edgewright.hwmodels.ideal import ideal_device, ideal_storage
from edgewright.hwmodels.series import Series
from edgewright.simulator.availability import Cause
from edgewright.simulator.machine import Machine
from edgewright.simulator.power_breaker import Breaker
from edgewright.simulator.power_domain import Domain, Rail
from edgewright.simulator.power_feed import Feed, FeedPlan
from edgewright.simulator.power_ports import Ports
from edgewright.simulator.power_supply import CurveSupply
from edgewright.simulator.recorder import Recorder
from edgewright.simulator.schema_power import BreakerTable, PortsTable

BOARD = ideal_device(1.0, idle_W=10.0, joules_per_flop=10.0)
"""10 W idle, and 10 W more while it computes, at 1 FLOP/s."""


class Site:
    """Boards `a`, `b`, ... under one domain, and what happened."""

    def __init__(self, names="ab", board=BOARD, **domain):
        self.machine = Machine(Cluster(dict.fromkeys(names, board)))
        self.recorder = Recorder((0.0, 1e9))
        self.domain = Domain(self.machine, "site", list(names), **domain)

    def run(self, *parts, until):
        for part in parts:
            self.machine.env.process(part.run())
        self.machine.env.run(until=until)
        self.machine.settle()
        rows = self.recorder.rows["power_events"]
        return list(zip(rows["time_s"], rows["name"], rows["event"], strict=True))

    def works(self, name, start, seconds):
        work = Work.of("gemm", "fp32", seconds)
        self.machine.at(start, lambda: self.machine.run(lambda: self.machine.cluster.compute(name, work), lambda _: None))


# -- breakers ------------------------------------------------------------------------------------------------------------------------------


def breaker(site, **table):
    return Breaker(site.machine, site.domain, BreakerTable.model_validate(table), site.recorder)


def test_a_breaker_trips_on_time_and_everything_behind_it_is_dark():
    """20 W on a rating of 10 W, for which the curve gives 5 s. Without power nothing is drawn: 100 J in all, and closed 7 s later."""
    site = Site(overhead=0.0)
    events = site.run(breaker(site, rated=10.0, curve=[[1.5, 20.0], [2.0, 5.0]], restore=7.0), until=11.9)
    assert events == [(pytest.approx(5.0), "site", "breaker_tripped")]
    assert site.domain.joules() == pytest.approx(100.0)
    assert not site.machine.up("a")
    assert site.run(until=12.1)[1:] == [(pytest.approx(12.0), "site", "breaker_closed")]
    assert site.machine.up("a")
    assert site.domain.joules() == pytest.approx(100.0 + 0.1 * 20.0)


def test_a_breaker_that_nobody_closes_stays_open():
    site = Site()
    site.run(breaker(site, rated=10.0, curve=[[2.0, 5.0]]), until=1e4)
    assert site.domain.joules() == pytest.approx(100.0)


def test_a_breaker_never_trips_at_its_rating():
    site = Site()
    assert site.run(breaker(site, rated=20.0, curve=[[1.0, 1.0]]), until=100.0) == []


def test_a_burst_that_ends_in_time_is_forgotten():
    """Two boards idle at 20 W; from 10 s one draws 10 W more for 4 s, 1.5 times the rating, which the curve gives 5 s. Twice is too much
    if the second comes before the first has faded."""
    for pause, tripped in ((100.0, 0), (1.0, 1)):
        site = Site()
        site.works("a", 10.0, 4.0)
        site.works("a", 14.0 + pause, 4.0)
        events = site.run(breaker(site, rated=20.0, curve=[[1.5, 5.0]], fading=10.0), until=200.0)
        assert len(events) == tripped


def test_the_overhead_of_inner_domains_goes_dark_too():
    site = Site("a", overhead=3.0)
    shelf = Domain(site.machine, "shelf", [], overhead=2.0)
    site.domain.children.append(shelf)
    cause, other = Cause("unpowered", "test"), Cause("unpowered", "again")
    site.machine.at(2.0, lambda: site.domain.cut(cause))
    site.machine.at(3.0, lambda: shelf.cut(other))
    site.machine.at(5.0, lambda: site.domain.restore(cause))
    site.run(until=10.0)
    assert (shelf.joules(), site.domain.joules()) == pytest.approx((4.0, 2 * 15.0 + 5 * 13.0))


# -- ports -----------------------------------------------------------------------------------------------------------------------------


def ports(site, priorities, **table):
    return Ports(site.machine, site.domain, PortsTable.model_validate(table), priorities, site.recorder)


def test_the_least_important_port_is_shed_first_and_tried_again():
    """Three boards draw 30 W of 55 W. From 5 s on all compute for 10 s, 60 W: c, of the lowest priority, is shed at 6 s, which is enough.
    When it may come back, at 16 s, nobody computes any more, and 20 W + the 30 W of its class fit."""
    site = Site("abc", budget=55.0)
    for name in "abc":
        site.works(name, 5.0, 10.0)
    events = site.run(ports(site, {"a": 2, "b": 1, "c": 0}, port_class=4, restore=10.0), until=30.0)
    assert events == [(6.0, "c", "port_shed"), (16.0, "c", "port_on")]


def test_a_port_above_its_class_is_cut_off():
    """20 W on a port of class 0, which gives 15.4 W."""
    site = Site("ab")
    site.works("b", 2.0, 100.0)
    events = site.run(ports(site, {"a": 0, "b": 0}, port_class=0, restore=50.0), until=10.0)
    assert events == [(3.0, "b", "port_overloaded")]
    assert (site.machine.up("a"), site.machine.up("b")) == (True, False)


def test_storages_are_no_watts_for_modules():
    """40 W less 3 W idle, 4 W reading and 5 W writing at a time."""
    disk = replace(ideal_storage(1.0), idle_W=3.0, active_W=4.0, write_W=5.0)
    machine = Machine(Cluster({"a": BOARD}, attachments=(Attachment("sd", "a", disk),)))
    assert Domain(machine, "site", ["a"], budget=40.0).overhead_W() == pytest.approx(12.0)
    half = Machine(Cluster({"a": BOARD}, attachments=(Attachment("sd", "a", replace(disk, duplex="half")),)))
    assert Domain(half, "site", ["a"], budget=40.0).overhead_W() == pytest.approx(8.0)


# -- supplies --------------------------------------------------------------------------------------------------------------------------


def test_a_supply_loses_by_its_load():
    """50 W rated. At 20 W, 90 %: 22.2 W. At 30 W half way to the 50 W of 80 %: losses of 2.22 and 12.5 W interpolate to 5.65 W."""
    supply = CurveSupply(50.0, ((0.4, 0.9), (1.0, 0.8)))
    assert [supply.loss_W(watts) for watts in (0.0, 20.0, 30.0, 50.0, 100.0)] == pytest.approx(
        [2.2222, 2.2222, 5.6481, 12.5, 25.0], rel=1e-4
    )


def test_the_plug_of_a_domain_with_a_curve():
    """10 s at 20 W and 5 s without power, in which the supply draws nothing either; readings between samples change nothing."""
    site = Site(supply=CurveSupply(50.0, ((0.4, 0.9), (1.0, 0.8))))
    cause = Cause("unpowered", "test")
    for second in range(1, 16):
        site.machine.at(float(second), site.domain.sample)
    site.machine.at(10.0, lambda: site.domain.cut(cause))
    site.machine.at(3.7, site.domain.joules)
    site.run(until=15.5)
    assert site.domain.joules() == pytest.approx(10 * 20.0 / 0.9)
    assert sum(joules for *_, joules in site.domain.energy_rows()) == pytest.approx(site.domain.joules())


# -- sources ---------------------------------------------------------------------------------------------------------------------------


def feed(site, **plan):
    site.domain.feed = found = Feed(site.machine, site.domain, FeedPlan(**plan), site.recorder)
    return found


def balanced(found):
    sums = found.sums
    assert sums.sun + sums.grid + sums.unmet == pytest.approx(sums.load + sums.lost + found.stored - found.initial)


def test_a_battery_runs_down_and_power_is_lost():
    """1000 J at 80 %: 20 W take 25 W out of it. From 1.0 to the cut-off at 0.1 in 36 s; nothing is drawn afterwards."""
    site = Site()
    found = feed(site, battery=BatterySpec(1000.0, discharge_efficiency=0.8), cutoff=0.1, recover=0.2)
    events = site.run(found, until=100.0)
    assert events == [(pytest.approx(36.0, abs=2e-3), "site", "power_lost")]
    assert found.charge == pytest.approx(0.1, abs=1e-4)
    assert site.domain.joules() == pytest.approx(36.0 * 25.0, rel=1e-4)
    balanced(found)


def test_the_sun_charges_it_again_and_power_is_back():
    """From 100 s on the sun gives 50 W: the store is at 0.3 of 1000 J 4 s later, and then 30 W are left for it."""
    site = Site()
    sun = Series([0.0, 100.0], [0.0, 50.0])
    found = feed(site, battery=BatterySpec(1000.0), charge=0.5, cutoff=0.1, recover=0.3, sun=sun, restore=5.0)
    events = site.run(found, until=110.0)
    assert [(time, event) for time, _, event in events] == [
        (pytest.approx(20.0, abs=2e-3), "power_lost"),
        (pytest.approx(104, abs=1), "power_back"),
    ]
    assert found.charge == pytest.approx(0.3 + 6 * 0.03, abs=0.031)
    balanced(found)


def test_what_nobody_takes_of_the_sun_is_curtailed():
    site = Site()
    found = feed(site, battery=BatterySpec(100.0), charge=0.5, sun=Series([0.0], [30.0]))
    site.run(found, until=20.5)
    assert (found.sums.sun, found.sums.curtailed, found.charge) == pytest.approx((20 * 20.0 + 50.0, 150.0, 1.0))
    balanced(found)


def test_the_battery_before_the_grid_and_the_grid_before_the_battery():
    """20 W; 100 J in the store. Battery first: 5 s of it, then the grid. Grid first: it keeps the battery full."""
    for backup, bought, stored in ((False, 100.0, 0.0), (True, 200.0, 100.0)):
        site = Site()
        found = feed(site, battery=BatterySpec(100.0), grid=Series([0.0], [inf]), backup=backup, carbon=Series([0.0], [360.0]))
        assert site.run(found, until=10.5) == []
        assert (found.sums.grid, found.stored) == pytest.approx((bought, stored), abs=1e-6)
        assert found.sums.grams == pytest.approx(bought / 3.6e6 * 360.0)
        balanced(found)


def test_a_battery_stops_at_its_cut_off_and_the_grid_takes_over():
    """20 W from 100 J: 80 J down to 0.2, then the grid; as it never charges to `recover`, it gives nothing more."""
    site = Site()
    found = feed(site, battery=BatterySpec(100.0), grid=Series([0.0], [inf]), cutoff=0.2, recover=0.5)
    assert site.run(found, until=10.5) == []
    assert (found.sums.grid, found.stored, found.drained) == (pytest.approx(120.0), pytest.approx(20.0), True)
    balanced(found)


def test_a_battery_at_its_cut_off_does_not_darken_what_the_sun_feeds():
    site = Site()
    found = feed(site, battery=BatterySpec(1000.0), charge=0.05, sun=Series([0.0], [22.0]), cutoff=0.1, recover=0.2)
    assert site.run(found, until=60.5) == []
    assert (found.stored, found.sums.unmet) == (pytest.approx(50.0 + 60 * 2.0), 0.0)
    balanced(found)


def test_sun_and_grid_charge_a_backup_together():
    """30 W of sun for 20 W, and 5 W of grid: 15 W charge the battery."""
    site = Site()
    found = feed(site, battery=BatterySpec(1000.0), charge=0.5, sun=Series([0.0], [30.0]), grid=Series([0.0], [5.0]), backup=True)
    site.run(found, until=10.5)
    assert (found.stored, found.sums.grid, found.sums.curtailed) == pytest.approx((650.0, 50.0, 0.0))
    balanced(found)


def test_what_a_battery_loses_passes_no_breaker():
    """20 W on a rating of 21 W. The battery loses as much again, accounted once in 10 s: for a second 200 W, if the breaker saw it."""
    site = Site()
    found = feed(site, battery=BatterySpec(1e4, discharge_efficiency=0.5), period=10.0)
    assert site.run(found, breaker(site, rated=21.0, curve=[[1.1, 0.1]]), until=40.5) == []
    assert site.domain.joules() == pytest.approx(40.5 * 20.0 + 40 * 20.0)


def test_a_grid_that_fails_takes_the_site_with_it():
    """From 10 s to 30 s the grid gives nothing: noticed at 11 s, with 20 J unmet; back at 30 s."""
    site = Site()
    found = feed(site, grid=Series([0.0, 10.0, 30.0], [100.0, 0.0, 100.0]), restore=1.0)
    events = site.run(found, until=40.5)
    assert events == [(11.0, "site", "power_lost"), (30.0, "site", "power_back")]
    assert found.sums.unmet == pytest.approx(20.0)
    balanced(found)


# -- rails -----------------------------------------------------------------------------------------------------------------------------


def test_a_rail_is_a_part_of_its_device():
    """Two engines: the gpu computes for 4 s at 10 J per FLOP, the cpu for 2 s; the rail has the gpu's 40 J, the domain the rest."""
    machine = Machine(Cluster({"a": replace(ideal_device(1.0, engines=("gpu", "cpu"), idle_W=5.0, joules_per_flop=10.0))}))
    domain, rail = Domain(machine, "desk", ["a"]), Rail(machine, "VDD_GPU", ["a.gpu"])
    domain.rails.append(rail)
    for engine, seconds in (("gpu", 4.0), ("cpu", 2.0)):
        work = Work.of("gemm", "fp32", seconds)
        machine.run(lambda engine=engine, work=work: machine.cluster.compute("a", work, engine), lambda _: None)
    machine.env.run(until=10.0)
    machine.settle()
    assert rail.energy_rows() == [("a.gpu", "dynamic", pytest.approx(40.0))]
    assert domain.energy_rows() == [("a", "idle", pytest.approx(50.0)), ("a.cpu", "dynamic", pytest.approx(20.0))]
    assert (domain.joules(), domain.own_joules()) == pytest.approx((110.0, 70.0))
    assert rail.targets() == ["a.gpu"]
