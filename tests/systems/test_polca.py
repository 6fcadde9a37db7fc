"""POLCA as a scenario (polca.yaml): 30 % more servers than the row is provisioned for, held by two thresholds; against none, and against
the power brake alone. Half a day, the one with more load than the mean."""

from pathlib import Path

import pytest

from edgewright.simulator import Scenario, simulate

POLCA = Scenario.load(Path(__file__).with_name("polca.yaml")).override({"run.window": "30 min"})
WINDOW, BUDGET = 1800.0, 260e3
NOTHING, BRAKE, THRESHOLDS = "none", {"policy": "two_thresholds", "t1": 1, "t2": 1}, "two_thresholds"


def row(servers, policy):
    """So many servers, half of high priority, each with the same load: 0.0025 /s of each workload."""
    counts = {f"cluster.devices.{half}.count": servers // 2 for half in ("high", "low")}
    rates = {f"workloads.{name}.arrivals.rate": servers * 0.0025 for name in POLCA.workloads}
    return simulate(POLCA.override({**counts, **rates, "power.row.policy": policy}))


@pytest.fixture(scope="module")
def runs():
    more = {name: row(52, policy) for name, policy in (("none", NOTHING), ("brake", BRAKE), ("polca", THRESHOLDS))}
    return {"forty": row(40, NOTHING), **more}


def power(result):
    """Means over 2 s of the row within the window, as fractions of what is provisioned."""
    bins = result.power[(result.power.domain == "row") & (result.power.start_s < WINDOW)]
    return bins.mean_W.to_numpy() / BUDGET


def commands(result, kind):
    return result.actuations[result.actuations.kind == kind]


def test_thirty_percent_more_servers_need_holding_at_the_peaks_only(runs):
    """40 servers peak at 0.79 of the budget (chosen, from the paper); 52 of them at 0.79 x 1.3 = 1.03, and seldom above 1."""
    assert power(runs["forty"]).max() == pytest.approx(0.79, abs=0.01)
    assert power(runs["none"]).max() == pytest.approx(0.79 * 1.3, rel=0.02)
    assert power(runs["none"]).mean() == pytest.approx(1.3 * power(runs["forty"]).mean(), rel=0.02)
    assert 0.0 < (power(runs["none"]) > 1.0).mean() < 0.05


def test_two_thresholds_never_brake_and_the_brake_alone_does(runs):
    assert len(commands(runs["brake"], "brake")) > 0
    assert len(commands(runs["polca"], "brake")) == 0
    assert power(runs["polca"]).max() < 1.0 < power(runs["brake"]).max()


def test_commands_take_as_long_as_the_paper_says(runs):
    """Decisions at readings, every 2 s; out of band 40 s later, the brake 5 s later."""
    for name, kind, delay in (("polca", "clock", 40.0), ("brake", "brake", 5.0)):
        told = commands(runs[name], kind)
        assert (told.time_s % 2.0 == 0.0).all()
        carried = told.dropna(subset="effective_s")
        assert len(carried) > 0
        assert (carried.effective_s - carried.time_s).to_numpy() == pytest.approx(delay)


def test_low_priority_is_slowed_first(runs):
    """To 1275 of 1410 MHz, then 1110, and high priority only once that has taken effect and not sufficed."""
    told = commands(runs["polca"], "clock")
    low, high = (told[told.target.str.startswith(half)] for half in ("low", "high"))
    assert low.value.iloc[0] == pytest.approx(1275 / 1410)
    assert low.value.min() == pytest.approx(1110 / 1410)
    deepest = low[low.value < 0.8].time_s.min()
    assert high.empty or high.time_s.min() >= deepest + 40.0


def test_what_it_costs(runs):
    """All tokens are served. End to end, the published objectives hold against a row without limits: high priority at most 1 % slower in
    the median and 5 % in p99, low 5 % and 50 %. The brake costs everybody more than that in p99, high priority included."""
    tokens = {name: int(run.steps.output_tokens.sum()) for name, run in runs.items()}
    assert tokens["polca"] == tokens["brake"] == tokens["none"]
    slower = {name: latencies(runs[name]) / latencies(runs["none"]) for name in ("polca", "brake")}
    assert slower["polca"]["urgent", 0.5] < 1.01
    assert slower["polca"]["urgent", 0.99] < 1.05
    assert slower["polca"]["patient", 0.5] < 1.05
    assert slower["polca"]["patient", 0.99] < 1.50
    assert slower["brake"]["urgent", 0.99] > 1.05


def latencies(result):
    return result.jobs.groupby("service").e2e_s.quantile([0.5, 0.99])
