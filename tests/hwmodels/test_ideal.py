"""Ideal hardware: the numbers are those that were asked for."""

from dataclasses import replace

import pytest

from edgewright.hwmodels import Work, engine_static_W, peak_W, price
from edgewright.hwmodels.energy import with_envelope
from edgewright.hwmodels.ideal import ideal_device, ideal_link, ideal_storage


def test_time_is_work_over_rate() -> None:
    device = ideal_device(flops=10.0, bandwidth=5.0)
    assert price(Work.of("gemm", "fp16", 20.0, weights=5.0), device).seconds == 2.0
    assert price(Work.of("gemm", "fp16", 20.0, weights=20.0), device).seconds == 4.0
    assert price(Work.of("gemm", "fp16", 20.0, weights=1e9), ideal_device(flops=10.0)).seconds == 2.0  # an infinite bus


def test_power_is_what_was_given() -> None:
    device = ideal_device(flops=10.0, idle_W=1.0, busy_W=2.0, joules_per_flop=0.5)
    assert peak_W(device) == device.tdp_W == 8.0
    assert price(Work.of("gemm", "fp16", 20.0), device, clock=0.5).total_joules == 10.0  # one voltage


def test_what_was_not_asked_for_is_a_true_zero() -> None:
    device = ideal_device(flops=10.0, bandwidth=5.0, engines=("cpu", "gpu"), idle_W=1.0)
    assert with_envelope(replace(device, tdp_W=9.0)).engines == device.engines  # nothing is missing
    assert (peak_W(device), engine_static_W(device.main_engine)) == (1.0, 0.0)
    assert price(Work.of("gemm", "fp16", 20.0, weights=5.0, activations=5.0), device).total_joules == 0.0


def test_links_and_storages_have_no_overheads() -> None:
    assert ideal_link(10.0).mtu == 0.0
    assert ideal_storage(3.0).write == 3.0
    assert ideal_storage(3.0, 2.0).write == pytest.approx(2.0)
