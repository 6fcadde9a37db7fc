"""Pictures: each renders, has units on its axes, and shows what the tables say."""

import io
from itertools import combinations

import numpy as np
import pytest

from edgewright.experiments.sweeps import sweep
from edgewright.experiments.sweeps.fronts import pareto_front
from edgewright.simulator import Scenario, simulate
from edgewright.simulator.plots import PALETTE, axis_label, short_keys
from edgewright.simulator.plots.run import _joined, _together

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


def test_words_of_a_picture_overlap_no_others_and_stay_inside(result):
    """At the width of a printed column, no legend covers the axes, and nothing is cut off."""
    for figure in (result.plot.latency_cdf(), result.plot.power(), result.plot.timeline(), result.plot.roofline(prefill=64)):
        figure.draw_without_rendering()
        (legend,), (axes,) = figure.legends, figure.axes
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())
        words = [word for word in (axes.xaxis.label, axes.yaxis.label, *legend.get_texts()) if word.get_text()]
        assert all(figure.bbox.fully_containsx(edge) for word in words for edge in word.get_window_extent().intervalx)
        assert all(figure.bbox.fully_containsy(edge) for word in words for edge in word.get_window_extent().intervaly)
        assert min(word.get_fontsize() for word in words) >= 7


def test_times_over_more_than_a_decade_stand_on_a_logarithmic_axis(result):
    """The median waits 0.04 s, the objective is 5 s."""
    assert result.plot.latency_cdf("ttft_s").axes[0].get_xscale() == "log"
    assert result.plot.latency_cdf("ttft_s", log=False).axes[0].get_xscale() == "linear"


def test_steps_that_cannot_be_told_apart_are_joined():
    """Steps of 1 s: two with a pause of 0.1 s, one 5 s later."""
    start, end, busy = _joined(np.array([0.0, 1.1, 7.0]), np.array([1.0, 2.1, 8.0]), 0.5)
    assert (list(start), list(end)) == ([0.0, 7.0], [2.1, 8.0])
    assert busy == pytest.approx([2.0 / 2.1, 1.0])


def test_the_first_operations_are_those_before_a_long_pause():
    """Three in 3 s, then nothing for 10 s."""
    assert _together(np.array([0.0, 1.0, 2.0, 13.0]), np.array([1.0, 2.0, 3.0, 14.0])) == 3
    assert _together(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == 2
    assert _together(np.empty(0), np.empty(0)) == 0


def test_axes_have_words_and_units():
    said = {"ttft_p99_s": "TTFT p99 (s)", "rack.energy_J": "energy of rack (J)", "goodput_per_s": "goodput (1/s)", "slo_met": "SLO met"}
    assert {name: axis_label(name) for name in said} == said
    assert axis_label("orin0.gpu.utilisation") == "utilisation of orin0.gpu"


def test_keys_are_cut_as_far_as_they_differ():
    keys = ["services.chat.format", "services.code.format", "a.services.code.format", "seed"]
    assert list(short_keys(keys).values()) == ["chat.format", "services.code.format", "a.services.code.format", "seed"]


def test_pictures_of_a_sweep(swept):
    axes = rendered(swept.plot.lines("ttft_p50_s", over=RATE))
    assert (len(axes.lines), len(axes.collections)) == (2, 2)  # a band for each line
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("arrivals.rate", "TTFT p50 (s)")
    assert len(rendered(swept.plot.lines("ttft_p50_s", over=FORMAT)).containers) == 2
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
