"""Residency policies on tiny models: what is read when, what stays, how long it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hwmodels import Attachment, Cluster, Connection
from edgewright.hwmodels.ideal import ideal_device, ideal_link, ideal_storage
from edgewright.policies.compile import compile_plan
from edgewright.policies.families import Placement
from edgewright.policies.partitioning import Pipeline, Single, TensorParallel
from edgewright.policies.plan import Compute, Load, Loop, Mark, Wait, race
from edgewright.policies.residency import AllResident, Lru, Pinned, StreamingWindow
from edgewright.policies.residency.pinned import pinned_prefix
from edgewright.policies.timeline import makespan
from edgewright.policies.views import ReplicaSpec
from edgewright.simulator.plan_run import run_plan
from edgewright.workloads import Block, Format, Model, Part, Step, zoo
from edgewright.workloads.model_operators import Linear

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per weight and per activation."""

TOKEN = Step.of(decode=[1])
"""One sequence decodes."""


def chain(*widths, kinds=None):
    """One matrix of `1 x width` per block: `2 * width` FLOP and `width` bytes each."""
    kinds = kinds or ["ffn"] * len(widths)
    blocks = tuple(
        Block(f"b{i}", kind, i, (Linear("m", 1, width),), 1.0) for i, (width, kind) in enumerate(zip(widths, kinds, strict=True))
    )
    return Model(f"chain{widths}", blocks, 1, 1, True, cuts=tuple(range(1, len(widths))))


def spec(*budgets, read=1.0, flops=1.0):
    """Devices of 1 FLOP/s with those bytes for weights, and a disk of 1 B/s each."""
    names = tuple(f"d{i}" for i in range(len(budgets)))
    devices = {name: ideal_device(flops) for name in names}
    links = tuple(Connection(f"to-{name}", (name, "switch"), ideal_link(1.0)) for name in names)
    disks = tuple(Attachment("disk", name, ideal_storage(read)) for name in names)
    return ReplicaSpec("chat.edge", names, Cluster(devices, ("switch",), links, disks), BYTE, dict(zip(names, budgets, strict=True)))


def loads(plan):
    """Bytes of every load, in order."""
    return [op.nbytes for strand in compile_plan(plan).strands for op in strand.ops if isinstance(op, Load)]


def blocks_of(plan):
    """First and last block of every compute, in order."""
    return [(op.work.start, op.work.stop) for strand in compile_plan(plan).strands for op in strand.ops if isinstance(op, Compute)]


# -- all resident --------------------------------------------------------------------------------------------------------------------


def test_all_resident_keeps_the_plan_and_says_what_it_takes():
    """2 + 3 bytes."""
    placement = Single().plan(chain(2, 3), spec(5.0))
    arranged = AllResident().arrange(placement, spec(5.0))
    assert arranged.program == placement.program
    assert arranged.resident == {"d0": 5.0}
    assert arranged.reads == ()


def test_all_resident_refuses_what_does_not_fit():
    """5 GB on a device with 4 GB for weights: device, both sizes and what else there is."""
    replica = spec(4e9)
    with pytest.raises(ValueError, match=r"chat\.edge: 5 GB of weights do not fit the 4 GB that d0 has .*'streaming_window'"):
        AllResident().arrange(Single().plan(chain(2_000_000_000, 3_000_000_000), replica), replica)


# -- lru -----------------------------------------------------------------------------------------------------------------------------


def real_lru(sizes, budget, passes):
    """Bytes read in the last of some passes over the blocks, by a cache that evicts the least recently used until the next fits."""
    held, read = {}, 0
    for _ in range(passes):
        read = 0
        for block, size in enumerate(sizes):
            if block in held:
                del held[block]
            else:
                read += size
                while held and sum(held.values()) + size > budget:
                    del held[next(iter(held))]
            if size <= budget:
                held[block] = size
    return read


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), budget=st.integers(1, 60))
def test_a_cycle_thrashes_lru_all_or_nothing(sizes, budget):
    """The closed form of the plan against a cache that really runs, in its third pass."""
    replica = spec(float(budget))
    plan = Lru().arrange(Single().plan(chain(*sizes), replica), replica).program
    assert sum(loads(plan)) == real_lru(sizes, budget, passes=3)


def test_lru_reads_then_computes_block_by_block():
    """Budget 4 of 5 bytes: 2 s + 4 s, then 3 s + 6 s = 15 s, every token."""
    replica = spec(4.0)
    arranged = Lru().arrange(Single().plan(chain(2, 3), replica), replica)
    assert loads(arranged.program) == [2.0, 3.0]
    assert blocks_of(arranged.program) == [(0, 1), (1, 2)]
    assert arranged.reads == ("d0",)
    assert arranged.resident == {"d0": 4.0}
    assert makespan(arranged.program, replica.cluster, TOKEN) == pytest.approx(15.0)


def test_devices_that_fit_are_left_alone():
    """Only the second of two stages reads."""
    replica = spec(9.0, 2.0)
    placement = Pipeline(fit=False).plan(chain(3, 3), replica)
    arranged = Lru().arrange(placement, replica)
    assert arranged.reads == ("d1",)
    assert loads(arranged.program) == [3.0]
    assert arranged.program.children[0] == placement.program.children[0]


def test_stages_keep_their_order_when_they_read():
    """The read waits for the stage's last turn, and what refers to the stage refers to its last block."""
    replica = spec(1.0, 1.0)
    plan = Lru().arrange(Pipeline(fit=False).plan(chain(2, 2), replica), replica).program
    first, second = plan.children[0].children
    assert isinstance(first, Load)
    assert [prev.name for prev in first.after] == ["stage0"]
    assert (second.name, second.after) == ("stage0", ())
    assert compile_plan(plan).strands[0].lagged


def test_a_tied_embedding_table_is_read_once_per_pass():
    """Llama-3.2-1B: what is read in a pass is what the model weighs, the head's matrix being the embedding table."""
    model, replica = zoo.model("llama-3.2-1b"), spec(1.0)
    plan = Lru().arrange(Single().plan(model, replica), replica).program
    assert sum(loads(plan)) == pytest.approx(model.weight_bytes(BYTE), rel=1e-12)
    assert model.tied
    assert blocks_of(plan)[0] == (0, 1)
    assert isinstance(plan.children[0].children[0], Compute)


# -- pinned --------------------------------------------------------------------------------------------------------------------------


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), budget=st.integers(9, 60))
def test_the_prefix_is_the_longest_that_leaves_room_for_any_other_block(sizes, budget):
    """One block more would not fit."""
    count = pinned_prefix(sizes, budget)

    def takes(kept):
        return sum(sizes[:kept]) + max(sizes[kept:], default=0)

    assert takes(count) <= budget
    assert all(takes(more) > budget for more in range(count + 1, len(sizes) + 1))


def test_pinning_reads_only_the_rest():
    """Budget 8 of 9 bytes: 2 + 3 stay beside room for one more block of 2. 18 s of compute, 2 + 2 s of reads."""
    replica = spec(8.0)
    arranged = Pinned().arrange(Single().plan(chain(2, 3, 2, 2), replica), replica)
    assert loads(arranged.program) == [2.0, 2.0]
    assert arranged.resident == {"d0": 7.0}
    assert makespan(arranged.program, replica.cluster, TOKEN) == pytest.approx(22.0)


def test_a_block_larger_than_the_budget_cannot_be_read_at_all():
    """3 bytes into 2."""
    replica = spec(2.0)
    with pytest.raises(ValueError, match=r"chat\.edge, d0: a block of 3 bytes does not fit the 2 bytes"):
        Pinned().arrange(Single().plan(chain(2, 3), replica), replica)


# -- streaming window ----------------------------------------------------------------------------------------------------------------


def streamed(model, replica, steps, partitioning=None, **options):
    """Token times of a streaming replica."""
    arranged = StreamingWindow(**options).arrange((partitioning or Single()).plan(model, replica), replica)
    return arranged, run_plan(arranged.program, replica.cluster, steps=steps, step=TOKEN, pools=arranged.pools).tokens


def test_fast_disks_hide_behind_compute():
    """Blocks of 2 bytes read in 0.5 s and computed in 4 s: only the first read is seen."""
    arranged, tokens = streamed(chain(2, 2, 2), spec(4.0, read=4.0), 2)
    assert tokens == pytest.approx([0.5 + 12.0, 0.5 + 24.0])
    assert arranged.resident == {"d0": 4.0}
    assert arranged.pools == {"window:d0": 2.0}
    assert arranged.reads == ("d0",)


def test_slow_disks_bind():
    """Reads of 8 s, computes of 4 s: block k is there after 8 k s, so a token takes 3 * 8 s and the last compute."""
    _, tokens = streamed(chain(2, 2, 2), spec(4.0, read=0.25), 2)
    assert tokens == pytest.approx([28.0, 52.0])


def test_a_window_of_one_overlaps_nothing():
    """Read and compute take turns: 3 * (2 + 4) s."""
    _, tokens = streamed(chain(2, 2, 2), spec(2.0, read=1.0), 2, window=1)
    assert tokens == pytest.approx([18.0, 36.0])


def test_embedding_and_head_stay():
    """Kinds that are kept are not read, and count besides the window."""
    arranged, _ = streamed(chain(3, 2, 2, 2, 1, kinds=["embed", "attention", "ffn", "attention", "head"]), spec(8.0), 1)
    assert loads(arranged.program) == [2.0, 2.0, 2.0]
    assert arranged.resident == {"d0": 3.0 + 1.0 + 2 * 2.0}


def test_blocks_are_released_behind_the_all_reduce():
    """TPI-LLM's order on two devices: wait, compute, all-reduce, release."""
    from edgewright.workloads.transformer import AttentionShape, FfnShape, LayerShape, TransformerShape, transformer

    layer = LayerShape(AttentionShape(heads=2, kv_heads=2, head_dim=4), FfnShape(width=16))
    model = transformer(TransformerShape(name="tiny", hidden=8, vocab=10, layers=(layer,), tied=False, norm=8))
    replica = spec(1000.0, 1000.0, flops=1e3, read=1e3)
    arranged = StreamingWindow(always=True).arrange(TensorParallel(algorithm="star").plan(model, replica), replica)
    *loaders, worker = arranged.program.body.children
    assert len(loaders) == 2
    kinds = [type(child).__name__ for child in worker.children]
    assert kinds == ["Compute", "Collective", *["Par", "Collective", "Free", "Free"] * 2, "Compute", "Mark"]
    assert [[type(op) for op in branch.children] for branch in worker.children[2].children] == [[Wait, Compute]] * 2
    tokens = run_plan(arranged.program, replica.cluster, steps=3, step=TOKEN, pools=arranged.pools).tokens
    assert tokens[2] - tokens[1] == pytest.approx(tokens[1] - tokens[0])


def test_nothing_streams_where_everything_fits():
    """Loading is switched off (TPI-LLM), unless it is asked for."""
    replica = spec(9.0)
    placement = Single().plan(chain(2, 2), replica)
    assert StreamingWindow().arrange(placement, replica).program == placement.program
    assert isinstance(StreamingWindow(always=True).arrange(placement, replica).program, Loop)


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (lambda replica: Pipeline(fit=False).plan(chain(5, 5), replica), "one step at a time, and the plan has 2 lanes"),
        (lambda replica: Pipeline(fit=False, lanes=1).plan(chain(9, 9, 9), replica), "which has .* accepted is a smaller window"),
        (lambda replica: Placement(race(Mark(), Mark()), {"d0": (chain(4).part(BYTE),)}), "fixed order"),
    ],
)
def test_what_cannot_stream_is_refused(placement, message):
    """Lanes, windows that do not fit, races."""
    replica = spec(4.0, 12.0)
    with pytest.raises(ValueError, match=message):
        StreamingWindow(window=1 if "fixed" in message else 2, always="fixed" in message).arrange(placement(replica), replica)


# -- every policy --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [Lru(), Pinned(), StreamingWindow()])
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), spare=st.integers(0, 30))
def test_residency_computes_the_same_blocks_and_stays_within_the_budget(policy, sizes, spare):
    """Every block once, in order; memory never above what there is."""
    replica = spec(float(2 * max(sizes) + spare))
    placement = Single().plan(chain(*sizes), replica)
    arranged = policy.arrange(placement, replica)
    computed = [block for start, stop in blocks_of(arranged.program) for block in range(start, stop)]
    assert computed == list(range(len(sizes)))
    assert arranged.parts == placement.parts
    assert arranged.resident["d0"] <= replica.weight_budget["d0"]
    assert (sum(loads(arranged.program)) == 0) == (not arranged.reads) == (sum(sizes) <= replica.weight_budget["d0"])


@pytest.mark.parametrize("policy", [Lru(), Pinned(), StreamingWindow()])
def test_scripts_loops_and_arranged_placements_are_refused(policy):
    """What cannot be transformed again says so."""

    class Script:
        def step(self, step):
            yield Mark()

    replica = spec(1.0)
    part = chain(2).part(BYTE)
    placement = Placement(Compute("d0", part), {"d0": (part,)})
    assert isinstance(placement.parts["d0"][0], Part)
    for changed, message in (
        (Placement(Script(), placement.parts), "is a script: Script"),
        (Placement(Loop(placement.program), placement.parts), "already is a loop"),
        (Placement(placement.program, placement.parts, resident={"d0": 1.0}), "accepted is 'all_resident'"),
    ):
        with pytest.raises(ValueError, match=message):
            policy.arrange(changed, replica)
