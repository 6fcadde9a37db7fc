"""Partitioning policies on tiny models: what runs where, what is sent, how long it takes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Connection
from edgewright.hwmodels.collectives import algorithms
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import compile_plan
from edgewright.policies.partitioning import Branches, DataParallel, Pipeline, Single, Split, TensorParallel
from edgewright.policies.partitioning.amounts import share_of
from edgewright.policies.partitioning.branches import chains
from edgewright.policies.plan import Collective, Compute, Mark, Par, Seq, Transfer
from edgewright.policies.timeline import makespan
from edgewright.policies.views import ReplicaSpec
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Block, Format, Model, Part, Step, zoo
from edgewright.workloads.model_operators import Linear

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per weight and per activation."""


def chain(*widths, generates=True):
    """A model of one matrix of `1 x width` per block: `2 * width` FLOP and `width` bytes each; one byte crosses each cut per row."""
    per = "tokens" if generates else "items"
    blocks = tuple(Block(f"b{i}", "ffn", i, (Linear("m", 1, width, per),), 1.0) for i, width in enumerate(widths))
    return Model(f"chain{widths}", blocks, 1, 1, generates, cuts=tuple(range(1, len(widths))))


def spec(*flops, memory=float("inf"), link=float("inf"), latency=0.0, budget=None):
    """A replica on devices `d0, d1, ...` of those FLOP/s behind one switch."""
    names = tuple(f"d{i}" for i in range(len(flops)))
    devices = {name: ideal_device(rate, memory=memory) for name, rate in zip(names, flops, strict=True)}
    links = tuple(Connection(f"to-{name}", (name, "switch"), ideal_link(link, latency)) for name in names)
    return ReplicaSpec("chat.edge", names, Cluster(devices, ("switch",), links), BYTE, budget)


TOKEN = Step.of(decode=[1])
"""One sequence decodes."""


def computes(plan):
    """Every compute of the plan."""
    return [op for strand in compile_plan(plan).strands for op in strand.ops if isinstance(op, Compute)]


# -- single --------------------------------------------------------------------------------------------------------------------------


def test_single_is_one_compute_and_the_token():
    """2 * (3 + 5) FLOP at 4 FLOP/s: 4 s."""
    placement = Single().plan(chain(3, 5), spec(4.0))
    assert [type(op) for op in placement.program.children] == [Compute, Mark]
    assert makespan(placement.program, spec(4.0).cluster, TOKEN) == pytest.approx(4.0)


def test_single_takes_an_engine_by_name_and_refuses_unknown_ones():
    """`cpu` is there, `npu` is not."""
    assert Single(engine="cpu").plan(chain(1), spec(1.0)).program.children[0].engine == "cpu"
    with pytest.raises(ValueError, match="npu"):
        Single(engine="npu").plan(chain(1), spec(1.0))


@pytest.mark.parametrize(("policy", "count"), [(Single(), 2), (Pipeline(), 1), (TensorParallel(), 1), (Split(), 3), (DataParallel(), 1)])
def test_wrong_numbers_of_devices_are_refused(policy, count):
    """The message names the replica, the policy and the devices."""
    with pytest.raises(ValueError, match=r"chat\.edge: partitioning .* device\(s\), not"):
        policy.plan(chain(1, 1, 1), spec(*[1.0] * count))


# -- pipeline ------------------------------------------------------------------------------------------------------------------------


def test_the_pipeline_cuts_where_the_slowest_stage_is_fastest():
    """Blocks of 2, 2, 2, 6 FLOP on 1 and 3 FLOP/s: [2] | [10] takes 2 and 10/3 s, [4] | [8] takes 4 s, [6] | [6] takes 6 s."""
    placement = Pipeline().plan(chain(1, 1, 1, 3), spec(1.0, 3.0))
    assert [(part.start, part.stop) for (part,) in placement.parts.values()] == [(0, 1), (1, 4)]
    assert placement.lanes == 2
    assert makespan(placement.program, spec(1.0, 3.0).cluster, TOKEN) == pytest.approx(2 + 10 / 3)


def test_a_pipeline_sends_activations_on_and_the_token_back():
    """1 B at the cut over two hops of 1 B/s (1 s, the hops at once), then the 4 B token back: 2 + 1 + 2 + 4 s."""
    replica = spec(1.0, 1.0, link=1.0)
    plan = Pipeline().plan(chain(1, 1), replica).program
    transfers = [(op.src, op.dst, op.nbytes(TOKEN)) for op in plan.children if isinstance(op, Transfer)]
    assert transfers == [("d0", "d1", 1.0), ("d1", "d0", 4.0)]
    assert makespan(plan, replica.cluster, TOKEN) == pytest.approx(9.0)


def test_memory_moves_the_cuts_and_refuses_what_fits_nowhere():
    """Widths 1, 1, 1, 3: the fast second device holds at most 4 bytes of the 5 that it would take; 2 bytes hold nothing."""
    placement = Pipeline().plan(chain(1, 1, 1, 3), spec(1.0, 3.0, memory=4.0))
    assert [(part.start, part.stop) for (part,) in placement.parts.values()] == [(0, 2), (2, 4)]
    with pytest.raises(ValueError, match="no cut of chain"):
        Pipeline().plan(chain(1, 1, 1, 3), spec(1.0, 3.0, memory=2.0))
    assert Pipeline(fit=False).plan(chain(1, 1, 1, 3), spec(1.0, 3.0, memory=2.0)).parts


def test_the_weight_budget_stands_in_for_memory():
    """A budget of 2 bytes on the second device leaves it the last block of 2 only."""
    placement = Pipeline().plan(chain(1, 1, 1, 2), spec(1.0, 9.0, budget={"d1": 2.0}))
    assert [(part.start, part.stop) for (part,) in placement.parts.values()] == [(0, 3), (3, 4)]


def test_more_devices_than_segments_are_refused():
    """Two blocks cannot be three stages."""
    with pytest.raises(ValueError, match="2 segments, too few for 3 stages"):
        Pipeline().plan(chain(1, 1), spec(1.0, 1.0, 1.0))


def test_stages_take_steps_in_order_and_overlap():
    """Stages of 2 s each: started together, tokens come at 4 and 6 s instead of 4 and 8 s."""
    from edgewright.simulator.interpreter import Scope
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.plan_runner import PlanRunner

    machine = Machine(spec(1.0, 1.0).cluster)
    runner = PlanRunner(Scope(machine, "lanes"), compile_plan(Pipeline().plan(chain(1, 1), spec(1.0, 1.0)).program))
    tokens = []
    for _ in range(2):
        runner.step(TOKEN, lambda: tokens.append(machine.env.now))
    machine.env.run()
    assert tokens == pytest.approx([4.0, 6.0])


def test_one_shot_models_make_pipelines_too():
    """Three items of 2 FLOP per block: 6 + 6 s."""
    replica = spec(1.0, 1.0)
    plan = Pipeline().plan(chain(1, 1, generates=False), replica).program
    assert makespan(plan, replica.cluster, Step(items=3)) == pytest.approx(12.0)


# -- split ---------------------------------------------------------------------------------------------------------------------------


def test_split_cuts_behind_the_layer_and_compresses_the_boundary():
    """2 of 3 layers on the first device; 1 B at ratio 0.5; the token of 4 B comes back whole."""
    replica = spec(1.0, 1.0, link=1.0)
    placement = Split(layer=2, ratio=0.5).plan(chain(1, 1, 1), replica)
    assert [(part.start, part.stop) for (part,) in placement.parts.values()] == [(0, 2), (2, 3)]
    assert [op.nbytes(TOKEN) for op in placement.program.children if isinstance(op, Transfer)] == [0.5, 4.0]


def test_split_chooses_the_cut_of_least_latency():
    """A remote device ten times as fast: cut early (2 + 0.8 s beats 4 + 0.6 s); a first block of few FLOP moves it no further."""
    placement = Split().plan(chain(1, 1, 3), spec(1.0, 10.0))
    assert placement.parts["d0"][0].stop == 1
    assert Split().plan(chain(1, 1, 3), spec(10.0, 1.0)).parts["d0"][0].stop == 2


def test_split_refuses_layers_that_are_not_there():
    """A message lists those that are."""
    with pytest.raises(ValueError, match="cannot be split at layer 7; accepted are 1, 2"):
        Split(layer=7).plan(chain(1, 1, 1), spec(1.0, 1.0))


def test_split_counts_layers_of_transformers():
    """Layer 5 of Llama-3.2-1B: embedding and ten sub-blocks before the cut."""
    replica = spec(1e12, 1e12)
    assert Split(layer=5).plan(zoo.model("llama-3.2-1b"), replica).parts["d0"][0].stop == 11


# -- tensor parallel -----------------------------------------------------------------------------------------------------------------


def tiny(heads=4, layers=2):
    """A decoder of few, narrow layers."""
    from edgewright.workloads.transformer import AttentionShape, FfnShape, LayerShape, TransformerShape, transformer

    layer = LayerShape(AttentionShape(heads=heads, kv_heads=2, head_dim=8), FfnShape(width=64))
    return transformer(TransformerShape(name="tiny", hidden=32, vocab=100, layers=(layer,) * layers, tied=False, norm=32))


def test_tensor_parallel_reduces_after_every_sub_block():
    """2 layers: embedding and broadcast at the root, 4 times (shards side by side, all-reduce), head at the root."""
    placement = TensorParallel(algorithm="star").plan(tiny(), spec(1.0, 1.0))
    kinds = [type(op).__name__ for op in placement.program.children]
    assert kinds == ["Compute", "Collective", *["Par", "Collective"] * 4, "Compute", "Mark"]
    collectives = [op for op in placement.program.children if isinstance(op, Collective)]
    assert [op.kind for op in collectives] == ["broadcast", *["allreduce"] * 4]
    assert {op.algorithm for op in collectives} == {"star"}
    assert {op.nbytes(Step.of(prefill=[(0, 3)])) for op in collectives} == {3 * 32.0}


def test_shards_add_up_to_the_model_and_the_root_has_the_rest():
    """FLOPs of products: twice the shards and the root's blocks once; each worker has 1/2 of the layers' matrices."""
    model, replica = tiny(), spec(1.0, 1.0)
    placement = TensorParallel().plan(model, replica)
    step = Step.of(prefill=[(0, 5)])
    asked = [term for op in computes(placement.program) for term in op.work(step) if term.kernel in ("gemm", "gemv", "attention")]
    whole = [term for term in model.part(BYTE)(step) if term.kernel in ("gemm", "gemv", "attention")]
    assert sum(term.flops for term in asked) == pytest.approx(sum(term.flops for term in whole))
    assert sum(part.kv_bytes_per_token for parts in placement.parts.values() for part in parts) == pytest.approx(
        model.kv_bytes_per_token(BYTE)
    )
    assert [(part.start, part.stop, part.shards) for part in placement.parts["d1"]] == [(1, 5, 2)]


@pytest.mark.parametrize("additions", [False, True])
@pytest.mark.parametrize("algorithm", algorithms("allreduce"))
def test_tensor_parallel_runs_under_contention_as_it_is_priced(algorithm, additions):
    """The interpreter and the timeline agree."""
    replica = spec(1e3, 1e3, link=50.0, latency=0.01)
    plan = TensorParallel(algorithm=algorithm, additions=additions).plan(tiny(), replica).program
    step = Step.of(decode=[7])
    assert run_plan(plan, replica.cluster, step=step).tokens == pytest.approx([makespan(plan, replica.cluster, step)], rel=1e-9)


def test_additions_are_computed_by_every_device_that_receives():
    """A ring of two: each adds half of the 32 bytes of a token after each of 4 all-reduces, 1 byte an element, 16 operations."""
    replica, step = spec(1e3, 1e3), Step.of(decode=[7])
    free, priced = (TensorParallel(additions=each).plan(tiny(), replica).program for each in (False, True))
    assert makespan(priced, replica.cluster, step) == pytest.approx(makespan(free, replica.cluster, step) + 4 * 16 / 1e3)


def test_heads_that_do_not_divide_are_refused():
    """4 heads over 3 devices."""
    with pytest.raises(ValueError, match=r"layer0.attention of tiny does not divide into 3 shards; accepted are 2, 4$"):
        TensorParallel().plan(tiny(), spec(1.0, 1.0, 1.0))


def test_the_accepted_shards_of_grouped_queries_are_listed():
    """12 query heads on 2 keys and values: 3 shards would cut a group apart, 2 take one each, 4 half of one, and 6 and 12 a part of one;
    but 6 and 12 do not divide the 8960 columns of the feed-forward."""
    model = zoo.model("qwen2.5-1.5b")
    with pytest.raises(ValueError, match=r"does not divide into 5 shards; accepted are 2, 4$"):
        TensorParallel().plan(model, spec(*(1.0,) * 5))


def test_models_without_shards_are_refused():
    """A chain has nothing to all-reduce."""
    with pytest.raises(ValueError, match="no block that can be sharded"):
        TensorParallel().plan(chain(1, 1), spec(1.0, 1.0))


# -- data parallel -------------------------------------------------------------------------------------------------------------------


def test_data_parallel_shares_out_the_sequences():
    """5 sequences over 2 devices: 3 and 2, at 2 FLOP each."""
    replica = spec(1.0, 1.0)
    plan = DataParallel().plan(chain(1), replica).program
    step = Step.of(decode=[1] * 5)
    assert [op.work(step).flops["fp32"] for op in computes(plan)] == [6.0, 4.0]
    assert makespan(plan, replica.cluster, step) == pytest.approx(6.0)
    assert not computes(plan)[1].work(TOKEN), "nothing for the second device to do"


@given(
    decode=st.lists(st.integers(1, 9000), max_size=9),
    prefill=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 3000)), max_size=3),
    devices=st.integers(1, 8),
)
def test_shares_of_a_step_add_up(decode, prefill, devices):
    """Counts exactly, attention sums to rounding."""
    step = Step.of(decode, prefill, windows=[512])
    shares = [share_of(step, rank, devices) for rank in range(devices)]
    for name in ("decode", "prefill", "emits", "items"):
        assert sum(getattr(share, name) for share in shares) == getattr(step, name)
    for window in (None, 512):
        for field in ("context", "pairs", "reads"):
            total = sum(getattr(share.attended(window), field) for share in shares)
            assert total == pytest.approx(getattr(step.attended(window), field))


# -- every policy --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [Pipeline(), Split(), TensorParallel(), Single()])
@pytest.mark.parametrize("name", ["llama-3.2-1b", "qwen3-0.6b", "vit-b-16", "olmoe-1b-7b"])
def test_every_block_is_computed_once_or_in_shards_that_add_up(policy, name):
    """Count each block's share of every compute."""
    model = zoo.model(name)
    replica = spec(*[1e12] * (1 if isinstance(policy, Single) else 2))
    share = dict.fromkeys(range(len(model.blocks)), 0.0)
    for op in computes(policy.plan(model, replica).program):
        assert isinstance(op.work, Part)
        for index in range(op.work.start, op.work.stop):
            share[index] += 1.0 / op.work.shards
    assert share == dict.fromkeys(range(len(model.blocks)), 1.0)


@pytest.mark.parametrize("policy", [Pipeline(), Split(), TensorParallel(), DataParallel()])
def test_plans_are_values_and_end_with_the_token(policy):
    """Planned twice, they are equal and hash alike."""
    first, second = (policy.plan(tiny(), spec(1.0, 1.0)).program for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert isinstance(first, Seq)
    assert first.children[-1] == Mark("token")
    assert all(not isinstance(child, Mark) for child in first.children[:-1])
    assert isinstance(first.children[0], Par | Compute)


# -- branches --------------------------------------------------------------------------------------------------------------------------


def forked(*widths, join=True):
    """One matrix of `1 x width` per chain, each on the input of 6 bytes, and one of `1 x 4` behind them all."""
    sides = [Block(f"b{i}", "ffn", i, (Linear("m", 1, width, "items"),), 2.0, inputs=(-1,)) for i, width in enumerate(widths)]
    last = [Block("join", "head", -1, (Linear("m", 1, 4, "items"),), 1.0, inputs=tuple(range(len(widths))))] if join else []
    return Model(f"forked{widths}", (*sides, *last), 0, 1, False, cuts=(), input=6.0, input_bytes=6.0)


ITEM = Step(items=1)


def test_chains_run_side_by_side_and_are_joined_at_the_root():
    """To both devices 6 B each over the root's link of 6 B/s: 2 s; 20 FLOP at 2 FLOP/s: 10 s; 2 B each back, both over the root's link:
    2/3 s; 8 FLOP of the join at 1 FLOP/s: 8 s."""
    replica = spec(1.0, 2.0, 2.0, link=6.0)
    placement = Branches().plan(forked(10, 10), replica)
    assert {device: [(part.start, part.stop) for part in parts] for device, parts in placement.parts.items()} == {
        "d1": [(0, 1)],
        "d2": [(1, 2)],
        "d0": [(2, 3)],
    }
    assert run_plan(placement.program, replica.cluster, step=ITEM).tokens == pytest.approx([2.0 + 10.0 + 2.0 / 3.0 + 8.0])


def test_the_larger_chains_go_first_and_each_to_the_device_that_ends_it_first():
    """Widths 8, 6, 4, 2 at 2 and 1 FLOP/s: 8 to d1 (8 s), 6 to d2 (12 s; d1 would end at 14), 4 to d1 (12 s), 2 to d1 (14 s; d2: 16)."""
    parts = Branches().plan(forked(8, 6, 4, 2), spec(1.0, 2.0, 1.0)).parts
    assert {device: sorted(part.start for part in held) for device, held in parts.items()} == {"d1": [0, 2, 3], "d2": [1], "d0": [4]}


def test_memory_bounds_what_a_device_takes():
    """8 B on d1 leave no room for 6 and 4 more; where nobody has room the policy refuses."""
    budget = {"d0": 99.0, "d1": 9.0, "d2": 10.0}
    parts = Branches().plan(forked(8, 6, 4), spec(1.0, 100.0, 1.0, budget=budget)).parts
    assert {device: sorted(part.start for part in held) for device, held in parts.items()} == {"d1": [0], "d2": [1, 2], "d0": [3]}
    with pytest.raises(ValueError, match="no device has room for a part of 4 bytes"):
        Branches().plan(forked(8, 6, 4), spec(1.0, 1.0, 1.0, budget=budget | {"d2": 9.0}))


def test_the_root_may_take_a_chain_too():
    """Nothing travels to it: 6 B to the other alone."""
    replica = spec(1.0, 1.0, link=6.0)
    placement = Branches(root_computes=True).plan(forked(10, 10), replica)
    assert sorted(placement.parts) == ["d0", "d1"]
    assert makespan(placement.program, replica.cluster, ITEM) == pytest.approx(1.0 + 20.0 + 1.0 / 3.0 + 8.0)


def test_one_chain_is_a_model_on_one_device():
    assert chains(chain(3, 5)) == (((0, 2),), 2)
    assert list(Branches().plan(chain(3, 5), spec(1.0, 1.0, 2.0)).parts) == ["d2"]


def test_chains_that_are_not_joined_at_their_ends_are_refused():
    with pytest.raises(ValueError, match="ends in 2 chains"):
        chains(forked(1, 1, join=False))
    early = forked(1, 1, 1)
    blocks = (*early.blocks[:-1], replace(early.blocks[-1], inputs=(0, 2)))
    with pytest.raises(ValueError, match="does not join the results of all"):
        chains(replace(early, blocks=blocks))
