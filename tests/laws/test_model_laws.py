"""Laws of models: shards and parts add up, work grows with what is asked, chunks are their prompt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.workloads import Attended, Format, Step, format_named, format_names, from_config, zoo

F = Format("fp16", 16.0)
NAMES = ("llama-3.2-1b", "gemma-3-1b", "deepseek-v2-lite", "olmoe-1b-7b", "mamba-130m", "bloom-176b")
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


@given(names, contexts, chunks, st.sampled_from([2, 4]))
def test_shards_add_up(name, decode, prefill, shards):
    """Products and attention of all shards are those of the whole; what every shard repeats (norms, latents, routers) is never less.

    Repeated are also the biases of matrices split by rows, and key-value heads where there are fewer of them than shards.
    """
    model = ZOO[name]
    step = step_of(model, decode, prefill)
    for start, block in enumerate(model.blocks):
        whole, one = block.work(step, F), block.work(step, F, shards)
        if not block.shardable(shards):
            continue
        for term, shard in zip(whole, one, strict=True):
            assert shards * shard.flops >= term.flops * (1 - 1e-12)
            assert shard.flops <= term.flops
            assert shard.bytes <= term.bytes
        for operator in block.operators:
            bias, groups = (getattr(operator, key, 0) for key in ("bias", "groups"))
            if operator.ways > 1 and not (getattr(operator, "grouped", 0) and shards > groups):
                flops = [sum(term.flops for term in operator.terms(step, F, ways, (start,))) for ways in (1, shards)]
                assert shards * flops[1] == pytest.approx(flops[0])
                repeated = 2 * bias * (shards - 1) if getattr(operator, "splits", "") == "inputs" else 0
                assert shards * operator.weight_bytes(F, shards) == pytest.approx(operator.weight_bytes(F) + repeated, rel=1e-12)


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


@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 8))
def test_grouped_heads_are_repeated_beyond_their_number(kv_heads, times, shards):
    """`kv_heads` key-value heads over `shards` shards: each holds its part of them, or one whole."""
    heads = kv_heads * times * shards
    config = {"model_type": "llama", "hidden_size": 4 * heads, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 4}
    model = from_config({**config, "num_attention_heads": heads, "num_key_value_heads": kv_heads}, "grouped")
    held = model.part(F, 1, 2, shards).kv_bytes_per_token
    assert held == pytest.approx(2 * 2 * 4 * max(kv_heads / shards, 1.0))
