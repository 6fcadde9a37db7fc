"""Attention, convolution, sparse products and the small operators leave what their plain forms say, ragged edges included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate
from scipy.special import softmax

from edgewright.kernels import kernel
from edgewright.kernels.attention_tiles import attention_reference, cache_of, format_code, widened_cache
from edgewright.kernels.sparse import prune_nm

EPSILON = float(np.finfo(np.float32).eps)
SMALL = st.integers(1, 9)
CACHE = st.sampled_from(["fp32", "fp16", "bf16"])


def _agree(operands, name, terms, size):
    """Sums of `terms` products whose absolute values add up to at most `size`: see `test_kernel_agreement`."""
    assert np.abs(operands[0] - kernel(name).reference(*operands)).max() <= (terms + 4) * EPSILON * size


def _attends(operands, name, terms):
    """Scores are wrong by `terms` roundings, weights by that times the largest score, means of values by as much of the largest."""
    scale = np.abs(widened_cache(operands[3], operands[4 if name == "attention_decode" else 5])).max()
    queries, keys = operands[1], widened_cache(operands[2], operands[4 if name == "attention_decode" else 5])
    score = np.linalg.norm(queries, axis=-1).max() * np.linalg.norm(keys, axis=-1).max() / queries.shape[-1] ** 0.5
    difference = np.abs(operands[0] - kernel(name).reference(*operands)).max()
    assert difference <= (terms + 40) * EPSILON * (1 + score) * scale


@settings(max_examples=25)
@given(
    tokens=st.integers(1, 150),
    past=st.integers(0, 100),
    heads=st.integers(1, 2),
    group=st.integers(1, 3),
    width=st.integers(1, 70),
    dtype=CACHE,
)
def test_a_prompt_attends_as_the_softmax_says(ran, tokens, past, heads, group, width, dtype):
    _attends(ran("attention", (tokens, tokens + past, heads, group, width), dtype, "numba"), "attention", width + tokens + past)


@settings(max_examples=25)
@given(tokens=st.integers(1, 150), past=st.integers(0, 100), window=st.integers(1, 200), dtype=CACHE)
def test_a_window_hides_what_is_older(ran, tokens, past, window, dtype):
    _attends(ran("attention_window", (tokens, tokens + past, 1, 2, 16, window), dtype, "numba"), "attention_window", 16 + tokens + past)


@settings(max_examples=25)
@given(
    batch=st.integers(1, 3),
    context=st.integers(1, 400),
    heads=st.integers(1, 2),
    group=st.integers(1, 40),
    width=st.integers(1, 70),
    dtype=CACHE,
)
def test_a_new_token_attends_as_the_softmax_says(ran, batch, context, heads, group, width, dtype):
    _attends(ran("attention_decode", (batch, context, heads, group, width), dtype, "numba"), "attention_decode", width + context)


def test_the_plain_form_is_the_softmax_of_each_query():
    generator = np.random.default_rng(0)
    queries, keys, values = (generator.standard_normal(shape) for shape in ((3, 2, 4), (1, 5, 4), (1, 5, 4)))
    attended = attention_reference(queries, keys, values, 2)
    for token in range(3):
        seen = slice(token + 1, token + 3)  # the token itself stands at 2 + token, and sees one before it
        for head in range(2):
            weights = softmax(keys[0, seen] @ queries[token, head] / 2)  # the root of the width of 4
            np.testing.assert_allclose(attended[token, head], weights @ values[0, seen], rtol=1e-12)


def test_large_scores_do_not_overflow(ran):
    chosen = kernel("attention")
    operands = list(chosen.operands((70, 70, 1, 1, 8), "fp32", np.random.default_rng(0)))
    operands[1] *= 1000
    chosen.run(*operands)
    assert np.isfinite(operands[0]).all()
    assert np.abs(operands[0]).max() <= np.abs(operands[3]).max() * (1 + 1e-5)


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_a_cache_of_16_bits_holds_the_numbers_to_its_rounding(dtype):
    wide, stored = (cache_of((4, 5, 6), each, np.random.default_rng(0)) for each in ("fp32", dtype))
    step = {"fp16": 2**-11, "bf16": 2**-7}[dtype]  # bf16 is cut off here, fp16 rounded
    assert stored.nbytes == wide.nbytes / 2
    assert np.all(np.abs(widened_cache(stored, format_code(dtype)) - wide) <= step * np.abs(wide) + 2.0**-24)


def test_a_prompt_longer_than_its_context_is_refused():
    with pytest.raises(ValueError, match="attention of 5 tokens needs a context of as many or more, not 4"):
        kernel("attention").operands((5, 4, 1, 1, 8), "fp32", np.random.default_rng(0))


@settings(max_examples=30)
@given(
    height=st.integers(1, 12), width=st.integers(1, 12), groups=st.integers(1, 3), inputs=st.integers(1, 40), outputs=st.integers(1, 40),
    taps=st.integers(1, 5), stride=st.integers(1, 3),
)  # fmt: skip
def test_convolutions_agree_to_rounding(ran, height, width, groups, inputs, outputs, taps, stride):
    operands = ran("conv", (height, width, groups, inputs, outputs, taps, stride), "fp32", "numba")
    count = inputs * taps * taps
    _agree(operands, "conv", count, count * np.abs(operands[1]).max() * np.abs(operands[2]).max())


@pytest.mark.parametrize("inputs", [256, 257, 300])
@pytest.mark.parametrize("taps", [1, 3])
def test_convolutions_agree_where_channels_are_taken_in_parts(ran, inputs, taps):
    operands = ran("conv", (5, 6, 1, inputs, 33, taps, 1), "fp32", "numba")
    _agree(operands, "conv", inputs * taps**2, inputs * taps**2 * np.abs(operands[1]).max() * np.abs(operands[2]).max())


@settings(max_examples=30)
@given(height=st.integers(1, 12), width=st.integers(1, 12), channels=st.integers(1, 40), taps=st.integers(1, 7), stride=st.integers(1, 3))
def test_depthwise_convolutions_agree_to_rounding(ran, height, width, channels, taps, stride):
    operands = ran("conv_depthwise", (height, width, channels, taps, stride), "fp32", "numba")
    _agree(operands, "conv_depthwise", taps**2, taps**2 * np.abs(operands[1]).max() * np.abs(operands[2]).max())


@pytest.mark.parametrize(("taps", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (7, 2)])
def test_the_plain_convolution_is_that_of_scipy(taps, stride):
    chosen = kernel("conv")
    operands = chosen.operands((9, 10, 1, 3, 4, taps, stride), "fp32", np.random.default_rng(0))
    made = chosen.reference(*operands)
    margin = taps // 2
    for channel in range(4):
        padded = np.pad(operands[1].astype(float), ((margin, margin), (margin, margin), (0, 0)))
        whole = correlate(padded, operands[2][0, :, :, :, channel].astype(float), mode="valid", method="direct")[..., 0]
        np.testing.assert_allclose(made[..., channel], whole[::stride, ::stride], atol=1e-12)


@settings(max_examples=25)
@given(rows=st.integers(1, 30), experts=SMALL, strips=st.integers(1, 2), depth=st.integers(1, 70))
def test_experts_agree_to_rounding(ran, rows, experts, strips, depth):
    operands = ran("gemm_experts", (rows, experts, 32 * strips, depth), "fp32", "numba")
    _agree(operands, "gemm_experts", depth, depth * np.abs(operands[1]).max() * np.abs(operands[2]).max())


def test_rows_meet_the_matrix_of_their_expert():
    c, a, weights, _ = kernel("gemm_experts").operands((5, 3, 32, 4), "fp32", np.random.default_rng(0))
    kernel("gemm_experts").run(c, a, weights, np.array([0, 0, 4, 5]))  # expert 0 has none, expert 1 four rows, expert 2 one
    np.testing.assert_allclose(c[:4], a[:4] @ weights[1, 0], atol=1e-5)
    np.testing.assert_allclose(c[4:], a[4:] @ weights[2, 0], atol=1e-5)


@settings(max_examples=25)
@given(m=st.integers(1, 20), n=st.integers(1, 150), eights=st.integers(1, 12))
def test_two_of_four_agree_to_rounding(ran, m, n, eights):
    operands = ran("spmm_nm", (m, n, 8 * eights), "fp32", "numba")
    _agree(operands, "spmm_nm", 4 * eights, 4 * eights * np.abs(operands[1]).max() * np.abs(operands[3]).max())


def test_pruning_keeps_the_two_largest_of_four_in_order():
    values, indices = prune_nm(np.array([[1.0, -5.0, 0.5, 3.0, 2.0, 2.0, 2.0, 0.0]], np.float32))
    np.testing.assert_array_equal(values, [[-5, 3, 2, 2]])
    assert indices.tolist() == [[1 + (3 << 2) + (0 << 4) + (1 << 6)]]


@settings(max_examples=25)
@given(rows=st.integers(1, 4), n=st.integers(1, 70), columns=st.integers(1, 5), one_in=st.integers(1, 9))
def test_blocks_and_decoded_tiles_agree_to_rounding(ran, rows, n, columns, one_in):
    for name, deep in (("spmm_block", 16), ("spmm_decoded", 64)):
        operands = ran(name, (16 * rows, n, deep * columns, one_in), "fp32", "numba")
        most = np.abs(operands[1]).max() * np.abs(operands[4]).max()
        _agree(operands, name, deep * columns, deep * columns * most)


@settings(max_examples=25)
@given(m=st.integers(1, 150), n=st.integers(1, 40), one_in=st.integers(1, 9))
def test_channels_below_their_threshold_do_not_count(ran, m, n, one_in):
    operands = ran("gemv_channels", (m, n, one_in), "fp32", "numba")
    operands[1][np.abs(operands[2]) < operands[3]] = np.nan  # never read
    kernel("gemv_channels").run(*operands)
    operands[1][np.isnan(operands[1])] = 0
    _agree(operands, "gemv_channels", n, n * np.abs(operands[1]).max() * np.abs(operands[2]).max())


@pytest.mark.parametrize("name", ["rms_norm", "layer_norm", "softmax", "swiglu"])
@settings(max_examples=20)
@given(rows=SMALL, width=st.integers(2, 200), seed=st.integers(0, 9))
def test_small_operators_agree_to_rounding(ran, name, rows, width, seed):
    operands = ran(name, (rows, width), "fp32", "numba", seed)
    # A layer norm of numbers that are nearly equal loses what their mean has of rounding: of the order of the numbers over their spread.
    spread = min(row.std() for row in operands[1]) if name == "layer_norm" else 1.0
    np.testing.assert_allclose(
        operands[0], kernel(name).reference(*operands), rtol=(width + 40) * EPSILON, atol=(width + 40) * EPSILON * 20 / spread
    )


@settings(max_examples=20)
@given(rows=SMALL, width=st.integers(1, 40), vocabulary=SMALL)
def test_a_lookup_is_the_rows_of_the_table(ran, rows, width, vocabulary):
    operands = ran("lookup", (rows, width, vocabulary), "fp32", "numba")
    np.testing.assert_array_equal(operands[0], operands[1][operands[2]])


def test_what_is_not_a_number_is_not_hidden():
    for name, shape, at in (("softmax", (2, 7), (0, 3)), ("rms_norm", (2, 7), (0, 3)), ("swiglu", (2, 7), (0, 3))):
        operands = kernel(name).operands(shape, "fp32", np.random.default_rng(0))
        operands[1][at] = np.nan
        kernel(name).run(*operands)
        assert np.isnan(operands[0][0, 3])
        assert np.isfinite(operands[0][1]).all()
