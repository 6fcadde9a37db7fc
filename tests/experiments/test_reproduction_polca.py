"""POLCA's row: commands take as long as the paper says, and low priority is slowed first."""

import pytest

from edgewright.experiments.reproductions.catalogue import folder_of
from edgewright.experiments.reproductions.polca.card import loss_at_reduction
from edgewright.experiments.reproductions.polca.row import Site
from edgewright.simulator import Scenario

PERIOD_S = 2.0


@pytest.fixture(scope="module")
def site():
    return Site(Scenario.load(folder_of("polca") / "scenario.yaml").override({"run.window": "3 min"}), 0.3)


def commands(row, kind):
    return row.result.actuations[row.result.actuations.kind == kind]


def test_commands_take_as_long_as_the_paper_says(site):
    """Decisions at readings, every 2 s; out of band 40 s later, the brake 5 s later."""
    for name, kind, delay in (("polca", "clock", 40.0), ("No-cap", "brake", 5.0)):
        told = commands(site.run(52, name), kind)
        assert (told.time_s % PERIOD_S == 0.0).all()
        carried = told.dropna(subset="effective_s")
        assert len(carried) > 0
        assert (carried.effective_s - carried.time_s).to_numpy() == pytest.approx(delay)


def test_low_priority_is_slowed_first(site):
    """To 1275 of 1410 MHz, then 1110, and high priority only once that has taken effect and not sufficed."""
    told = commands(site.run(52, "polca"), "clock")
    low, high = (told[told.target.str.startswith(half)] for half in ("low", "high"))
    assert low.value.iloc[0] == pytest.approx(1275 / 1410)
    assert low.value.min() == pytest.approx(1110 / 1410)
    deepest = low[low.value < 0.8].time_s.min()
    assert high.empty or high.time_s.min() >= deepest + 40.0


def test_all_work_is_done_under_every_policy(site):
    tokens = {name: int(site.run(52, name).result.steps.output_tokens.sum()) for name in ("free", "polca", "No-cap")}
    assert len(set(tokens.values())) == 1


def test_a_lower_clock_costs_prefill_alone():
    """Power at clock f between idle and peak goes with f V^2: 13 % less at about 0.9 of the clock."""
    clock, lost = loss_at_reduction("bloom-176b", 0.13)
    assert 0.85 < clock < 0.95
    assert 0.0 < lost < 1.0 / clock - 1.0
