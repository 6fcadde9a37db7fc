"""The cuts of a pipeline against brute force."""

from itertools import combinations, pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from edgewright.policies.partitioning.cuts import best_cuts


def brute_force(stages, segments, cost):
    """The least (bottleneck, total) over all cuts."""
    choices = [(0, *inner, segments) for inner in combinations(range(1, segments), stages - 1)]
    worths = [[cost(stage, i, j) for stage, (i, j) in enumerate(pairwise(bounds))] for bounds in choices]
    return min(((max(costs), sum(costs)) for costs in worths), default=(inf, inf))


@given(
    stages=st.integers(1, 4),
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    speeds=st.lists(st.integers(1, 4), min_size=4, max_size=4),
    room=st.lists(st.integers(5, 40), min_size=4, max_size=4),
)
def test_cuts_are_optimal(stages, weights, speeds, room):
    """Uneven devices with uneven memory: the bottleneck is the least, and so is the total among those."""

    def cost(stage, i, j):
        total = sum(weights[i:j])
        return total * speeds[stage] if total <= room[stage] else inf

    bounds = best_cuts(stages, len(weights), cost)
    least = brute_force(stages, len(weights), cost)
    if bounds is None:
        assert least[0] == inf
        return
    costs = [cost(stage, i, j) for stage, (i, j) in enumerate(pairwise(bounds))]
    assert (max(costs), sum(costs)) == least
    assert bounds[0] == 0
    assert bounds[-1] == len(weights)
    assert all(i < j for i, j in pairwise(bounds))


def test_the_total_decides_between_equal_bottlenecks():
    """The last segment costs 9 wherever it is; the others go to the free stage."""
    costs = {(0, 0, 1): 5.0, (0, 0, 2): 6.0, (1, 1, 3): 9.0, (1, 2, 3): 9.0}
    assert best_cuts(2, 3, lambda *key: costs.get(key, inf)) == (0, 1, 3)
