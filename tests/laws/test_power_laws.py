"""Laws of power: whatever tree, states and outages, energy is the sum of its parts, and nothing comes from nothing."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Work
from edgewright.hwmodels.battery import BatterySpec
from edgewright.hwmodels.ideal import ideal_device
from edgewright.hwmodels.series import Series
from edgewright.simulator.availability import Cause
from edgewright.simulator.machine import Machine
from edgewright.simulator.power_breaker import Breaker
from edgewright.simulator.power_domain import Domain, Rail
from edgewright.simulator.power_feed import Feed, FeedPlan
from edgewright.simulator.power_supply import CurveSupply, FixedSupply
from edgewright.simulator.recorder import Recorder
from edgewright.simulator.schema_power import BreakerTable

NAMES = ("a", "b", "c", "d")
END = 60.0
BOARD = replace(
    ideal_device(1.0, engines=("gpu", "cpu"), idle_W=5.0, busy_W=2.0, joules_per_flop=3.0),
    sleep_W=1.0,
    wake_s=2.0,
    board_W=1.5,
    supply_efficiency=0.9,
)
times = st.floats(0.0, END)
supplies = st.sampled_from(
    [lambda: FixedSupply(1.0), lambda: FixedSupply(0.8), lambda: CurveSupply(40.0, ((0.1, 0.7), (0.5, 0.9), (1.0, 0.88)))]
)
events = st.lists(
    st.tuples(times, st.sampled_from(["work", "sleep", "wake", "crash", "cut", "restore", "clock"]), st.integers(0, 3)), max_size=30
)


class Tree:
    """Four devices in four domains, each with a parent before it or none, one with a rail; and what happens to them."""

    def __init__(self, parents, made, happenings):
        self.machine = Machine(Cluster(dict.fromkeys(NAMES, BOARD)))
        self.domains = [Domain(self.machine, f"d{n}", [NAMES[n]], overhead=float(n), supply=make()) for n, make in enumerate(made)]
        self.outer = []
        for number, parent in enumerate(parents):
            if parent < number:
                self.domains[parent].children.append(self.domains[number])
            else:
                self.outer.append(self.domains[number])
        self.rail = Rail(self.machine, "rail", ["a.gpu", "a.dram"])
        self.domains[0].rails.append(self.rail)
        for second in range(1, int(END)):
            self.machine.at(float(second), self._sample)
        for time, what, index in happenings:
            self.machine.at(time, lambda what=what, index=index: self.happen(what, index))

    def _sample(self):
        for domain in reversed(self.domains):
            domain.sample()

    def happen(self, what, index):
        machine, name, domain = self.machine, NAMES[index], self.domains[index]
        cause = Cause("unpowered", f"test {index}")
        if what == "work":
            machine.run(lambda: machine.cluster.compute(name, Work.of("gemm", "fp32", 4.0), "gpu"), lambda _: None)
        elif what == "clock":
            machine.clock_limits.limit(f"{name}.gpu", "test", 0.5)
        elif what in ("sleep", "wake"):
            getattr(machine, what)(name, "test")
        elif what == "crash":
            machine.up.hold(name, Cause("crashed", "test"))
        else:
            getattr(domain, what)(cause)


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(0, 3)] * 4), st.tuples(*[supplies] * 4), events, st.lists(times, max_size=4))
def test_parts_add_up_to_the_outermost_plugs_at_any_moment(parents, made, happenings, looks):
    tree = Tree(parents, made, happenings)
    for look in [*sorted(looks), END]:
        if look > tree.machine.env.now:
            tree.machine.env.run(until=look)
        tree.machine.settle()
        rows = [row for each in (*tree.domains, tree.rail) for row in each.energy_rows()]
        assert all(joules >= -1e-9 for *_, joules in rows)
        plugs = sum(domain.joules() for domain in tree.outer)
        assert sum(joules for *_, joules in rows) == pytest.approx(plugs, rel=1e-9, abs=1e-9)
        assert sum(each.own_joules() for each in (*tree.domains, tree.rail)) == pytest.approx(plugs, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[supplies] * 4), events, st.lists(times, max_size=5))
def test_looking_changes_nothing(made, happenings, looks):
    """Who reads meters in between finds and leaves what others find."""
    plain, seen = Tree((0, 0, 1, 1), made, happenings), Tree((0, 0, 1, 1), made, happenings)
    for look in looks:
        seen.machine.at(look, lambda: (seen.machine.settle(), seen.domains[0].energy_rows()))
    totals = []
    for tree in (plain, seen):
        tree.machine.env.run(until=END)
        tree.machine.settle()
        totals.append([domain.joules() for domain in tree.domains])
    assert totals[0] == pytest.approx(totals[1], rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(100.0, 5000.0),
    st.floats(0.0, 1.0),
    st.floats(0.5, 1.0),
    st.floats(0.0, 0.4),
    st.floats(1.0, 1.3),
    st.lists(st.floats(0.0, 60.0), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 60.0), min_size=3, max_size=3),
    st.booleans(),
    events,
)
def test_what_sources_give_is_drawn_lost_or_stored(capacity, charge, efficiency, cutoff, peukert, sun, grid, backup, happenings):
    """After any run: sun + grid + unmet = load + lost + stored; the store stays within its bounds; what is unmet is a period's at most."""
    tree = Tree((0, 0, 0, 0), [lambda: FixedSupply(0.9)] * 4, happenings)
    recorder = Recorder((0.0, END))
    plan = FeedPlan(
        sun=Series([0.0, 20.0, 40.0], sun),
        grid=Series([0.0, 15.0, 45.0], grid),
        battery=BatterySpec(capacity, efficiency, efficiency, peukert=peukert),
        charge=charge,
        cutoff=cutoff,
        recover=cutoff + 0.1,
        backup=backup,
        restore=3.0,
    )
    feed = tree.domains[0].feed = Feed(tree.machine, tree.domains[0], plan, recorder)
    tree.machine.env.process(feed.run())
    tree.machine.env.run(until=END + 0.5)
    sums = feed.sums
    assert sums.sun + sums.grid + sums.unmet == pytest.approx(sums.load + sums.lost + feed.stored - feed.initial, abs=1e-6)
    assert -1e-6 <= feed.stored <= capacity * (1 + 1e-9)
    assert min(sums.lost, sums.unmet, sums.curtailed) >= 0.0
    assert plan.sun.integral(0.0, END - 1.0) - 1e-6 <= sums.sun + sums.curtailed <= plan.sun.integral(0.0, END + 0.5) + 1e-6
    most = 4 * (5.0 + 1.5 + 2.0 + 3.0) / 0.9 / 0.9 + 20.0
    assert sums.unmet <= most * (feed.losses + 1)


@settings(deadline=None, max_examples=40)
@given(events, st.floats(1.0, 3.0))
def test_a_breaker_never_trips_while_no_load_exceeds_its_rating(happenings, multiple):
    tree = Tree((0, 0, 0, 0), [lambda: FixedSupply(0.9)] * 4, happenings)
    rated = 4 * (5.0 + 1.5 + 2.0 + 3.0) / 0.9 / 0.9 + 20.0
    table = BreakerTable.model_validate({"rated": rated, "curve": [[multiple, 0.01]], "period": 0.3})
    breaker = Breaker(tree.machine, tree.domains[0], table, Recorder((0.0, END)))
    tree.machine.env.process(breaker.run())
    tree.machine.env.run(until=END)
    assert (breaker.trips, breaker.heat) == (0, 0.0)
