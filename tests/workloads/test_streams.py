"""Draws by name: pure, alike in every process, uniform, and independent of their neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgewright.workloads import Stream

MANY = 100_000
indices = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(tuple)

DRAWS = """
from edgewright.workloads import Stream
s = Stream(7, "a.b")
print(s.uniform(), s.uniform(3), s.uniform(3, -1), s.normal(0, 1, 2), s.permutation(5).tolist(), s.generator(4).random())
"""


def test_draws_are_alike_in_every_process(same_in_every_process):
    assert same_in_every_process(DRAWS).split()[0] == str(Stream(7, "a.b").uniform())


def test_a_draw_follows_splitmix64_written_out_with_whole_numbers():
    """key from BLAKE2b, then one step per index: state = mix(state + (index + 1) * golden)."""
    from hashlib import blake2b

    def step(state, index):
        z = (state + (index + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    key = int.from_bytes(blake2b(b"7|a.b|", digest_size=8, person=b"edgewright").digest(), "little")
    assert Stream(7, "a.b").uniform(5, 2) == (step(step(key, 5), 2) >> 11) / 2**53


@given(st.integers(), st.text(max_size=8), indices)
def test_a_draw_is_a_function_of_its_name(seed, path, index):
    draw = Stream(seed, path).uniform(*index)
    assert 0.0 <= draw < 1.0
    assert draw == Stream(seed, path).uniform(*index)


@given(indices, st.integers(0, 40))
def test_a_block_equals_its_single_draws(index, count):
    stream = Stream(1, "block")
    assert stream.uniforms(count, *index).tolist() == [stream.uniform(*index, number) for number in range(count)]


def test_arrays_of_indices_broadcast_and_equal_single_draws():
    stream = Stream(1, "grid")
    grid = stream.uniforms_at(np.array([[4], [-9]]), np.array([0, 1, 2]))
    assert grid.tolist() == [[stream.uniform(row, column) for column in (0, 1, 2)] for row in (4, -9)]
    assert stream.uniforms_at(4) == stream.uniform(4)
    assert stream.uniforms_at() == stream.uniform()


def test_children_have_dotted_names_and_are_values():
    assert Stream(3).child("a").child("b") == Stream(3, "a.b")
    assert hash(Stream(3, "a")) == hash(Stream(3).child("a"))
    assert Stream(3, "a") != Stream(4, "a")


def test_uniform_draws_are_uniform():
    draws = Stream(11, "uniform").uniforms(MANY)
    assert stats.kstest(draws, "uniform").pvalue > 0.01
    assert stats.chisquare(np.bincount((draws * 256).astype(int), minlength=256)).pvalue > 0.01


def test_last_bits_are_as_even_as_the_first():
    draws = (Stream(12, "bits").uniforms(MANY) * 2**53).astype(np.int64)
    ones = [int(((draws >> bit) & 1).sum()) for bit in range(53)]
    assert max(abs(count - MANY / 2) for count in ones) < 4.5 * (MANY / 4) ** 0.5


def _correlation(first, second):
    return abs(np.corrcoef(first, second)[0, 1])


# Five standard errors of the correlation of independent draws: 5 / sqrt(n).
FAR = 5 / MANY**0.5


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 256])
def test_neighbours_are_not_correlated(lag):
    draws = Stream(13, "lags").uniforms(MANY)
    assert _correlation(draws[lag:], draws[:-lag]) < FAR


def test_streams_of_like_names_seeds_and_indices_are_not_correlated():
    base = Stream(14, "x")
    others = [Stream(15, "x"), Stream(14, "y"), base.child("x")]
    draws = base.uniforms(MANY)
    assert max(_correlation(draws, other.uniforms(MANY)) for other in others) < FAR
    assert _correlation(draws, base.uniforms(MANY, 0)) < FAR
    numbers = np.arange(MANY)
    assert _correlation(draws, base.uniforms_at(numbers, numbers)) < FAR
    assert _correlation(draws, base.uniforms_at(numbers, 0)) < FAR


def test_pairs_fill_the_square_evenly():
    draws = Stream(16, "pairs").uniforms(2 * MANY)
    cells = (draws[::2] * 16).astype(int) * 16 + (draws[1::2] * 16).astype(int)
    assert stats.chisquare(np.bincount(cells, minlength=256)).pvalue > 0.01


def test_exponential_and_normal_draws_have_their_distributions():
    stream = Stream(17, "shapes")
    exponential = [stream.exponential(2.0, number) for number in range(5000)]
    normal = [stream.normal(3.0, 0.5, number) for number in range(5000)]
    assert stats.kstest(exponential, "expon", (0, 2)).pvalue > 0.01
    assert stats.kstest(normal, "norm", (3, 0.5)).pvalue > 0.01


def test_generators_are_named_too():
    stream = Stream(18, "bulk")
    assert stream.generator(1).random() == stream.generator(1).random()
    assert stream.generator(1).random() != stream.generator(2).random()
    assert stream.generator(1).random() != stream.generator(1, 0).random()


def test_integers_cover_their_range_and_choices_their_weights():
    stream = Stream(19, "whole")
    integers = [stream.integer(-2, 3, number) for number in range(5000)]
    assert stats.chisquare(np.bincount(np.array(integers) + 2, minlength=5)).pvalue > 0.01
    choices = np.bincount([stream.choice([1, 0, 3], number) for number in range(4000)], minlength=3)
    assert choices[1] == 0
    assert stats.chisquare(choices[[0, 2]], [1000, 3000]).pvalue > 0.01


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_what_happens_at_a_chance_happens_at_a_higher_one(one, other, index):
    stream, (low, high) = Stream(20), sorted([one, other])
    assert stream.bernoulli(low, index) <= stream.bernoulli(high, index)


@given(st.integers(0, 60), st.integers(0, 5))
def test_a_permutation_holds_every_number_once(count, index):
    assert sorted(Stream(21).permutation(count, index).tolist()) == list(range(count))


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(ValueError, match="positive weight"):
        Stream(1).choice([0.0, 0.0])
    with pytest.raises(ValueError, match="no integer"):
        Stream(1).integer(3, 3)
