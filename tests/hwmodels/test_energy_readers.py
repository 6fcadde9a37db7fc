"""Readers of energy, on made-up trees of files: joules are counted by hand, and what cannot be read is unavailable, never 0."""

from itertools import pairwise

import pytest

from edgewright.hwmodels.calibration.readers import Ina3221, Rapl, Reading, meter_joules, perf_joules, reader, used


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
    assert found.joules == pytest.approx(10.0 * found.seconds, rel=0.5)  # constant power; the span is some hundred microseconds


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
