"""Routes as a Markov chain of layers: what the matrices promise, and that routes keep to them."""

import numpy as np
import pytest

from edgewright.workloads import MarkovRouting, Stream, expert_loads, follow_table

STREAM = Stream(3, "test")


def router(**changes):
    return MarkovRouting(**{"layers": 3, "experts": 8, "top_k": 1, "concentration": 0.2, **changes})


def test_every_expert_is_as_popular():
    """Rows and columns sum to 1, so a uniform layer is followed by a uniform one; of 4000 tokens 500 each, within five deviations."""
    matrices = router().transitions()
    assert matrices.sum(axis=2) == pytest.approx(np.ones((2, 8)))
    assert matrices.sum(axis=1) == pytest.approx(np.ones((2, 8)), rel=1e-3)
    assert expert_loads(router().routes(STREAM, 4000), 8) == pytest.approx(np.full((3, 8), 500), abs=112)


def test_routes_follow_the_matrices():
    """Shares over some 500 tokens per row: within five deviations, 5 * sqrt(0.25 / 500) = 0.112."""
    found = follow_table(router().routes(STREAM, 4000), 8)
    assert np.abs(found - router().transitions()).max() < 0.112


def test_a_small_concentration_leaves_few_followers():
    """The inverse of the mean squared share: (experts c + 1) / (c + 1) for Dirichlet rows, within a third after balancing."""
    for concentration in (0.05, 0.5, 5.0):
        squares = (MarkovRouting(layers=9, experts=64, top_k=1, concentration=concentration).transitions() ** 2).sum(axis=2).mean()
        assert 1.0 / squares == pytest.approx((64 * concentration + 1) / (concentration + 1), rel=1 / 3)


def test_several_experts_of_a_token_are_distinct_and_single_tokens_agree_with_blocks():
    one = router(top_k=3)
    block = one.routes(STREAM, 20, sequence=4)
    assert all(len(set(row)) == 3 for layer in block.tolist() for row in layer)
    assert np.array_equal(one.routes(STREAM, 1, start=7, sequence=4)[:, 0], block[:, 7])


def test_impossible_figures_are_refused():
    with pytest.raises(ValueError, match="exceeds the 8 experts"):
        router(top_k=9)
    with pytest.raises(ValueError, match=r"accepted are 0\.001 to 1000"):
        router(concentration=0.0)
