"""The Azure generator against the traces whose shape it holds, within the tolerances that its module states."""

from importlib.resources import files
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from edgewright.workloads import Stream, read_trace
from edgewright.workloads.arrivals import AzureArrivals
from edgewright.workloads.azure_fit import RECIPES, fit, render
from edgewright.workloads.azure_shape import GAP_LEVELS, shape_of
from edgewright.workloads.lengths import AzureLengths

TRACES = Path(__file__).resolve().parents[2] / "../shared/traces"
FILES = {"conversation": TRACES / "azure_llm_2023_conv.csv", "code": TRACES / "azure_llm_2023_code.csv"}
SHAPES = {name: shape_of(name) for name in FILES}
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@pytest.fixture(scope="module", params=FILES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trace(name):
    if not FILES[name].exists():
        pytest.skip(f"the trace file {FILES[name].name} is not at hand")
    return read_trace(FILES[name], "azure")


@pytest.fixture(scope="module")
def drawn(name):
    process, stream = AzureLengths(trace=name), Stream(1, "azure")
    return np.array([process.draw(stream, number) for number in range(SHAPES[name].requests)])


def _dispersion(times, window):
    counts = np.histogram(times, np.arange(0.0, times[-1] // window * window + window / 2, window))[0]
    return counts.var() / counts.mean()


def test_the_tables_are_what_the_file_gives(name, trace):
    assert fit(trace, RECIPES[name]) == SHAPES[name]


def test_the_package_holds_what_the_fit_prints():
    assert render(SHAPES) + "\n" == files("edgewright.workloads").joinpath("azure_2023.json").read_text()


@pytest.mark.parametrize("column", [0, 1], ids=["context", "generated"])
def test_lengths_have_the_quantiles_of_the_file(trace, drawn, column):
    recorded = np.array([(row.prompt, row.output) for row in trace.rows])[:, column]
    here, there = np.quantile(drawn[:, column], LEVELS), np.quantile(recorded, LEVELS)
    assert np.all(np.abs(here - there) <= np.maximum(0.06 * there, 5)), (here, there)
    assert stats.ks_2samp(drawn[:, column], recorded).statistic < 0.03
    assert drawn[:, column].mean() == pytest.approx(recorded.mean(), rel=0.1)


def test_lengths_depend_on_each_other_as_in_the_file(trace, drawn):
    recorded = np.array([(row.prompt, row.output) for row in trace.rows])
    assert stats.spearmanr(*drawn.T).statistic == pytest.approx(stats.spearmanr(*recorded.T).statistic, abs=0.05)
    edges = np.quantile(recorded[:, 0], [0.2, 0.4, 0.6, 0.8])

    def medians(pairs):
        part = np.searchsorted(edges, pairs[:, 0])
        return np.array([np.median(pairs[part == each, 1]) for each in range(5)])

    assert np.allclose(medians(drawn), medians(recorded), rtol=0.1, atol=2)


def test_conversation_lengths_depend_on_each_other_without_the_file():
    """In the file, prompts of 1020 to 1189 tokens get about 400 tokens, those of over 4000 about 60."""
    drawn = np.array([AzureLengths().draw(Stream(2, "azure"), number) for number in range(4000)])
    middle = (drawn[:, 0] > 1020) & (drawn[:, 0] <= 1189)
    assert 380 < np.median(drawn[middle, 1]) < 420
    assert 45 < np.median(drawn[drawn[:, 0] > 4000, 1]) < 75


@pytest.mark.parametrize(("trace_name", "tolerance"), [("conversation", 0.25), ("code", 0.4)])
def test_counts_are_as_dispersed_as_in_the_file(trace_name, tolerance):
    """The mean over ten seeds: the dispersion of a single hour of `code` varies by a third."""
    if not FILES[trace_name].exists():
        pytest.skip(f"the trace file {FILES[trace_name].name} is not at hand")
    trace = read_trace(FILES[trace_name], "azure")
    recorded = np.array([row.time for row in trace.rows])
    drawn = [np.array(list(AzureArrivals(trace=trace_name).times(Stream(seed, "a"), 0.0, trace.seconds))) for seed in range(10)]
    for window in (1.0, 5.0, 10.0, 30.0, 60.0):
        mean = np.mean([_dispersion(times, window) for times in drawn])
        assert mean == pytest.approx(_dispersion(recorded, window), rel=tolerance), window
    # Renewal theory: a count of mean n has variance cv^2 n, and (cv^2 - 1) / 2 more than n when it starts with a whole gap.
    variance = shape_of(trace_name).gap_cv ** 2
    count = np.mean([len(times) for times in drawn]) - (variance - 1) / 2
    assert count == pytest.approx(len(recorded), abs=4 * np.sqrt(variance * len(recorded) / 10))


def test_tabulated_gaps_vary_as_the_recorded_ones(name):
    """Moments of a distribution whose quantiles are joined by straight lines: between x and y, mean (x+y)/2, square (x^2+xy+y^2)/3."""
    gaps = np.array(SHAPES[name].gaps)
    x, y, width = gaps[:-1], gaps[1:], np.diff(GAP_LEVELS)
    mean, square = (width * (x + y) / 2).sum(), (width * (x * x + x * y + y * y) / 3).sum()
    assert mean == pytest.approx(1.0, abs=0.025)
    assert np.sqrt(square / mean**2 - 1) == pytest.approx(SHAPES[name].gap_cv, rel=0.02)


def test_drawn_gaps_have_the_tabulated_quantiles():
    shape = shape_of("code")
    gaps = np.diff(list(islice(AzureArrivals(trace="code").raw_times(Stream(3, "a"), 0.0), 20_000)))
    mean = shape.seconds / shape.requests
    for level in (0.25, 0.5, 0.75, 0.95, 0.99):
        below = np.mean(gaps <= mean * shape.gaps[GAP_LEVELS.index(level)])
        # The scale differs by 2 % from the table's; four standard errors of a share of 20 000 besides.
        assert below == pytest.approx(level, abs=0.015)


def test_the_rate_rises_and_falls_over_the_hour_and_repeats():
    shape = shape_of("conversation")
    times = np.array(list(AzureArrivals().times(Stream(4, "a"), 100.0, 100.0 + 2 * shape.seconds)))
    rates = np.histogram(times - 100.0, 40, (0.0, 2 * shape.seconds))[0].reshape(2, 20) / (shape.seconds / 20)
    for hour in rates:
        assert np.corrcoef(hour, shape.rates)[0, 1] > 0.9
    assert rates.mean() == pytest.approx(AzureArrivals().mean_rate, rel=0.03)


def test_thinning_scales_the_rate():
    assert AzureArrivals(thin=0.1).mean_rate == pytest.approx(0.1 * 19366 / 3501.722)
