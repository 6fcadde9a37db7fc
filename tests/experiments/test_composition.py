"""Four mechanisms at once: each of them acts, and the ablation has a row for every way to have them."""

import pytest

from edgewright.experiments.reproductions.composition import MECHANISMS, ablation, points

SHORT = {
    "workloads.questions.arrivals.at": [0.0, 0.0, 0.0, 0.0],
    "workloads.questions.lengths.prompt.value": 64,
    "workloads.questions.lengths.output.value": 3,
    "power.shelf.budget": "60 W",
}


def test_a_row_for_all_none_each_alone_and_each_left_out():
    found = points()
    assert len(found) == 2 + 2 * len(MECHANISMS)
    assert len(set(found.values())) == len(found)
    assert {len(on) for on in found.values()} == {0, 1, len(MECHANISMS) - 1, len(MECHANISMS)}


def test_each_mechanism_acts_among_the_others():
    """Against all four: without the window weights stay in memory, without Keyformer the cache is twice as large (four prompts of 64 and
    2 tokens more, of which it keeps 32), without ExFlow a board has a quarter of it, and without POLCA it draws more."""
    rows = {row["point"]: row for row in ablation(changes=SHORT)}
    assert list(rows) == list(points())
    whole = rows["all four"]
    assert rows["without TPI-LLM"]["memory, GB"] > 2 * whole["memory, GB"]
    assert rows["without TPI-LLM"]["seconds"] < whole["seconds"] / 2
    assert rows["without Keyformer"]["of it KV, GB"] == pytest.approx(whole["of it KV, GB"] * 66 / 32, rel=0.02)
    assert rows["without ExFlow"]["of it KV, GB"] == pytest.approx(whole["of it KV, GB"] / 4, rel=0.02)
    assert rows["without POLCA"]["seconds"] < whole["seconds"]
    assert rows["without POLCA"]["peak of the first 4 s, W"] >= whole["peak of the first 4 s, W"]
