"""Experts on storage: caches, predictions, and steps whose reads are cancelled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels import Attachment, Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link, ideal_storage
from edgewright.policies.compile import compile_plan
from edgewright.policies.experts import OnDemand, Prefetch
from edgewright.policies.experts.buffer import ExpertBuffer
from edgewright.policies.experts.cache import ExpertCache
from edgewright.policies.experts.prediction import Predictor
from edgewright.policies.families import Outcome, Program
from edgewright.policies.partitioning import DataParallel, Pipeline, Single, TensorParallel
from edgewright.policies.plan import Cancel, Compute, Detach, Join, Load
from edgewright.policies.residency import AllResident, Lru
from edgewright.policies.timeline import makespan
from edgewright.policies.views import ReplicaSpec
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Format, Step, Stream, zoo
from edgewright.workloads.moe import MoeShape
from edgewright.workloads.routing_stats import RoutingProcess
from edgewright.workloads.transformer import AttentionShape, LayerShape, TransformerShape, transformer

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per weight and per activation."""

STREAM = Stream(1, "test")
EXPERT = 384.0
"""Bytes of an expert: 3 * 8 * 16 parameters."""


def moe(layers=2, count=4, top_k=1):
    """A decoder of 8 hidden numbers."""
    layer = LayerShape(AttentionShape(heads=2, kv_heads=2, head_dim=4), MoeShape(width=16, count=count, top_k=top_k))
    return transformer(
        TransformerShape(name=f"moe{layers}-{count}-{top_k}", hidden=8, vocab=10, layers=(layer,) * layers, tied=False, norm=8)
    )


def spec(devices=1, read=EXPERT, flops=1e12):
    """Devices whose disks read one expert per second."""
    names = tuple(f"d{i}" for i in range(devices))
    links = tuple(Connection(f"to-{name}", (name, "switch"), ideal_link(1e9)) for name in names)
    disks = tuple(Attachment("disk", name, ideal_storage(read)) for name in names)
    return ReplicaSpec("chat.edge", names, Cluster({name: ideal_device(flops) for name in names}, ("switch",), links, disks), BYTE)


def bound(agent, routes, contexts=(5,)):
    """A decode step with the outcomes of its routes."""
    plain = Step.of(decode=contexts)
    return Step(decode=plain.decode, emits=plain.emits, full=plain.full, outcomes=agent.bind(np.array(routes)))


# -- the cache -----------------------------------------------------------------------------------------------------------------------


def test_the_cache_forgets_the_least_recently_used():
    """Two slots: 0, 1, 0 again, then 2 drives out 1."""
    cache = ExpertCache(2)
    assert [cache.use([0]), cache.use([1]), cache.use([0]), cache.use([2]), cache.use([0]), cache.use([1])] == [[0], [1], [], [2], [], [1]]


def test_experts_of_one_step_do_not_drive_each_other_out_before_use():
    """0 is there when 0, 1, 2 are wanted at once; of two slots the last two stay."""
    cache = ExpertCache(2, held=[0])
    assert cache.use([0, 1, 2]) == [1, 2]
    assert cache.held == (1, 2)


@given(slots=st.integers(0, 5), uses=st.lists(st.sets(st.integers(0, 7), min_size=1, max_size=4), max_size=20))
def test_more_slots_never_miss_more(slots, uses):
    """LRU has the inclusion property (Mattson et al., IBM Systems Journal 9(2), 1970), also by sets."""
    small, large = ExpertCache(slots), ExpertCache(slots + 1)
    for wanted in uses:
        needed = sorted(wanted)
        assert set(large.use(needed)) <= set(small.use(needed))
        assert len(small.held) <= slots


# -- on demand -----------------------------------------------------------------------------------------------------------------------


def test_missing_experts_are_read_before_their_layer():
    """Embedding and attention; read, experts and attention; read, experts and head. Two reads of one expert: 2 s."""
    model, replica = moe(), spec()
    policy = OnDemand(slots=1)
    placement = policy.arrange(model, Single().plan(model, replica), replica)
    ops = compile_plan(placement.program).strands[0].ops
    assert [(type(op).__name__, getattr(getattr(op, "work", None), "start", None)) for op in ops] == [
        ("Compute", 0),
        ("Load", None),
        ("Compute", 2),
        ("Load", None),
        ("Compute", 4),
        ("Mark", None),
    ]
    agent = policy.start("s", STREAM, model, replica)
    cold, warm = bound(agent, [[[3]], [[0]]]), bound(agent, [[[3]], [[1]]])
    assert makespan(placement.program, replica.cluster, cold) == pytest.approx(2.0, rel=1e-6)
    assert makespan(placement.program, replica.cluster, warm) == pytest.approx(1.0, rel=1e-6)
    assert (agent.hits, agent.misses) == (1, 3)


def test_what_is_resident_is_all_but_the_idle_experts():
    """4 experts per layer in 2 layers, one slot each: 2 * 3 experts less than everything."""
    model, replica = moe(), spec()
    placement = OnDemand(slots=1).arrange(model, Single().plan(model, replica), replica)
    assert placement.resident == {"d0": model.weight_bytes(BYTE) - 6 * EXPERT}
    assert placement.reads == ("d0",)


def test_bytes_for_experts_stand_in_for_slots():
    """2 layers of 384-byte experts: 1600 bytes are two per layer; 700 bytes are less than one."""
    model, replica = moe(), spec()
    placement = OnDemand(memory=1600.0).arrange(model, Single().plan(model, replica), replica)
    assert placement.resident == {"d0": model.weight_bytes(BYTE) - 4 * EXPERT}
    with pytest.raises(ValueError, match="memory: 700 bytes are less than one expert per layer; accepted are 768 bytes"):
        OnDemand(memory=700.0).arrange(model, Single().plan(model, replica), replica)


def test_sharded_experts_are_read_in_shards_and_pipelined_ones_where_they_are():
    """Two devices: halves of the expert on both, or whole ones on the stage that has the layer."""
    model, replica = moe(), spec(2)
    agent = OnDemand(slots=0).start("s", STREAM, model, replica)
    step = bound(agent, [[[3]], [[0]]])

    def reads(partitioning):
        placement = OnDemand(slots=0).arrange(model, partitioning.plan(model, replica), replica)
        ops = [op for op in compile_plan(placement.program).strands[0].ops if isinstance(op, Load)]
        return [(op.device, op.nbytes(step)) for op in ops]

    half = EXPERT / 2
    assert reads(TensorParallel()) == [("d0", half), ("d1", half)] * 2
    assert reads(Pipeline()) == [("d0", EXPERT), ("d1", EXPERT)]


def test_without_outcomes_misses_are_those_of_uniform_routing():
    """One of 4 experts, one in memory: 3/4 of an expert per layer and token."""
    model, replica = moe(), spec()
    placement = OnDemand(slots=1).arrange(model, Single().plan(model, replica), replica)
    assert makespan(placement.program, replica.cluster, Step.of(decode=[5])) == pytest.approx(2 * 0.75, rel=1e-6)


def test_misplaced_experts_are_refused():
    """A share of the tokens is not a layer of experts; a dense model has none."""
    model, replica = moe(), spec(2)
    with pytest.raises(ValueError, match="no whole or sharded layer of experts"):
        OnDemand().arrange(model, DataParallel().plan(model, replica), replica)
    dense, one = zoo.model("llama-3.2-1b"), spec()
    with pytest.raises(ValueError, match=r"llama-3\.2-1b has no experts"):
        OnDemand().arrange(dense, Single().plan(dense, one), one)


def test_residency_after_experts_is_all_resident():
    """What experts leave must fit; other residency policies would decide it twice."""
    model, replica = moe(), spec()
    placement = OnDemand(slots=1).arrange(model, Single().plan(model, replica), replica)
    assert AllResident().arrange(placement, replica).resident == placement.resident
    with pytest.raises(ValueError, match="accepted is 'all_resident'"):
        Lru().arrange(placement, replica)


@given(steps=st.integers(1, 8), batch=st.integers(1, 3), slots=st.integers(0, 4), seed=st.integers(0, 20), computed=st.integers(0, 8))
def test_a_run_of_steps_equals_its_steps_and_can_be_cut_short(steps, batch, slots, seed, computed):
    """Outcomes, counts and caches; after a cut the agent stands where it would have stood."""
    model, replica, computed = moe(top_k=2), spec(), min(computed, steps)
    routes = RoutingProcess(layers=2, experts=4, top_k=2, skew=1.0, seed=seed).routes(STREAM, steps * batch)
    together, apart = (OnDemand(slots=slots).start("s", STREAM, model, replica) for _ in range(2))
    empty = together.snapshot()
    block = together.bind_block(routes, steps)
    singles = [apart.bind(routes[:, step * batch : (step + 1) * batch]) for step in range(steps)]
    assert {key: values.tolist() for key, values in block.items()} == {key: [single[key] for single in singles] for key in block}
    assert together.snapshot() == apart.snapshot()
    together.restore(empty)
    apart.restore(empty)
    if computed:
        together.bind_block(routes[:, : computed * batch], computed)
    for step in range(computed):
        apart.bind(routes[:, step * batch : (step + 1) * batch])
    assert together.snapshot() == apart.snapshot()


# -- prediction ----------------------------------------------------------------------------------------------------------------------


def test_one_layer_back_and_two_layers_back_predict_differently():
    """Layer 2 wants the sum of the two before (mod 4): one layer back says little, two say all."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 4, (2, 400))
    routes = np.stack([first, second, (first + second) % 4])[:, :, None]
    short, long = Predictor(3, 4, 1), Predictor(3, 4, 2)
    short.learn(routes)
    long.learn(routes)
    before = [np.array([[1]]), np.array([[2]])]
    assert long.ranked(2, before)[0] == 3
    right = [
        sum(each.ranked(2, [np.array([[i]]), np.array([[j]])])[0] == (i + j) % 4 for i in range(4) for j in range(4))
        for each in (short, long)
    ]
    assert right[1] == 16
    assert right[0] <= 8


def test_what_was_never_seen_falls_back():
    """An unseen pair to the last layer, an unseen expert to the layer's popularity, and that to the order of numbers."""
    predictor = Predictor(3, 4, 2)
    assert predictor.ranked(0, []) == [0, 1, 2, 3]
    predictor.learn(np.array([[[0]], [[1]], [[3]]]))
    assert predictor.ranked(2, [np.array([[2]]), np.array([[1]])])[0] == 3
    assert predictor.ranked(2, [np.array([[2]]), np.array([[2]])])[0] == 3
    assert predictor.ranked(1, [np.array([[0]])])[0] == 1


def test_several_tokens_add_up_their_wishes():
    """Two tokens at expert 0 (then 1), one at expert 2 (then 3)."""
    predictor = Predictor(2, 4, 1)
    predictor.learn(np.array([[[0], [2]], [[1], [3]]]))
    assert predictor.ranked(1, [np.array([[0], [0], [2]])])[:2] == [1, 3]


# -- the buffer ----------------------------------------------------------------------------------------------------------------------


def test_the_buffer_drops_what_is_rare_and_far_ahead():
    """Four layers, at layer 1: layer 0 comes up last (D = 3), layer 2 next (D = 1); all used once: layer 0's goes."""
    buffer = ExpertBuffer(2, layers=4)
    for layer in (0, 2, 1):
        buffer.use(layer, [7])
    assert [(layer, 7) in buffer for layer in range(3)] == [False, True, True]


def test_frequent_experts_outlive_rare_ones_of_the_same_layer():
    """Layer 0 used expert 5 three times and expert 6 once; layer 1 needs a slot."""
    buffer = ExpertBuffer(2, layers=2)
    for expert in (5, 5, 5, 6):
        buffer.use(0, [expert])
    buffer.use(1, [0])
    assert ((0, 5) in buffer, (0, 6) in buffer, (1, 0) in buffer) == (True, False, True)


@given(slots=st.integers(0, 6), uses=st.lists(st.sets(st.integers(0, 5), min_size=1, max_size=4), max_size=24))
def test_the_buffer_never_exceeds_its_slots(slots, uses):
    """Layer after layer; what a layer uses stays while there is room."""
    buffer = ExpertBuffer(slots, layers=3)
    for turn, wanted in enumerate(uses):
        buffer.use(turn % 3, sorted(wanted))
        assert len(buffer) <= slots
        assert sum((turn % 3, expert) in buffer for expert in wanted) == min(slots, len(wanted))


# -- prefetch ------------------------------------------------------------------------------------------------------------------------


def segments(model, replica):
    """Seconds of the three dense-and-experts segments of a two-layer model at one token."""
    step = Step.of(decode=[5])
    agent = Prefetch().start("s", STREAM, model, replica)
    return [float(replica.cluster.compute("d0", agent._segment(index).work(step)).alone(replica.cluster.capacities)) for index in range(3)]


def run(agent, replica, routes):
    """The trace of one step of an agent's script."""
    step = bound(agent, routes)
    return run_plan(agent, replica.cluster, step=step, outcomes=lambda name: step.outcomes[name])


def learnt(model, replica, routes, **options):
    """An agent that has seen these routes before, and dropped all experts since."""
    agent = Prefetch(slots=0, **options).start("s", STREAM, model, replica)
    agent._predictor.learn(np.array(routes))
    return agent


SLOW = 700.0
"""FLOP/s at which a segment takes seconds, while an expert is read in one."""


def test_right_predictions_hide_the_reads():
    """Both experts predicted, each read in the 1 s while a longer segment computes: the step takes its compute alone."""
    model, replica = moe(), spec(flops=SLOW)
    routes = [[[2]], [[1]]]
    agent = learnt(model, replica, routes, depth=1)
    before = segments(model, replica)
    assert min(before[:2]) > 1.0, "the reads fit in the segments before their routers"
    assert run(agent, replica, routes).tokens == pytest.approx([sum(before)])
    assert (agent.hits, agent.misses, agent.wasted) == (2, 0, 0)


def test_a_prediction_that_is_late_is_waited_for():
    """Reads of 4 s: each layer starts when its expert is there, the second read when the first has ended."""
    model, replica = moe(), spec(read=EXPERT / 4, flops=SLOW)
    routes = [[[2]], [[1]]]
    first, second, third = segments(model, replica)
    assert max(first, second) < 4.0
    assert run(learnt(model, replica, routes, depth=1), replica, routes).tokens == pytest.approx([4.0 + 4.0 + third])


def test_a_wrong_prediction_is_cancelled_and_the_right_expert_read():
    """Expert 2 is being read when the router of layer 0 asks for 3: cancelled part of the way, and 4 s for the right one."""
    model, replica = moe(), spec(read=EXPERT / 4, flops=SLOW)
    agent = learnt(model, replica, [[[2]], [[1]]], depth=1)
    first, _, third = segments(model, replica)
    trace = run(agent, replica, [[[3]], [[1]]])
    assert trace.tokens == pytest.approx([first + 4.0 + 4.0 + third])
    assert [fraction for _, fraction in trace.cancelled] == pytest.approx([first / 4.0])
    assert (agent.hits, agent.misses, agent.wasted) == (1, 1, 1)


def test_reads_ahead_queue_and_a_cancelled_one_makes_way():
    """Predicted 0 then 2, 4 s each; only 2 is wanted: 0 is cancelled at the router and 2 begins then."""
    model, replica = moe(), spec(read=EXPERT / 4, flops=SLOW)
    agent = learnt(model, replica, [[[0], [0], [2]], [[1], [1], [1]]], depth=2)
    first, second, third = segments(model, replica)
    trace = run(agent, replica, [[[2]], [[1]]])
    starts = [each.start for each in trace.operations if each.kind == "load"]
    assert starts[0] == pytest.approx(first)
    assert trace.tokens == pytest.approx([first + 4.0 + 4.0 + third])
    assert second < 4.0


def test_experts_in_the_buffer_are_neither_read_nor_predicted():
    """The same token again: everything is there."""
    model, replica = moe(), spec(flops=SLOW)
    agent = Prefetch(slots=2, depth=1).start("s", STREAM, model, replica)
    routes = [[[2]], [[1]]]
    run(agent, replica, routes)
    trace = run(agent, replica, routes)
    assert trace.tokens == pytest.approx([sum(segments(model, replica))])
    assert agent.hits >= 2


def test_scripts_see_a_layers_routes_only_when_its_router_has_decided():
    """Driven by hand: the first plan names nothing of the routes; each reveal is asked of the segment before its layer."""
    model, replica = moe(), spec()
    agent = Prefetch(depth=0).start("s", STREAM, model, replica)
    script = agent.step(Step.of(decode=[5]))
    plan = next(script)
    assert [op.reveals for op in compile_plan(plan).strands[0].ops if isinstance(op, Compute)] == ["moe0.routes"]
    plan = script.send(Outcome({"moe0.routes": np.array([[3]])}, 0.0, 1.0))
    assert [type(op).__name__ for op in compile_plan(plan).strands[0].ops] == ["Load", "Compute"]
    plan = script.send(Outcome({"moe1.routes": np.array([[0]])}, 1.0, 2.0))
    assert [type(op).__name__ for op in compile_plan(plan).strands[0].ops] == ["Load", "Compute", "Mark"]
    with pytest.raises(StopIteration):
        script.send(Outcome({}, 2.0, 3.0))


def test_an_untrained_agent_learns_from_what_it_serves():
    """The same routes served three times: the first time nothing is known, then both experts are predicted."""
    model, replica = moe(), spec(flops=SLOW)
    agent = Prefetch(slots=0, depth=1).start("s", STREAM, model, replica)
    routes = [[[2]], [[1]]]
    run(agent, replica, routes)
    assert agent.misses == 2
    run(agent, replica, routes)
    assert (agent.hits, agent.misses) == (2, 2)


def test_a_profile_predicts_from_the_first_token():
    """A router of affinity 1: most experts of the second layer are predicted, none of the run's tokens having been seen."""
    model, replica = moe(count=8), spec(flops=SLOW)
    process = RoutingProcess(layers=2, experts=8, top_k=1, affinity=1.0)
    agent = Prefetch(slots=0, depth=1, profile=process, profile_tokens=500).start("s", STREAM, model, replica)
    routes = process.routes(STREAM, 20)
    for token in range(20):
        run(agent, replica, routes[:, token : token + 1])
    assert agent.hits >= 20


def test_prefetch_says_what_it_keeps_and_where_it_reads():
    """2 layers of 4 experts: 3 in the buffer and 2 being read leave 3 of 8 on storage."""
    model, replica = moe(), spec()
    placement = Prefetch(slots=3, depth=2).arrange(model, Single().plan(model, replica), replica)
    assert placement.resident == {"d0": model.weight_bytes(BYTE) - 3 * EXPERT}
    assert placement.reads == ("d0",)
    assert not isinstance(placement.program, Program)
    assert isinstance(Prefetch().start("s", STREAM, model, replica), Program)


def test_narrow_experts_are_dealt_out_and_read_in_their_own_width():
    """2, 4 and 8 bits in turn over four experts, one place on in the second layer: of 384 weights, expert 1 of layer 0 takes 4 bits,
    expert 1 of layer 1 takes 8: 192 + 384 bytes, read at 384 B/s beside no compute to speak of."""
    model, replica = moe(), spec()
    policy = Prefetch(slots=0, depth=0, bits=(2, 4, 8))
    agent = policy.start("s", STREAM, model, replica)
    assert run(agent, replica, [[[1]], [[1]]]).tokens == pytest.approx([0.5 + 1.0], rel=1e-6)
    widths = [[policy.expert_bytes(layer, expert, model.experts, BYTE) / EXPERT * 8 for expert in range(4)] for layer in range(2)]
    assert widths == [[2, 4, 8, 2], [4, 8, 2, 4]]
    with pytest.raises(ValueError, match="accepted are 1 to 32 bits"):
        Prefetch(bits=(0.5,))


def test_narrow_experts_in_memory_and_one_in_full_width():
    """Of 8 experts, 3 in the buffer and 1 being read at 4 bits, and the one in use at 8."""
    model, replica = moe(), spec()
    placement = Prefetch(slots=3, depth=1, bits=(4,)).arrange(model, Single().plan(model, replica), replica)
    assert placement.resident == {"d0": model.weight_bytes(BYTE) - 8 * EXPERT + 4 * EXPERT / 2 + EXPERT}


def test_prefetch_wants_the_whole_model_on_one_device():
    """Not a pipeline."""
    model, replica = moe(), spec(2)
    with pytest.raises(ValueError, match="accepted is partitioning 'single'"):
        Prefetch().arrange(model, Pipeline().plan(model, replica), replica)


def test_reads_ahead_are_detached_one_behind_the_other():
    """The second read joins the first."""
    model, replica = moe(), spec()
    agent = learnt(model, replica, [[[0], [2]], [[1], [1]]], depth=2)
    plans = agent._reads_ahead(0, [0, 2])
    assert [type(plan) for plan in plans] == [Detach, Detach]
    assert plans[1].child.children[0] == Join(plans[0].name)
    waits, reads = agent._settle(0, [2], [0, 2])
    assert waits == [Cancel(plans[0].name), Join(plans[1].name)]
    assert reads == []
