"""Laws of networks: flows over routes of many hops in random graphs, with weights and priorities, that come, go and lose capacity.

Tolerances: as in `test_sharing_laws`; the linear programs are solved to 1e-7, and their capacities, weights and sizes lie within a decade.
"""

from collections import defaultdict
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Transfer
from edgewright.policies.pricing import demand_of
from edgewright.simulator import components
from edgewright.simulator.machine import Machine
from edgewright.simulator.sharing import fair_rates, partition
from edgewright.workloads import Step

REL = 1e-9
FOR_EVER = 1e6
"""Seconds' worth of bytes that no flow of a test gets done with."""


@st.composite
def networks(draw, most=6):
    """A connected graph of devices: a random tree and a few links more, full, half duplex, or stations of one of two media."""
    size = draw(st.integers(2, most))
    ends = [(draw(st.integers(0, node - 1)), node) for node in range(1, size)]
    ends += draw(
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1]), max_size=3)
    )
    connections = []
    for number, (one, other) in enumerate(ends):
        duplex = draw(st.sampled_from(["full", "half", "shared"]))
        medium = draw(st.sampled_from(["air", "ether"])) if duplex == "shared" else None
        link = ideal_link(float(draw(st.integers(1, 10))), duplex=duplex)
        connections.append(Connection(f"l{number}", (f"n{one}", f"n{other}"), link, medium))
    return Cluster({f"n{node}": ideal_device() for node in range(size)}, (), tuple(connections))


@st.composite
def loaded(draw, flows=8, classes=3, weights=(1.0, 2.0, 3.0), size=FOR_EVER):
    """A network and the transfers over it, each between two of its nodes, all there at once."""
    cluster = draw(networks())
    count = draw(st.integers(1, flows))
    return cluster, [draw(transfers(cluster, classes, weights, size)) for _ in range(count)]


@st.composite
def transfers(draw, cluster, classes, weights, size):
    src, dst = draw(st.permutations(list(cluster.devices)))[:2]
    nbytes = size * draw(st.integers(1, 10))
    return Transfer(src, dst, nbytes, weight=draw(st.sampled_from(weights)), priority=draw(st.integers(0, classes - 1)))


def start(machine, transfer, done=lambda operation: None):
    return machine.run(lambda: demand_of(transfer, machine.cluster, Step(), machine.clocks), done)


def running(cluster, transfers):
    """The activities of these transfers, all begun at once, and their machine."""
    machine = Machine(cluster)
    operations = [start(machine, transfer) for transfer in transfers]
    machine.settle()
    return machine, [operation.activity for operation in operations]


def share(activity):
    return activity.rate / activity.weight


def crowds(many):
    """Components of more than so many activities are arrays, or (False) none is."""
    return patch.multiple(components, MANY=many, FEW=many) if many is not False else patch.multiple(components, MANY=10**9)


@settings(max_examples=60)
@given(loaded(), st.sampled_from([False, 1]))
def test_no_link_above_its_capacity(network, many):
    with crowds(many):
        machine, activities = running(*network)
    used = defaultdict(float)
    for activity in activities:
        for resource, amount in activity.usage.items():
            used[resource] += activity.rate * amount
    for resource in machine.resources.values():
        assert used[resource] == pytest.approx(resource.flow, rel=REL)
        assert used[resource] <= resource.capacity * (1 + REL)


@settings(max_examples=60)
@given(loaded(flows=5), st.sampled_from([False, 1]))
def test_rates_are_max_min_fair_by_class(fair_by_programs, network, many):
    """Against linear programs: the highest class as if it were alone, the next with what that leaves, each share as high as it goes."""
    with crowds(many):
        _, activities = running(*network)
    least = 1e-5 * max(map(share, activities))  # what the programs leave or take by their tolerance
    assert [share(each) for each in activities] == pytest.approx(fair_by_programs(activities), rel=1e-4, abs=least)


@settings(max_examples=60)
@given(loaded(classes=2), st.sampled_from([False, 1]), st.data())
def test_equal_flows_get_equal_rates(network, many, data):
    cluster, transfers = network
    twin = data.draw(st.sampled_from(transfers))
    with crowds(many):
        _, activities = running(cluster, [*transfers, twin])
    assert activities[-1].rate == pytest.approx(activities[transfers.index(twin)].rate, rel=REL)


@settings(max_examples=60)
@given(loaded(classes=1), st.floats(1.0, 10.0), st.data())
def test_more_capacity_is_never_less_fair(network, factor, data):
    """Shares, from the least up, do not fall in the order of dictionaries: more can be reached, and the fairest of it is chosen."""
    machine, activities = running(*network)
    before = sorted(map(share, activities))
    machine.derate(data.draw(st.sampled_from(sorted(activities[0].usage, key=lambda each: each.name))).name, "more", factor)
    machine.settle()
    after = sorted(map(share, activities))
    first = next(((a, b) for a, b in zip(before, after, strict=True) if a != pytest.approx(b, rel=REL)), (0.0, 0.0))
    assert first[0] <= first[1]
    assert after[0] >= before[0] * (1 - REL)


class Everything:
    """A machine whose flows come and go; compares its rates with those of all its activities shared at once."""

    def __init__(self, cluster):
        self.machine = Machine(cluster)
        self.here = {}
        self.asked = defaultdict(float)
        self.ended = 0

    def add(self, transfer):
        def done(operation):
            self.ended += 1
            del self.here[operation]

        operation = start(self.machine, transfer, done)
        self.here[operation] = None
        for name, amount in operation.demand.traffic.items():
            self.asked[name] += float(amount)

    def remove(self, place):
        if self.here:
            operation = list(self.here)[place % len(self.here)]
            del self.here[operation]
            operation.cancel()

    def derate(self, place, factor):
        names = list(self.machine.resources)
        self.machine.derate(names[place % len(names)], "fault", factor)

    def check(self):
        self.machine.settle()
        activities = [operation.activity for operation in self.here]
        scratch = fair_rates(activities)
        scale = max(scratch.values(), default=0.0)
        assert [each.rate for each in activities] == [pytest.approx(scratch[each], rel=1e-9, abs=1e-12 * scale) for each in activities]
        for group in partition(activities):
            assert len({each.component for each in group}) == 1
        for resource in self.machine.resources.values():
            live = sum((each.first - each.left_at(self.machine.env.now)) * amount for each, amount in resource.activities.items())
            assert resource.moved == pytest.approx(resource.accounted + live, rel=1e-9, abs=1e-9)


@st.composite
def histories(draw):
    """A network, and what happens on it: flows that come, are cancelled, and end; capacities that fall, vanish and return."""
    cluster = draw(networks())
    moments = st.floats(0.0, 30.0)
    comes = st.tuples(moments, st.just("add"), transfers(cluster, 2, (1.0, 4.0), 1.0).map(lambda each: (each,)))
    goes = st.tuples(moments, st.just("remove"), st.tuples(st.integers(0, 20)))
    fails = st.tuples(moments, st.just("derate"), st.tuples(st.integers(0, 20), st.sampled_from([0.0, 0.5, 1.0, 1.0])))
    looks = st.tuples(moments, st.just("check"), st.just(()))
    return cluster, draw(st.lists(st.one_of(comes, comes, comes, goes, fails, looks), min_size=3, max_size=40))


@settings(max_examples=80)
@given(histories(), st.sampled_from([False, 1, 4]))
def test_rates_kept_are_rates_computed_anew(history, many):
    """After any history: the same rates as from scratch, nobody who shares apart, and every byte in the accounts, to 1e-9."""
    cluster, events = history
    everything = Everything(cluster)
    with crowds(many):
        for time, what, arguments in events:
            everything.machine.at(time, partial(getattr(everything, what), *arguments))
        everything.machine.env.run()
        everything.check()
    for name, traffic in everything.machine.traffic.items():
        assert traffic.sent == pytest.approx(traffic.received + traffic.cancelled, rel=REL)
        assert traffic.sent <= everything.asked[name] * (1 + REL)


@settings(max_examples=40)
@given(histories())
def test_arrays_and_single_activities_end_alike(history):
    """The same history with every component as arrays, and with none: the same ends."""

    def ends(many):
        cluster, events = history
        everything, found = Everything(cluster), {}

        def begin(number, transfer):
            start(everything.machine, transfer, lambda _: found.update({number: everything.machine.env.now}))

        with crowds(many):
            for number, (time, what, arguments) in enumerate(events):
                if what == "add":
                    everything.machine.at(time, partial(begin, number, *arguments))
                elif what == "derate":
                    everything.machine.at(time, partial(everything.derate, *arguments))
            everything.machine.env.run()
        return found

    one, other = ends(False), ends(0)
    assert one == pytest.approx(other, rel=REL)


def test_a_component_comes_apart_when_its_bridge_leaves():
    """Two crowds of 40 flows, joined for a while by four that cross both links: they are two again once a few more have left."""
    links = (Connection("left", ("a", "b"), ideal_link(10.0)), Connection("right", ("b", "c"), ideal_link(10.0)))
    machine = Machine(Cluster(dict.fromkeys("abc", ideal_device()), (), links))
    for _ in range(40):
        start(machine, Transfer("a", "b", FOR_EVER))
        start(machine, Transfer("b", "c", FOR_EVER))
    left, right = machine.resources["left>"], machine.resources["right>"]
    assert left.component is not right.component
    bridges = [start(machine, Transfer("a", "c", FOR_EVER)) for _ in range(4)]
    assert left.component is right.component
    for leaving in [*bridges, *[start(machine, Transfer("a", "b", FOR_EVER)) for _ in range(3)]]:
        leaving.cancel()
    assert left.component is not right.component
    machine.settle()
    assert [each.rate * FOR_EVER for each in left.activities] == [pytest.approx(10.0 / 40)] * 40
    assert left.flow == right.flow == pytest.approx(10.0)


def test_flows_that_end_together_end_in_one_change():
    """1000 equal flows over one link: all end at the same moment, after one sharing and not a thousand."""
    link = Connection("lan", ("a", "b"), ideal_link(1000.0))
    machine = Machine(Cluster(dict.fromkeys("ab", ideal_device()), (), (link,)))
    ended = []
    for _ in range(1000):
        start(machine, Transfer("a", "b", 7.0), lambda _: ended.append(machine.env.now))
    with patch.object(machine.sharing, "_share", wraps=machine.sharing._share) as shared:
        machine.env.run()
    assert ended == [pytest.approx(7.0)] * 1000
    assert shared.call_count == 1


def test_who_is_cancelled_by_one_that_ends_with_it_does_not_end():
    """Two flows end at the same moment; the first cancels the second, whose end nobody hears of."""
    link = Connection("lan", ("a", "b"), ideal_link(10.0))
    machine = Machine(Cluster(dict.fromkeys("ab", ideal_device()), (), (link,)))
    heard = []
    operations = []

    def first(operation):
        heard.append("first")
        operations[1].cancel()

    operations.append(start(machine, Transfer("a", "b", 10.0), first))
    operations.append(start(machine, Transfer("a", "b", 10.0), lambda _: heard.append("second")))
    machine.env.run()
    assert heard == ["first"]
    assert (machine.traffic["lan>"].received, machine.traffic["lan>"].cancelled) == (10.0, 10.0)
