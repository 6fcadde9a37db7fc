"""Comparisons: paired jobs, where their time went, and intervals that hold what they claim."""

import numpy as np
import pytest
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.experiments.comparison import _interval, compare
from edgewright.simulator import Scenario, simulate


@pytest.fixture(scope="module")
def runs():
    busy = Scenario.load("hello").override({"workloads.questions.arrivals.rate": 1.0})
    return simulate(busy), simulate(busy.override({"services.chat.format": "q4_0"}))


def test_phases_add_up_to_the_mean_latency(runs):
    found = compare(*runs)
    assert found.pairs == len(runs[0].jobs.query("measured"))
    assert found.phases["a"].sum() == pytest.approx(runs[0].jobs.query("measured")["e2e_s"].mean())
    assert found.phases["difference"].to_numpy() == pytest.approx((found.phases["b"] - found.phases["a"]).to_numpy())


def test_totals_are_the_sums_of_their_phases(runs):
    found = compare(*runs)
    (total,) = found.totals.to_dict(orient="records")
    assert [total[name] for name in ("a", "b", "difference")] == [
        pytest.approx(found.phases[name].sum()) for name in ("a", "b", "difference")
    ]
    assert total["low"] < total["difference"] < total["high"] < 0


def test_the_picture_says_how_much_and_how_sure(runs):
    """The second bar ends at the mean of its jobs, and its difference stands beside it; both runs have one name: they get letters."""
    pytest.importorskip("matplotlib")
    found = compare(*runs)
    (axes,) = found.plot().axes
    total = found.totals.iloc[0]
    assert max(bar.get_x() + bar.get_width() for bar in axes.patches) == pytest.approx(max(total.a, total.b))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["hello (A)", "hello (B)"]
    said = [text.get_text() for text in axes.texts]
    assert said[0] == f"{1000 * total.a:.4g} ms"
    assert said[1].startswith(f"{1000 * total.b:.4g} ms (−{1000 * abs(total.difference):.4g} ms ± ")


def test_fewer_bytes_decode_faster_and_it_is_sure(runs):
    decode = compare(*runs).phases.set_index("phase").loc["decode"]
    assert decode["high"] < 0


def test_a_run_and_itself_do_not_differ(runs):
    found = compare(runs[0], runs[0])
    assert found.figures.empty
    assert (found.phases["difference"] == 0).all()


def test_what_one_run_lacks_is_not_compared(runs):
    other = simulate(
        Scenario.load("hello").override(
            {
                "services.chat": None,
                "services.bot": Scenario.load("hello").tables()["services"]["chat"],
                "workloads.questions.service": "bot",
            }
        )
    )
    with pytest.raises(ValueError, match="no service in common"):
        compare(runs[0], other)


def test_the_interval_covers_the_mean_of_correlated_differences():
    """AR(1) noise of correlation 0.5 around 1: of 200 intervals for 95 %, at least 170 hold it; a plain t-interval would hold about 150."""
    draw, held = np.random.default_rng(7), 0
    for _ in range(200):
        noise = draw.normal(size=2000)
        for index in range(1, len(noise)):
            noise[index] += 0.5 * noise[index - 1]
        low, high = _interval(1.0 + noise)
        held += low <= 1.0 <= high
    assert held >= 170


def test_the_command(runs, tmp_path):
    for name, run in zip("ab", runs, strict=True):
        run.write(tmp_path / name)
    found = CliRunner().invoke(main, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--plot", str(tmp_path / "c.svg")])
    assert found.exit_code == 0, found.output
    assert "decode" in found.stdout
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")
    assert CliRunner().invoke(main, ["compare", str(tmp_path / "a"), str(tmp_path / "nowhere")]).exit_code == 2
