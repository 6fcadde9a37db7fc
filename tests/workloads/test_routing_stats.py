"""Expert routes: distinct experts, popularity, affinity and persistence as stated; blocks equal single tokens."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edgewright.workloads import RoutingProcess, Stream, TraceError, expert_loads, follow_table, read_routes

STREAM = Stream(1, "routes")
processes = st.builds(
    RoutingProcess,
    layers=st.integers(1, 4),
    experts=st.integers(4, 9),
    top_k=st.integers(1, 4),
    skew=st.floats(0, 3),
    affinity=st.floats(0, 1),
    persistence=st.floats(0, 1),
    span=st.integers(1, 9),
    seed=st.integers(0, 99),
)


@given(processes, st.integers(0, 500), st.integers(0, 20))
def test_routes_name_distinct_experts(process, start, sequence):
    routes = process.routes(STREAM, 13, start=start, sequence=sequence)
    assert routes.shape == (process.layers, 13, process.top_k)
    assert routes.min() >= 0
    assert routes.max() < process.experts
    ordered = np.sort(routes, axis=-1)
    assert np.all(ordered[..., 1:] > ordered[..., :-1])


@settings(max_examples=30)
@given(processes, st.integers(0, 500), st.integers(0, 20))
def test_blocks_equal_single_tokens_and_batches(process, start, sequence):
    block = process.routes(STREAM, 9, start=start, sequence=sequence)
    single = [process.routes(STREAM, 1, start=start + token, sequence=sequence)[:, 0] for token in range(9)]
    assert np.array_equal(block, np.stack(single, axis=1))
    batch = process.routes_at(STREAM, [sequence, sequence + 1], [start + 3, 8])
    assert np.array_equal(batch[:, 0], single[3])
    assert np.array_equal(batch[:, 1], process.routes(STREAM, 1, start=8, sequence=sequence + 1)[:, 0])


def test_long_blocks_are_cut_inside_and_do_not_show_it():
    process = RoutingProcess(layers=8, experts=64, top_k=8, skew=1.0, affinity=0.5, persistence=0.5)
    block = process.routes(STREAM, 1200)
    assert np.array_equal(block[:, 700:900], process.routes(STREAM, 200, start=700))


def test_no_tokens_no_routes():
    assert RoutingProcess(layers=3, experts=4, top_k=2).routes(STREAM, 0).shape == (3, 0, 2)


def test_routes_are_alike_in_every_process(same_in_every_process):
    same_in_every_process(
        "from edgewright.workloads import RoutingProcess, Stream\n"
        "p = RoutingProcess(layers=3, experts=8, top_k=2, skew=1, affinity=0.5, persistence=0.5)\n"
        "print(p.routes(Stream(5, 'x'), 40).tolist())"
    )


@pytest.mark.parametrize("affinity", [0.0, 0.5, 1.0])
def test_popularity_is_zipf_in_every_layer_whatever_the_affinity(affinity):
    """With one expert a token: shares 1, 1/2, 1/3, 1/4 over 25/12, in each layer's own ranking."""
    process = RoutingProcess(layers=4, experts=4, top_k=1, skew=1.0, affinity=affinity)
    tokens = 20_000
    shares = expert_loads(process.routes(STREAM, tokens), 4) / tokens
    ranked = np.take_along_axis(shares, process.ranking(), axis=1)
    expected = np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12)
    # Four standard errors of a share of half of 20 000 tokens: 4 * 0.5 / sqrt(20 000).
    assert np.abs(ranked - expected).max() < 0.0142
    assert np.allclose(np.take_along_axis(process.popularity(), process.ranking(), axis=1), expected)


def test_routes_of_several_experts_keep_their_popularity_through_the_layers():
    process = RoutingProcess(layers=6, experts=16, top_k=4, skew=1.0, affinity=0.7, persistence=0.3, span=8)
    tokens = 20_000
    shares = expert_loads(process.routes(STREAM, tokens), 16) / tokens
    ranked = np.take_along_axis(shares, process.ranking(), axis=1)
    # Persistent tokens are worth fewer independent ones: at most `span` times the variance.
    assert np.abs(ranked - ranked[0]).max() < 4 * 0.5 * np.sqrt(2 * 8 * 0.3 / tokens)
    assert np.all(ranked[:, :-4] >= ranked[:, 4:])


def test_one_expert_follows_another_as_often_as_stated():
    """P(next = f | e) = a [f follows e] + (1 - a) popularity(f), here a = 0.4 and 6 experts."""
    process = RoutingProcess(layers=3, experts=6, top_k=1, skew=0.5, affinity=0.4)
    table = follow_table(process.routes(STREAM, 40_000), 6)
    for layer in (0, 1):
        expected = np.tile(0.6 * process.popularity()[layer + 1], (6, 1))
        expected[process.ranking()[layer], process.ranking()[layer + 1]] += 0.4
        # The rarest expert has about 4 700 tokens: four standard errors are 4 * 0.5 / sqrt(4 700).
        assert np.abs(table[layer] - expected).max() < 0.03


@pytest.mark.parametrize("affinity", [0.0, 0.25, 0.75])
def test_places_follow_with_the_stated_probability_on_average(affinity):
    """Experts all alike: a place is kept with probability a, or drawn again among the rest by chance. Bounds: a and a + (1 - a) k / E."""
    process = RoutingProcess(layers=3, experts=64, top_k=4, affinity=affinity)
    routes = process.routes(STREAM, 6000)
    follower = np.empty((3, 64), dtype=int)
    for layer in (0, 1):
        follower[layer, process.ranking()[layer]] = process.ranking()[layer + 1]
    followed = [np.mean((follower[layer][routes[layer]][:, :, None] == routes[layer + 1][:, None, :]).any(axis=-1)) for layer in (0, 1)]
    assert affinity - 0.015 <= min(followed)
    assert max(followed) <= affinity + (1 - affinity) * 4 / 64 + 0.015


def test_persistence_repeats_experts_as_documented():
    """Over 3000 sequences, tokens 0 and 1 of each: 48 000 places; four standard errors are below 0.01."""
    figures = {0.0: 0.125, 0.25: 0.31, 0.5: 0.50, 0.8: 0.76, 1.0: 1.0}
    sequences = np.arange(3000)
    for persistence, figure in figures.items():
        process = RoutingProcess(layers=2, experts=64, top_k=8, persistence=persistence, span=10**9)
        first, second = (process.routes_at(STREAM, sequences, np.full(3000, token)) for token in (0, 1))
        repeated = (first[..., :, None] == second[..., None, :]).any(axis=-1).mean()
        assert repeated == pytest.approx(figure, abs=0.01)


def test_themes_end_with_their_span():
    process = RoutingProcess(layers=2, experts=64, top_k=8, persistence=1.0, span=5)
    routes = process.routes(STREAM, 400)
    changes = np.flatnonzero((routes[:, 1:] != routes[:, :-1]).any(axis=(0, 2)))
    assert set(np.diff(changes)) == {5}


def test_the_ranking_belongs_to_the_model_and_the_routes_to_the_stream():
    one, other = (RoutingProcess(layers=2, experts=8, top_k=2, skew=2.0, seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.ranking(), other.ranking())
    assert not np.array_equal(one.ranking()[0], one.ranking()[1])
    assert not np.array_equal(one.routes(STREAM, 50), one.routes(STREAM.child("else"), 50))
    assert not np.array_equal(one.routes(STREAM, 50), one.routes(STREAM, 50, sequence=1))


def test_tables_written_out():
    """Two layers, three tokens, one expert each: 0 -> 1, 0 -> 2, 1 -> 1; expert 2 is never picked in the first layer."""
    routes = np.array([[[0], [0], [1]], [[1], [2], [1]]], dtype=np.int32)
    assert expert_loads(routes, 3).tolist() == [[2, 1, 0], [0, 2, 1]]
    table = follow_table(routes, 3)
    assert table[0, :2].tolist() == [[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]
    assert np.isnan(table[0, 2]).all()


@pytest.mark.parametrize("change", [{"top_k": 9}, {"affinity": 1.1}, {"skew": -1}, {"layers": 0}, {"span": 0}, {"speed": 1}])
def test_impossible_parameters_are_refused_by_name(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        TypeAdapter(RoutingProcess).validate_python({"layers": 2, "experts": 8, "top_k": 2, **change})


RECORDED = np.array([[[0, 1], [2, 3], [1, 0]], [[3, 2], [0, 1], [2, 1]]])  # two layers, three tokens, two experts each


@pytest.fixture(params=["npz", "jsonl"])
def recording(request, tmp_path):
    def write(routes):
        path = tmp_path / f"routes.{request.param}"
        if request.param == "npz":
            np.savez(path, routes=routes)
        else:
            path.write_text("".join(json.dumps(routes[:, token].tolist()) + "\n" for token in range(routes.shape[1])))
        return path

    return write


def test_recorded_routes_are_replayed_from_a_token_of_their_own_and_wrap_around(recording):
    router = read_routes(recording(RECORDED), 4)
    begins = set()
    for sequence in range(20):
        routes = router.routes(STREAM, 7, sequence=sequence)
        begin = next(token for token in range(3) if np.array_equal(routes[:, 0], RECORDED[:, token]))
        assert np.array_equal(routes, RECORDED[:, (begin + np.arange(7)) % 3])
        assert np.array_equal(routes[:, 4:6], router.routes(STREAM, 2, start=4, sequence=sequence))
        begins.add(begin)
    assert begins == {0, 1, 2}


def test_wrong_recordings_are_refused(recording):
    with pytest.raises(TraceError, match=r"layer 0, token 1: got \[2, 3\]; accepted are experts 0 to 2"):
        read_routes(recording(RECORDED), 3)
    twice = RECORDED.copy()
    twice[1, 2] = [2, 2]
    with pytest.raises(TraceError, match=r"layer 1, token 2: got \[2, 2\]; accepted are routes that name each expert once"):
        read_routes(recording(twice), 4)
    with pytest.raises(TraceError, match="whole numbers"):
        read_routes(recording(RECORDED + 0.5), 4)


def test_files_of_another_form_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text("[[0, 1]]\n[[0, 1], [2]]\n")
    with pytest.raises(TraceError, match=r"a\.jsonl:2: column 1"):
        read_routes(tmp_path / "a.jsonl", 4)
    (tmp_path / "b.jsonl").write_text("")
    with pytest.raises(TraceError, match="whole numbers"):
        read_routes(tmp_path / "b.jsonl", 4)
    (tmp_path / "c.npz").write_text("no archive")
    with pytest.raises(TraceError, match="does not hold `routes`"):
        read_routes(tmp_path / "c.npz", 4)
    np.savez(tmp_path / "d.npz", other=RECORDED)
    with pytest.raises(TraceError, match="does not hold `routes`"):
        read_routes(tmp_path / "d.npz", 4)
