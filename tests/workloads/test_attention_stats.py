"""Attention: a mass of one, spread by sinks, recency and lasting importance as stated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edgewright.workloads import AttentionProcess, Stream

STREAM = Stream(1, "attention")
processes = st.builds(
    AttentionProcess,
    sinks=st.integers(1, 6),
    sink_share=st.floats(0, 0.5),
    recent_share=st.floats(0, 0.5),
    recency=st.floats(0.5, 100),
    exponent=st.floats(0, 3),
    persistence=st.floats(0, 1),
)


@given(processes, st.integers(1, 200), st.integers(0, 1000), st.integers(0, 9))
def test_attention_is_a_mass_of_one(process, context, step, sequence):
    scores = process.scores(STREAM, context, step, sequence=sequence)
    assert scores.shape == (context,)
    assert scores.min() >= 0.0
    assert scores.sum() == pytest.approx(1.0)
    assert np.array_equal(scores, process.scores(STREAM, context, step, sequence=sequence))


def test_sinks_and_recency_written_out():
    """Four tokens, two sinks that share 1/2; recency e^-age shares the other half."""
    process = AttentionProcess(sinks=2, sink_share=0.5, recent_share=0.5, recency=1.0)
    ages = np.exp(-np.array([3.0, 2.0, 1.0, 0.0]))
    expected = 0.5 * ages / ages.sum() + np.array([0.25, 0.25, 0.0, 0.0])
    assert np.allclose(process.scores(STREAM, 4, 0), expected)


def test_a_context_shorter_than_the_sinks_shares_among_what_there_is():
    process = AttentionProcess(sinks=4, sink_share=1.0, recent_share=0.0)
    assert np.allclose(process.scores(STREAM, 2, 0), [0.5, 0.5])


def test_importance_falls_as_a_power_of_rank():
    process = AttentionProcess(sinks=0, sink_share=0.0, recent_share=0.0, exponent=0.7)
    ranked = np.sort(process.scores(STREAM, 20_000, 0))[::-1]
    ranks = np.arange(1, 20_001)
    slope = np.polyfit(np.log(ranks[50:10_000]), np.log(ranked[50:10_000]), 1)[0]
    assert slope == pytest.approx(-0.7, abs=0.05)


def _heavy(scores, share=0.05):
    return set(np.argsort(scores)[-int(share * len(scores)) :].tolist())


def _kept(persistence):
    process = AttentionProcess(sinks=0, sink_share=0.0, recent_share=0.0, persistence=persistence)
    first, later = (_heavy(process.scores(STREAM, 10_000, step)) for step in (3, 400))
    return len(first & later) / len(first)


def test_heavy_tokens_stay_heavy_as_persistence_says():
    """Of the heaviest 5 %, a part p stays by persistence; the others are among the heaviest again by chance, 5 % of 1 - p."""
    assert _kept(0.0) == pytest.approx(0.05, abs=0.03)
    assert _kept(0.6) == pytest.approx(0.6 + 0.4 * 0.05, abs=0.06)
    assert _kept(1.0) == 1.0


def test_importance_belongs_to_the_token_and_the_sequence():
    process = AttentionProcess(sinks=0, sink_share=0.0, recent_share=0.0, persistence=1.0)
    short, long = process.scores(STREAM, 100, 1), process.scores(STREAM, 150, 2)
    assert np.allclose(short / short[0], long[:100] / long[0])
    assert not np.allclose(short, process.scores(STREAM, 100, 1, sequence=1))


def test_accumulated_attention_is_the_sum_of_its_steps():
    process = AttentionProcess()
    expected = np.zeros(12)
    for seen in (10, 11, 12):
        expected[:seen] += process.scores(STREAM, seen, seen, sequence=3)
    accumulated = process.accumulated(STREAM, 12, 3, sequence=3)
    assert np.allclose(accumulated, expected)
    assert accumulated.sum() == pytest.approx(3.0)


def test_the_heaviest_fifth_and_the_sinks_hold_most_of_the_mass():
    """What heavy-hitter policies rest on: with the defaults, 20 % of the tokens hold most of accumulated attention; alike, far less."""

    def share(exponent):
        process = AttentionProcess(sink_share=0.1, recent_share=0.1, exponent=exponent, persistence=1.0)
        scores = np.sort(process.accumulated(STREAM, 500, 100))[::-1]
        return scores[:100].sum() / scores.sum()

    # Tokens alike: the top fifth holds a fifth of the 80 % that is spread, and at most all of sinks and recency.
    assert share(0.0) < 0.2 * 0.8 + 0.2 + 0.05
    # Exponent 1: the heaviest 100 of 500 hold H(100) / H(500) = 5.19 / 6.79 = 76 % of what is spread.
    assert share(1.0) > 0.76 * 0.8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sink_share": 0.7, "recent_share": 0.5}, "more than 1 together"),
        ({"sinks": 0, "sink_share": 0.1}, "at least one sink"),
        ({"recency": 0}, "recency"),
        ({"persistence": 2}, "persistence"),
        ({"heads": 2}, "heads"),
    ],
)
def test_impossible_parameters_are_refused_by_name(change, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(AttentionProcess).validate_python(change)
