"""Scores, selection, gathering, clustering and quantisation of a cache: against the plain selections, exactly where they are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.kernels import kernel
from edgewright.kernels.selection import lloyd_step, top

EPSILON = float(np.finfo(np.float32).eps)
BITS = {"int2": 2, "int4": 4, "int8": 8}


@pytest.mark.parametrize("name", ["kv_accumulate", "kv_gumbel"])
@settings(max_examples=15)
@given(context=st.integers(1, 300), heads=st.integers(1, 2), group=st.integers(1, 5), width=st.integers(1, 70))
def test_scores_gain_the_softmax_of_a_step(ran, name, context, heads, group, width):
    operands = ran(name, (context, heads, group, width), "fp32", "numba")
    largest = np.linalg.norm(operands[2], axis=-1).max() * np.linalg.norm(operands[3], axis=-1).max() / width**0.5
    slack = EPSILON * (width + 40) * (1 + largest)
    np.testing.assert_allclose(operands[0], kernel(name).reference(*operands), rtol=slack, atol=slack)


@pytest.mark.parametrize("name", ["kv_accumulate", "kv_gumbel"])
def test_a_step_adds_one_to_every_head(ran, name):
    operands = ran(name, (200, 2, 3, 16), "fp32", "numba")
    np.testing.assert_allclose((operands[0] - operands[1].astype(np.float64)).sum(axis=1), 1.0, atol=200 * 2 * EPSILON)


@settings(max_examples=40)
@given(rows=st.integers(1, 4), context=st.integers(1, 300), one_in=st.integers(1, 20), seed=st.integers(0, 9))
def test_selected_are_the_highest_in_order(ran, rows, context, one_in, seed):
    operands = ran("kv_select", (rows, context, one_in), "fp32", "numba", seed)
    np.testing.assert_array_equal(operands[0], kernel("kv_select").reference(*operands))


@settings(max_examples=60)
@given(
    scores=st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, 1e-40]), min_size=1, max_size=40), share=st.floats(0, 1)
)
def test_of_equal_scores_the_earlier_is_selected(scores, share):
    kept = max(1, int(share * len(scores)))
    chosen = kernel("kv_select")
    _, _, *room = chosen.operands((1, len(scores), 1), "fp32", np.random.default_rng(0))
    row, positions = np.array([scores], np.float32), np.zeros((1, kept), np.int64)
    chosen.run(positions, row, *room)
    np.testing.assert_array_equal(positions[0], np.sort(top(row[0], kept)))


@settings(max_examples=20)
@given(context=st.integers(1, 60), heads=st.integers(1, 3), width=st.integers(1, 40), one_in=st.integers(1, 9))
def test_gathered_are_the_tokens_of_the_positions(ran, context, heads, width, one_in):
    kept, stored, positions = ran("kv_gather", (context, heads, width, one_in), "fp32", "numba")
    for head in range(heads):
        np.testing.assert_array_equal(kept[head], stored[head, positions[head]])


@settings(max_examples=30)
@given(context=st.integers(1, 200), clusters=st.integers(1, 40), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_a_step_of_k_means_agrees_where_distances_are_exact(context, clusters, width, seed):
    chosen, generator = kernel("kv_cluster"), np.random.default_rng(seed)
    operands = list(chosen.operands((context, clusters, width), "fp32", generator))
    for at in (1, 2):  # small whole numbers: products and sums are exact, and equal distances are common
        operands[at][...] = generator.integers(-3, 4, operands[at].shape)
    chosen.run(*operands)
    np.testing.assert_allclose(operands[0], lloyd_step(operands[1], operands[2])[0], rtol=EPSILON)


@pytest.mark.parametrize("what", ["keys", "values"])
@settings(max_examples=15)
@given(
    groups=st.integers(1, 3), heads=st.integers(1, 2), other=st.integers(1, 40), dtype=st.sampled_from(sorted(BITS)), seed=st.integers(0, 9)
)
def test_codes_are_those_of_numpy_but_for_ties_of_rounding(ran, what, groups, heads, other, dtype, seed):
    shape = (32 * groups, heads, other) if what == "keys" else (other, heads, 32 * groups)
    operands = ran(f"kv_quantise_{what}", shape, dtype, "numba", seed)
    reference = kernel(f"kv_quantise_{what}").reference(*operands)
    widen = kernel(f"kv_widen_{what}")
    spread = np.ptp(operands[1])
    for packed, allowed in ((operands[0], 0.0), (reference, 1.001)):  # at a tie either code is as near
        wide, _, bits, *room = widen.operands(shape, dtype, np.random.default_rng(0))
        widen.run(wide, packed, bits, *room)
        again = widen.reference(wide, packed, bits, *room)
        np.testing.assert_allclose(wide, again, atol=4 * EPSILON * spread)
        if allowed:
            other_wide = widen.reference(wide, operands[0], bits, *room)
            assert np.abs(again - other_wide).max() <= allowed * spread / (2 ** BITS[dtype] - 1)
    assert (reference != operands[0]).mean() < 0.01


@pytest.mark.parametrize("what", ["keys", "values"])
@pytest.mark.parametrize("dtype", sorted(BITS))
def test_a_quantised_cache_is_within_half_a_step(ran, what, dtype):
    packed, numbers, bits, *_ = ran(f"kv_quantise_{what}", (64, 2, 64), dtype, "numba")
    wide = kernel(f"kv_widen_{what}").reference(numbers, packed, bits)
    axis, groups = (2, numbers.reshape(2, 2, 32, 64)) if what == "keys" else (3, numbers.reshape(2, 64, 2, 32))
    difference = np.abs(wide - numbers).reshape(groups.shape)
    step = np.ptp(groups, axis=axis, keepdims=True) / (2 ** BITS[dtype] - 1)
    rounding = 2.0**-8 * (np.abs(groups).max(axis=axis, keepdims=True) + np.ptp(groups, axis=axis, keepdims=True))
    assert np.all(difference <= step / 2 + rounding)
    assert difference.max() > 0.4 * step.min()  # and no finer than its bits


def test_equal_numbers_are_kept_to_bf16():
    packed, values, bits, room = kernel("kv_quantise_values").operands((3, 1, 32), "int2", np.random.default_rng(0))
    values[...] = 3.0
    kernel("kv_quantise_values").run(packed, values, bits, room)
    np.testing.assert_array_equal(kernel("kv_widen_values").reference(values, packed, bits), 3.0)


@pytest.mark.parametrize(("dtype", "bits"), [("int2", 3), ("int4", 5), ("int8", 9)])
def test_a_number_takes_its_code_and_its_share_of_the_group(dtype, bits):
    packed, keys, *_ = kernel("kv_quantise_keys").operands((64, 2, 64), dtype, np.random.default_rng(0))
    assert packed.nbytes * 8 == bits * keys.size
