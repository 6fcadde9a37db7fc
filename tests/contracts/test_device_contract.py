"""Every device of the catalogue passes the suite; devices broken in one way each fail the check of that promise."""

from dataclasses import replace

import pytest

from edgewright.hwmodels import Efficiency, Provenance, Spread, catalog
from edgewright.hwmodels.conformance import DEVICE, check_device

BOARD = catalog.device("rpi5_8gb")


@pytest.mark.parametrize("name", catalog.devices() + catalog.companions())
def test_catalogued_devices_conform(name):
    check_device(catalog.device(name))


def engine(**figures):
    """The board with figures of its first engine changed."""
    first = replace(BOARD.main_engine, **figures)
    return replace(BOARD, engines={**BOARD.engines, first.name: first})


def pool(**figures):
    return replace(BOARD, pools={BOARD.main_pool.name: replace(BOARD.main_pool, **figures)})


class Twofold(dict):
    """Peaks of which two readers find two values: what is priced together is not what is priced one by one."""

    asked = 0

    def get(self, key, default=None):
        Twofold.asked += 1
        return super().get(key, default) / (1 + Twofold.asked % 2)


BROKEN = {
    "names": replace(BOARD, title=""),
    "names of engines": replace(BOARD, engines={"gpu2": BOARD.main_engine}),
    "names of buses": engine(bus="pcie"),
    "names of kinds": engine(kind="cpuu"),
    "memory": pool(reserved=BOARD.main_pool.capacity),
    "peaks in what": engine(peaks={"fp23": 1e9}),
    "peaks of nothing": engine(peaks={"fp32": 0.0}),
    "efficiencies": engine(efficiency={"gemm": Efficiency(1.2, 0.5)}),
    "efficiencies of what": engine(efficiency={"gem": Efficiency(0.5, 0.5)}),
    "clocks": engine(clock_min=3e9, clock_max=2e9),
    "power": replace(BOARD, idle_W=BOARD.tdp_W + 1),
    "power of supplies": replace(BOARD, supply_efficiency=1.1),
    "prices": engine(static_W=None, joules_per_byte=None),
    "roofs": engine(efficiency={"gemm": Efficiency(1.5, 1.5)}),
    "slower clocks": engine(voltage_floor=1.5),
    "many at once": engine(peaks=Twofold(BOARD.main_engine.peaks)),
    "origins": replace(BOARD, provenance={**BOARD.provenance, "cpu.lanch_overhead": Provenance("assumed", "a guess")}),
    "origins by whom": replace(BOARD, provenance={"idle_W": Provenance("measured", "")}),
    "origins of spreads": replace(BOARD, uncertainty={"cpu.time": Spread(0.3, 0.1, 0.2)}),
    "value": engine(peaks={"fp32": 1e9, "fp16": 2e9}, efficiency={"gemm": type("Local", (Efficiency,), {})(0.5, 0.5)}),
}


def checked(what):
    """The check that a broken device is to fail: its description begins with the name."""
    return next(name for name in sorted(DEVICE.checks, key=len, reverse=True) if what.startswith(name))


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_promise_is_named(what):
    check = checked(what)
    assert check in DEVICE.broken(BROKEN[what])
    with pytest.raises(AssertionError, match=rf"device 'rpi5_8gb' fails \d+ of {len(DEVICE.checks)} checks:(.|\n)*  {check}: "):
        check_device(BROKEN[what])


def test_every_check_can_fail_and_says_what_it_requires():
    assert {next(name for name in sorted(DEVICE.checks, key=len, reverse=True) if what.startswith(name)) for what in BROKEN} == set(
        DEVICE.checks
    )
    assert all(said.endswith(".") for said in DEVICE.promises().values())


def test_what_is_no_device_fails_and_does_not_stop_the_suite():
    assert set(DEVICE.broken("a board")) >= set(DEVICE.checks) - {"value"}
