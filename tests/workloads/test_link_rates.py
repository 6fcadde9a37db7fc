"""Courses of rates: any moment, in any order, says the same; and their statistics are those of their processes."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.workloads import Stream
from edgewright.workloads.link_rates import Diurnal, GaussMarkov, GilbertElliott
from edgewright.workloads.link_rates_file import RateTrace, RecordedRate

STREAM = Stream(7).child("links.wifi")
COURSES = {
    "gilbert_elliott": GilbertElliott(mean_good=8.0, mean_bad=2.0, bad=0.1).start(STREAM, 1e6),
    "gauss_markov": GaussMarkov(sigma=0.5, memory=20.0, step=0.7).start(STREAM, 1e6),
    "diurnal": Diurnal(depth=0.4).start(STREAM, 1e6),
    "held": RateTrace((1.0, 2.5, 4.0), (0.5, 0.0, 2.0)),
    "repeated": RateTrace((0.3, 1.1, 4.0), (0.5, 0.0, 2.0), repeats=True),
}


@pytest.mark.parametrize("name", COURSES)
@given(st.floats(0.0, 1e7), st.floats(0.0, 1.0))
def test_a_piece_holds_until_its_end_and_no_longer_than_it_says(name: str, time: float, between: float) -> None:
    course = COURSES[name]
    factor, until = course.at(time)
    assert factor >= 0.0
    assert until > time
    within = time + between * (min(until, time + 1e6) - time)
    if within < until:
        assert course.at(within) == (factor, until) or (name == "gilbert_elliott" and course.at(within).factor == factor)


def test_any_order_of_questions_has_the_same_answers() -> None:
    times = [float(time) for time in np.linspace(0.0, 3000.0, 500)]
    for name in ("gilbert_elliott", "gauss_markov"):
        forwards = [COURSES[name].at(time) for time in times]
        assert [COURSES[name].at(time) for time in reversed(times)] == forwards[::-1]


class Counted:
    """A stream that counts its draws."""

    def __init__(self) -> None:
        self.draws = 0

    def normal(self, mean: float, deviation: float, *index: int) -> float:
        self.draws += 1
        return STREAM.normal(mean, deviation, *index)


def test_a_wandering_rate_goes_on_from_where_it_was_asked_last() -> None:
    """One step after another costs two draws each, and nothing of the way back is ever drawn twice; a leap costs twice the logarithm."""
    process, drawn = GaussMarkov(sigma=0.5, memory=20.0), Counted()
    course = process.start(drawn, 1e6)  # type: ignore[arg-type]
    times = [float(time) for time in range(4096)]
    factors = [course.at(time).factor for time in times]
    assert drawn.draws <= 2 * len(times)
    for time in (4095.0, 1.0, 2.0, 0.0, 1023.0, 1024.0, 1025.0, 3000.0):
        fresh = Counted()
        assert process.start(fresh, 1e6).at(time).factor == factors[int(time)]  # type: ignore[arg-type]
        assert fresh.draws <= 2 * (math.log2(time + 1.0) + 2.0)


def test_streams_of_other_links_draw_other_courses() -> None:
    process = GaussMarkov(sigma=0.5, memory=20.0)
    one, other = (process.start(Stream(7).child(f"links.{name}"), 1e6) for name in ("wifi0", "wifi1"))
    assert [one.at(t).factor for t in range(5)] != [other.at(t).factor for t in range(5)]


def stays(course: object, until: float) -> dict[float, list[float]]:
    """Lengths of stays by factor."""
    found: dict[float, list[float]] = {}
    time, began, factor = 0.0, 0.0, course.at(0.0).factor  # type: ignore[attr-defined]
    while time < until:
        time = course.at(time).until  # type: ignore[attr-defined]
        if (now := course.at(time).factor) != factor:  # type: ignore[attr-defined]
            found.setdefault(factor, []).append(time - began)
            factor, began = now, time
    return found


def test_two_states_stay_exponentially_long() -> None:
    """5000 stays of each: the mean within 3 standard errors (4 %), and the share above the mean exp(-1) likewise."""
    found = stays(GilbertElliott(mean_good=8.0, mean_bad=2.0, bad=0.1).start(STREAM, 1e6), 50_000.0)
    for factor, mean in ((1.0, 8.0), (0.1, 2.0)):
        lengths = np.array(found[factor])
        assert len(lengths) > 4500
        assert lengths.mean() == pytest.approx(mean, rel=3.0 / math.sqrt(len(lengths)))
        assert np.mean(lengths > mean) == pytest.approx(math.exp(-1), abs=3.0 * 0.48 / math.sqrt(len(lengths)))


def test_a_wandering_rate_is_autoregressive_in_its_logarithm() -> None:
    """Mean, deviation and correlation at lags of 1, 10 and 40 of memory 20, over 20 000 steps, which are worth about 500 apart."""
    course = GaussMarkov(sigma=0.5, memory=20.0, median=0.8).start(STREAM, 1e6)
    logs = np.log([course.at(step + 0.5).factor for step in range(20_000)])
    assert logs.mean() == pytest.approx(math.log(0.8), abs=4 * 0.5 / math.sqrt(500))
    assert logs.std() == pytest.approx(0.5, rel=0.15)
    for lag in (1, 10, 40):
        assert np.corrcoef(logs[:-lag], logs[lag:])[0, 1] == pytest.approx(math.exp(-lag / 20.0), abs=0.1)
    steps = logs[1:] - math.log(0.8) - math.exp(-1 / 20) * (logs[:-1] - math.log(0.8))
    assert steps.std() == pytest.approx(0.5 * math.sqrt(1 - math.exp(-2 / 20)), rel=0.03)
    assert abs(np.corrcoef(steps[:-1], steps[1:])[0, 1]) < 0.03  # what each step adds is its own


def test_a_wandering_rate_is_cut_off() -> None:
    course = GaussMarkov(sigma=1.0, memory=5.0, most=1.0).start(STREAM, 1e6)
    factors = [course.at(float(step)).factor for step in range(200)]
    assert max(factors) == 1.0
    assert min(factors) < 0.5


def test_the_busiest_hour_is_the_slowest() -> None:
    course = Diurnal(depth=0.4, busiest=72_000.0, step=60.0)
    assert course.at(72_000.0).factor == pytest.approx(0.6, abs=1e-5)
    assert course.at(72_000.0 - 43_200.0).factor == pytest.approx(1.0, abs=1e-5)
    assert course.at(72_000.0 + 86_400.0).factor == pytest.approx(0.6, abs=1e-5)
    assert course.at(30.0).until == 60.0


def test_a_trace_holds_or_repeats_at_its_end() -> None:
    times, factors = (0.0, 2.0, 3.0), (1.0, 0.5, 0.25)
    held, repeated = RateTrace(times, factors), RateTrace(times, factors, repeats=True)  # of period 4
    assert [held.at(t) for t in (0.0, 1.9, 2.0, 3.5, 99.0)] == [(1.0, 2.0), (1.0, 2.0), (0.5, 3.0), (0.25, math.inf), (0.25, math.inf)]
    assert [repeated.at(t) for t in (3.5, 4.0, 6.0, 7.5)] == [(0.25, 4.0), (1.0, 6.0), (0.5, 7.0), (0.25, 8.0)]
    assert RateTrace((5.0,), (0.5,)).at(0.0) == (0.5, 5.0)


def test_a_file_of_rates(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("time_s,rate,note\n0,80,a\n1.5,40,b\n")
    course = RecordedRate(file=path, unit="Mbit/s").start(STREAM, 20e6)
    assert (course.times, course.factors) == ((0.0, 1.5), (0.5, 0.25))  # 80 Mbit/s are 10 MB/s, half of 20
    assert RecordedRate(file=path, unit="share").start(STREAM, 20e6).factors == (80.0, 40.0)


@pytest.mark.parametrize(
    ("text", "end", "match"),
    [
        ("time_s,speed\n0,1\n", "hold", "has no column rate; accepted is a header with time_s and rate"),
        ("", "hold", "has no column rate"),
        ("time_s,rate\n", "hold", "holds no rows"),
        ("time_s,rate\n0,1\n0,2\n", "hold", ":3: time_s 0 follows 0; accepted are rising times"),
        ("time_s,rate\n0,-1\n", "hold", ":2: rate is '-1'; accepted is a finite number"),
        ("time_s,rate\n0\n", "hold", ":2: rate is None"),
        ("time_s,rate\n0,nan\n", "hold", ":2: rate is 'nan'"),
        ("time_s,rate\n0,1\n", "repeat", "has one row, and is to repeat"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, end: str, match: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        RecordedRate(file=path, end=end).start(STREAM, 1e6)  # type: ignore[arg-type]
