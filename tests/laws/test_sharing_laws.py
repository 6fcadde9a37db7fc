"""Laws of sharing: nothing above capacity, nothing above its bound, max-min fair, and every byte moved exactly once.

Tolerances: rates come from a handful of divisions and subtractions of positive numbers, so 1e-9 is a million roundings wide, and far
below any real difference between two fair shares here (amounts and capacities span four decades). The linear programs are solved to
HiGHS' feasibility tolerance of 1e-7, hence 1e-5 there.
"""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.plan import Compute, Transfer
from edgewright.policies.pricing import demand_of
from edgewright.simulator.machine import Machine
from edgewright.simulator.sharing import Activity, Resource, fair_rates, partition
from edgewright.workloads import Step

amounts = st.floats(0.1, 1000.0)
REL = 1e-9


@st.composite
def groups(draw, most=6):
    """Up to `most` activities over up to four resources, each with a bound, a resource, or both."""
    resources = [Resource(f"r{index}", draw(amounts)) for index in range(draw(st.integers(1, 4)))]
    activities = []
    for _ in range(draw(st.integers(1, most))):
        usage = draw(st.dictionaries(st.sampled_from(resources), amounts, max_size=len(resources)))
        seconds = draw(st.sampled_from([0.0, 0.001, 1.0]) | amounts) if usage else draw(amounts)
        activities.append(flow(usage, seconds, draw(amounts)))
    return activities


def flow(usage, seconds=0.0, size=1.0):
    activity = Activity(usage=usage, seconds=seconds, size=size, joules=(), done=lambda: None)
    for resource, amount in usage.items():
        resource.activities[activity] = amount
    return activity


def loads(rates):
    """Amount per second over each resource."""
    found = defaultdict(float)
    for activity, rate in rates.items():
        for resource, amount in activity.usage.items():
            found[resource] += rate * amount
    return found


def share(activity, rates):
    return rates[activity] / activity.weight


@given(groups())
def test_no_resource_above_capacity_and_no_activity_above_its_bound(activities):
    rates = fair_rates(activities)
    assert set(rates) == set(activities)
    assert all(0.0 < rate <= activity.bound * (1 + REL) for activity, rate in rates.items())
    assert all(used <= resource.capacity * (1 + REL) for resource, used in loads(rates).items())


@given(groups())
def test_every_activity_has_a_bottleneck(activities):
    """Max-min fair if and only if each activity is at its bound, or uses a full resource on which nobody has a larger share
    (Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2)."""
    rates = fair_rates(activities)
    used = loads(rates)
    for activity in activities:
        full = [resource for resource in activity.usage if used[resource] >= resource.capacity * (1 - REL)]
        largest = (max(share(other, rates) for other in resource.activities) for resource in full)
        bound = rates[activity] >= activity.bound * (1 - REL)
        assert bound or any(share(activity, rates) >= most * (1 - REL) for most in largest)


@st.composite
def moderate_groups(draw):
    """Like `groups`, but with whole numbers of one decade, so that a linear program can tell shares apart."""
    tenths = st.integers(1, 10).map(float)
    resources = [Resource(f"r{index}", draw(tenths)) for index in range(draw(st.integers(1, 3)))]
    some = st.dictionaries(st.sampled_from(resources), tenths, min_size=1, max_size=3)
    return [flow(draw(some), draw(st.sampled_from([0.0, 1.0, 5.0])), draw(tenths)) for _ in range(draw(st.integers(1, 4)))]


@settings(max_examples=40)
@given(moderate_groups())
def test_rates_are_those_of_successive_linear_programs(fair_by_programs, activities):
    rates = fair_rates(activities)
    assert [share(activity, rates) for activity in activities] == pytest.approx(fair_by_programs(activities), rel=1e-4)


@given(groups(), st.data())
def test_equals_are_treated_equally(activities, data):
    """A twin of an activity gets its rate, wherever it stands in the list."""
    one = data.draw(st.sampled_from(activities))
    twin = flow(dict(one.usage), 1.0, 1.0)
    twin.bound, twin.weight = one.bound, one.weight
    everybody = data.draw(st.permutations([*activities, twin]))
    rates = fair_rates(everybody)
    assert rates[twin] == pytest.approx(rates[one], rel=REL)


@given(groups(), st.data())
def test_the_order_of_activities_does_not_matter(activities, data):
    rates = fair_rates(activities)
    others = fair_rates(data.draw(st.permutations(activities)))
    assert [others[activity] for activity in activities] == pytest.approx([rates[activity] for activity in activities], rel=REL)


@given(groups(), st.data())
def test_more_capacity_never_lowers_the_least_share(activities, data):
    """It may lower somebody's: who was held back elsewhere can now press harder on a second resource. The least share never falls."""
    shared = [resource for activity in activities for resource in activity.usage]
    least = min(share(a, r) for r in [fair_rates(activities)] for a in activities)
    if shared:
        data.draw(st.sampled_from(shared)).capacity *= data.draw(st.floats(1.0, 10.0))
    rates = fair_rates(activities)
    assert min(share(activity, rates) for activity in activities) >= least * (1 - REL)


@given(groups())
def test_strangers_do_not_matter(activities):
    """Rates of a component are the same computed alone."""
    rates = fair_rates(activities)
    alone = fair_rates(partition(activities)[0])
    assert [alone[activity] for activity in alone] == pytest.approx([rates[activity] for activity in alone], rel=REL)


def test_an_activity_without_bound_or_resource_is_refused():
    with pytest.raises(ValueError, match="neither a bound nor a resource"):
        flow({})


NODES = ("a", "b", "c")
HUB = Cluster(
    {name: ideal_device(10.0, 50.0) for name in NODES},
    ("hub",),
    tuple(Connection(f"to-{name}", (name, "hub"), ideal_link(capacity)) for name, capacity in zip(NODES, (10.0, 20.0, 5.0), strict=True)),
)
"""Three devices on a hub; a transfer from a to b uses `to-a>` and `to-b<`."""

times = st.floats(0.0, 20.0)
pairs = st.permutations(NODES).map(lambda nodes: tuple(nodes[:2]))
transfers = st.lists(st.tuples(times, pairs, amounts), min_size=1, max_size=8)
computes = st.lists(st.tuples(times, st.sampled_from(NODES), st.floats(1.0, 100.0)), max_size=5)
clocks = st.lists(st.tuples(times, st.sampled_from(NODES), st.sampled_from([0.2, 0.5, 1.0])), max_size=4)


@settings(max_examples=50)
@given(transfers, computes, clocks)
def test_a_machine_moves_every_byte_once(transfers, computes, clocks):
    """Whatever shares links and buses, and however clocks change: bytes moved over each resource add up to what was asked, to 1e-9."""
    machine = Machine(HUB)
    asked, ended = defaultdict(float), []

    def start(time, operation):
        price = lambda: demand_of(operation, HUB, Step(), machine.clocks)  # noqa: E731
        for name, amount in price().usage.items():
            asked[name] += float(amount)
        machine.at(time, lambda: machine.run(price, ended.append))

    for time, (src, dst), nbytes in transfers:
        start(time, Transfer(src, dst, nbytes))
    for time, device, seconds in computes:
        start(time, Compute(device, Work.of("gemm", "fp32", 10.0 * seconds, weights=30.0 * seconds)))
    for time, device, clock in clocks:
        machine.at(time, lambda device=device, clock=clock: machine.set_clock(f"{device}.cpu", clock))
    machine.env.run()
    machine.settle()
    assert len(ended) == len(transfers) + len(computes)
    moved = {name: resource.moved for name, resource in machine.resources.items() if name in asked}
    assert moved == pytest.approx(dict(asked), rel=REL)
    for name, traffic in machine.traffic.items():
        assert traffic.sent == traffic.received == pytest.approx(asked[name], rel=REL)
    assert all(resource.moved <= resource.capacity * resource.busy_s * (1 + REL) for resource in machine.resources.values())


@pytest.mark.parametrize("many", [2, 100])
def test_what_has_no_limit_binds_nobody(many):
    """Flows over a bus without limit, each with a link of its own: each as fast as its link, however many there are."""
    bus = Resource("bus", float("inf"))
    links = [Resource(f"link{index}", 10.0 + index) for index in range(many)]
    rates = fair_rates([flow({bus: 1.0, link: 1.0}) for link in links])
    assert list(rates.values()) == [pytest.approx(link.capacity, rel=REL) for link in links]
