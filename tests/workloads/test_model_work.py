"""What a step of a tiny transformer asks for, with the arithmetic in the test."""

from dataclasses import replace

import numpy as np
import pytest

from edgewright.workloads import Attended, Format, Step, from_config, zoo
from edgewright.workloads.transformer import AttentionShape, FfnShape, LayerShape, TransformerShape, transformer

F = Format("fp16", 16.0)
TINY = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 10,
}
HEAD_DIM, QKV = 2, 8 + 2 * 2 * 2


@pytest.fixture
def tiny():
    return from_config(TINY, "tiny")


def products(work):
    return [term for term in work if term.kernel in ("gemm", "gemv")]


def only(work, kernel):
    (term,) = [term for term in work if term.kernel == kernel]
    return term


def test_blocks_and_cuts(tiny):
    assert [block.name for block in tiny.blocks] == ["embed", "layer0.attention", "layer0.ffn", "layer1.attention", "layer1.ffn", "head"]
    assert tiny.cuts == (1, 3, 5)
    assert [block.reduces for block in tiny.blocks] == [False, True, True, True, True, False]


def test_parameters(tiny):
    layer = 8 * QKV + 8 * 8 + 3 * 8 * 12 + 2 * 8
    assert tiny.parameters == 2 * 10 * 8 + 2 * layer + 8
    assert tiny.weight_bytes(F) == 2 * tiny.parameters


def test_decode_reads_every_weight_once_and_the_cache(tiny):
    work = tiny.decode(3, 100.0, format=F)
    macs = 3 * (2 * (8 * QKV + 8 * 8 + 3 * 8 * 12) + 8 * 10)
    assert sum(term.flops for term in products(work)) == 2 * macs
    attention = only(work, "attention_decode")
    assert attention.flops == 2 * 2 * 3 * 100 * 2 * (4 * HEAD_DIM)  # two layers, three sequences, keys and values, four heads
    assert attention.kv == 2 * (3 * 100 + 3) * (2 * 2 * HEAD_DIM) * 2  # reads 300 tokens, writes 3; two layers; two bytes
    tables = 10 * 8 * 2 - 3 * 8 * 2  # of the embedding table three rows are read
    assert work.bytes["weights"] == tiny.weight_bytes(F) - tables
    assert attention.launches == 2


def test_prefill_is_causal(tiny):
    work = tiny.prefill(5, format=F)
    attention = only(work, "attention")
    assert attention.flops == 2 * 2 * 15 * 2 * (4 * HEAD_DIM)  # 1 + 2 + 3 + 4 + 5 pairs
    assert attention.kv == 2 * (5 + 5) * (2 * 2 * HEAD_DIM) * 2  # the chunk is written and read once
    head = products(work)[-1]
    assert (head.kernel, head.flops) == ("gemv", 2 * 8 * 10)  # one row yields a token


def test_one_row_is_a_gemv_and_more_are_a_gemm(tiny):
    assert {term.kernel for term in products(tiny.decode(1, 9.0))} == {"gemv"}
    assert {term.kernel for term in products(tiny.decode(2, 9.0))} == {"gemm"}
    lut = Format("lut", 2.0, gemv="lut_gemv")
    assert "lut_gemv" in {term.kernel for term in tiny.decode(1, 9.0, format=lut)}


def test_equal_layers_are_merged():
    """Ten terms for a decode step of 32 layers, one more with prefill, whatever the number of layers."""
    model = zoo.model("llama-3.1-8b")
    part = model.part(F)
    assert len(part(Step.of(decode=[7])).terms) == 10
    assert len(part(Step.of(decode=[7], prefill=[(0, 9)])).terms) == 11


def test_equal_parts_of_a_model_are_one_which_works_out_its_figures_once(tiny):
    first = tiny.part(F, 1, 3)
    assert tiny.part(F, 1, 3) is first
    assert tiny.part(F, 1, 2).split()[0] is tiny.part(F, 1, 2)
    assert first not in (tiny.part(F, 1, 3, shards=2), tiny.part(F, 0, 3), tiny.part(Format("lut", 2.0), 1, 3))


def test_scalars_stay_python_floats(tiny):
    for term in tiny.part(F)(Step.of(decode=[7, 8], prefill=[(2, 3)])):
        values = (term.flops, term.weights, term.activations, term.kv, term.launches)
        assert {type(each) for each in values} == {float}


@pytest.mark.parametrize("name", ["gemma-3-1b", "deepseek-v2-lite", "olmoe-1b-7b", "mamba-130m"])
def test_vectorised_decode_equals_scalar(name):
    model, contexts = zoo.model(name), np.array([1.0, 500.0, 4000.0])
    together = model.decode(4, contexts)
    for index, context in enumerate(contexts):
        alone = model.decode(4, float(context))
        for many, one in zip(together, alone, strict=True):
            for field in ("flops", "weights", "activations", "kv", "launches"):
                value = np.broadcast_to(getattr(many, field), contexts.shape)[index]
                assert value == pytest.approx(getattr(one, field), rel=1e-12)


def test_parts_add_up_to_the_model():
    model = zoo.model("gemma-2-2b")
    step = Step.of(decode=[10, 5000], prefill=[(100, 50)], windows=model.windows)
    whole = model.work(step, F)
    parts = [part(step) for part in model.part(F).split()]
    assert len(parts) == len(model.blocks) == 2 * 26 + 2
    for tier, total in whole.bytes.items():
        assert sum(part.bytes[tier] for part in parts) == pytest.approx(total, rel=1e-12)
    assert sum(sum(part.flops.values()) for part in parts) == pytest.approx(sum(whole.flops.values()), rel=1e-12)


def test_a_block_and_its_part_ask_for_the_same(tiny):
    step = Step.of(decode=[5], prefill=[(0, 4)])
    for index, block in enumerate(tiny.blocks):
        assert block.work(step, F) == tiny.part(F, index, index + 1)(step)


def test_the_boundary_is_the_hidden_state(tiny):
    step = Step.of(decode=[5], prefill=[(0, 4)])
    assert [tiny.boundary_bytes(cut, step, F) for cut in tiny.cuts] == [5 * 8 * 2] * 3
    assert tiny.boundary_bytes(0, step, F) == 5 * 4  # token ids
    assert tiny.boundary_bytes(6, step, F) == 2 * 4  # two sequences yield a token


def test_parts_are_values(tiny):
    again = from_config(TINY, "tiny")
    assert tiny.part(F, 1, 3) == again.part(F, 1, 3)
    assert len({tiny.part(F, 1, 3), again.part(F, 1, 3), tiny.part(F, 1, 3, shards=2)}) == 2
    assert repr(tiny.part(F, 1, 3, shards=2)) == "tiny[1:3]/2 fp16"
    other = from_config({**TINY, "intermediate_size": 16}, "tiny")
    assert tiny.part(F, 1, 3) != other.part(F, 1, 3)


def test_equal_signatures_mean_equal_work(tiny):
    first, second, ffn = (tiny.part(F, index, index + 1) for index in (1, 3, 2))
    assert first.signature == second.signature != ffn.signature
    assert first(Step.of(decode=[5])) == second(Step.of(decode=[5]))
    moe = zoo.model("olmoe-1b-7b")
    assert moe.part(F, 2, 3).signature != moe.part(F, 4, 5).signature  # their routes differ


def test_impossible_parts_are_refused(tiny):
    for arguments in ((3, 3), (4, 2), (0, 7), (-1, 2), (0, 6, 0)):
        with pytest.raises(ValueError, match="tiny: no part"):
            tiny.part(F, *arguments)


def test_a_tied_head_counts_once_where_the_table_is_too():
    model = from_config({**TINY, "tie_word_embeddings": True}, "tied")
    untied = from_config(TINY, "untied")
    assert untied.parameters - model.parameters == 10 * 8
    assert model.weight_bytes(F) == 2 * model.parameters
    assert model.part(F, 5).weight_bytes == 2 * (10 * 8 + 8)  # the head alone holds its copy
    assert model.part(F, 0, 1).weight_bytes + model.part(F, 1).weight_bytes == model.weight_bytes(F) + 2 * 10 * 8


def test_a_head_with_a_bias_shares_its_matrix_alone():
    """Ten rows of eight: the matrix counts once, the bias of the head stays."""
    layer = LayerShape(AttentionShape(heads=4, kv_heads=2, head_dim=2), FfnShape(width=12))
    shape = TransformerShape(name="tied", hidden=8, vocab=10, layers=(layer,), tied=True, norm=8, head_bias=True)
    model, bare = transformer(shape), transformer(replace(shape, head_bias=False))
    assert model.parameters - bare.parameters == 10
    assert model.weight_bytes(F) == 2 * model.parameters
    assert bare.weight_bytes(F) == 2 * bare.parameters
    assert model.part(F, 3).weight_bytes == 2 * (8 * 10 + 10 + 8)  # the head alone: its copy, its bias, its norm


def test_a_tied_model_without_the_head_of_its_table_is_refused():
    model = from_config({**TINY, "tie_word_embeddings": True}, "tied")
    with pytest.raises(ValueError, match="beheaded: tied, but its last block has no product with the embedding table"):
        _ = replace(model, name="beheaded", blocks=model.blocks[:-1]).parameters


@pytest.mark.parametrize("shards", [2, 4, 28])
def test_shards_of_grouped_queries(shards):
    """Qwen2.5-7B: 28 query heads in groups of 7 on 4 key-value heads of 128. From 4 shards on each holds one whole head of them."""
    model = zoo.model("qwen2.5-7b")
    attention, part = model.blocks[1], model.part(F, 1, 2, shards)
    held = max(4 // shards, 1)
    assert attention.shardable(shards)
    assert part.kv_bytes_per_token == 2 * (2 * held * 128)
    columns = 28 // shards * 128 + 2 * held * 128
    assert part.weight_bytes == 2 * (3584 * columns + columns + 28 // shards * 128 * 3584 + 3584)


@pytest.mark.parametrize("shards", [7, 14])
def test_queries_that_straddle_key_value_heads_are_not_sharded(shards):
    """Seven shards of 4 heads: the second has queries 4 to 7, of key-value heads 0 and 1. It is held whole."""
    model = zoo.model("qwen2.5-7b")
    assert not model.blocks[1].shardable(shards)
    assert model.part(F, 1, 2, shards).kv_bytes_per_token == 2 * (2 * 4 * 128)


def test_windows_bound_work_and_cache():
    model = zoo.model("gemma-3-1b")  # 22 of 26 layers see 512 tokens
    assert model.windows == (512,)
    numbers = 2 * 1 * 256
    part = model.part(F)
    assert part.kv_bytes_per_token == 26 * numbers * 2
    assert part.kv_bytes(2000.0) == (4 * 2000 + 22 * 512) * numbers * 2
    assert part.kv_bytes(np.array([100.0, 2000.0])).tolist() == [26 * 100 * numbers * 2, (4 * 2000 + 22 * 512) * numbers * 2]
    near, far = model.decode(1, 1000.0), model.decode(1, 2000.0)
    assert far.bytes["kv"] - near.bytes["kv"] == 4 * 1000 * numbers * 2


def test_nothing_to_do_is_no_work(tiny):
    assert not tiny.work(Step(), F)


def test_chunks_add_up_to_the_prompt(tiny):
    """FLOPs and cache written are the same in pieces; weights and the cache before a chunk are read again."""
    whole = tiny.prefill(12, format=F)
    pieces = [tiny.work(Step.of(prefill=[(past, new)], emits=int(past + new == 12)), F) for past, new in ((0, 5), (5, 4), (9, 3))]
    assert sum(sum(piece.flops.values()) for piece in pieces) == pytest.approx(sum(whole.flops.values()), rel=1e-12)
    read_again = (5 + 9) * 2 * (2 * 2 * HEAD_DIM) * 2  # two layers, two bytes
    assert sum(piece.bytes["kv"] for piece in pieces) == whole.bytes["kv"] + read_again


def test_a_step_without_the_windows_of_its_model_is_refused():
    with pytest.raises(KeyError, match="512"):
        zoo.model("gemma-3-1b").work(Step(decode=1, emits=1, full=Attended(10.0)), F)


def test_peak_activations_of_a_decoder(tiny):
    """While a feed-forward runs: 8 numbers in, 2 x 12 inside, 8 out."""
    assert tiny.peak_activation_bytes(F, rows=3) == 3 * 2 * (8 + 2 * 12 + 8)
