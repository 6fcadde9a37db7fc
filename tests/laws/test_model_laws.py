"""Laws of models: shards and parts add up, work grows with what is asked, chunks are their prompt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.workloads import Attended, Format, Step, format_named, format_names, from_config, zoo
from edgewright.workloads.model_operators import Linear

F = Format("fp16", 16.0)
NAMES = ("llama-3.2-1b", "gemma-3-1b", "qwen2.5-7b", "deepseek-v2-lite", "olmoe-1b-7b", "mamba-130m", "bloom-176b")
ZOO = {name: zoo.model(name) for name in NAMES}
contexts = st.lists(st.integers(1, 5000), max_size=5)
chunks = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 700)), max_size=3)
names = st.sampled_from(sorted(ZOO))


def step_of(model, decode, prefill):
    return Step.of(decode=decode, prefill=prefill, windows=model.windows)


def totals(work):
    return {"flops": sum(work.flops.values()), **work.bytes, "launches": work.launches}


@given(names, contexts, chunks)
def test_parts_add_up(name, decode, prefill):
    model = ZOO[name]
    step, middle = step_of(model, decode, prefill), model.cuts[len(model.cuts) // 2]
    whole = totals(model.work(step, F))
    front, back = (totals(model.part(F, *ends)(step)) for ends in ((0, middle), (middle, None)))
    assert {key: front[key] + back[key] for key in whole} == pytest.approx(whole, rel=1e-9)


def kinds_of(model, shards):
    """One block of each kind that divides into that many shards: layers alike are looked at once."""
    return {block.operators: block for block in model.blocks if block.shardable(shards)}.values()


@given(names, contexts, chunks, st.integers(2, 16))
def test_shards_add_up(name, decode, prefill, shards):
    """Products and attention of all shards are those of the whole; what every shard repeats (norms, latents, routers) is never less.

    Repeated are also the biases of matrices split by rows, and key-value heads where there are fewer of them than shards.
    """
    model = ZOO[name]
    step = step_of(model, decode, prefill)
    for block in kinds_of(model, shards):
        for term, shard in zip(block.work(step, F), block.work(step, F, shards), strict=True):
            assert shards * shard.flops >= term.flops * (1 - 1e-12)
            assert shard.flops <= term.flops
            assert shard.bytes <= term.bytes
        for operator in block.operators:
            if operator.ways > 1:
                columns, biases = repeated(operator, shards)
                flops = [sum(term.flops for term in operator.terms(step, F, ways, (block.layer,))) for ways in (1, shards)]
                assert shards * flops[1] == pytest.approx(flops[0] * columns, rel=1e-12)
                assert shards * operator.weight_bytes(F, shards) == pytest.approx(
                    operator.weight_bytes(F) * columns + 2 * biases, rel=1e-12
                )


def repeated(operator, shards):
    """What all shards of a divided operator have besides the whole: columns, as a factor, and parameters of biases."""
    if not isinstance(operator, Linear):
        return 1.0, 0
    twice = operator.grouped * (max(shards / operator.groups, 1.0) - 1.0)
    return 1.0 + twice / operator.outputs, operator.bias * (shards - 1) if operator.splits == "inputs" else 0


@given(names, st.integers(1, 4), st.integers(1, 4000), st.integers(1, 500))
def test_work_is_monotone(name, batch, context, more):
    model = ZOO[name]
    here = totals(model.decode(batch, float(context)))
    for there in (model.decode(batch, float(context + more)), model.decode(batch + 1, float(context))):
        assert all(totals(there)[key] >= here[key] * (1 - 1e-12) for key in here)


@given(names, st.integers(1, 3), st.lists(st.floats(1, 1e5), min_size=1, max_size=4))
def test_vectorised_equals_scalar(name, batch, points):
    model = ZOO[name]
    together = totals(model.decode(batch, np.array(points)))
    for index, point in enumerate(points):
        alone = totals(model.decode(batch, point))
        for key, value in alone.items():
            assert np.broadcast_to(together[key], len(points))[index] == pytest.approx(value, rel=1e-12)


@given(st.sampled_from(["llama-3.2-1b", "gemma-3-1b", "olmoe-1b-7b"]), st.lists(st.integers(1, 900), min_size=1, max_size=5))
def test_chunks_add_up_to_the_prompt(name, sizes):
    """FLOPs of a prompt do not depend on how it is cut (but for latent attention, which expands its cache again)."""
    model, starts = ZOO[name], np.cumsum([0, *sizes])
    pieces = [Step.of(prefill=[(int(past), new)], windows=model.windows, emits=0) for past, new in zip(starts, sizes, strict=False)]
    whole = Step.of(prefill=[(0, int(starts[-1]))], windows=model.windows, emits=0)
    assert sum(sum(model.work(piece, F).flops.values()) for piece in pieces) == pytest.approx(sum(model.work(whole, F).flops.values()))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), max_size=3), contexts, st.integers(1, 50))
def test_attended_by_enumeration(prefill, decode, window):
    """Sums of a step against counting every query's keys one by one."""
    step = Step.of(decode=decode, prefill=prefill, windows=[window])
    for span, attended in ((10**9, step.full), (window, step.attended(window))):
        pairs = sum(min(position, span) for past, new in prefill for position in range(past + 1, past + new + 1))
        reads = sum(min(past, span) + new for past, new in prefill)
        assert attended == Attended(sum(min(context, span) for context in decode), pairs, reads)


@given(st.sampled_from(format_names()), names, st.integers(1, 6))
def test_weights_are_held_once(width, name, cut):
    """Bytes of the parts of a model are those of the whole, but for a table that head and embedding share."""
    model = ZOO[name]
    format, at = format_named(width), model.cuts[min(cut, len(model.cuts) - 1)]
    apart = model.part(format, 0, at).weight_bytes + model.part(format, at).weight_bytes
    twice = model.part(format, 0, 1).weight_bytes if model.tied else 0.0
    assert model.weight_bytes(format) * (1 - 1e-12) <= apart <= (model.weight_bytes(format) + twice) * (1 + 1e-12)
    assert sum(each.kv_bytes_per_token for each in model.part(format).split()) == pytest.approx(model.kv_bytes_per_token(format))
    assert sum(each.state_bytes for each in model.part(format).split()) == pytest.approx(model.state_bytes(format))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 16))
def test_grouped_heads_by_enumeration(kv_heads, times, shards):
    """Query heads dealt to shards in runs: a layout stands if each shard owns its key-value heads alone, or needs only one.

    A shard then holds exactly the key-value heads that its queries attend to: in the cache, and in the columns that make them.
    """
    heads, dim = kv_heads * times, 4
    config = {"model_type": "llama", "hidden_size": dim * heads, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 4}
    block = from_config({**config, "num_attention_heads": heads, "num_key_value_heads": kv_heads}, "grouped").blocks[1]
    needed = [{query // times for query in range(heads) if query * shards // heads == shard} for shard in range(shards)]
    owned = sum(len(each) for each in needed) == kv_heads
    assert block.shardable(shards) == (heads % shards == 0 and (owned or all(len(each) == 1 for each in needed)))
    if block.shardable(shards):
        (count,) = {len(each) for each in needed}
        qkv, attention = block.operators[1:3]
        assert attention.kv_numbers(shards) == 2 * dim * count
        assert qkv.weight_bytes(F, shards) == 2 * (dim * heads) * dim * (heads // shards + 2 * count)
