"""KV policies: closed forms against the selection, on contexts short enough to read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.policies.families import Footprint
from edgewright.policies.kv import Full, HeavyHitters, Offload, Quantised, SlidingWindow


def kept(mask: np.ndarray) -> list[int]:
    return [int(position) for position in np.flatnonzero(mask)]


def test_full_keeps_everything() -> None:
    assert Full().footprint(10, 12) == Footprint(resident=12, attended=12, fetched=0.0)
    assert Full().bits is None


def test_quantised_is_full_at_fewer_bits() -> None:
    assert Quantised(bits=3.0).footprint(10, 12) == Full().footprint(10, 12)
    assert Quantised(bits=3.0).bits == 3.0
    assert Quantised().bits == 4 + 32 / 64


def test_sliding_window_keeps_sinks_and_the_latest() -> None:
    policy = SlidingWindow(sinks=2, window=3)
    assert kept(policy.select(np.zeros(10), prompt=6)) == [0, 1, 7, 8, 9]
    assert policy.footprint(6, 10) == Footprint(resident=5, attended=5)
    assert policy.footprint(6, 4) == Footprint(resident=4, attended=4)


def test_heavy_hitters_keep_the_latest_and_the_most_attended_of_the_rest() -> None:
    scores = np.array([5.0, 1.0, 4.0, 1.0, 9.0, 0.0, 0.0, 8.0, 0.0, 0.0])
    policy = HeavyHitters(budget=0.5, recent=0.5)  # of a prompt of 8: 4 tokens, 2 of them recent
    assert kept(policy.select(scores, prompt=8)) == [4, 7, 8, 9]  # recent 8 and 9; then 9.0 and 8.0
    assert policy.footprint(8, 10).attended == 4


def test_of_equal_scores_the_earlier_position_stays() -> None:
    assert kept(HeavyHitters(tokens=3, recent=0.34).select(np.ones(6), prompt=6)) == [0, 1, 5]


def test_a_budget_in_tokens_replaces_the_fraction() -> None:
    assert HeavyHitters(budget=0.5, tokens=3).footprint(1000, 2000).resident == 3


def test_a_budget_of_a_short_prompt_is_one_token_at_least() -> None:
    assert HeavyHitters(budget=0.1).footprint(3, 9).attended == 1


def test_offload_fetches_what_is_not_resident() -> None:
    assert Offload(resident=4).footprint(8, 10) == Footprint(resident=4, attended=10, fetched=6)
    assert Offload(resident=4).footprint(2, 3) == Footprint(resident=3, attended=3, fetched=0)


def test_plain_numbers_stay_plain_numbers() -> None:
    for policy in (Full(), Quantised(), SlidingWindow(), HeavyHitters(), Offload()):
        footprint = policy.footprint(100, 2000)
        assert {type(footprint.resident), type(footprint.attended), type(footprint.fetched)} <= {int, float}


@given(prompt=st.integers(1, 300), context=st.integers(1, 600), budgets=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_smaller_budget_never_keeps_more(prompt: int, context: int, budgets: tuple[float, float]) -> None:
    small, large = (HeavyHitters(budget=budget).footprint(prompt, context).resident for budget in sorted(budgets))
    assert small <= large


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40), st.integers(1, 40))
def test_what_heavy_hitters_keep_before_the_latest_outweighs_what_they_drop(scores: list[float], tokens: int) -> None:
    values = np.array(scores)
    mask = HeavyHitters(tokens=tokens, recent=0.5).select(values, prompt=len(scores))
    recent = min(len(scores), tokens)
    recent = max((recent + 1) // 2, 1)
    older, chosen = values[: len(values) - recent], mask[: len(values) - recent]
    assert not chosen.any() or chosen.all() or older[chosen].min() >= older[~chosen].max()


@pytest.mark.parametrize(
    "build",
    [lambda: SlidingWindow(window=0), lambda: Quantised(bits=0.0), lambda: HeavyHitters(budget=1.5), lambda: Offload(resident=0)],
)
def test_a_senseless_hyper_parameter_is_refused(build: type) -> None:
    with pytest.raises(ValueError, match="is not accepted"):
        build()
