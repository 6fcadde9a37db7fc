"""KV policies with work of their own: what they attend to, score and move, with the arithmetic visible; and what they retain."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.policies.kv import (
    Full,
    GemFilter,
    HeavyHitters,
    Keyformer,
    Quest,
    Scissorhands,
    SlidingWindow,
    SnapKV,
    TidalDecode,
    retained_attention,
)
from edgewright.policies.kv.quality import followed, sampled_attention
from edgewright.simulator.stepping import decoded, prefilled, step_at
from edgewright.workloads import AttentionProcess, Step, Stream, format_named, zoo
from edgewright.workloads.kv_operators import with_copies

FP16 = format_named("fp16")
MODEL = zoo.model("llama-3.1-8b")
"""32 layers, 32 query heads of 128 numbers over 8 key-value heads: 4096 B of keys and values per token and layer in fp16."""

KV, LAYERS, HEADS = 2 * 8 * 128 * 2.0, 32, 32


def decode(policy, context, prompt=None, batch=1):
    contexts = np.full((batch, 1), float(context))
    prompts = contexts if prompt is None else np.full((batch, 1), float(prompt))
    model = policy.refit(MODEL) if hasattr(policy, "refit") else MODEL
    return model.work(step_at(decoded(prompts, contexts, (), policy), 0), FP16)


def prefill(policy, prompt, chunks=None):
    model, past, total = policy.refit(MODEL), 0, []
    for new in chunks or [prompt]:
        total.append(model.work(prefilled([(prompt, past, new)], (), policy), FP16))
        past += new
    return total


def kv_bytes(work):
    return work.bytes["kv"]


def flops(work):
    return sum(work.flops.values())


# -- what is attended, layer by layer ----------------------------------------------------------------------------------------------------


def test_tidaldecode_reads_everything_in_four_layers_and_its_positions_in_the_others():
    """Layers 0, 1 (whole), 2 and 13 (selecting) read 10 000 tokens, 28 read 256; each writes its own."""
    work = decode(TidalDecode(tokens=256, selecting=(2, 13)), 10_000)
    assert kv_bytes(work) == (4 * 10_000 + 28 * 256 + LAYERS) * KV


def test_tidaldecode_chooses_in_the_selecting_layers_alone():
    """Two launches, each reading and writing a number of 4 B per head and token, in two layers: against the same with nothing to choose."""
    work, plain = decode(TidalDecode(tokens=1, kernels=2), 1000), decode(Full(), 1000)
    assert work.launches - plain.launches == 2 * 2
    assert work.bytes["activations"] - plain.bytes["activations"] == 2 * 2 * 2 * 1000 * HEADS * 4.0


def test_quest_reads_the_bounds_of_all_pages_in_the_sparse_layers():
    """10 000 tokens are 625 pages of 16: two vectors of a key's 2048 B each in 30 layers; 2 layers read everything."""
    work = decode(Quest(tokens=250, page=16), 10_000)
    assert kv_bytes(work) == 2 * 10_000 * KV + 30 * (256 * KV + 625 * 2 * KV / 2) + LAYERS * KV


def test_keyformer_keeps_half_the_prompt_scores_it_and_moves_it():
    """2048 of a prompt of 4096 are read and one is written; the gather reads and writes all of them; 4 passes over 32 heads' scores."""
    work, full = decode(Keyformer(budget=0.5), 5000, prompt=4096), decode(Full(), 2048)
    assert kv_bytes(work) == kv_bytes(full) + 2 * 2048 * KV * LAYERS
    assert work.bytes["activations"] == full.bytes["activations"] + 4 * 2 * 2048 * HEADS * 4.0 * LAYERS
    in_place = decode(Keyformer(budget=0.5, compaction="in_place"), 5000, prompt=4096)
    assert kv_bytes(in_place) == kv_bytes(full) + 2 * KV * LAYERS


def test_keyformer_moves_nothing_before_its_budget_is_full():
    assert kv_bytes(decode(Keyformer(tokens=100), 100, prompt=90)) == kv_bytes(decode(Full(), 100))


def test_scissorhands_fills_its_buffer_and_halves_it():
    """A buffer of 8: 8 tokens, then 4 leave at once and one comes: 5, 6, 7, 8, and again 5."""
    policy = Scissorhands(tokens=8, drop=0.5)
    held = [policy.footprint(4, context).attended for context in range(6, 15)]
    assert held == [6, 7, 8, 5, 6, 7, 8, 5, 6]
    assert [policy.footprint(4, context).resident for context in (6, 8, 9, 1000)] == [6, 8, 8, 8]


def test_scissorhands_compresses_once_in_as_many_steps_as_tokens_leave():
    """Steps at contexts 9 and 13 read 8 keys with 400 queries and move 4 tokens; none else."""
    policy = Scissorhands(tokens=8, drop=0.5, history=400)
    compressing = [context for context in range(6, 15) if policy.decoding(4, context)["scissorhands.moved"]]
    assert compressing == [9, 13]
    work, quiet = decode(policy, 9, prompt=4), decode(policy, 10, prompt=4)
    assert kv_bytes(work) - kv_bytes(quiet) == LAYERS * (8 * KV / 2 + 2 * 4 * KV - 1 * KV)
    assert quiet.launches == decode(Full(), 6).launches


def test_snapkv_cuts_the_prompt_once_and_grows_with_the_answer():
    policy = SnapKV(tokens=1024, observing=32)
    assert [policy.footprint(5000, context).resident for context in (1000, 5000, 5050)] == [1000, 1024, 1074]
    assert kv_bytes(decode(policy, 5050, prompt=5000)) == (1074 + 1) * KV * LAYERS
    (whole,), (first, second) = prefill(policy, 5000), prefill(policy, 5000, [3000, 2000])
    plain = [MODEL.work(Step.of(prefill=[chunk]), FP16) for chunk in ((0, 5000), (0, 3000), (3000, 2000))]
    extra = LAYERS * (5000 * KV / 2 + 2 * 1024 * KV)
    assert kv_bytes(whole) - kv_bytes(plain[0]) == extra
    assert kv_bytes(first) == kv_bytes(plain[1])
    assert kv_bytes(second) - kv_bytes(plain[2]) == extra


def test_gemfilter_runs_the_early_layers_over_the_prompt_and_all_over_what_they_pick():
    """FLOPs of layers are 13/32 of a prompt's and all of a short one's; the head and the embedding are once in both."""
    policy = GemFilter(tokens=1000, layers=13)
    layers = MODEL.part(FP16, 1, 65)

    def of(tokens):
        return flops(layers(Step.of(prefill=[(0, tokens)])))

    (work,) = prefill(policy, 50_000)
    head = flops(MODEL.part(FP16, 65)(Step.of(prefill=[(0, 50_000)])))
    scores = 2 * 128 * HEADS * 50_000 + 1.25 * 6 * HEADS * 50_000  # one query's products, pooled and chosen from
    assert flops(work) == pytest.approx(13 / 32 * of(50_000) + of(1000) + head + scores, rel=1e-12)


def test_gemfilter_in_chunks_filters_each_and_answers_at_the_last():
    policy = GemFilter(tokens=1000, layers=13)
    (whole,), chunks = prefill(policy, 50_000), prefill(policy, 50_000, [20_000, 30_000])
    heads = flops(MODEL.part(FP16, 65)(Step.of(prefill=[(0, 1)])))
    assert sum(flops(work) for work in chunks) == pytest.approx(flops(whole) + heads, rel=1e-12)


def test_gemfilter_leaves_short_prompts_alone_and_decodes_from_what_it_picked():
    policy = GemFilter(tokens=1000)
    assert flops(prefill(policy, 900)[0]) == flops(MODEL.prefill(900))
    assert kv_bytes(decode(policy, 50_010, prompt=50_000)) == kv_bytes(decode(Full(), 1010))


@pytest.mark.parametrize(
    ("policy", "message"),
    [(TidalDecode(selecting=(2, 40)), "layer 40"), (GemFilter(layers=33), "layer 33")],
    ids=lambda value: getattr(type(value), "__name__", ""),
)
def test_layers_that_a_model_does_not_have_are_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        policy.refit(MODEL)


def test_models_that_cache_no_heads_are_refused():
    for name in ("mamba-130m", "deepseek-v2-lite"):
        with pytest.raises(ValueError, match=r"accepted are"):
            Keyformer().refit(zoo.model(name))
    with pytest.raises(ValueError, match="experts"):
        GemFilter().refit(zoo.model("mixtral-8x7b"))


@pytest.mark.parametrize(
    "refused",
    [
        lambda: TidalDecode(selecting=(3, 2)),
        lambda: TidalDecode(whole=1),
        lambda: SnapKV(tokens=8),
        lambda: Keyformer(compaction="never"),
        lambda: Keyformer(first=2.0, last=1.0),
        lambda: Scissorhands(drop=1.5),
    ],
)
def test_bad_hyper_parameters_are_refused(refused):
    with pytest.raises(ValueError, match="accepted are"):
        refused()


def test_shards_share_the_work_of_choosing():
    """In eighths each shard has four query heads and one key-value head: an eighth of the scores and of what is moved."""
    model, step = Keyformer(budget=0.5).refit(MODEL), step_at(decoded(np.full((1, 1), 4096.0), np.full((1, 1), 5000.0), (), Keyformer()), 0)
    attention = next(block for block in model.blocks if block.kind == "attention")
    whole, eighth = (attention.work(step, FP16, shards).bytes["kv"] for shards in (1, 8))
    assert eighth == whole / 8


# -- what is retained --------------------------------------------------------------------------------------------------------------------


def attention(rows):
    """One layer."""
    return np.array([rows], dtype=float)


def test_tidaldecode_follows_the_positions_of_the_layer_before():
    """The first layer likes token 1, the second token 0, and gets token 1."""
    first, second = [[0.5, 0.5, 0.0], [0.2, 0.7, 0.1]], [[0.5, 0.5, 0.0], [0.8, 0.1, 0.1]]
    mask = followed(TidalDecode(tokens=1), np.array([first, second]), prompt=2)
    assert mask[:, 1].tolist() == [[True, True, True], [False, True, False]]


def test_gemfilter_keeps_for_all_layers_what_one_picked():
    first, second = [[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.1, 0.7]], [[0.1, 0.2, 0.7, 0.0], [0.1, 0.1, 0.7, 0.1]]
    mask = followed(GemFilter(tokens=1, pool=1), np.array([first, second]), prompt=3)
    assert mask[:, 1].tolist() == [[True, False, False, True]] * 2


def test_scissorhands_drops_what_was_never_important():
    """A buffer of 4, of which 2 leave: with 4 tokens of prompt it is full; tokens 0 and 3 drew at least an even share."""
    rows = [[0.5, 0.3, 0.2, 0.0, 0.0], [0.6, 0.05, 0.05, 0.3, 0.0], [0.4, 0.2, 0.2, 0.1, 0.1]]
    mask = followed(Scissorhands(tokens=4, recent=0, history=1), attention(rows), prompt=4)
    assert mask[0, 2].tolist() == [True, False, False, True, True]


def test_keyformer_does_not_bring_back_what_it_evicted():
    """Two tokens stay, one of them the latest: token 0 is cut from the prompt, however much the answer would look at it."""
    rows = [[0.01, 0.94, 0.05, 0, 0], [0.9, 0.05, 0.03, 0.02, 0], [0.9, 0.04, 0.03, 0.02, 0.01]]
    mask = followed(Keyformer(tokens=2, recent=0.5), attention(rows), prompt=3)
    assert not mask[0, 1:, 0].any()
    assert mask[0, 1:].sum(axis=1).tolist() == [3, 3]  # what was left, and the step's own token


def test_a_policy_without_steps_selects_anew_by_the_scores_so_far():
    rows = [[0.6, 0.4, 0, 0], [0.1, 0.6, 0.3, 0], [0.0, 0.0, 0.5, 0.5]]
    mask = followed(HeavyHitters(tokens=2, recent=0.5), attention(rows), prompt=2)
    assert mask[0].tolist() == [[True, True, False, False], [True, False, True, False], [False, True, False, True]]


def test_the_whole_cache_retains_everything_and_a_budget_less():
    process = AttentionProcess()
    sizes = {"prompt": 96, "answer": 12, "requests": 3, "layers": 2}
    assert retained_attention(Full(), process, **sizes).mean == pytest.approx(1.0)
    found = [retained_attention(HeavyHitters(budget=budget), process, **sizes).mean for budget in (0.1, 0.5, 0.9)]
    assert found == sorted(found)
    window = retained_attention(SlidingWindow(sinks=0, window=10), process, **sizes)
    assert window.low <= window.mean <= window.high < found[0]


def test_layers_that_agree_have_the_same_important_tokens():
    """With nothing but lasting importance, layers differ by `agreement` alone."""
    still = {"sink_share": 0.0, "recent_share": 0.0, "persistence": 1.0}
    for agreement, same in ((1.0, True), (0.0, False)):
        found = sampled_attention(AttentionProcess(agreement=agreement, **still), Stream(1), 40, 2, 2, 4, 0)
        assert np.array_equal(found[0], found[1]) == same


def test_an_engine_that_copies_the_cache_reads_and_writes_it_so_many_times():
    """Two copies of 1000 tokens: what is attended is read, and twice read and written."""
    step = step_at(decoded(np.full((1, 1), 1000.0), np.full((1, 1), 1000.0), (), Full()), 0)
    plain, copied = (model.work(step, FP16) for model in (MODEL, with_copies(MODEL, 2.0)))
    assert kv_bytes(copied) - kv_bytes(plain) == 2 * 2 * 1000 * KV * LAYERS
