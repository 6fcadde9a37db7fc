"""Power of a board of 2 W idle and 12 W at the most."""

from dataclasses import replace

import pytest

from edgewright.hwmodels import (
    Bus,
    Device,
    Draw,
    Engine,
    Pool,
    UnknownFigure,
    Work,
    catalog,
    clock_floor,
    clock_for_watts,
    engine_static_W,
    peak_W,
    price,
)
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
    assert engine.joules_per_flop["fp32"] == pytest.approx(3.5 / (0.7 * 1e12))  # missing: its share of 10 W


def test_given_zeros_stay() -> None:
    free = {"static_W": 0.0, "joules_per_flop": {"fp16": 0.0, "fp32": 0.0}, "joules_per_byte": 0.0, "joules_per_cache_byte": 0.0}
    device = board(**free, cache_bandwidth=1e12)
    assert with_envelope(device) == device
    assert peak_W(device) == device.idle_W


@pytest.mark.parametrize("figure", ["static_W", "joules_per_flop", "joules_per_byte", "joules_per_cache_byte"])
def test_no_peak_without_its_figures(figure: str) -> None:
    whole = with_envelope(board(cache_bandwidth=1e12))
    unknown = replace(whole.main_engine, **{figure: {} if figure == "joules_per_flop" else None})  # type: ignore[arg-type]
    with pytest.raises(UnknownFigure, match=f"{figure}.* of engine 'gpu' is unknown"):
        peak_W(replace(whole, engines={"gpu": unknown}))
    if figure == "static_W":
        with pytest.raises(UnknownFigure, match="static_W"):
            engine_static_W(unknown)


def test_engines_fill_their_bus_together_the_dearest_bytes_first() -> None:
    free = {"joules_per_flop": {"fp32": 0.0, "fp16": 0.0}, "static_W": 0.0}
    gpu = board(**free, joules_per_byte=1e-11).main_engine  # reaches 0.85 of 100 GB/s
    cpu = Engine("cpu", "cpu", {"fp32": 1.0}, "dram", static_W=0.0, joules_per_flop={"fp32": 0.0}, joules_per_byte=3e-11)  # 0.75
    two = replace(board(), engines={"gpu": gpu, "cpu": cpu})
    assert peak_draw(two).dram == pytest.approx(100e9 * (0.75 * 3e-11 + 0.25 * 1e-11))
    assert peak_draw(replace(two, engines={"gpu": gpu})).dram == pytest.approx(100e9 * 0.85 * 1e-11)
    apart = replace(two, engines={"gpu": gpu, "cpu": replace(cpu, bus="sram")}, buses=dict(two.buses) | {"sram": Bus("sram", 1e9)})
    assert peak_draw(apart).dram == pytest.approx(100e9 * 0.85 * 1e-11 + 1e9 * 0.75 * 3e-11)


def test_two_engines_that_stream_at_once_stay_within_the_peak() -> None:
    device = catalog.device("apple_m2_ultra_gpu60")
    copy, bus = Work.of("copy", "fp32", 0.0, activations=1e12), device.buses["dram"].bandwidth
    costs = {name: price(copy, device, name) for name in device.engines}
    wanted = {name: cost.bus_bytes / cost.seconds for name, cost in costs.items()}
    cpu = wanted["cpu"] / bus  # the GPU gets what it leaves
    gpu = min(wanted["gpu"] / bus, 1.0 - cpu)
    assert cpu + gpu == pytest.approx(1.0, rel=1e-4)
    watts = bus * (cpu * device.engines["cpu"].joules_per_byte + gpu * device.engines["gpu"].joules_per_byte)
    assert watts <= peak_draw(device).dram


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
