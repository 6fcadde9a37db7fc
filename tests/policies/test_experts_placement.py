"""Experts over devices: who holds what, what crosses, what it costs."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import compile_plan
from edgewright.policies.experts import Affinity, Popularity, Prefetch, Resident, RoundRobin, profiled
from edgewright.policies.experts.crossing import crossings, exact_table, flows, staged_table, swept_table, transition_counts
from edgewright.policies.experts.layout import Layout, quotas
from edgewright.policies.experts.parallel import ParallelAgent
from edgewright.policies.experts.popularity import balanced_table
from edgewright.policies.partitioning import DataParallel, TensorParallel
from edgewright.policies.plan import Collective, Compute
from edgewright.policies.timeline import makespan
from edgewright.policies.views import ReplicaSpec
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Format, Step, Stream
from edgewright.workloads.moe import MoeShape
from edgewright.workloads.routing_stats import RoutingProcess
from edgewright.workloads.transformer import AttentionShape, FfnShape, LayerShape, TransformerShape, transformer

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per weight and per activation."""

STREAM = Stream(1, "test")


def moe(layers=2, count=4, top_k=1, dense_first=False):
    """A decoder of 8 hidden numbers; experts of 3 * 8 * 16 = 384 parameters."""
    attention = AttentionShape(heads=2, kv_heads=2, head_dim=4)
    rows = [LayerShape(attention, MoeShape(width=16, count=count, top_k=top_k))] * layers
    if dense_first:
        rows = [LayerShape(attention, FfnShape(width=16)), *rows]
    return transformer(TransformerShape(name=f"moe{layers}-{count}-{top_k}", hidden=8, vocab=10, layers=tuple(rows), tied=False, norm=8))


def spec(devices=2, link=1e4):
    """Devices of 1 kFLOP/s behind a switch."""
    names = tuple(f"d{i}" for i in range(devices))
    links = tuple(Connection(f"to-{name}", (name, "switch"), ideal_link(link)) for name in names)
    return ReplicaSpec("chat.edge", names, Cluster({name: ideal_device(1e3) for name in names}, ("switch",), links), BYTE)


def arranged(policy, model, replica):
    """The policy on a data-parallel placement."""
    return policy.arrange(model, DataParallel().plan(model, replica), replica)


def agent_of(ranks, model, coherent=False):
    """An agent on two devices for a given table."""
    return ParallelAgent(model, Layout(("d0", "d1"), ranks), coherent)


# -- tables --------------------------------------------------------------------------------------------------------------------------


@given(experts=st.integers(1, 40), devices=st.integers(1, 9))
def test_quotas_are_even_and_complete(experts, devices):
    """They differ by one at most."""
    found = quotas(experts, devices)
    assert sum(found) == experts
    assert max(found) - min(found) <= 1


def test_popularity_balances_by_longest_first():
    """Loads 8, 5, 4, 3 over two devices of two experts: 8 + 3 and 5 + 4."""
    assert balanced_table(np.array([[8.0, 5.0, 4.0, 3.0]]), 2).tolist() == [[0, 1, 1, 0]]


@given(loads=st.lists(st.integers(0, 50), min_size=2, max_size=12), devices=st.integers(1, 4))
def test_popularity_keeps_the_quotas(loads, devices):
    """As many experts on every device as with round robin, whatever the loads."""
    table = balanced_table(np.array([loads], dtype=float), devices)
    assert sorted(np.bincount(table[0], minlength=devices).tolist()) == sorted(quotas(len(loads), devices))


def best_crossings(counts, devices):
    """The least crossings over all placements that keep the quotas."""
    experts = counts.shape[1]
    rows = sorted(set(permutations(np.repeat(np.arange(devices), quotas(experts, devices)).tolist())))
    return min(crossings(counts, np.array(table)) for table in product(rows, repeat=len(counts) + 1))


@settings(max_examples=25)
@given(data=st.data(), experts=st.sampled_from([2, 3, 4]), layers=st.integers(2, 3))
def test_the_integer_program_is_optimal(data, experts, layers):
    """Against all placements of up to 4 experts in 3 layers on 2 devices."""
    cell = st.integers(0, 9)
    counts = np.array(data.draw(st.lists(cell, min_size=(layers - 1) * experts**2, max_size=(layers - 1) * experts**2)), dtype=float)
    counts = counts.reshape(layers - 1, experts, experts)
    table = exact_table(counts, 2, node_limit=1000)
    assert table is not None
    assert [sorted(np.bincount(row, minlength=2).tolist()) for row in table] == [sorted(quotas(experts, 2))] * layers
    least = best_crossings(counts, 2)
    assert crossings(counts, table) == pytest.approx(least)
    assert crossings(counts, swept_table(counts, 2)) >= least


def test_sweeps_follow_a_permutation_that_round_robin_breaks():
    """Expert e is followed by e + 1 mod 4: round robin over 2 devices always crosses, sweeps never do."""
    follow = np.roll(np.eye(4), 1, axis=1)[None] * 10.0
    assert crossings(follow, np.array([[0, 1, 0, 1]] * 2)) == 40.0
    assert crossings(follow, swept_table(follow, 2)) == 0.0


def test_stages_keep_tokens_on_nodes_first():
    """Four experts in a ring of followers, 3 of 4 tokens to the same number and 1 to the next: pairs of numbers on a node, and each number
    on a device of its own in all layers. Of 16 tokens, 4 change device and 2 of them the node."""
    counts = np.array([3.0 * np.eye(4) + np.roll(np.eye(4), 1, axis=1)])
    nodes = ((0, 2), (1, 3))
    table = staged_table(counts, nodes, lambda each, devices: exact_table(each, devices, 1000))
    node = np.isin(table, nodes[1]).astype(int)
    assert (crossings(counts, table), crossings(counts, node)) == (4.0, 2.0)
    assert sorted(table[0].tolist()) == [0, 1, 2, 3]


def test_flows_say_who_sends_how_much_to_whom():
    """Two layers of two experts on two devices, expert by device. First layer: tokens from both alike, 3 of 4 to device 0, so three of four
    vectors that cross go there. Then 2 tokens go from 0 to 1 and 1 from 1 to 0."""
    counts = np.array([[[4.0, 2.0], [1.0, 1.0]]])
    found = flows(counts, np.array([[0, 1], [0, 1]]), 2)
    assert found[0] == pytest.approx(np.array([[0.0, 0.25], [0.75, 0.0]]))
    assert found[1] == pytest.approx(np.array([[0.0, 2 / 3], [1 / 3, 0.0]]))
    assert flows(np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([[0, 1], [0, 1]]), 2)[1] == pytest.approx(
        np.array([[0.0, 0.5], [0.5, 0.0]])
    )


def test_uneven_all_to_alls_send_as_many_bytes():
    """With the shares of the profile as without: every vector that crossed once over each of two links, and the ids of the new tokens."""
    model, replica = moe(), spec(3)
    policy = Affinity(profile=RoutingProcess(layers=2, experts=4, top_k=1, affinity=0.9), gather_cache=False)
    plan, agent = arranged(policy, model, replica).program, policy.start("chat.edge", STREAM, model, replica)
    outcomes = agent.bind(RoutingProcess(layers=2, experts=4, top_k=1, affinity=0.9).routes(STREAM, 50))
    trace = run_plan(plan, replica.cluster, step=Step(decode=50, emits=50, full=Step.of(decode=[9] * 50).full, outcomes=outcomes))
    ids = 2 * 50 * 2 * 4.0
    sent = sum(each.sent for each in trace.machine.traffic.values())
    assert sent - ids == pytest.approx(2 * 8 * sum(outcomes[f"moe{layer}.dispatch"] for layer in (0, 1)))


def test_transitions_are_counted_from_the_first_expert_to_all_that_follow():
    """Two tokens: (0 then 1, 2) and (3 then 2, 0)."""
    counts = transition_counts(np.array([[[0, 1], [3, 1]], [[1, 2], [2, 0]]]), 4)
    assert np.argwhere(counts[0]).tolist() == [[0, 1], [0, 2], [3, 0], [3, 2]]


# -- what crosses --------------------------------------------------------------------------------------------------------------------


def test_an_agent_counts_rows_experts_and_crossings_by_hand():
    """Tokens 0 (home d0) and 1 (home d1); experts 0, 1 on d0 and 2, 3 on d1; top-1 in two layers.

    Layer 0: token 0 goes to expert 2 (crosses), token 1 to expert 3 (stays). Layer 1: both to expert 0; token 1 crosses.
    """
    outcomes = agent_of(((0, 0, 1, 1),) * 2, moe()).bind(np.array([[[2], [3]], [[0], [0]]]))
    assert {key: outcomes[f"moe0.{key}"] for key in ("d0.rows", "d1.rows", "d1.distinct", "distinct", "dispatch", "combine")} == {
        "d0.rows": 0.0,
        "d1.rows": 2.0,
        "d1.distinct": 2.0,
        "distinct": 2.0,
        "dispatch": 1.0,
        "combine": 1.0,
    }
    assert (outcomes["moe1.d0.rows"], outcomes["moe1.d0.distinct"], outcomes["moe1.dispatch"]) == (2.0, 1.0, 1.0)


def test_coherent_tokens_go_on_where_their_expert_was():
    """The same routes: after layer 0 both tokens are on d1, so both cross to expert 0; nothing comes back."""
    outcomes = agent_of(((0, 0, 1, 1),) * 2, moe(), coherent=True).bind(np.array([[[2], [3]], [[0], [0]]]))
    assert [outcomes[f"moe{layer}.dispatch"] for layer in (0, 1)] == [1.0, 2.0]
    assert [outcomes[f"moe{layer}.combine"] for layer in (0, 1)] == [0.0, 0.0]


def test_a_vector_is_sent_once_to_a_device_that_holds_several_of_its_experts():
    """Top-2 at home d0: experts 2 and 3, both on d1: one vector there, one result back."""
    agent = agent_of(((0, 0, 1, 1),), moe(layers=1, top_k=2))
    outcomes = agent.bind(np.array([[[2, 3]]]))
    assert (outcomes["moe0.d1.rows"], outcomes["moe0.dispatch"], outcomes["moe0.combine"]) == (2.0, 1.0, 1.0)
    assert (agent.local, agent.crossed, agent.hits, agent.misses) == (0, 1, 2, 0)


@pytest.mark.parametrize("coherent", [False, True])
@given(data=st.data(), steps=st.integers(1, 5), batch=st.integers(1, 4))
def test_a_run_of_steps_equals_its_steps(coherent, data, steps, batch):
    """Arrays of `bind_block` are those of `bind`, one after another; so are the counts, also after going back."""
    routes = RoutingProcess(layers=2, experts=4, top_k=2, skew=1.0, seed=data.draw(st.integers(0, 9))).routes(STREAM, steps * batch)
    ranks = ((0, 0, 1, 1), (0, 1, 1, 0))
    together, apart = agent_of(ranks, moe(top_k=2), coherent), agent_of(ranks, moe(top_k=2), coherent)
    before = together.snapshot()
    block = together.bind_block(routes, steps)
    singles = [apart.bind(routes[:, step * batch : (step + 1) * batch]) for step in range(steps)]
    assert {key: values.tolist() for key, values in block.items()} == {key: [single[key] for single in singles] for key in block}
    assert together.snapshot() == apart.snapshot()
    together.restore(before)
    assert together.snapshot() == before


@pytest.mark.parametrize(
    ("routes", "steps", "message"),
    [
        (np.zeros((3, 1, 1), int), 1, r"layers = 2"),
        (np.full((2, 1, 1), 4), 1, "and there are 4"),
        (np.zeros((2, 3, 1), int), 2, "3 tokens do not divide into 2 steps"),
    ],
)
def test_wrong_routes_are_refused(routes, steps, message):
    """Layers, experts and steps that do not agree with the model."""
    with pytest.raises(ValueError, match=message):
        agent_of(((0, 0, 1, 1),) * 2, moe()).bind_block(routes, steps)


# -- plans ---------------------------------------------------------------------------------------------------------------------------


def test_the_plan_alternates_shares_all_to_alls_and_experts():
    """A dense first layer, then two of experts: three dense segments."""
    plan = arranged(RoundRobin(), moe(dense_first=True), spec()).program
    kinds = [type(child).__name__ for child in plan.children]
    assert kinds == [*["Par", "Collective", "Par", "Collective"] * 2, "Par", "Mark"]
    assert {child.kind for child in plan.children if isinstance(child, Collective)} == {"alltoall"}


def test_a_coherent_plan_sends_nothing_back_but_gathers():
    """Top-1: one all-to-all per layer, one all-gather of ids, keys and values: 4 + 2 layers * 2 * 8 bytes per token."""
    plan = arranged(RoundRobin(coherent=True), moe(), spec()).program
    collectives = [child for child in plan.children if isinstance(child, Collective)]
    assert [op.kind for op in collectives] == ["alltoall", "alltoall", "allgather"]
    assert collectives[-1].nbytes(Step.of(decode=[5] * 3)) == 3 * (4.0 + 2 * 2 * 8)
    uncounted = arranged(RoundRobin(coherent=True, gather_cache=False), moe(), spec()).program
    assert uncounted.children[-2].nbytes(Step.of(decode=[5] * 3)) == 3 * 4.0


def test_memory_holds_dense_layers_everywhere_and_each_expert_once():
    """Over both devices: twice the dense weights and all 2 * 4 experts of 384 bytes."""
    model, replica = moe(), spec()
    resident = arranged(RoundRobin(), model, replica).resident
    experts = 2 * 4 * 384.0
    assert sum(resident.values()) == pytest.approx(2 * (model.weight_bytes(BYTE) - experts) + experts)


def test_the_work_of_a_step_is_that_of_the_model():
    """FLOPs of products over all devices, with the routes of the step, against the whole model's."""
    model, replica = moe(top_k=2), spec()
    plan = arranged(RoundRobin(), model, replica).program
    agent = RoundRobin().start("chat.edge", STREAM, model, replica)
    routes = RoutingProcess(layers=2, experts=4, top_k=2).routes(STREAM, 6)
    step = Step(decode=6, emits=6, full=Step.of(decode=[9] * 6).full, outcomes=agent.bind(routes))
    asked = [op.work(step) for strand in compile_plan(plan).strands for op in strand.ops if isinstance(op, Compute)]
    kernels = ("gemm", "gemv", "attention_decode")
    flops = sum(float(term.flops) for work in asked for term in work if term.kernel in kernels)
    assert flops == pytest.approx(sum(float(term.flops) for term in model.part(BYTE)(step) if term.kernel in kernels))


def test_bytes_on_the_links_are_the_vectors_that_crossed():
    """Every vector of 8 bytes crosses two links, from its device to the switch and on."""
    model, replica = moe(top_k=2), spec(3)
    policy = RoundRobin()
    plan, agent = arranged(policy, model, replica).program, policy.start("chat.edge", STREAM, model, replica)
    outcomes = agent.bind(RoutingProcess(layers=2, experts=4, top_k=2).routes(STREAM, 5))
    step = Step(decode=5, emits=5, full=Step.of(decode=[9] * 5).full, outcomes=outcomes)
    trace = run_plan(plan, replica.cluster, step=step)
    vectors = sum(outcomes[f"moe{layer}.{way}"] for layer in (0, 1) for way in ("dispatch", "combine"))
    assert vectors > 0
    assert sum(each.sent for each in trace.machine.traffic.values()) == pytest.approx(2 * 8 * vectors)
    assert trace.tokens == pytest.approx([makespan(plan, replica.cluster, step)], rel=1e-9)


def test_without_outcomes_amounts_are_those_of_uniform_routing():
    """Top-1, 8 experts on 2 devices: half of the tokens' vectors of 8 bytes cross; 20 000 routes come within 2 % of that."""
    model, replica = moe(count=8), spec()
    plan, agent = arranged(RoundRobin(), model, replica).program, RoundRobin().start("s", STREAM, model, replica)
    first = next(child for child in plan.children if isinstance(child, Collective))
    routes = RoutingProcess(layers=2, experts=8, top_k=1).routes(STREAM, 20_000)
    assert first.nbytes(Step(decode=20_000)) == pytest.approx(20_000 * 0.5 * 8)
    assert first.nbytes(Step(decode=20_000, outcomes=agent.bind(routes))) == pytest.approx(20_000 * 0.5 * 8, rel=0.02)


# -- policies ------------------------------------------------------------------------------------------------------------------------


def profile(**changes):
    """A router with affinity, of two layers and eight experts."""
    return RoutingProcess(**({"layers": 2, "experts": 8, "top_k": 1, "skew": 0.5, "affinity": 0.9} | changes))


def crossed(policy, model, replica):
    """Vectors that leave their device over 500 tokens of the run."""
    agent = policy.start("chat.edge", STREAM, model, replica)
    agent.bind(profile(layers=4).routes(Stream(7, "run"), 500))
    return agent.crossed


def test_affinity_lowers_traffic_on_tokens_that_it_has_not_seen():
    """Against round robin with the same coherent contexts: at most half the crossings at an affinity of 0.9."""
    model, replica = moe(layers=4, count=8), spec(4)
    affinity = Affinity(profile=profile(layers=4), profile_tokens=1000)
    assert crossed(affinity, model, replica) < 0.5 * crossed(RoundRobin(coherent=True), model, replica)


def test_affinity_takes_the_exact_placement_where_it_is_small():
    """A trap for single-layer moves: exact crossings are never above those of the sweeps."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        counts = rng.integers(0, 9, (2, 4, 4)).astype(float)
        exact = Affinity(exact_limit=1000).table(counts, 2)
        assert crossings(counts, exact) == pytest.approx(best_crossings(counts, 2))
        assert crossings(counts, Affinity(exact_limit=0).table(counts, 2)) >= crossings(counts, exact)


def test_popularity_evens_out_the_rows_of_a_skewed_router():
    """Zipf 1.2: the busiest of two devices gets nearer to half of the rows than with round robin."""
    model, replica = moe(count=8), spec()
    skewed = profile(skew=1.2, affinity=0.0)

    def busiest(policy):
        outcomes = policy.start("s", STREAM, model, replica).bind(skewed.routes(Stream(7, "run"), 2000))
        return max(outcomes[f"moe{layer}.d{rank}.rows"] for layer in (0, 1) for rank in (0, 1)) / 2000

    assert 0.5 <= busiest(Popularity(profile=skewed)) < busiest(RoundRobin())


@pytest.mark.parametrize("policy", [Popularity(), Affinity()])
def test_placements_by_profile_need_one(policy):
    """Neither guesses."""
    with pytest.raises(ValueError, match="accepted is `profile:`, a routing process"):
        arranged(policy, moe(), spec())


def test_a_service_lends_its_router_to_policies_that_need_a_profile():
    """Not to one that has its own, nor to those that do without."""
    own, other = profile(skew=2.0), profile()
    assert profiled(Affinity(), other).profile == other
    assert profiled(Popularity(profile=own), other).profile == own
    assert profiled(Prefetch(), other) == Prefetch()
    assert profiled(RoundRobin(), other) == RoundRobin()


def test_a_profile_of_another_model_is_refused():
    """Layers and experts must agree."""
    with pytest.raises(ValueError, match="the profile is of 2 layers of 8 experts, moe2-4-1 has 2 of 4"):
        arranged(Popularity(profile=profile()), moe(), spec())


@pytest.mark.parametrize("policy", [RoundRobin(), Popularity(profile=profile()), Affinity(profile=profile())])
def test_experts_need_shares_of_the_tokens(policy):
    """Tensor parallelism has no token of its own to send."""
    model, replica = moe(count=8), spec()
    with pytest.raises(ValueError, match="accepted is partitioning 'data_parallel'"):
        policy.arrange(model, TensorParallel().plan(model, replica), replica)


def test_resident_changes_nothing_and_counts_the_experts_touched():
    """Three distinct experts in layer 0, one in layer 1."""
    model, replica = moe(), spec()
    placement = TensorParallel().plan(model, replica)
    assert Resident().arrange(model, placement, replica) is placement
    agent = Resident().start("s", STREAM, model, replica)
    assert agent.bind(np.array([[[0], [1], [3]], [[2], [2], [2]]])) == {"moe0.distinct": 3.0, "moe1.distinct": 1.0}
    assert (agent.hits, agent.misses) == (4, 0)
