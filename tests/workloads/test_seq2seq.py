"""Encoder-decoders as two models: rows, pairs, caches and parameters of each half, counted by hand."""

import pytest

from edgewright.workloads import BadConfig, Format, Step, from_config, zoo

BYTE = Format("byte", 8.0, 8.0, 8.0, "fp32", "fp32", vector_bits=8.0)
"""One byte per number."""

TINY = {
    "model_type": "switch_transformers",
    "d_model": 8,
    "d_kv": 2,
    "d_ff": 32,
    "num_heads": 2,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 1,
    "num_experts": 4,
    "vocab_size": 10,
    "n_positions": 6,
    "relative_attention_num_buckets": 5,
}
"""Heads of 2 x 2 = 4 numbers beside a hidden width of 8; the second layer is sparse."""


def half(decoder):
    return from_config({**TINY, "is_decoder": decoder}, "tiny")


def attention(model, step):
    """Terms of attention, by kernel."""
    return [term for term in model.work(step, BYTE).terms if term.kernel.startswith("attention")]


def test_parameters_of_an_encoder():
    """Table 10 x 8 and 5 buckets of 2 heads; per layer q, k, v, o of 8 x 4 and a norm; one layer of 2 x 8 x 32, one of 4 of those and a
    router of 8 x 4, each with a norm; the last norm."""
    attending = 2 * (4 * 8 * 4 + 8)
    dense, sparse = 2 * 8 * 32 + 8, 4 * 2 * 8 * 32 + 8 * 4 + 8
    assert half(False).parameters == 10 * 8 + 5 * 2 + attending + dense + sparse + 8


def test_a_decoder_has_another_attention_per_layer_and_its_head_is_the_table():
    assert half(True).parameters - half(False).parameters == 2 * (4 * 8 * 4 + 8)
    assert half(True).experts == half(False).experts
    assert half(True).experts.parameters == 2 * 8 * 32


def test_every_token_of_an_encoder_sees_all_of_them():
    """7 tokens: 49 pairs in each of two layers, 2 operations for the score and 2 for the value of 4 numbers each."""
    (term,) = attention(half(False), Step.of(prefill=[(0, 7)]))
    assert term.flops == 2 * 49 * 4 * 4
    assert half(False).kv_bytes_per_token(BYTE) == 0


def test_a_decoder_attends_to_its_own_tokens_and_to_the_source():
    """The third token: 3 of its own, whose keys and values grow, and always 6 of the source, which it keeps from the start."""
    own, source = attention(half(True), Step.of(decode=[3]))
    assert (own.flops, source.flops) == (2 * 3 * 4 * 4, 2 * 6 * 4 * 4)
    assert source.kv == 2 * 2 * 6 * 4
    assert half(True).kv_bytes_per_token(BYTE) == 2 * 2 * 4
    assert half(True).state_bytes(BYTE) == 2 * 2 * 6 * 4


def test_keys_of_the_source_are_projected_once():
    """With the prompt, 6 rows of 8 x 8 per layer; never again while decoding."""

    def flops(step):
        return sum(term.flops for term in half(True).work(step, BYTE).terms if term.kernel in ("gemm", "gemv"))

    assert flops(Step.of(prefill=[(0, 1)])) - flops(Step.of(decode=[1])) == 2 * (2 * 6 * 8 * 8)


def test_both_halves_of_switch_base_are_the_published_model():
    """619 M for 8 experts, 26.3 B for the large one (the models' cards; recalled), the table of 32128 rows counted once."""
    for name, hidden, billions in (("switch-base-8", 768, 0.619), ("switch-base-128", 768, 7.42), ("switch-large-128", 1024, 26.3)):
        both = sum(zoo.model(f"{name}-{part}").parameters for part in ("encoder", "decoder"))
        assert (both - 32128 * hidden) / 1e9 == pytest.approx(billions, rel=0.002)


def test_a_whole_encoder_decoder_is_refused():
    with pytest.raises(BadConfig, match="two models; accepted is `is_decoder`"):
        from_config({**TINY, "is_encoder_decoder": True}, "tiny")
