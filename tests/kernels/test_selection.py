"""Selections of cached tokens, on contexts short enough to read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.kernels.selection import (
    filtered_prompt,
    greedy_heavy_hitters,
    gumbel_scores,
    heavy_hitters,
    lloyd_step,
    persistent_importance,
    persistent_positions,
    retained,
    temperature,
    top,
    window,
)


def _kept(mask):
    return np.flatnonzero(mask).tolist()


def test_ties_go_to_the_earlier_position():
    assert top(np.array([1.0, 3.0, 1.0, 3.0]), 3).tolist() == [1, 3, 0]


def test_what_is_retained_is_a_part_of_the_attention():
    attention = np.array([0.5, 0.25, 0.125, 0.125])
    assert retained(attention, np.array([True, False, True, False])) == 0.625
    assert retained(np.zeros(3), np.zeros(3, bool)) == 1.0


def test_a_window_keeps_the_first_and_the_last():
    assert _kept(window(8, 2, 3)) == [0, 1, 5, 6, 7]
    assert _kept(window(4, 2, 3)) == [0, 1, 2, 3]


def test_heavy_hitters_are_the_latest_and_the_heaviest_before():
    assert _kept(heavy_hitters(np.array([0.1, 0.9, 0.5, 0.9, 0.0, 0.0]), 4, 2)) == [1, 3, 4, 5]


def _causal(generator, steps, context):
    """Attention of the last `steps` tokens of a context, each row of sum 1 and zero behind its token."""
    attention = generator.exponential(size=(steps, context)) * (np.arange(context) <= np.arange(context - steps, context)[:, None])
    return attention / attention.sum(axis=1, keepdims=True)


def test_an_evicted_token_cannot_return():
    # Three tokens of prompt, two kept, one of them the latest. Token 0 is lightest at first and heaviest afterwards.
    attention = np.array([[0.1, 0.5, 0.4, 0.0, 0.0], [0.7, 0.1, 0.1, 0.1, 0.0], [0.8, 0.05, 0.05, 0.05, 0.05]])
    assert _kept(greedy_heavy_hitters(attention, 2, 1)) == [1, 4]
    assert _kept(heavy_hitters(attention.sum(axis=0), 2, 1)) == [0, 4]


@settings(max_examples=40)
@given(seed=st.integers(0, 99), steps=st.integers(1, 12), prompt=st.integers(0, 12), kept=st.integers(1, 10))
def test_evicting_greedily_keeps_as_many_and_the_latest(seed, steps, prompt, kept):
    context, recent = prompt + steps, max(kept // 2, 1)
    mask = greedy_heavy_hitters(_causal(np.random.default_rng(seed), steps, context), kept, recent)
    assert mask.sum() == min(kept, context)
    assert mask[context - min(recent, context) :].all()


@settings(max_examples=40)
@given(seed=st.integers(0, 99), kept=st.integers(1, 12))
def test_evicting_greedily_is_choosing_once_where_there_is_one_step(seed, kept):
    attention = _causal(np.random.default_rng(seed), 1, 12)
    recent = max(kept // 2, 1)
    np.testing.assert_array_equal(greedy_heavy_hitters(attention, kept, recent), heavy_hitters(attention[0], kept, recent))


def test_importance_counts_steps_not_mass():
    # Token 0 has drawn a lot once, token 1 an even share (a third, a quarter) each time.
    attention = np.array([[0.6, 0.4, 0.0, 0.0], [0.0, 0.4, 0.6, 0.0], [0.2, 0.3, 0.2, 0.3]])
    assert _kept(heavy_hitters(attention.sum(axis=0), 2, 1)) == [1, 3]
    assert _kept(persistent_importance(attention, 2, 1, history=3)) == [1, 3]
    heavy = np.array([[0.9, 0.1, 0.0, 0.0], [0.05, 0.45, 0.5, 0.0], [0.05, 0.3, 0.3, 0.35]])
    assert _kept(heavy_hitters(heavy.sum(axis=0), 2, 1)) == [0, 3]
    assert _kept(persistent_importance(heavy, 2, 1, history=2)) == [1, 3]


def test_the_temperature_rises_evenly():
    assert [temperature(step, 4) for step in range(5)] == [1.0, 1.25, 1.5, 1.75, 2.0]


def test_scores_without_noise_are_the_softmax():
    logits = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(gumbel_scores(logits, np.zeros(3), 1.0), [[0.125, 0.25, 0.625]])
    np.testing.assert_allclose(gumbel_scores(2 * logits, np.zeros(3), 2.0), [[0.125, 0.25, 0.625]])


def test_gumbel_noise_draws_positions_as_often_as_the_softmax_says():
    # The largest of logits + Gumbel noise falls on a position with the probability of the softmax (Gumbel, 1954).
    logits, draws = np.log([1.0, 2.0, 5.0]), 4000
    noise = np.random.default_rng(0).gumbel(size=(draws, 3))
    drawn = np.bincount(gumbel_scores(logits, noise, 1.0).argmax(axis=1), minlength=3) / draws
    assert np.abs(drawn - [0.125, 0.25, 0.625]).max() < 4 * np.sqrt(0.25 / draws)  # four standard deviations


def test_layers_between_reuse_the_positions_of_the_last_selecting_one():
    attention = np.zeros((5, 2, 4))
    attention[1, 0], attention[1, 1] = [0, 3, 0, 0], [2, 0, 0, 0]
    attention[3, 0] = [0, 0, 5, 6]
    found = persistent_positions(attention, 2, (1, 3))
    assert [None if each is None else each.tolist() for each in found] == [None, None, [0, 1], None, [2, 3]]


def test_a_filtered_prompt_keeps_neighbourhoods_of_what_an_early_layer_looks_at():
    logits = np.zeros((2, 9))
    logits[0, 4], logits[1, 4] = 3.0, 4.0
    assert filtered_prompt(logits, 3, pool=3).tolist() == [3, 4, 5]
    assert filtered_prompt(logits, 1, pool=1).tolist() == [4]


def test_a_step_of_k_means_by_hand():
    points, centres = np.array([[0.0], [1.0], [10.0]]), np.array([[0.0], [9.0], [100.0]])
    made, nearest = lloyd_step(points, centres)
    assert made.tolist() == [[0.5], [10.0], [100.0]]
    assert nearest.tolist() == [0, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_a_step_of_k_means_never_makes_it_worse(seed):
    generator = np.random.default_rng(seed)
    points, centres = generator.standard_normal((50, 3)), generator.standard_normal((6, 3))
    losses = []
    for _ in range(4):
        after, nearest = lloyd_step(points, centres)
        losses.append(((points - centres[nearest]) ** 2).sum())
        centres = after
    assert losses == sorted(losses, reverse=True)
