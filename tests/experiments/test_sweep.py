"""Sweeps: which points, how many runs, what is written, and what is left after a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from math import isclose, isnan, nan
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.experiments.sweeps import Precision, SweepError, sweep
from edgewright.experiments.sweeps.points import points_of
from edgewright.experiments.sweeps.spec import Spec, parsed
from edgewright.experiments.sweeps.stopping import enough, interval
from edgewright.simulator import ScenarioError

RATE = "workloads.questions.arrivals.rate"
FORMAT = "services.chat.format"
SHORT = {"run.warmup": 0, "run.window": 20, "run.drain": 20}


def points(**given):
    return points_of(parsed({"scenario": "hello", **given}, Spec), seed=1)


def files_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


# -- designs ---------------------------------------------------------------------------------------------------------------------------


def test_a_grid_has_every_combination_the_last_factor_fastest():
    assert points(factors={"a": [1, 2], "b": ["x", "y"]}) == (
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    )


def test_a_list_takes_values_together():
    assert points(factors={"a": [1, 2], "b": ["x", "y"]}, design="list") == ({"a": 1, "b": "x"}, {"a": 2, "b": "y"})


def test_no_factor_is_one_point():
    assert points() == ({},)


def test_a_range_keeps_its_unit_and_its_scale():
    """Three steps from 10 to 1000 in equal ratios: 10, 100, 1000."""
    found = [point["bw"] for point in points(factors={"bw": {"low": "10 Mbit/s", "high": "1000 Mbit/s", "scale": "log", "steps": 3}})]
    assert [value.split()[1] for value in found] == ["Mbit/s"] * 3
    assert [float(value.split()[0]) for value in found] == pytest.approx([10, 100, 1000])


def test_a_latin_hypercube_has_one_sample_in_each_slice():
    factors = {"a": {"low": 0, "high": 10}, "b": {"low": 0, "high": 1}, "c": [False, True]}
    found = points(factors=factors, design="latin_hypercube", samples=10)
    assert sorted(int(point["a"]) for point in found) == list(range(10))
    assert sorted(int(point["b"] * 10) for point in found) == list(range(10))
    assert [point["c"] for point in found].count(True) == 5
    assert found == points(factors=factors, design="latin_hypercube", samples=10)


def test_random_samples_stay_in_their_ranges():
    found = points(factors={"n": {"low": 1, "high": 4, "integer": True}}, design="random", samples=50)
    assert {point["n"] for point in found} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"factors": {"a": 3}}, "factor 'a' is 3; accepted: a list"),
        ({"factors": {"a": {"low": 2, "high": 1, "steps": 2}}}, "accepted: low < high"),
        ({"factors": {"a": {"low": "1 W", "high": "2 V", "steps": 2}}}, "accepted: one unit"),
        ({"factors": {"a": {"low": 1, "high": 2}}}, "without `steps`"),
        ({"factors": {"a": [1], "b": [1, 2]}, "design": "list"}, "as many values"),
        ({"factors": {"a": [1]}, "samples": 3}, "only there"),
        ({"factors": {"a": [1]}, "design": "random"}, "accepted: `samples`"),
        ({"replications": 9, "precision": {"metric": "m", "most": 5}}, "at least `replications`"),
        ({"draws": True}, "2 and more"),
        ({"replications": 3, "draws": True, "precision": {"metric": "m"}}, "and none"),
        ({"factor": {}}, "did you mean 'factors'"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(given, says):
    with pytest.raises(SweepError, match=says):
        parsed({"scenario": "hello", **given}, Spec)


# -- stopping --------------------------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_mean():
    """1, 2, 3: standard deviation 1, t(0.975, 2) = 4.3027, half-width 4.3027 / sqrt(3)."""
    mean, half = interval([1.0, 2.0, 3.0, nan])
    assert mean == 2.0
    assert half == pytest.approx(4.302652729 / 3**0.5)
    assert isnan(interval([nan])[0])
    assert isnan(interval([5.0])[1])


def test_replications_end_when_the_interval_is_narrow_or_at_the_most():
    rule = Precision(metric="m", relative=0.1, most=4)
    assert not enough([1.0], 1, rule)
    assert enough([1.0, 1.0], 1, rule)
    assert not enough([1.0, 2.0, 3.0], 1, rule)
    assert enough([1.0, 2.0, 3.0, 4.0], 1, rule)
    assert not enough([nan, nan], 1, rule)


# -- runs ------------------------------------------------------------------------------------------------------------------------------


def test_draws_give_every_replication_devices_of_its_own_at_every_point(tmp_path):
    """Two prompts, the second twice as long: among the draws times differ, within a draw their order does not."""
    base = {**SHORT, "workloads.questions.arrivals": {"process": "periodic", "period": "30 s"}}
    prompts = "workloads.questions.lengths.prompt"
    points = [{"shape": "fixed", "value": tokens} for tokens in (100, 200)]
    result = sweep("hello", {prompts: points}, out=tmp_path / "s", base=base, replications=3, draws=True)
    short, long = (rows.set_index("replicate")["ttft_p50_s"] for _, rows in result.frame.groupby("point"))
    assert short.nunique() == 3
    assert (short < long).all()
    seen = json.loads((tmp_path / "s" / "scenarios" / f"{result.frame['run'][2]}.json").read_text())
    assert seen["cluster"]["draw"] == {"number": 3, "of": 3}
    first = result.summary(["ttft_p50_s"]).iloc[0]
    assert (first["low"], first["high"]) == (short.min(), short.max())
    below, above = result.whiskers(result.summary(["ttft_p50_s"]))
    assert below[0] == pytest.approx(short.mean() - short.min())
    assert above[0] == pytest.approx(short.max() - short.mean())


def test_rows_hold_factors_figures_and_their_scenario(tmp_path):
    result = sweep("hello", {FORMAT: ["q8_0", "q4_0"], RATE: [0.1, 0.5]}, out=tmp_path / "s", base=SHORT, replications=2)
    frame = result.frame
    assert list(frame.columns[:8]) == ["run", "point", "replicate", "seed", "status", "reason", FORMAT, RATE]
    assert list(frame["seed"]) == [1, 2] * 4
    assert list(frame[FORMAT]) == ["q8_0"] * 4 + ["q4_0"] * 4
    assert set(frame["status"]) == {"completed"}
    for run in frame["run"]:
        assert (tmp_path / "s" / "scenarios" / f"{run}.json").is_file()
    again = pq.read_table(tmp_path / "s" / "results.parquet").to_pandas()
    assert again.equals(frame)


def test_common_random_numbers_give_points_the_same_arrivals(tmp_path):
    frame = sweep("hello", {FORMAT: ["q8_0", "q4_0"]}, out=tmp_path / "s", base=SHORT, replications=2).frame
    assert list(frame["jobs"][:2]) == list(frame["jobs"][2:])


def test_one_process_or_several_the_same_bytes(tmp_path):
    precision = Precision(metric="jobs", relative=0.2, most=4)
    for name, jobs in (("one", 1), ("two", 2)):
        sweep("hello", {RATE: [0.2, 1.0]}, out=tmp_path / name, base=SHORT, precision=precision, jobs=jobs)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_point_is_replicated_until_its_figure_is_known(tmp_path):
    result = sweep("hello", {RATE: [0.2, 2.0]}, out=tmp_path / "s", base=SHORT, precision=Precision(metric="jobs", relative=0.3, most=8))
    counts = result.frame.groupby("point").size()
    summary = result.summary(["jobs"])
    assert counts[1] < counts[0] <= 8, "the busier point has less relative noise"
    assert summary["half_width"][1] <= 0.3 * summary["mean"][1]


def test_a_run_that_fails_is_a_row_with_its_reason(tmp_path):
    """A KV cache of one byte holds nothing: refused when the memory is laid out, which only the run does."""
    result = sweep("hello", {"services.chat.replicas.only.kv_capacity": [1, None]}, out=tmp_path / "s", base=SHORT)
    assert list(result.frame["status"]) == ["failed", "completed"]
    assert "ScenarioError" in result.frame["reason"][0]
    assert isnan(result.frame["jobs"][0])


def test_a_key_that_leads_nowhere_is_refused_before_the_first_run(tmp_path):
    with pytest.raises(ScenarioError, match="leads nowhere"):
        sweep("hello", {"cluster.links.wan.latency": [0.1]}, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_directory_holds_one_sweep(tmp_path):
    sweep("hello", {RATE: [0.2]}, out=tmp_path / "s", base=SHORT)
    with pytest.raises(FileExistsError, match="holds another sweep"):
        sweep("hello", {RATE: [0.3]}, out=tmp_path / "s", base=SHORT)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="holds no sweep"):
        sweep("hello", {RATE: [0.3]}, out=tmp_path / "notes", base=SHORT)


# -- what kills it ---------------------------------------------------------------------------------------------------------------------

KILLED = """
import sys
from edgewright.experiments.sweeps import sweep
if __name__ == "__main__":
    sweep("hello", {"workloads.questions.arrivals.rate": [0.2, 0.4, 0.6, 0.8]}, out=sys.argv[1], replications=5, jobs=int(sys.argv[2]),
          base={"run.warmup": 0, "run.window": 20, "run.drain": 20})
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_that_is_killed_goes_on_with_nothing_lost_and_nothing_run_twice(tmp_path, jobs):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script)]
    subprocess.run([*command, str(tmp_path / "whole"), str(jobs)], check=True)
    process = subprocess.Popen([*command, str(tmp_path / "cut"), str(jobs)], start_new_session=True)
    runs = tmp_path / "cut" / "runs"
    while len(list(runs.glob("p*.parquet"))) < 3:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in runs.glob("p*.parquet")}
    assert 3 <= len(before) < 20
    assert not (tmp_path / "cut" / "results.parquet").exists()
    (runs / ".p00003-r0004-half.parquet.part").write_bytes(b"half a fi")
    subprocess.run([*command, str(tmp_path / "cut"), str(jobs)], check=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")


def test_no_process_outlives_a_sweep_that_is_killed(tmp_path):
    """Only the sweep itself is killed, as the system does when memory runs out: its processes have no one to tell them."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "s"), "2"])
    while not list((tmp_path / "s").glob("runs/p*.parquet")):
        time.sleep(0.01)
    children = [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.wait()
    assert len(children) >= 2
    until = time.monotonic() + 10
    while any(_lives(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert [child for child in children if _lives(child)] == []


def _lives(process):
    """Whether there is such a process that has not ended (a zombie has)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


WORKER = """
import os, signal
from edgewright.experiments.sweeps import pools, runs
original = runs.execute
def deadly(scenario):
    if scenario.seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(scenario)
"""


def test_a_process_that_dies_takes_only_its_own_run_with_it(tmp_path):
    (tmp_path / "deadly.py").write_text(WORKER)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, deadly\nfrom edgewright.experiments.sweeps import pools, sweep\npools.execute = deadly.deadly\n"
        "if __name__ == '__main__':\n"
        f"    sweep('hello', {{}}, out=sys.argv[1], replications=6, jobs=2, base={SHORT!r})\n"
    )
    subprocess.run(
        [sys.executable, str(script), str(tmp_path / "s")], check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    frame = pq.read_table(tmp_path / "s" / "results.parquet").to_pandas()
    assert list(frame["status"]) == ["completed", "completed", "failed", "completed", "completed", "completed"]
    assert "died" in frame["reason"][2]


# -- the command -----------------------------------------------------------------------------------------------------------------------


def written(tmp_path, text):
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    return str(file)


def test_the_command_prints_a_row_per_point(tmp_path):
    base = "base: {run.warmup: 0, run.window: 20 s, run.drain: 20 s}"
    text = f"scenario: hello\n{base}\nfactors: {{{RATE}: [12 /min, 30 /min]}}\nreplications: 2\n"
    found = CliRunner().invoke(main, ["sweep", written(tmp_path, text), "--out", str(tmp_path / "s"), "--figure", "jobs"])
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0].split() == [RATE, "runs", "jobs"]
    assert lines[1].startswith("12 /min")
    assert "±" in lines[1]


def test_the_command_refuses_what_it_cannot_do(tmp_path):
    cases = {
        "scenario: hello\nfactors: {seed: 3}\n": "accepted: a list of values",
        "factors: {seed: [3]}\n": "scenario:",
        "scenario: helo\n": "hello",
        f"scenario: hello\nfactors: {{{FORMAT}: [q77]}}\n": "q77",
    }
    for text, says in cases.items():
        found = CliRunner().invoke(main, ["sweep", written(tmp_path, text), "--out", str(tmp_path / "s")])
        assert found.exit_code == 2, (text, found.output)
        assert says in found.stderr
        assert not (tmp_path / "s").exists()
    assert CliRunner().invoke(main, ["sweep", str(tmp_path / "none.yaml")]).exit_code == 2


def test_mean_and_half_width_are_those_of_the_rows(tmp_path):
    result = sweep("hello", {}, out=tmp_path / "s", base=SHORT, replications=3)
    row = result.summary(["tokens_per_s"]).iloc[0]
    mean, half = interval(list(result.frame["tokens_per_s"]))
    assert isclose(row["mean"], mean)
    assert isclose(row["half_width"], half)
    with pytest.raises(KeyError, match="tokens_per_s"):
        result.summary(["token_per_s"])


def test_the_report_of_a_sweep_shows_every_point_and_needs_nothing_else(tmp_path):
    found = sweep("hello", {"services.chat.format": ["q8_0", "q4_0"]}, out=tmp_path / "s", base={"run.window": 10}, replications=2)
    found.report(tmp_path / "report.html", ["tpot_p50_s", "energy_J"])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = text.replace(max(re.findall(r"<script>\n(.*?)\n</script>", text, re.DOTALL), key=len), "")
    assert page.count("<tr>") == 3
    assert "q4_0" in page
    assert re.findall(r'\b(?:src|href)="(?!data:)', page) == []
    assert set(re.findall(r'data-key="([^"]+)"', page)) == {"lines-tpot_p50_s", "lines-energy_J"}
    assert "TPOT p50 (s)" in page
    with pytest.raises(KeyError, match="energy_J"):
        found.report(tmp_path / "no.html", ["energy_j"])
    assert not (tmp_path / "no.html").exists()
