"""Request lengths: quantiles as stated, dependence as stated, functions of names."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from edgewright.workloads import LENGTHS, Lengths, Stream
from edgewright.workloads.lengths import AzureLengths, Conditional, Empirical, Fixed, Joint, LogNormal, OneShot, Recorded, Uniform, fixed

STREAM = Stream(1, "lengths")
MARGINALS = [
    Fixed(value=7),
    Uniform(low=3, high=9),
    LogNormal(median=100.0, sigma=1.2, low=5, high=900),
    LogNormal(median=100.0, sigma=0.0),
    Empirical(levels=(0.0, 0.5, 1.0), values=(0.0, 10.0, 110.0)),
]


@given(st.sampled_from(MARGINALS), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_quantiles_never_fall(marginal, one, other):
    low, high = sorted([one, other])
    assert marginal.at(low) <= marginal.at(high)


def test_quantiles_written_out():
    assert Fixed(value=7).at(0.3) == 7
    assert [Uniform(low=3, high=5).at(u) for u in (0.0, 0.33, 0.34, 0.66, 0.67, 0.999)] == [3, 3, 4, 4, 5, 5]
    assert LogNormal(median=100.0, sigma=1.0).at(0.5) == 100
    assert LogNormal(median=100.0, sigma=1.0).at(stats.norm.cdf(1.0)) == round(100 * math.e)
    assert [MARGINALS[4].at(u) for u in (0.0, 0.25, 0.5, 0.75)] == [0, 5, 10, 60]
    assert MARGINALS[4].mean == 0.5 * 5 + 0.5 * 60


def test_lognormal_stays_within_its_bounds_even_where_it_would_overflow():
    assert LogNormal(median=1e6, sigma=200.0, low=2, high=50).at(0.999) == 50
    assert LogNormal(median=1e6, sigma=200.0, low=2, high=50).at(0.0) == 2


def test_lognormal_has_its_mean():
    draws = [LogNormal(median=200.0, sigma=0.8).at(u) for u in (np.arange(20_000) + 0.5) / 20_000]
    assert np.mean(draws) == pytest.approx(200 * math.exp(0.32), rel=0.005)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 1.0])
def test_the_copula_has_the_rank_correlation_of_theory_and_keeps_both_distributions(correlation):
    joint = Joint(prompt=LogNormal(median=500, sigma=1.0), output=Uniform(low=1, high=100_000), correlation=correlation)
    drawn = np.array([joint.draw(STREAM, number) for number in range(4000)])
    rank = stats.spearmanr(*drawn.T).statistic
    assert rank == pytest.approx(6 / math.pi * math.asin(correlation / 2), abs=4 / math.sqrt(4000))
    assert stats.kstest(drawn[:, 1], "uniform", (1, 100_000)).pvalue > 0.01
    assert stats.kstest(np.log(drawn[:, 0] / 500), "norm", (0, 1.0)).pvalue > 0.01


def test_conditional_outputs_depend_on_the_range_of_the_prompt():
    small, large = (Empirical(levels=(0.0, 1.0), values=values) for values in ((1.0, 2.0), (50.0, 60.0)))
    table = Conditional(prompt=Empirical(levels=(0.0, 1.0), values=(0.0, 100.0)), edges=(49,), output=(small, large))
    drawn = [table.draw(STREAM, number) for number in range(500)]
    assert all((output <= 2) == (prompt <= 49) for prompt, output in drawn)
    assert {prompt <= 49 for prompt, _ in drawn} == {True, False}


def test_lengths_are_functions_of_names_not_of_order():
    process = AzureLengths()
    forth = [process.draw(STREAM, number) for number in range(50)]
    assert forth == [process.draw(STREAM, number) for number in reversed(range(50))][::-1]
    assert process.draw(STREAM, 3) != process.draw(STREAM.child("other"), 3)


def test_recorded_lengths_come_in_order_and_end():
    recorded = Recorded(rows=(Lengths(5, 6), Lengths(7, 8)))
    assert recorded.draw(STREAM, 1) == (7, 8)
    with pytest.raises(IndexError, match="request 2 of a recording of 2"):
        recorded.draw(STREAM, 2)


def test_simple_ones():
    assert fixed(10, 20).draw(STREAM, 5) == Lengths(10, 20)
    assert OneShot().draw(STREAM, 5) == Lengths(1, 0)


SCENARIOS = {
    "azure": {"trace": "code"},
    "conditional": {
        "prompt": {"levels": [0, 1], "values": [0, 9]},
        "edges": [4],
        "output": [{"levels": [0, 1], "values": [1, 2]}, {"levels": [0, 1], "values": [3, 4]}],
    },
    "joint": {"prompt": {"shape": "lognormal", "median": 512, "sigma": 1}, "output": {"shape": "fixed", "value": 128}, "correlation": 0.2},
    "one_shot": {},
    "recorded": {"rows": [[1, 2], [3, 4]]},
}


@pytest.mark.parametrize("name", LENGTHS)
def test_every_process_reads_a_scenario_with_and_without_its_name(name):
    adapter = TypeAdapter(LENGTHS[name])
    process = adapter.validate_python(SCENARIOS[name])
    assert process == adapter.validate_python({"lengths": name, **SCENARIOS[name]})
    assert process == adapter.validate_python(adapter.dump_python(process))
    drawn = process.draw(STREAM, 0)
    assert drawn == process.draw(STREAM, 0)
    assert drawn.prompt >= 0


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("joint", {"correlation": 2}, "correlation"),
        ("joint", {"prompt": {"shape": "normal"}}, "lognormal"),
        ("joint", {"prompt": {"shape": "uniform", "low": 5, "high": 4}}, "low 5, high 4"),
        ("joint", {"prompt": {"shape": "fixed", "value": -1}}, "prompt.fixed.value"),
        ("joint", {"output": {"shape": "fixed", "value": 1, "size": 1}}, "size"),
        ("conditional", {"edges": [4, 5]}, "got 2 and 2"),
        ("conditional", {"prompt": {"levels": [0, 0.5], "values": [0, 9]}}, "rise from 0 to 1"),
        ("conditional", {"prompt": {"levels": [0, 1], "values": [9, 0]}}, "must not fall"),
        ("conditional", {"prompt": {"levels": [0, 1], "values": [9]}}, "got 2 and 1"),
        ("azure", {"trace": "chat"}, "conversation"),
        ("one_shot", {"inputs": 0}, "inputs"),
    ],
)
def test_impossible_parameters_are_refused_by_name(name, change, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(LENGTHS[name]).validate_python({**SCENARIOS[name], **change})


def test_edges_must_rise():
    flat = Empirical(levels=(0.0, 1.0), values=(1.0, 2.0))
    with pytest.raises(ValueError, match="edges must rise"):
        Conditional(prompt=flat, edges=(5, 5), output=(flat, flat, flat))
