"""Readers of energy, on made-up trees of files: joules are counted by hand, and what cannot be read is unavailable, never 0."""

import stat
import threading
import time
from itertools import pairwise

import pytest

from edgewright.hwmodels.calibration.power import MachinePower, Span, figures_of, machine_power
from edgewright.hwmodels.calibration.readers import Ina3221, MeterLog, Perf, Rapl, Reading, meter_joules, perf_joules, reader, used


def rapl_tree(root, counts, top=1000.0e6):
    for name, (label, count) in counts.items():
        zone = root / name
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "name").write_text(label + "\n")
        (zone / "energy_uj").write_text(f"{count:.0f}\n")
        (zone / "max_energy_range_uj").write_text(f"{top:.0f}\n")


def test_rapl_adds_packages_and_dram_and_allows_for_a_wrap(tmp_path):
    rapl_tree(tmp_path, {"intel-rapl:0": ("package-0", 990e6), "intel-rapl:0:0": ("core", 1e6), "intel-rapl:0:1": ("dram", 5e6)})
    counter = Rapl(tmp_path)
    assert counter.source == "RAPL: package-0, dram"

    def act():  # 990 J to 1000 J, wrap, 20 J: 30 J; DRAM 5 J to 9 J; the cores' own counter is part of the package's
        rapl_tree(tmp_path, {"intel-rapl:0": ("package-0", 20e6), "intel-rapl:0:0": ("core", 9e6), "intel-rapl:0:1": ("dram", 9e6)})

    found = used(counter, act)
    assert found.joules == pytest.approx(34.0)
    assert found.kind == "measured"


def test_ina3221_takes_the_input_rail_and_integrates(tmp_path):
    folder = tmp_path / "1-0040" / "hwmon" / "hwmon3"
    folder.mkdir(parents=True)
    for number, label, volts, amperes in ((1, "VDD_IN", 5000, 2000), (2, "VDD_CPU_GPU_CV", 5000, 800)):
        (folder / f"in{number}_label").write_text(label)
        (folder / f"in{number}_input").write_text(str(volts))
        (folder / f"curr{number}_input").write_text(str(amperes))
    monitor = Ina3221(tmp_path, period=0.001)
    assert monitor.watts() == pytest.approx(10.0)  # 5 V at 2 A
    found = used(monitor, lambda: None)
    assert found.kind == "estimated"
    assert found.joules == pytest.approx(10.0 * found.seconds)  # constant power


def test_what_cannot_be_read_is_unavailable_and_says_why(tmp_path):
    found = reader((lambda: Ina3221(tmp_path), lambda: Rapl(tmp_path)))
    assert isinstance(found, Reading)
    reading = used(found, lambda: None)
    assert (reading.joules, reading.kind) == (None, "unavailable")
    assert "no rail" in reading.source
    assert "no package" in reading.source


def test_perf_is_read_from_its_csv():
    text = "# started\n\n12.50,Joules,power/energy-pkg/,1001,100.00,,\n2.25,Joules,power/energy-ram/,1001,100.00,,\n"
    assert perf_joules(text) == pytest.approx(14.75)
    assert perf_joules("<not supported>,Joules,power/energy-pkg/,0,100.00,,\n") is None


def test_a_meter_is_interpolated_and_must_cover_the_span(tmp_path):
    path, log = tmp_path / "meter.csv", [(0.0, 10.0), (1.0, 10.0), (2.0, 20.0), (4.0, 20.0)]
    path.write_text("seconds,watts\n" + "".join(f"{at},{watts}\n" for at, watts in log))
    assert meter_joules(path, 0.5, 3.0).joules == pytest.approx(0.5 * 10 + 15 + 20)
    whole = sum((b - a) * (v + w) / 2 for (a, v), (b, w) in pairwise(log))
    assert meter_joules(path, 0.0, 4.0).joules == pytest.approx(whole)
    with pytest.raises(ValueError, match="covers 0 to 4 s, not 1 to 5 s"):
        meter_joules(path, 1.0, 5.0)
    with pytest.raises(ValueError, match="'power'"):
        meter_joules(path, 0.0, 1.0, power="power")


def test_perf_is_started_and_ended(tmp_path):
    """A stand-in that counts 3 J when its input ends, and one that counts nothing."""
    for name, counted in (("counts", "3.0"), ("blind", "<not supported>")):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\ncat\necho '{counted},Joules,power/energy-pkg/,1,100.00,,' >&2\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    found = used(Perf((str(tmp_path / "counts"),)), lambda: time.sleep(0.05))
    assert (found.joules, found.kind) == (3.0, "measured")
    with pytest.raises(OSError, match="counts no energy"):
        Perf((str(tmp_path / "blind"),))
    with pytest.raises(OSError, match="no command"):
        Perf((str(tmp_path / "absent"),))


def test_the_log_of_a_meter_is_read_once_it_covers_the_span(tmp_path):
    path = tmp_path / "meter.csv"
    now = time.time()
    path.write_text(f"at,power\n{now - 10},12\n{now + 100},12\n")
    found = used(MeterLog(path, "at", "power"), lambda: time.sleep(0.05))
    assert found.joules == pytest.approx(12.0 * found.seconds)
    path.write_text(f"at,power\n{now - 10},12\n{now},12\n")
    end = MeterLog(path, "at", "power", patience=0.1).begin()
    with pytest.raises(ValueError, match="the log covers"):
        end()
    with pytest.raises(OSError, match="no file"):
        MeterLog(tmp_path / "absent.csv")


def test_waiting_for_the_log_is_no_part_of_the_span(tmp_path):
    """The meter writes its next line 0.3 s after the span is over."""
    path, now = tmp_path / "meter.csv", time.time()
    path.write_text(f"at,power\n{now - 10},12\n{now},12\n")
    end = MeterLog(path, "at", "power").begin()
    time.sleep(0.01)
    late = threading.Timer(0.3, lambda: path.write_text(f"at,power\n{now - 10},12\n{now + 3600},12\n"))
    late.start()
    found, waited = end(), time.time() - now
    late.join()
    assert found.joules == pytest.approx(12.0 * found.seconds)
    assert found.seconds < waited - 0.2


def span(watts, **amounts):
    return Span(Reading(2.0 * watts, 2.0, "measured", "meter"), **amounts)


def test_four_spans_tell_four_figures_apart():
    """10 W idle, 16 W spinning, 36 W at 10 G operations in 2 s, 26 W at 4 GB in 2 s: 6 W static, 4 nJ per operation, 5 nJ per byte."""
    spans = {"idle": span(10), "static": span(16), "arithmetic": span(36, operations=1e10), "stream": span(26, bytes=4e9)}
    expected = {"idle_W": 10, "static_W": 6, "joules_per_flop": 4e-9, "joules_per_byte": 5e-9}
    assert figures_of(spans) == pytest.approx(expected)
    quiet = figures_of(spans | {"static": span(9)})
    assert quiet == {"idle_W": 10, "static_W": None, "joules_per_flop": None, "joules_per_byte": None}
    assert figures_of(spans | {"stream": span(16, bytes=4e9)})["joules_per_byte"] is None


class Steady:
    """Reads 5 W in the first span, 10 W more in each further one."""

    source = "steady"

    def __init__(self):
        self.watts = -5.0

    def begin(self):
        self.watts += 10.0
        start = time.monotonic()

        def end():
            seconds = time.monotonic() - start
            return Reading(self.watts * seconds, seconds, "estimated", self.source)

        return end


def test_spans_are_of_real_work_on_all_cores():
    heard = []
    found = machine_power(Steady(), 1, time.sleep, 0.05, heard.append)
    assert heard == ["idle", "static", "arithmetic", "stream"]
    assert found.idle.kind == "estimated"
    assert found.figures["idle_W"] == pytest.approx(5.0)
    assert found.figures["static_W"] == pytest.approx(10.0)
    # 10 W above spinning, at the operations of one core: between 1e8 and 1e12 per second
    assert 1e-11 < found.figures["joules_per_flop"] < 1e-7
    # 20 W at 0.1 to 1000 GB/s
    assert 2e-11 < found.figures["joules_per_byte"] < 2e-7


def test_nothing_is_run_where_nothing_can_be_read():
    found = machine_power(Reading(None, 0.0, "unavailable", "no meter"), 1, lambda _: pytest.fail("rested"))
    assert found == MachinePower.of_idle(Reading(None, 0.0, "unavailable", "no meter"))
    assert set(found.figures.values()) == {None}
