"""Calibration: an invented machine whose every constant is known is timed by formula, and must be recovered."""

from dataclasses import replace
from datetime import date
from math import exp, log

import numpy as np
import pytest

from edgewright.hwmodels import catalog
from edgewright.hwmodels.calibration import Calibration, Point, Timing, TimingFile, full_suite, quick_suite, time_points, unseen_points
from edgewright.hwmodels.calibration.kriging import Kriging
from edgewright.hwmodels.calibration.power import MachinePower
from edgewright.hwmodels.calibration.profile import document
from edgewright.hwmodels.calibration.readers import Reading
from edgewright.hwmodels.calibration.suite import COLD
from edgewright.hwmodels.calibration.timing import machine_facts, reach_of, read_timings
from edgewright.hwmodels.conformance import check_device
from edgewright.kernels import Effort, kernel

CACHES = {"L1": 2**15, "L2": 2**20, "L3": 2**25}
PEAK, RAMP, SHARE, NEAR, FAR = 1e11, 2e-6, 0.8, 0.9, 0.6
MEMORY, CACHE = 2e10, 1e11
FACTS = {"cpu": "invented", "cores": 2, "caches": CACHES, "memory": 2**33, "kernels": {}}


def invented(point, noise=0.0, generator=None):
    """What the machine takes: arithmetic at 80 % of 100 Gop/s, 90 % of 100 GB/s from caches, 60 % of 20 GB/s beyond."""
    if point.kernel == "chase":
        return timing(point, 1e-8 * point.shape[1])
    if point.kernel.startswith("peak"):
        return timing(point, 2.0 * point.shape[0] / PEAK)
    reach = max(reach_of(point.kernel, point.shape, point.dtype), point.footprint)
    term = Timing(point.kernel, point.shape, point.dtype, 1, "native", reach, 1.0, 1.0, 1.0).work.terms[0]
    rate = exp(np.interp(log(reach), [log(2.0**25), log(2.0**26)], [log(CACHE), log(MEMORY)]))
    if point.kernel in ("read", "triad_past"):
        return timing(point, term.bytes / rate * (point.threads / 1.2 if point.threads > 1 else 1.0))
    share = NEAR if reach <= CACHES["L3"] else FAR
    seconds = RAMP + max(term.flops / (SHARE * PEAK), term.bytes / (share * rate))
    return timing(point, seconds * (exp(noise * generator.standard_normal()) if generator else 1.0))


def timing(point, seconds):
    reach = max(reach_of(point.kernel, point.shape, point.dtype), point.footprint)
    return Timing(point.kernel, point.shape, point.dtype, point.threads, "native", reach, seconds, seconds, seconds)


TIMED = ("gemv", "gemm_int8", "read", "triad_past", "peak_fp32", "peak_int8", "chase")


def chosen(points):
    return [point for point in points if point.kernel in TIMED]


@pytest.fixture(scope="module")
def calibration():
    return Calibration(CACHES, 2).fit([invented(point) for point in chosen(full_suite(2))])


def test_the_constants_of_an_invented_machine_are_recovered(calibration):
    assert calibration.peaks_["fp32"] == pytest.approx(PEAK)
    assert calibration.bandwidth_["L2"] == pytest.approx(CACHE)
    assert calibration.bandwidth_["dram"] == pytest.approx(MEMORY)
    assert calibration.scaling_["compute"] == pytest.approx(2.0)
    assert calibration.scaling_["bandwidth"] == pytest.approx(1.2)
    curve = calibration.curves_[("gemv", "fp32", 32.0)]
    assert curve.terms_["ramp"] == pytest.approx(RAMP, rel=0.1)
    assert curve.terms_["far"] == pytest.approx(FAR, rel=0.05)
    for term, true in (("ramp", RAMP), ("near", NEAR), ("far", FAR)):
        assert abs(log(curve.terms_[term] / true)) < 3 * curve.errors_[term] + 0.02


def test_unseen_sizes_of_the_invented_machine_are_predicted(calibration):
    """Noiseless, so that what is left is the estimator's own error; nine of ten within 5 %."""
    found = [invented(point) for point in chosen(unseen_points(280))]
    misses = [abs(log(calibration.predict_call(each).seconds / each.seconds)) for each in found]
    assert np.quantile(misses, 0.9) < 0.05
    one_row = [each for each in found if kernel(each.kernel).kernel_class == "gemv"]  # their work says all that matters here
    assert np.quantile([abs(log(calibration.predict(each.work, each.reach).seconds / each.seconds)) for each in one_row], 0.9) < 0.05


def test_noise_widens_the_interval_and_nine_of_ten_lie_within():
    generator = np.random.default_rng(1)
    noisy = Calibration(CACHES, 2).fit([invented(point, 0.05, generator) for point in chosen(full_suite(2))])
    found = [invented(point, 0.05, generator) for point in chosen(unseen_points(700, seed=2))]
    held = 0
    for each in found:
        predicted = noisy.predict_call(each)
        held += predicted.low <= each.seconds <= predicted.high
    assert 0.8 < held / len(found) <= 1.0


def test_works_add_and_what_was_not_calibrated_is_refused(calibration):
    row = invented(Point("gemv", (512, 512), "fp32"))
    one, two = calibration.predict(row.work), calibration.predict(row.work + row.work)
    assert two.seconds == pytest.approx(2 * one.seconds)
    scan = replace(row.work.terms[0], kernel="scan")
    with pytest.raises(ValueError, match=r"scan\.fp32 was not calibrated: calibrated are .*gemv\.fp32"):
        calibration.predict(type(row.work)((scan,)))


def test_a_profile_is_a_device_with_the_constants(calibration):
    unseen = MachinePower.of_idle(Reading(None, 2.0, "unavailable", "no meter"))
    found = document(calibration, FACTS, "invented", "epyc_7763", date(2026, 1, 2), unseen)
    device = catalog.build_device("invented", found["devices"]["invented"])
    check_device(device)
    unit = device.main_engine
    assert unit.peaks["fp32"] == pytest.approx(2 * PEAK)
    assert device.buses["dram"].bandwidth == pytest.approx(1.2 * MEMORY)
    assert unit.efficiency["gemv.fp32"].memory == pytest.approx(FAR, rel=0.05)
    assert device.provenance["cpu.efficiency"].kind == "measured"
    assert device.provenance["idle_W"].kind == "assumed"
    term, whole = device.uncertainty["cpu.efficiency.gemv.fp32.memory"], device.uncertainty["cpu.efficiency.gemv.fp32"]
    assert -0.2 < term.low < 0.0 < term.high < 0.2
    assert abs(FAR / unit.efficiency["gemv.fp32"].memory - 1.0) < term.high - term.low
    assert whole.high < 0.1
    assert set(device.correlations) == {f"cpu.efficiency.{name}" for name in unit.efficiency}
    assert found["calibration"]["energy"] == {
        **dict.fromkeys(("idle_W", "static_W", "joules_per_flop", "joules_per_byte"), "unavailable"),
        "source": "no meter",
        "model": "figures that were not measured are those of epyc_7763",
    }
    seen = MachinePower.of_idle(Reading(30.0, 2.0, "measured", "meter"))
    metered = document(calibration, FACTS, "invented", "epyc_7763", date(2026, 1, 2), seen)
    assert metered["devices"]["invented"]["idle_W"] == 15.0
    error = found["calibration"]["errors"]["gemv.fp32, 32 bits per weight"]
    assert error["as_priced"]["median"] < 0.05


def test_every_point_is_one_that_its_kernel_can_be_timed_at_and_every_class_of_a_kernel_is_among_them():
    points = (*quick_suite(2), *full_suite(2), *unseen_points(140))
    for point in points:
        assert kernel(point.kernel).checked(point.shape, point.dtype) == point.shape
    for suite in (quick_suite(2), full_suite(2)):
        classes = {kernel(point.kernel).kernel_class for point in suite}
        assert classes >= {"attention", "attention_decode", "conv", "conv_depthwise", "elementwise", "gemm", "gemv", "lut_gemv", "copy"}


def test_unlike_operators_between_products_are_one_class_whose_error_says_so():
    """Norms at 1 GB/s, softmax at 4 GB/s: one class `elementwise`, its terms twice too fast and twice too slow: off by half of log 4."""
    probes = [invented(point) for point in chosen(full_suite(2))]
    rows = [Point(name, (2**each, 256), "fp32") for name in ("rms_norm", "softmax") for each in range(2, 10)]
    asked = [(point, timing(point, 1.0).work.terms[0].bytes / (1e9 if point.kernel == "rms_norm" else 4e9)) for point in rows]
    fit = Calibration(CACHES, 2).fit([*probes, *(timing(point, seconds) for point, seconds in asked)])
    curve = fit.curves_[("elementwise", "fp32", 0.0)]
    assert curve.count_ == 16
    assert curve.spread_ == pytest.approx(log(4.0) / 2, rel=0.1)


def test_cores_that_reach_less_together_than_one_alone_are_flagged():
    points = chosen(full_suite(2))
    sound = Calibration(CACHES, 2).fit([invented(point) for point in points])
    assert sound.warnings_ == ()
    slow = [replace(row, seconds=3.0 * row.seconds) if row.threads == 2 else row for row in map(invented, points)]
    disturbed = Calibration(CACHES, 2).fit(slow)
    assert len(disturbed.warnings_) == 2
    assert "compute: 2 cores reach 0.67 times what one does" in disturbed.warnings_[0]


def test_timings_go_on_where_they_stopped(tmp_path):
    path, points = tmp_path / "t.jsonl", [Point("gemv", (16, 32), "fp32"), Point("gemv", (32, 32), "fp32")]
    facts = machine_facts({"gemv"})
    quick = Effort(budget=0.0, repeat_seconds=1e-6)
    first = TimingFile(path, facts)
    time_points(points[:1], first.timings, first.append, quick)
    with path.open("a") as file:
        file.write('{"kernel": "ge')  # a crash in the middle of a line
    again = TimingFile(path, facts)
    heard = []
    time_points(points, again.timings, again.append, quick, heard.append)
    assert heard == [points[1], None]
    assert {each.shape for each in read_timings(path)[1]} == {(16, 32), (32, 32)}
    with pytest.raises(ValueError, match="another machine: cpu"):
        TimingFile(path, {**facts, "cpu": "another"})


def test_suites_hold_what_they_promise():
    quick, full = quick_suite(2), full_suite(2)
    assert len(set(full)) == len(full)
    assert len(quick) < len(full) / 5
    assert {kernel(point.kernel).kernel_class for point in quick} == {kernel(point.kernel).kernel_class for point in full}
    assert {point.footprint for point in full} == {0, COLD}


def test_kriging_passes_through_what_is_certain_and_doubts_what_is_far():
    x = np.linspace(0.0, 6.0, 13)[:, None]
    smooth = Kriging().fit(x, 0.2 * np.sin(x[:, 0]), np.full(13, 1e-3))
    mean, error = smooth.predict(np.array([[2.25], [60.0]]))
    assert mean[0] == pytest.approx(0.2 * np.sin(2.25), abs=0.02)
    assert mean[1] == pytest.approx(0.0, abs=1e-3)
    assert error[1] > 2 * error[0]
