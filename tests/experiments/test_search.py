"""Searches: bisection, races and fronts on figures that are known, and a few on real runs."""

import json
import math
import random
from itertools import pairwise

import pytest
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.experiments.search import Question, search
from edgewright.experiments.search.best import best
from edgewright.experiments.search.capacity import capacity
from edgewright.experiments.search.front import front
from edgewright.experiments.search.trials import Trials
from edgewright.experiments.sweeps.runs import Outcome
from edgewright.experiments.sweeps.spec import SweepError, parsed
from edgewright.simulator import Scenario

RATE = "workloads.questions.arrivals.rate"  # 0.1 per second in `hello`


class Known:
    """A pool whose runs have the figures of a function of their factors and seed."""

    width = 4

    def __init__(self, figures):
        self._figures, self._waiting, self.count = figures, [], 0

    def submit(self, run):
        self._waiting.append(run)

    def finished(self):
        self.count += 1
        run = self._waiting.pop()  # not in the order they came
        return run, self._figures(run)


def asked(figures, journal=None, **question):
    pool = Known(figures)
    return Trials(parsed({"scenario": "hello", **question}, Question), Scenario.load("hello"), pool, journal), pool


def rate_of(run):
    return run.scenario.resolved()["workloads"]["questions"]["arrivals"]["rate"]


def exactly(run):
    """Objectives are met below 0.5 jobs per second, always alike."""
    return Outcome({"slo_met": 1.0 if rate_of(run) < 0.5 else 0.0})


def test_capacity_is_the_last_load_that_meets_within_the_width_asked_for():
    trials, _ = asked(exactly, find="capacity", load=RATE, between=(1, 20), relative=0.02)
    answer = capacity(trials)
    low, high = answer.bounds
    assert low < 5.0 <= high  # 0.5 is 5 times 0.1
    assert high / low <= 1.02**2
    assert [each.verdict for each in answer.tried] == sorted([each.verdict for each in answer.tried], key=["meets", "misses"].index)
    assert f"{RATE} = 0.4" in answer.sentence


@pytest.mark.parametrize(("between", "bounds"), [((0.1, 2), (2.0 * 0 + 0.1, None)), ((6, 9), (None, 9.0))])
def test_capacity_outside_of_the_range_says_so(between, bounds):
    trials, _ = asked(exactly, find="capacity", load=RATE, between=between)
    answer = capacity(trials)
    assert answer.bounds == bounds
    assert "may more" in answer.sentence or "no load" in answer.sentence


def test_capacity_between_noise_gives_a_band_around_the_truth_and_replicates_there():
    def noisy(run):
        luck = random.Random(run.scenario.seed).gauss(0.0, 0.05)  # the same luck at every load
        return Outcome({"slo_met": 1.45 - rate_of(run) + luck})  # 0.95 at 0.5 per second

    trials, _ = asked(noisy, find="capacity", load=RATE, between=(1, 20), relative=0.02, most=10)
    answer = capacity(trials)
    low, high = answer.bounds
    assert low < 5.0 < high
    unsure = [each for each in answer.tried if each.verdict == "unsure"]
    assert unsure
    assert {each.runs for each in unsure} == {10}
    assert all(a.figures["slo_met"][0] >= b.figures["slo_met"][0] for a, b in pairwise(answer.tried))


def test_an_unavailable_figure_keeps_no_limit():
    trials, _ = asked(lambda run: Outcome({"slo_met": math.nan}), find="capacity", load=RATE)
    assert capacity(trials).bounds[0] is None


FORMAT = "services.chat.format"
JOULES = {"q8_0": 2.0, "q4_0": 1.0, "fp16": 1.02}


def joules(run):
    luck = random.Random(run.scenario.seed).gauss(0.0, 0.5)
    format_ = run.factors[FORMAT]
    if format_ == "fp32":
        return Outcome({}, "does not fit")
    return Outcome({"joules_per_token": JOULES[format_] + luck, "ttft_p90_s": 0.1 if format_ == "q4_0" else 0.3})


def test_common_random_numbers_tell_candidates_apart_that_differ_less_than_their_noise():
    trials, _ = asked(joules, find="best", minimise="joules_per_token", factors={FORMAT: list(JOULES)})
    answer = best(trials)
    (winner,) = answer.found  # 1.00 against 1.02 with a noise of 0.5: the difference is the same in every pair
    assert winner.changes == {FORMAT: "q4_0"}
    assert winner.figures["joules_per_token"][1] > 0.1


def test_limits_come_before_the_goal_and_what_fails_is_listed_with_its_reason():
    trials, _ = asked(
        joules, find="best", minimise="joules_per_token", meets={"ttft_p90_s": {"at_least": 0.2}}, factors={FORMAT: [*JOULES, "fp32"]}
    )
    answer = best(trials)
    assert answer.found[0].changes == {FORMAT: "fp16"}
    assert {each.changes[FORMAT]: each.verdict for each in answer.tried} == {
        "q8_0": "meets",
        "q4_0": "misses",
        "fp16": "meets",
        "fp32": "fails: does not fit",
    }


def test_candidates_that_are_equal_cannot_be_told_apart():
    trials, _ = asked(lambda run: Outcome({"energy_J": 1.0}), find="best", minimise="energy_J", factors={FORMAT: ["q8_0", "q4_0"]})
    answer = best(trials)
    assert len(answer.found) == 2
    assert "1 other candidates cannot be told from it" in answer.sentence


def traded(run):
    size = {"q8_0": 2.0, "q4_0": 1.0, "fp16": 4.0}[run.factors[FORMAT]]
    return Outcome({"e2e_p50_s": size, "energy_J": 4.0 / size if size < 4 else 9.0})


def test_a_front_holds_what_no_other_beats():
    trials, _ = asked(traded, find="front", minimise=["e2e_p50_s", "energy_J"], factors={FORMAT: list(JOULES)})
    assert [each.changes[FORMAT] for each in front(trials).found] == ["q4_0", "q8_0"]


def test_optuna_proposes_the_same_candidates_whatever_the_order_of_results():
    question = {"find": "front", "minimise": ["e2e_p50_s", "energy_J"], "factors": {FORMAT: list(JOULES)}, "trials": 12}
    answers = [front(asked(traded, **question)[0]) for _ in range(2)]
    assert answers[0].as_dict() == answers[1].as_dict()
    assert [each.changes[FORMAT] for each in answers[0].found] == ["q4_0", "q8_0"]


def test_costs_are_devices_over_their_life_and_energy():
    figures = {"mean_power_W": 10.0, "tokens_per_s": 2.0}
    prices = {"devices": {"pi": 87.6}, "energy": 0.5, "life": "365 days"}
    trials, _ = asked(lambda run: Outcome(figures), find="best", minimise="cost_per_hour", prices=prices, factors={FORMAT: ["q8_0"]})
    hourly = 87.6 / 8760 + 0.010 * 0.5
    assert best(trials).found[0].figures["cost_per_hour"][0] == pytest.approx(hourly)
    trials, _ = asked(
        lambda run: Outcome(figures), find="best", minimise="cost_per_million_tokens", prices=prices, factors={FORMAT: ["q8_0"]}
    )
    assert best(trials).found[0].figures["cost_per_million_tokens"][0] == pytest.approx(hourly / 7200 * 1e6)


@pytest.mark.parametrize("prices", [{}, {"energy": 0.5, "life": "1 year"}, {"devices": {"pi": 80}}])
def test_without_prices_cost_is_unavailable(prices):
    figures = {"mean_power_W": 10.0, "tokens_per_s": 2.0}
    trials, _ = asked(lambda run: Outcome(figures), find="best", minimise="cost_per_hour", prices=prices, factors={FORMAT: ["q8_0"]})
    with pytest.raises(SweepError, match="cost_per_hour is unavailable; accepted: `prices`"):
        best(trials)


def test_ratings_are_the_users_and_multiply():
    rated = {"quality": {FORMAT: {"q8_0": 0.9, "q4_0": 0.5}, "services.chat.kv": {"full": 1.0, "quantised": 0.5}}}
    factors = {FORMAT: ["q8_0", "q4_0"], "services.chat.kv": ["full", {"policy": "quantised"}]}
    trials, _ = asked(lambda run: Outcome({}), find="best", maximise="quality", rated=rated, factors=factors)
    answer = best(trials)
    assert answer.found[0].figures["quality"][0] == pytest.approx(0.9)
    assert sorted(each.figures["quality"][0] for each in answer.tried) == pytest.approx([0.25, 0.45, 0.5, 0.9])


REFUSED = [
    ({"find": "capacity"}, "asked with `load`"),
    ({"find": "capacity", "load": RATE, "between": (2, 1)}, "two factors above 0"),
    ({"find": "best", "minimise": "energy_J"}, "chooses among `factors`"),
    ({"find": "best", "minimise": ["a", "b"], "factors": {"k": [1]}}, "one figure"),
    ({"find": "front", "minimise": "a", "factors": {"k": [1]}}, "two figures or more"),
    ({"find": "front", "minimise": ["a", "b"], "factors": {"k": {"low": 1, "high": 2}}}, "steps, or `trials`"),
    ({"find": "best", "minimise": "a", "factors": {"k": [1]}, "meets": {"a": {}}}, "either `at_most` or `at_least`"),
    ({"find": "best", "minimise": "a", "factors": {"k": [1]}, "replications": 5, "most": 4}, "at least `replications`"),
    ({"find": "best", "minimse": "a", "factors": {"k": [1]}}, "did you mean 'minimise'"),
]


@pytest.mark.parametrize(("question", "said"), REFUSED)
def test_a_question_that_cannot_be_answered_is_refused_before_anything_runs(question, said):
    with pytest.raises(SweepError, match=said):
        parsed({"scenario": "hello", **question}, Question)


def test_an_unknown_figure_names_the_nearest():
    trials, _ = asked(traded, find="best", minimise="energy_j", factors={FORMAT: ["q8_0"]})
    with pytest.raises(SweepError, match="did you mean 'energy_J'"):
        best(trials)


def test_a_stopped_search_goes_on_and_a_line_cut_short_is_forgotten(tmp_path):
    journal = tmp_path / "runs.jsonl"
    question = {"find": "capacity", "load": RATE, "between": (1, 20), "relative": 0.2}
    first, pool = asked(exactly, journal, **question)
    whole = capacity(first).as_dict()
    text = journal.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    assert len(lines) == pool.count
    journal.write_text("".join(lines[:5]) + lines[5][:20], encoding="utf-8")
    again, pool = asked(exactly, journal, **question)
    assert {**capacity(again).as_dict(), "runs": 0} == {**whole, "runs": 0}
    assert pool.count == len(lines) - 5


def test_the_command_answers_from_real_runs(tmp_path):
    question = {"name": "q", "scenario": "hello", "base": {"run.window": "60 s"}, "find": "capacity", "load": RATE}
    text = json.dumps({**question, "between": [1, 200], "relative": 0.3})  # YAML holds JSON
    (tmp_path / "q.yaml").write_text(text, encoding="utf-8")
    found = CliRunner().invoke(main, ["search", str(tmp_path / "q.yaml"), "--out", str(tmp_path / "out"), "--json"])
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert 10 < said["bounds"][0] < said["bounds"][1] < 200  # 32 tokens of 16 ms: four slots hold more than two jobs a second
    assert said["answer"] == json.loads((tmp_path / "out" / "answer.json").read_text(encoding="utf-8"))["answer"]
    assert "runs; written to" in found.stderr


def test_python_asks_the_same_question():
    found = search(
        "hello", "best", minimise="energy_J", factors={FORMAT: ["q8_0", "q4_0"]}, base={"run.window": "30 s"}, replications=2, most=2
    )
    assert found.found[0].changes == {FORMAT: "q4_0"}
