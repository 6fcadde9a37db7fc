"""LIFL as a scenario: a round of federated averaging over a tree of aggregators. What a hop through the kernel, sidecars and a broker costs
against shared memory, a cold start against reuse, lazy against eager aggregation, and nodes that are filled one after another."""

from dataclasses import dataclass

import pytest

from edgewright.hwmodels import Work
from edgewright.hwmodels.roofline import price
from edgewright.policies.families import Placement
from edgewright.policies.plan import Compute, Delay, Mark, Prev, Transfer, par, seq
from edgewright.policies.registry import registered
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.assemble import build_cluster

NODES, LEAVES, FAN_IN = 4, 4, 4
UPDATE = 232e6
"""Bytes of an update of ResNet-152, fp32."""

ADD = Work.of("elementwise", "fp32", UPDATE / 4, activations=3 * UPDATE)
"""Reads the sum and the update, writes the sum."""

SHARED, SERVERFUL, SERVERLESS = 1, 4, 12
"""Copies per hop, assumed: written once to shared memory; a leg of gRPC (serialise, into the kernel, out of it, deserialise); three such
legs, by way of a sidecar, a broker and another sidecar."""


@dataclass(frozen=True)
class AggregationTree:
    """Leaf `l` sums its clients' updates on its node, the middle of a node the leaves of that node, the top (on the first) the middles.

    Attributes:
        copies: of an update per hop between what is on one node.
        cold: seconds until a middle or top aggregator that is asked for runs; 0: a leaf that has finished takes its place.
        eager: whether a leaf adds each update as it comes, or all when the last has come.
        spread: leaves go round the nodes; else a node is filled with `capacity` of them before the next.
        gap: seconds between the updates of a leaf's clients.
    """

    copies: int = SHARED
    cold: float = 0.0
    eager: bool = True
    spread: bool = False
    capacity: int = LEAVES
    gap: float = 1.0

    def plan(self, model, replica):
        """One round; nothing of the model is computed here."""
        nodes = [f"node{leaf % NODES if self.spread else leaf // self.capacity}" for leaf in range(LEAVES)]
        leaves = [self._leaf(leaf, node) for leaf, node in enumerate(nodes)]
        used = list(dict.fromkeys(nodes))
        middles = [
            seq(par(*(leaf for leaf, where in zip(leaves, nodes, strict=True) if where == node)), *self._collected(node, nodes.count(node)))
            for node in used
        ]
        sent = [
            seq(middle, *([] if node == used[0] else [Transfer(node, used[0], UPDATE)])) for node, middle in zip(used, middles, strict=True)
        ]
        round_ = seq(par(*sent), *self._collected(used[0], len(used)), Mark())
        return Placement(round_, dict.fromkeys(replica.devices, ()))

    def _leaf(self, leaf, node):
        arrivals = [
            seq(
                Delay(self.gap * (client + 1)),
                Transfer("clients", node, UPDATE),
                Compute(node, self._hop(), name=f"in {leaf} {client}"),
                *([Compute(node, ADD, name=f"add {leaf} {client}", after=_after(leaf, client))] if self.eager else []),
            )
            for client in range(FAN_IN)
        ]
        return seq(par(*arrivals), *([] if self.eager else [Compute(node, ADD)] * FAN_IN))

    def _collected(self, node, inputs):
        """A middle or top: asked for, started, its inputs handed over and added."""
        return [Delay(self.cold), *[Compute(node, self._hop() + ADD)] * inputs]

    def _hop(self):
        return Work.of("copy", "fp32", 0.0, activations=2 * UPDATE * self.copies)


@pytest.fixture(autouse=True)
def named():
    """The tree by a name, for as long as a test."""
    with registered("partitioning", "aggregation_tree", AggregationTree):
        yield


def _after(leaf, client):
    return (Prev(f"add {leaf} {client - 1}"),) if client else ()


def scenario(tree):
    """Four nodes on 10 Gbit/s; clients reach them over a wide link. A round is one job of the service."""
    return Scenario.of(
        {
            "name": "lifl",
            "run": {"window": "1 s", "drain": "1 h"},
            "cluster": {
                "devices": {"node": {"device": "xeon_gold_6154", "count": NODES}},
                "switches": ["lan"],
                "nodes": ["clients"],
                "links": [
                    {"name": "nic", "bandwidth": "10 Gbit/s", "latency": "50 us", "between": ["lan", "node"]},
                    {"name": "wan", "bandwidth": "1 Tbit/s", "latency": "10 ms", "between": ["clients", "lan"]},
                ],
            },
            "services": {
                "round": {
                    "model": "resnet-18",
                    "format": "fp32",
                    "batching": {"policy": "static", "size": 1},
                    "replicas": [{"name": "tree", "devices": ["node"], "partitioning": tree}],
                }
            },
            "workloads": {"start": {"service": "round", "arrivals": {"process": "replay", "at": [0.0]}, "lengths": "one_shot", "bytes": 0}},
        }
    )


def ran(tree):
    """Seconds of the round, CPU-seconds of all nodes, and bytes that nodes sent."""
    result = simulate(scenario(tree))
    cpu = result.resources[result.resources.kind == "engine"].busy_s.sum()
    sent = result.links[result.links.resource.str.startswith("nic")]
    return result.jobs.e2e_s.iloc[0], cpu, sent.amount.sum()


def seconds(work):
    """What it takes on the CPU of a node."""
    return price(work, build_cluster(scenario(AggregationTree())).devices["node0"]).seconds


def copies(number):
    """Seconds of so many copies of an update."""
    return seconds(Work.of("copy", "fp32", 0.0, activations=2 * UPDATE * number))


def test_the_last_update_s_way_through_the_tree():
    """A round ends when the last update (at 4 s, after 10 ms, 50 us and 232 MB at 1.25 GB/s, which its node's four leaves share) has come:
    the four are copied and added one after another; the middle hands over and adds four, the top one."""
    took, _, _ = ran(AggregationTree())
    arrived = FAN_IN + 10e-3 + 50e-6 + LEAVES * UPDATE / 1.25e9
    assert took == pytest.approx(arrived + (2 * LEAVES + 1) * (copies(1) + seconds(ADD)), rel=1e-3)


def test_cpu_seconds_are_adds_and_copies():
    """16 updates into leaves, 4 sums of leaves into the middle, 1 into the top: 21 hops, each with an add."""
    hops = LEAVES * FAN_IN + LEAVES + 1
    for number in (SHARED, SERVERFUL, SERVERLESS):
        _, cpu, _ = ran(AggregationTree(copies=number))
        assert cpu == pytest.approx(hops * (copies(number) + seconds(ADD)), rel=1e-3)


def test_shared_memory_before_serverful_before_serverless():
    """In time and in CPU."""
    rounds = [ran(AggregationTree(copies=number)) for number in (SHARED, SERVERFUL, SERVERLESS)]
    for figure in (0, 1):
        ordered = [each[figure] for each in rounds]
        assert ordered == sorted(ordered)
        assert ordered[0] < ordered[1] < ordered[2]


def test_reuse_saves_two_cold_starts():
    """A middle and a top aggregator that start when they are asked for, 2 s each, against leaves that take their places."""
    assert ran(AggregationTree(cold=2.0))[0] - ran(AggregationTree())[0] == pytest.approx(4.0, rel=1e-9)


def test_eager_leaves_one_add_for_the_end():
    """Updates a second apart, an add of 8 ms: when the last update of a leaf has come, an eager leaf has one add left, a lazy one four.
    On one node all four leaves' adds queue: 4 x 3 more."""
    lazy, eager = (ran(AggregationTree(eager=each)) for each in (False, True))
    assert lazy[0] - eager[0] == pytest.approx(LEAVES * (FAN_IN - 1) * seconds(ADD), rel=0.02)
    assert lazy[1] == pytest.approx(eager[1], rel=1e-9)


def test_nodes_are_filled_to_save_hops_between_them():
    """Leaves on four nodes: three sums of leaves cross from their node to the first, out of one NIC and into another, besides sixteen
    updates that come in. On one node none does."""
    packed, spread = ran(AggregationTree()), ran(AggregationTree(spread=True))
    assert packed[2] == pytest.approx(LEAVES * FAN_IN * UPDATE)
    assert spread[2] == pytest.approx((LEAVES * FAN_IN + 2 * (NODES - 1)) * UPDATE)
