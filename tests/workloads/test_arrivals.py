"""Arrival processes: each has the mean, the burstiness and the order that its parameters state."""

import math
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from edgewright.workloads import ARRIVALS, Arrival, OpenProcess, Stream
from edgewright.workloads.arrivals import AzureArrivals, Diurnal, GammaBurst, MarkovModulated, Periodic, Poisson, Replay
from edgewright.workloads.arrivals_open import gamma_gaps

OPEN = [
    Poisson(rate=3.0),
    GammaBurst(rate=3.0, cv=2.5),
    GammaBurst(rate=3.0, cv=0.3),
    MarkovModulated(rates=(0.0, 9.0), dwell=(2.0, 1.0)),
    Diurnal(rate=3.0, amplitude=0.9, period=40.0),
    Periodic(period=0.4, offset=0.1, jitter=0.4),
    Replay(at=tuple(np.arange(0.0, 200.0, 0.5))),
    AzureArrivals(),
    AzureArrivals(trace="code"),
]


def _times(process, stop, seed=1):
    return np.array(list(process.times(Stream(seed, "t"), 0.0, stop)))


def _cv(values):
    return float(np.std(values) / np.mean(values))


def _dispersion(times, stop, window):
    counts = np.histogram(times, np.arange(0.0, stop + window / 2, window))[0]
    return float(counts.var() / counts.mean())


@pytest.mark.parametrize("process", OPEN, ids=repr)
def test_arrivals_are_in_order_within_the_window_and_the_same_again(process):
    times = list(process.times(Stream(2, "w"), 5.0, 60.0))
    assert len(times) > 10
    assert all(a <= b for a, b in pairwise(times))
    assert times[0] >= 5.0
    assert times[-1] < 60.0
    assert times == list(process.times(Stream(2, "w"), 5.0, 60.0))


@pytest.mark.parametrize("process", OPEN, ids=repr)
def test_a_longer_window_begins_with_the_shorter_one(process):
    stream = Stream(3, "w")
    short = list(process.arrivals(stream, 0.0, 20.0))
    assert short == list(process.arrivals(stream, 0.0, 60.0))[: len(short)]


@given(st.sampled_from(OPEN), st.floats(0.05, 1), st.floats(0.05, 1))
def test_thinning_less_keeps_a_superset(process, one, other):
    low, high = sorted([one, other])
    stream = Stream(4, "thin")
    few = list(replace(process, thin=low).arrivals(stream, 0.0, 20.0))
    assert set(few) <= set(replace(process, thin=high).arrivals(stream, 0.0, 20.0))


def test_thinning_keeps_the_stated_fraction_and_says_so():
    whole, part = Poisson(rate=20.0), Poisson(rate=20.0, thin=0.25)
    assert part.mean_rate == 5.0
    kept, all_of_them = len(_times(part, 2000)), len(_times(whole, 2000))
    # 40 000 trials of chance 1/4: the standard deviation is sqrt(40 000 * 3/16) = 87.
    assert abs(kept - all_of_them / 4) < 4 * 87


@pytest.mark.parametrize("process", OPEN[:6], ids=repr)
def test_the_mean_rate_is_what_it_says(process):
    stop = 20_000.0
    count = len(_times(process, stop))
    expected = process.mean_rate * stop
    spread = math.sqrt(expected * max(_dispersion(_times(process, stop), stop, 400.0), 0.01))
    assert abs(count - expected) < 4 * spread + 1


def test_poisson_gaps_are_exponential_and_rescale_with_the_rate():
    times = _times(Poisson(rate=2.0), 2000)
    assert stats.kstest(np.diff(times), "expon", (0, 0.5)).pvalue > 0.01
    assert np.allclose(_times(Poisson(rate=4.0), 1000), times / 2)


@pytest.mark.parametrize("cv", [0.25, 1.0, 3.0])
def test_gamma_gaps_have_their_coefficient_of_variation(cv):
    gaps = np.diff(_times(GammaBurst(rate=5.0, cv=cv), 8000))
    assert gaps.mean() == pytest.approx(0.2, abs=4 * 0.2 * cv / math.sqrt(len(gaps)))
    assert _cv(gaps) == pytest.approx(cv, rel=0.05)
    # Of the gaps themselves: their differences from sums lose the many tiny ones of a high cv.
    assert stats.kstest(list(islice(gamma_gaps(Stream(6, "gaps"), cv), 5000)), "gamma", (cv**-2, 0, cv**2)).pvalue > 0.01


def test_counts_of_a_two_state_process_have_the_dispersion_of_theory():
    """Index of dispersion of MMPP(2) as the window grows: 1 + 2 (l1-l2)^2 s1 s2 / ((s1+s2)^2 (l1 s2 + l2 s1)), s = 1 / dwell."""
    first, second, leave_first, leave_second = 1.0, 11.0, 1 / 3.0, 1.0
    process = MarkovModulated(rates=(first, second), dwell=(3.0, 1.0))
    assert process.mean_rate == (1 * 3 + 11 * 1) / 4
    limit = 1 + 2 * (first - second) ** 2 * leave_first * leave_second / (
        (leave_first + leave_second) ** 2 * (first * leave_second + second * leave_first)
    )
    assert limit == pytest.approx(1 + 200 / 3 / (16 / 9 * 14 / 3))
    measured = _dispersion(_times(process, 60_000), 60_000, 100.0)
    # 600 windows: the relative standard error of a variance is about sqrt(2 / 600) = 6 %; a window of 100 s is within 1 % of the limit.
    assert measured == pytest.approx(limit, rel=0.2)


def test_a_silent_state_is_silent():
    """Deterministic check of the bookkeeping: with rates 0 and 4, all arrivals lie in visits to the second state."""
    process = MarkovModulated(rates=(0.0, 4.0), dwell=(5.0, 5.0))
    gaps = np.diff(_times(process, 4000))
    assert np.mean(gaps > 3.0) > 0.02  # an all-time Poisson process of rate 2 would show exp(-6) = 0.2 %
    assert np.median(gaps) == pytest.approx(math.log(2) / 4, rel=0.1)


def test_a_diurnal_rate_follows_its_sine():
    process = Diurnal(rate=10.0, amplitude=0.8, period=100.0, phase=25.0)
    assert process.rate_at(50.0) == pytest.approx(18.0)
    assert process.rate_at(0.0) == pytest.approx(2.0)
    times = _times(process, 10_000)
    counts = np.histogram(times % 100.0, 20)[0]
    middles = np.arange(2.5, 100, 5)
    expected = np.array([process.rate_at(time) for time in middles])
    # A bin of 5 s of a sine of amplitude 0.8 averages sin(x)/x = 0.996 of the amplitude.
    assert stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > 0.01


def test_periodic_times_written_out():
    stream = Stream(5, "camera")
    assert list(Periodic(period=2.0, offset=1.0).times(stream, 0.0, 8.0)) == [1.0, 3.0, 5.0, 7.0]
    late = np.array(list(Periodic(period=2.0, offset=1.0, jitter=0.5).times(stream, 0.0, 2000.0))) - np.arange(1.0, 2000.0, 2.0)
    assert late.min() >= 0.0
    assert late.max() < 0.5
    assert stats.kstest(late, "uniform", (0, 0.5)).pvalue > 0.01


def test_a_window_that_starts_late_keeps_the_numbers_of_periodic_and_replayed_arrivals():
    assert list(Periodic(period=1.0).arrivals(Stream(1), 2.0, 4.0)) == [Arrival(2.0, 2), Arrival(3.0, 3)]
    assert list(Replay(at=(0.0, 1.5, 1.5, 9.0)).arrivals(Stream(1), 1.0, 9.0)) == [Arrival(1.5, 1), Arrival(1.5, 2)]


def test_a_replay_knows_its_rate_or_that_it_has_none():
    assert Replay(at=(0.0, 1.0, 4.0)).mean_rate == 0.5
    assert Replay(at=(3.0,)).mean_rate is None
    assert Replay(at=()).mean_rate is None


SCENARIOS = {
    "azure": {"trace": "code", "thin": 0.5},
    "closed": {"users": 3, "think": "500 ms"},
    "diurnal": {"rate": 2, "amplitude": "50 %", "period": "24 h"},
    "gamma": {"rate": "120 /min", "cv": 2},
    "markov": {"rates": [1, "5 /s"], "dwell": ["10 s", 2]},
    "periodic": {"period": "100 ms", "jitter": "5 ms"},
    "poisson": {"rate": 2},
    "replay": {"at": [0, 1, 2]},
    "sessions": {"rate": 0.1, "turns": 4, "think": "20 s"},
}


@pytest.mark.parametrize("name", ARRIVALS)
def test_every_process_reads_a_scenario_with_and_without_its_name(name):
    adapter = TypeAdapter(ARRIVALS[name])
    process = adapter.validate_python(SCENARIOS[name])
    assert process.process == name
    assert process == adapter.validate_python({"process": name, **SCENARIOS[name]})
    assert process == adapter.validate_python(adapter.dump_python(process))
    hash(process)


@pytest.mark.parametrize("name", ARRIVALS)
def test_every_process_refuses_a_key_that_it_does_not_know(name):
    with pytest.raises(ValidationError, match="speed"):
        TypeAdapter(ARRIVALS[name]).validate_python({**SCENARIOS[name], "speed": 1})


def test_units_are_read():
    gamma = TypeAdapter(ARRIVALS["gamma"]).validate_python(SCENARIOS["gamma"])
    assert isinstance(gamma, OpenProcess)
    assert gamma.mean_rate == 2.0
    assert TypeAdapter(ARRIVALS["diurnal"]).validate_python(SCENARIOS["diurnal"]).period == 86400.0


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("poisson", {"rate": 0}, "rate"),
        ("poisson", {"rate": -1}, "rate"),
        ("poisson", {"rate": "2 GB"}, "GB"),
        ("poisson", {"thin": 0}, "thin"),
        ("poisson", {"thin": 1.5}, "thin"),
        ("poisson", {"process": "gamma"}, "poisson"),
        ("markov", {"dwell": [1]}, "got 2 and 1"),
        ("markov", {"rates": [0, 0]}, "all 0"),
        ("periodic", {"jitter": "1 s"}, "exceeds the period"),
        ("replay", {"at": [1, 0]}, "number 1 is 0.0 s, after 1.0 s"),
        ("closed", {"users": 0}, "users"),
        ("sessions", {"turns": 0.5}, "turns"),
        ("azure", {"trace": "chat"}, "conversation"),
    ],
)
def test_impossible_parameters_are_refused_by_name(name, change, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(ARRIVALS[name]).validate_python({**SCENARIOS[name], **change})
