"""Spreads, draws of a device's figures, and where spreads come from."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from edgewright.experiments.validation.datasheet import quantiles_of
from edgewright.hwmodels import KERNELS, Spread, Work, catalog, price
from edgewright.hwmodels.software import software
from edgewright.hwmodels.uncertainty import drawn, host_factor, uncertainties

BOARD = {
    "title": "a board",
    "kind": "cpu_sbc",
    "memory": {"pool": "ram", "capacity": "8 GiB", "bandwidth": 10e9},
    "idle_W": 3,
    "tdp_W": 12,
    "engines": {"cpu": {"kind": "cpu", "peaks": {"int8": 1e11}, "efficiency": {"gemv": {"compute": 0.5, "memory": 0.5, "ramp": 1e-5}}}},
}


def board(**entry):
    return catalog.build_device("board", BOARD | entry)


def at(figure, normal):
    """A standard normal number of one figure, the middle of all others."""
    return lambda name: normal if name == figure else 0.0


def test_a_spread_is_normal_on_either_side_of_its_middle():
    skewed = Spread(-0.1, 0.2, 1.0)
    assert skewed.factor(0.0) == pytest.approx(exp(0.2))
    assert skewed.factor(1.6448536269514722) == pytest.approx(exp(1.0))
    assert skewed.factor(-1.6448536269514722) == pytest.approx(exp(-0.1))
    assert Spread.of(0.3).factor(1.0) == pytest.approx(exp(0.3))


def test_all_work_of_an_engine_takes_its_factor():
    """Memory binds: 5 MB at half of 10 GB/s take 1 ms, and the ramp 10 us. Slower by e^0.7: all of it; faster: no more than the bus has."""
    device, work = board(uncertainty={"cpu.time": [-1.0, 0.0, 0.7]}), Work.of("gemv", "int8", 1e6, weights=5e6)
    spreads = uncertainties(device)
    assert price(work, device).seconds == pytest.approx(1.01e-3)
    slow = drawn(device, spreads, at("cpu.time", 1.6448536269514722))
    assert price(work, slow).seconds == pytest.approx(1.01e-3 * exp(0.7))
    fast = drawn(device, spreads, at("cpu.time", -1.6448536269514722))
    assert price(work, fast).seconds == pytest.approx(0.5e-3 + 1e-5 * exp(-1.0))
    assert drawn(device, {}, at("", 1.0)) == device
    assert host_factor(spreads, "cpu", at("cpu.time", 1.6448536269514722)) == pytest.approx(exp(0.7))


def test_terms_classes_bandwidth_peaks_and_power_are_drawn_by_name():
    stated = {"cpu.efficiency.gemv.memory": 0.1, "cpu.efficiency.gemv": 0.2, "dram.bandwidth": 0.3, "cpu.peaks": 0.4, "power": 0.5}
    device = board(uncertainty=stated)
    made = drawn(device, device.uncertainty, lambda _: -1.0)
    was, now = device.main_engine, made.main_engine
    assert now.efficiency["gemv"].memory == pytest.approx(0.5 * exp(-0.1) * exp(0.2))
    assert now.efficiency["gemv"].compute == pytest.approx(0.5 * exp(0.2))
    assert now.efficiency["gemv"].ramp == pytest.approx(1e-5 * exp(-0.2))
    assert made.buses["dram"].bandwidth == pytest.approx(10e9 * exp(-0.3))
    assert now.peaks["int8"] == pytest.approx(1e11 * exp(-0.4))
    assert made.idle_W == pytest.approx(3 * exp(-0.5))
    assert (now.static_W, now.joules_per_byte) == (pytest.approx(was.static_W * exp(-0.5)), pytest.approx(was.joules_per_byte * exp(-0.5)))


def test_terms_of_one_fit_are_drawn_with_their_correlation():
    stated = {f"cpu.efficiency.gemv.{term}": 0.1 for term in ("compute", "memory", "ramp")}
    device = board(uncertainty=stated, correlations={"cpu.efficiency.gemv": [-0.8, 0.3, 0.1]})
    generator = np.random.default_rng(1)
    logs = []
    for _ in range(4000):
        numbers = dict(zip(stated, generator.normal(size=3), strict=True))
        made = drawn(device, device.uncertainty, numbers.__getitem__).main_engine.efficiency["gemv"]
        logs.append([log(made.compute), log(made.memory), log(made.ramp)])
    found = np.corrcoef(np.array(logs).T)
    assert found[0, 1] == pytest.approx(-0.8, abs=0.05)
    assert (found[0, 2], found[1, 2]) == (pytest.approx(0.3, abs=0.05), pytest.approx(0.1, abs=0.05))
    assert np.std(logs, axis=0) == pytest.approx([0.1] * 3, rel=0.05)


def test_what_is_known_of_a_device_comes_from_itself_then_its_software_then_datasheets_like_its_own():
    pi = catalog.device("rpi5_8gb")
    tuned = software(pi, "cpu", "llama.cpp")
    of_software = uncertainties(pi, "llama.cpp")["cpu.time"]
    assert (exp(of_software.low), exp(of_software.high)) == (pytest.approx(tuned.low), pytest.approx(tuned.high))
    alone = uncertainties(pi)["cpu.time"]
    assert alone.high > of_software.high > 0
    assert uncertainties(replace(pi, uncertainty={"cpu.time": Spread.of(0.1)}))["cpu.time"] == Spread.of(0.1)
    calibrated = uncertainties(board(uncertainty={"cpu.efficiency.gemv": 0.1}))
    assert calibrated["cpu.efficiency.gemv"] == Spread.of(0.1)
    assert {figure.split(".")[2] for figure in calibrated if figure.startswith("cpu.")} == set(KERNELS)
    assert "cpu.time" not in calibrated
    assert calibrated["cpu.efficiency.attention"] == alone


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("uncertainty", {"gpu.time": 0.1}, "board.uncertainty: 'gpu.time' is no figure of the device: accepted are power, BUS.bandwidth"),
        ("uncertainty", {"cpu.time": -0.1}, "board.uncertainty.cpu.time: -0.1 is no spread"),
        ("uncertainty", {"cpu.time": [0.1, 0.2]}, r"board.uncertainty.cpu.time: \[0.1, 0.2\] is no spread"),
        ("correlations", {"cpu.efficiency.gemv": [0.9, 0.9, -0.9]}, "cpu.efficiency.gemv: .* that can hold together"),
        ("correlations", {"cpu.efficiency.gem": [0, 0, 0]}, "board.correlations: 'cpu.efficiency.gem' is no figure"),
    ],
)
def test_bad_uncertainties_are_refused(key, value, said):
    with pytest.raises(ValueError, match=said):
        board(**{key: value})


def test_every_group_of_measurements_weighs_as_much_as_any_other():
    """Ninety-nine rows of one device at 0, one row of another at 1: the median lies between, not at 0."""
    assert quantiles_of({("a",): [0.0] * 99, ("b",): [1.0]})[1] == pytest.approx(0.01, abs=0.02)
    assert quantiles_of({("a",): [0.0], ("b",): [1.0], ("c",): [2.0]}) == [0.0, 1.0, 2.0]
