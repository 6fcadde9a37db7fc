"""Power of a board of 2 W idle and 12 W at the most."""

import pytest

from edgewright.hwmodels import Bus, Device, Draw, Engine, Pool, clock_floor, clock_for_watts, engine_static_W, peak_W
from edgewright.hwmodels.energy import idle_draw, peak_draw, reach, settable_clocks, voltage, with_envelope


def board(**changes: object) -> Device:
    figures = {"kind": "gpu", "peaks": {"fp32": 1e12, "fp16": 4e12}, "bus": "dram", "clock_max": 1e9, "clock_min": 0.2e9}
    engine = Engine(name="gpu", **(figures | changes))
    memory = ({"dram": Bus("dram", 100e9)}, {"ram": Pool("ram", 8e9, "dram")})
    return Device("b", "B", "gpu_integrated", {"gpu": engine}, *memory, 2.0, 12.0, board_W=3.0, supply_efficiency=0.75)


def test_voltage_is_linear_between_floor_and_one() -> None:
    engine = board(voltage_floor=0.6).main_engine
    assert [voltage(engine, clock) for clock in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.6, 0.6, 0.8, 1.0])


def test_an_engine_with_one_clock_has_one_voltage() -> None:
    assert voltage(board(clock_min=1e9).main_engine, 1.0) == 1.0


def test_static_power_goes_with_clock_and_voltage_squared() -> None:
    engine = board(static_W=10.0, voltage_floor=0.6).main_engine
    assert engine_static_W(engine) == 10.0
    assert engine_static_W(engine, 0.6) == pytest.approx(10.0 * 0.6 * 0.8**2)


def test_derived_shares_meet_the_power_limit() -> None:
    device = with_envelope(board())  # 10 W above idle
    draw = peak_draw(device)
    assert (draw.static, draw.compute, draw.dram) == pytest.approx((3.5, 3.5, 3.0))
    assert peak_W(device) == pytest.approx(12.0)
    joules = device.main_engine.joules_per_flop
    assert joules["fp32"] == pytest.approx(4 * joules["fp16"])  # inverse to the peak


def test_a_cache_byte_costs_a_tenth_of_a_bus_byte() -> None:
    device = with_envelope(board(cache_bytes=1e6, cache_bandwidth=300e9))
    engine = device.main_engine
    assert engine.joules_per_cache_byte == pytest.approx(0.1 * engine.joules_per_byte)
    assert peak_W(device) == pytest.approx(12.0)


def test_given_figures_stay() -> None:
    engine = with_envelope(board(static_W=1.0, joules_per_flop={"fp16": 1e-12}, joules_per_byte=2e-12)).main_engine
    assert (engine.static_W, engine.joules_per_flop["fp16"], engine.joules_per_byte) == (1.0, 1e-12, 2e-12)


def test_engines_divide_the_envelope() -> None:
    gpu = board().main_engine
    cpu = Engine("cpu", "cpu", {"fp32": 1e11}, "dram")
    two = with_envelope(Device("b", "B", "x", {"gpu": gpu, "cpu": cpu}, board().buses, board().pools, 2.0, 12.0))
    assert two.engines["gpu"].static_W == pytest.approx(3 * two.engines["cpu"].static_W)
    assert peak_W(two) == pytest.approx(12.0)


def test_readings_by_scope() -> None:
    draw = Draw(idle=2.0, static=3.0, compute=1.0, cache=0.5, dram=1.5)
    device = board()
    assert [draw.at(scope, device) for scope in ("rail", "module", "board", "plug")] == [4.5, 8.0, 11.0, 11.0 / 0.75]
    assert idle_draw(device).at("plug", device) == pytest.approx(5.0 / 0.75)
    with pytest.raises(ValueError, match="unknown energy scope 'wall': accepted are rail, module, board, plug"):
        draw.at("wall", device)  # type: ignore[arg-type]


def test_clock_for_watts_inverts_peak() -> None:
    device = with_envelope(board())
    for clock in (0.25, 0.5, 0.9):
        assert clock_for_watts(device, peak_W(device, clock)) == pytest.approx(clock)
    assert clock_for_watts(device, 100.0) == 1.0
    assert clock_for_watts(device, 0.0) == clock_floor(device) == 0.2


def test_settable_steps_bound_the_clock() -> None:
    device = with_envelope(board(clocks=(0.3e9, 0.6e9, 1e9)))
    assert settable_clocks(device) == pytest.approx((0.3, 0.6, 1.0))
    between = (peak_W(device, 0.6) + peak_W(device, 1.0)) / 2
    assert clock_for_watts(device, between) == pytest.approx(0.6)
    assert clock_for_watts(device, 0.0) == clock_floor(device) == pytest.approx(0.3)


def test_reach_is_the_best_of_the_kernel_classes() -> None:
    assert reach(board().main_engine) == (0.7, 0.85)
