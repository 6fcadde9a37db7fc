"""Outcomes: distributions as stated, draws by name, blocks equal to single draws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from edgewright.workloads import OUTCOMES, Job, Outcomes, Stream, UnknownOutcome
from edgewright.workloads.outcomes import Acceptance, Bernoulli, Categorical, Recording

SOURCES = {
    "exit": Bernoulli(chance=0.3),
    "branch": Categorical(weights=(1.0, 0.0, 3.0)),
    "accepted": Acceptance(rate=0.8, drafted=4),
    "confidence": Recording(rows=((0.1, 0.2), (0.3, 0.4))),
}
OUTCOMES_OF = Outcomes(SOURCES, Stream(1, "edge"))
unit = st.floats(0, 1, exclude_max=True)


def _draws(name, count=20_000):
    return np.array([OUTCOMES_OF.draw(name, job, index) for job in range(100) for index in range(count // 100)])


def test_flags_come_up_as_often_as_stated():
    assert _draws("exit").mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 20_000))


def test_categories_come_up_by_weight():
    counts = np.bincount(_draws("branch").astype(int), minlength=3)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2]], [5000, 15_000]).pvalue > 0.01


def test_accepted_drafts_are_a_geometric_prefix():
    """P(n) = 0.8^n 0.2 for n < 4, P(4) = 0.8^4; with the target's token, (1 - 0.8^5) / 0.2 = 3.3616 a round."""
    draws = _draws("accepted")
    expected = np.array([0.2, 0.16, 0.128, 0.1024, 0.4096])
    assert stats.chisquare(np.bincount(draws.astype(int), minlength=5), 20_000 * expected).pvalue > 0.01
    assert draws.mean() + 1 == pytest.approx((1 - 0.8**5) / 0.2, abs=0.05)


@given(unit, st.floats(0, 1), st.integers(0, 9))
def test_acceptance_by_its_definition(uniform, rate, drafted):
    """n drafts are accepted where rate^n > u: count them one by one, away from ties in rounding."""
    counted = sum(rate**n > uniform for n in range(1, drafted + 1))
    value = Acceptance(rate=rate, drafted=drafted).value(uniform)
    if not any(np.isclose(rate**n, uniform, rtol=1e-12, atol=0) for n in range(1, drafted + 1)):
        assert value == counted


@given(unit, st.floats(0, 1), st.floats(0, 1))
def test_a_better_draft_is_never_accepted_less(uniform, one, other):
    low, high = sorted([one, other])
    assert Acceptance(rate=low, drafted=5).value(uniform) <= Acceptance(rate=high, drafted=5).value(uniform)


@given(unit, st.lists(st.floats(0, 100), min_size=1, max_size=5).filter(any))
def test_a_category_of_no_weight_is_never_drawn(uniform, weights):
    assert weights[int(Categorical(weights=tuple(weights)).value(uniform))] > 0.0


def test_recorded_outcomes_are_replayed_and_end():
    assert OUTCOMES_OF.draw("confidence", 1, 0) == 0.3
    with pytest.raises(IndexError, match="outcome 2 of job 1 is not in the recording of 2 jobs"):
        OUTCOMES_OF.draw("confidence", 1, 2)
    with pytest.raises(IndexError, match="outcome 0 of job -1"):
        OUTCOMES_OF.draw("confidence", -1, 0)


@pytest.mark.parametrize("name", ["exit", "branch", "accepted"])
def test_blocks_equal_single_draws_in_any_order(name):
    block = OUTCOMES_OF.block(name, 7, 3, 20)
    single = [OUTCOMES_OF.draw(name, 7, index) for index in reversed(range(3, 23))][::-1]
    assert block.tolist() == single


def test_names_draw_from_streams_of_their_own():
    twins = Outcomes({"one": Bernoulli(chance=0.5), "other": Bernoulli(chance=0.5)}, Stream(1))
    assert not np.array_equal(twins.block("one", 0, 0, 64), twins.block("other", 0, 0, 64))
    alone = Outcomes({"other": Bernoulli(chance=0.5)}, Stream(1))
    assert np.array_equal(twins.block("other", 0, 0, 64), alone.block("other", 0, 0, 64))


def test_jobs_of_several_sources_draw_by_their_keys():
    chat, code = (Job(id=0, service="llm", source=source, arrival=0.0, prompt=1, index=5) for source in ("chat", "code"))
    assert len({chat.key, code.key, replace(chat, turn=1).key, replace(chat, index=6).key}) == 4
    assert chat.key == replace(chat, id=9, arrival=3.0).key < 2**63
    drawn = [OUTCOMES_OF.block("exit", job.index, 0, 64, key=job.key).tolist() for job in (chat, code)]
    assert drawn[0] != drawn[1]
    assert OUTCOMES_OF.draw("confidence", 1, 0, key=chat.key) == 0.3


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(UnknownOutcome, match="unknown outcome 'exits': accepted are accepted, branch, confidence, exit"):
        OUTCOMES_OF.draw("exits", 0, 0)
    with pytest.raises(UnknownOutcome, match="accepted are none"):
        Outcomes({}, Stream(1)).block("exit", 0, 0, 1)


SCENARIOS = {
    "acceptance": {"rate": "80 %", "drafted": 4},
    "bernoulli": {"chance": 0.3},
    "categorical": {"weights": [1, 2]},
    "recording": {"rows": [[1, 0], [0]]},
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_source_reads_a_scenario_with_and_without_its_name(name):
    adapter = TypeAdapter(OUTCOMES[name])
    source = adapter.validate_python(SCENARIOS[name])
    assert source == adapter.validate_python({"outcome": name, **SCENARIOS[name]})
    assert source.value(0.5, 0, 0) == source.value(0.5, 0, 0)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("acceptance", {"rate": 1.2}, "rate"),
        ("acceptance", {"drafted": -1}, "drafted"),
        ("bernoulli", {"chance": -0.1}, "chance"),
        ("categorical", {"weights": []}, "weights"),
        ("categorical", {"weights": [0, 0]}, "all 0"),
        ("categorical", {"weights": [-1, 2]}, "weights"),
        ("bernoulli", {"odds": 1}, "odds"),
    ],
)
def test_impossible_parameters_are_refused_by_name(name, change, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(OUTCOMES[name]).validate_python({**SCENARIOS[name], **change})
