"""How long one change takes with 10 000 flows at once: one ends, its neighbours share anew, and another begins in its place.

A round is 100 ends and as many arrivals: divide by 200 for the time of a change. Targets: 0.2 ms where components hold under 100 flows,
10 ms where all share one link. Off by default (each is called once, with a tenth of the flows); to measure:
`pytest --benchmark-enable --benchmark-only tests/simulator`.
"""

from random import Random

import pytest

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.simulator.machine import Machine

ENDS = 100


def groups(count, leaves=10):
    """Switches of their own with ten devices each; a flow runs between two of one group."""
    names = [(f"d{group}_{leaf}", f"s{group}") for group in range(count) for leaf in range(leaves)]
    links = (Connection(f"l{name}", (name, hub), ideal_link(1e8 * (1 + number % 7))) for number, (name, hub) in enumerate(names))
    cluster = Cluster(
        dict.fromkeys((name for name, _ in names), ideal_device()), tuple(f"s{group}" for group in range(count)), tuple(links)
    )

    def ends(number, random):
        return tuple(f"d{number % count}_{leaf}" for leaf in random.sample(range(leaves), 2))

    return cluster, ends


def one_link():
    """Two devices and the link between them."""
    cluster = Cluster(dict.fromkeys("ab", ideal_device()), (), (Connection("lan", ("a", "b"), ideal_link(1e9)),))
    return cluster, lambda number, random: ("a", "b")


def dumbbell(leaves=100):
    """A hundred senders, a trunk, a hundred receivers."""
    sides = [(f"{side}{leaf}", side) for side in "st" for leaf in range(leaves)]
    links = [Connection(f"l{name}", (name, hub), ideal_link(1e8)) for name, hub in sides]
    trunk = Connection("trunk", ("s", "t"), ideal_link(1e9))
    cluster = Cluster(dict.fromkeys((name for name, _ in sides), ideal_device()), ("s", "t"), (*links, trunk))
    return cluster, lambda number, random: (f"s{random.randrange(leaves)}", f"t{random.randrange(leaves)}")


class Traffic:
    """So many flows of 1 to 10 MB, always: who ends is followed by another."""

    def __init__(self, cluster, ends, flows):
        self.machine, self.ends_of, self.random = Machine(cluster), ends, Random(1)
        self.begun = self.ended = 0
        for _ in range(flows):
            self.begin()

    def begin(self):
        src, dst = self.ends_of(self.begun, self.random)
        self.begun += 1
        demand = self.machine.cluster.transfer(src, dst, 1e6 * (1.0 + 9.0 * self.random.random()))
        self.machine.run(lambda: demand, self.over)

    def over(self, _):
        self.ended += 1
        self.begin()

    def go_on(self):
        """Until `ENDS` more have ended."""
        until = self.ended + ENDS
        while self.ended < until:
            self.machine.env.step()


@pytest.mark.parametrize("network", ["groups of 80 flows", "one link", "a trunk", "one switch"])
def test_speed_of_a_change(benchmark, network):
    flows = 1_000 if benchmark.disabled else 10_000
    made = {
        "groups of 80 flows": lambda: groups(flows // 80),
        "one link": one_link,
        "a trunk": dumbbell,
        "one switch": lambda: groups(1, 100),
    }
    traffic = Traffic(*made[network](), flows)
    benchmark.pedantic(traffic.go_on, rounds=5, warmup_rounds=1)
    assert traffic.begun == traffic.ended + flows
    traffic.machine.settle()
    for resource in traffic.machine.resources.values():
        assert resource.flow <= resource.capacity * (1 + 1e-9)
