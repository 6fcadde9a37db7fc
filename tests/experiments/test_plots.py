"""Pictures: each renders, has units on its axes, and shows what the tables say."""

import io
from itertools import combinations

import numpy as np
import pytest

from edgewright.experiments.sweeps import sweep
from edgewright.experiments.sweeps.fronts import pareto_front
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.plots import PALETTE

RATE = "workloads.questions.arrivals.rate"
FORMAT = "services.chat.format"

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def result():
    return simulate(Scenario.load("hello").override({RATE: 1.0}))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    base = {"run.warmup": 0, "run.window": 20, "run.drain": 20}
    return sweep(
        "hello", {RATE: [0.5, 1.0], FORMAT: ["q8_0", "q4_0"]}, out=tmp_path_factory.mktemp("sweep") / "s", base=base, replications=2
    )


def rendered(figure):
    for kind, head in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        file = io.BytesIO()
        figure.savefig(file, format=kind)
        assert file.getvalue().startswith(head)
    return figure.axes[0]


def test_the_distribution_ends_at_the_share_that_got_so_far(result):
    axes = rendered(result.plot.latency_cdf("ttft_s"))
    assert axes.get_xlabel() == "time to first token (s)"
    line = axes.lines[0]
    assert max(line.get_ydata()) == pytest.approx(1.0)
    measured = result.jobs.query("measured")["ttft_s"]
    assert max(line.get_xdata()) == pytest.approx(measured.max())
    with pytest.raises(ValueError, match="accepted: ttft_s"):
        result.plot.latency_cdf("ttft")


def test_power_is_in_watts(result):
    assert rendered(result.plot.power()).get_ylabel() == "power at the plug (W)"
    with pytest.raises(ValueError, match="accepted: desk, other"):
        result.plot.power(["disk"])


def test_the_timeline_has_a_row_per_replica(result):
    axes = rendered(result.plot.timeline(0, 30))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["chat.only"]


def test_operators_lie_below_their_roof(result):
    axes = rendered(result.plot.roofline(prefill=64))
    roof = axes.lines[0]
    for points in axes.collections:
        for intensity, rate in points.get_offsets():
            assert rate <= np.interp(np.log(intensity), np.log(roof.get_xdata()), roof.get_ydata()) * 1.01
    with pytest.raises(ValueError, match=r"accepted: chat\.only"):
        result.plot.roofline("chat.other")


def test_pictures_of_a_sweep(swept):
    assert len(rendered(swept.plot.lines("ttft_p50_s", over=RATE)).containers) == 2
    shown = rendered(swept.plot.heat_map("tokens_per_s", RATE, FORMAT)).images[0].get_array()
    assert shown.shape == (2, 2)
    rendered(swept.plot.pareto("ttft_p50_s", "joules_per_token"))
    with pytest.raises(ValueError, match="is no factor"):
        swept.plot.lines("ttft_p50_s", over="nothing")


def test_the_front_holds_whom_nobody_beats():
    """(1, 3), (2, 2), (3, 1) are on it, twice if twice there; (2, 3) is beaten, and what is unknown is not on it."""
    costs = np.array([[1, 3], [2, 2], [2, 2], [3, 1], [2, 3], [np.nan, 0]])
    assert list(pareto_front(costs)) == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    "sight",
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
    ids=["protanopia", "deuteranopia"],
)
def test_colour_blind_readers_tell_the_first_colours_apart(sight):
    """Machado, Oliveira and Fernandes (IEEE TVCG 15(6), 2009): what such eyes see. A tenth of the cube's edge is ample between patches."""
    seen = [np.array(sight) @ [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in PALETTE[:6]]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.1
