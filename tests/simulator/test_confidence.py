"""`summary(intervals=True)`: the uncertainty of devices through a run, and how often the intervals hold."""

import json
from statistics import NormalDist

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.simulator import Result, Scenario, ScenarioError, simulate
from edgewright.simulator.confidence import draws_for
from edgewright.simulator.draws import normal_at

MACHINE = {
    "title": "a machine that a calibration left uncertain",
    "kind": "cpu_sbc",
    "memory": {"pool": "ram", "capacity": "8 GiB", "bandwidth": "17 GB/s"},
    "idle_W": 3,
    "tdp_W": 12,
    "engines": {
        "cpu": {
            "kind": "cpu",
            "peaks": {"fp32": 1.5e11, "int8": 6e11},
            "launch_overhead": 0.0,
            "efficiency": {
                "gemm": {"compute": 0.5, "memory": 0.5, "ramp": 2e-6},
                "gemv": {"compute": 0.3, "memory": 0.5, "ramp": 2e-6},
            },
        }
    },
    "uncertainty": {
        "cpu.efficiency.gemm": 0.1,
        "cpu.efficiency.gemm.compute": 0.15,
        "cpu.efficiency.gemv": [-0.1, 0.05, 0.3],
        "cpu.efficiency.gemv.compute": 0.2,
        "cpu.efficiency.gemv.memory": 0.15,
        "cpu.efficiency.gemv.ramp": 0.2,
        "dram.bandwidth": 0.05,
        "cpu.peaks": 0.05,
        "power": 0.1,
    },
    "correlations": {"cpu.efficiency.gemv": [-0.5, 0.3, -0.2]},
}
KEYS = ["tpot_p50_s", "ttft_p90_s", "e2e_p99_s", "energy_J"]


@pytest.fixture
def asked(tmp_path):
    """`asked(name="machine", **entry) -> Scenario`: ten seconds of chat on a machine whose figures are uncertain."""

    def make(name="machine", **entry):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"devices": {name: MACHINE | entry}}))
        changes = {
            "cluster.device_files": [str(path)],
            "cluster.devices.pi": {"device": name},
            "run": {"warmup": "0 s", "window": "10 s", "drain": "20 s"},
            "workloads.questions.arrivals": {"process": "poisson", "rate": "1 /s"},
        }
        return Scenario.load("hello").override(changes)

    return make


def test_nine_of_ten_true_machines_lie_within_the_intervals(asked):
    """The true machine is one of 9973 draws of the stated distribution. Nominal 90 %, asked are 80 to 97 %, of each figure of a run."""
    held = []
    for name in ("first", "second", "third", "fourth"):
        scenario = asked(name)
        known = simulate(scenario).summary(intervals=True)
        bounds = known[known["scope"] == "total"].set_index("metric").loc[KEYS]
        numbers = np.random.default_rng(1).integers(1, 9974, 30)
        truths = [simulate(scenario.override({"cluster.draw": {"number": int(each), "of": 9973}})).row() for each in numbers]
        values = np.array([[row[key] for key in KEYS] for row in truths])
        held.append((values >= bounds["low"].to_numpy()) & (values <= bounds["high"].to_numpy()))
    coverage = np.concatenate(held).mean(axis=0)
    assert np.all(coverage >= 0.80), coverage
    assert np.all(coverage <= 0.97), coverage


def test_draws_take_every_quantile_once_in_an_order_of_their_own():
    numbers = [normal_at("pi", number, 19, "cpu.time") for number in range(1, 20)]
    assert sorted(NormalDist().cdf(each) * 20 for each in numbers) == pytest.approx(list(range(1, 20)))
    assert numbers != [normal_at("pi", number, 19, "power") for number in range(1, 20)]
    assert numbers == [normal_at("pi", number, 19, "cpu.time") for number in range(1, 20)]


def test_a_machine_that_is_certain_has_intervals_of_one_point(asked):
    certain = asked(uncertainty={"cpu.time": 0.0, "power": 0.0}, correlations={})
    frame = simulate(certain).summary(intervals=True)
    known = frame[frame["value"].notna()]
    assert (known["low"] == known["value"]).all()
    assert (known["high"] == known["value"]).all()


def test_devices_of_one_kind_share_their_draw_and_the_seed_does_not_matter(asked):
    from edgewright.simulator.assemble import build_cluster

    twice = asked().override({"cluster.devices.pj": {"device": "machine"}, "cluster.draw": {"number": 3}})
    devices = build_cluster(twice).devices
    assert devices["pi"] == devices["pj"]
    assert devices["pi"] == build_cluster(asked().override({"seed": 9, "cluster.draw": {"number": 3, "of": 19}})).devices["pi"]
    assert devices["pi"] != build_cluster(asked()).devices["pi"]


def test_intervals_are_a_table_of_the_result_that_files_keep(asked, tmp_path):
    result = simulate(asked())
    assert result.intervals.empty
    assert list(result.summary().columns) == ["scope", "name", "metric", "value", "unit"]
    runs = []
    known = result.with_intervals(level=0.5, jobs=2, progress=lambda done, count: runs.append((done, count)))
    assert runs == [(1, 3), (2, 3), (3, 3)]
    assert known.meta["notes"][-1].startswith("intervals reach from the least to the greatest of 3 draws (50% of further ones")
    assert "pi (cpu.efficiency.gemm, " in known.meta["notes"][-1]
    known.write(tmp_path / "out")
    read = Result.read(tmp_path / "out")
    assert read.summary(intervals=True).equals(known.summary(intervals=True))
    assert "As far as the devices are known: 50% of further draws lie between" in read.summary_text()
    # without the table, a result that was read runs its scenario again
    plain = Result(read.meta, {name: table for name, table in read.tables.items() if name != "intervals"})
    assert plain.with_intervals(level=0.5).intervals.equals(known.intervals)


def test_a_draw_that_cannot_run_leaves_intervals_unavailable(asked):
    """Idle at 3 W under a budget of 3.1 W; at the upper quartile of its power, exp(0.067), idle at 3.2 W."""
    tight = asked().override({"power.desk.budget": "3.1 W"})
    result = simulate(tight).with_intervals(level=0.5)
    assert result.intervals["low"].isna().all()
    assert "intervals are unavailable: 1 of 3 draws of the devices were refused" in result.meta["notes"][-1]


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0, -1.0])
def test_levels_without_draws_are_refused(level):
    with pytest.raises(ValueError, match=r"accepted are 0\.5 to 0\.99"):
        draws_for(level)
    assert (draws_for(0.9), draws_for(0.95), draws_for(0.8)) == (19, 39, 9)


def test_a_number_beyond_the_draws_is_refused(asked):
    with pytest.raises(ScenarioError, match=r"cluster\.draw\.number.*is none of 19 draws.*1 to 19"):
        asked().override({"cluster.draw": {"number": 20}})


def test_the_command_line_prints_and_keeps_them(asked, tmp_path):
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(asked().tables()))
    ran = CliRunner().invoke(main, ["run", str(path), "--intervals", "--quiet", "--json", "--out", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    low, high = found["intervals"]["tpot_p50_s"]
    assert 0 < low < found["tpot_p50_s"] < high
    again = CliRunner().invoke(main, ["report", str(tmp_path / "out"), "--json"])
    assert json.loads(again.stdout)["intervals"] == found["intervals"]
    shown = CliRunner().invoke(main, ["explain", str(path), "--json"])
    rows = [row for rows in json.loads(shown.stdout).values() for row in rows]
    assert any(row["low_s"] < row["end"] - row["start"] < row["high_s"] for row in rows)
