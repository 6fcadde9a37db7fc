"""The command line: results on stdout, talk on stderr, exit code 2 for bad input, and results written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgewright.experiments.cli import main
from edgewright.experiments.cli_output import quantity
from edgewright.experiments.cli_run import changed
from edgewright.simulator.errors import ScenarioError
from edgewright.simulator.scenario import Scenario

SHORT = """
extends: hello
run: {warmup: 0 s, window: 20 s, drain: 20 s}
"""


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.yaml").write_text(SHORT, encoding="utf-8")
    return "short.yaml"


def call(*arguments: str, code: int = 0) -> Result:
    outcome = CliRunner().invoke(main, list(arguments))
    assert outcome.exit_code == code, outcome.output
    return outcome


def test_help_lists_every_command() -> None:
    listed = call("--help").stdout
    assert all(name in listed for name in ("run", "check", "explain", "report", "devices", "policies", "schema"))


def test_help_imports_nothing_heavy(run_fresh) -> None:
    program = """
import sys
from click.testing import CliRunner
from edgewright.experiments.cli import main
assert CliRunner().invoke(main, ["--help"]).exit_code == 0
assert CliRunner().invoke(main, ["run", "--help"]).exit_code == 0
print([name for name in ("simpy", "numba", "pandas", "scipy", "pint", "plotly", "pyarrow") if name in sys.modules])
"""
    assert run_fresh(program) == "[]\n"


def test_run_prints_a_summary_and_writes_a_directory(short: str) -> None:
    outcome = call("run", short, "--out", "out")
    assert "Replicas" in outcome.stdout
    assert "written to out" in outcome.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["out", "short.yaml"]
    assert {"run.json", "report.html", "trace.perfetto.json", "jobs.parquet"} <= {path.name for path in Path("out").iterdir()}


def test_run_for_machines_is_json_and_silent(short: str) -> None:
    outcome = call("run", short, "--out", "out", "--seed", "3", "--json", "--quiet")
    figures = json.loads(outcome.stdout)
    assert (figures["seed"], figures["directory"]) == (3, "out")
    assert outcome.stderr == ""


def test_a_result_is_replaced_only_by_force(short: str) -> None:
    Path("out").mkdir()
    outcome = call("run", short, "--out", "out", code=2)
    assert "out exists" in outcome.stderr
    assert "--force" in outcome.stderr
    call("run", short, "--out", "out", "--force", "--quiet")
    assert (Path("out") / "run.json").is_file()


def test_force_spares_what_is_no_result(short: str) -> None:
    Path("out").mkdir()
    (Path("out") / "thesis.txt").write_text("years of work", encoding="utf-8")
    outcome = call("run", short, "--out", "out", "--force", code=2)
    assert "not a result directory" in outcome.stderr
    assert "seed" not in outcome.stderr, "refused before the clock starts"
    assert outcome.stdout == ""
    assert (Path("out") / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_results_without_a_name_are_numbered(short: str) -> None:
    call("run", short, "--quiet")
    call("run", short, "--quiet")
    assert sorted(path.name for path in Path("results").iterdir()) == ["hello", "hello-2"]


def test_report_reads_a_result_again(short: str) -> None:
    written = json.loads(call("run", short, "--out", "out", "--json", "--quiet").stdout)
    written.pop("directory")
    (Path("out") / "report.html").unlink()
    assert json.loads(call("report", "out", "--json").stdout) == written
    assert (Path("out") / "report.html").is_file()
    assert "no run.json" in call("report", "nowhere", code=2).stderr


def test_check_shows_what_each_replica_gets() -> None:
    assert "chat.only  smollm-135m  q8_0" in call("check", "hello").stdout
    found = json.loads(call("check", "hello", "--json").stdout)
    assert found["valid"]
    assert found["replicas"][0]["kv_tokens"] == 16384


def test_explain_charts_every_replica() -> None:
    shown = call("explain", "quickstart", "--rows", "3").stdout
    assert "assistant.pis: llama-3.2-1b q4_0 on pi0, pi1, pi2, pi3" in shown
    assert "more operations (--rows 0 lists them)" in shown
    assert "memory" in shown
    rows = json.loads(call("explain", "quickstart", "--replica", "assistant.pis", "--json").stdout)["assistant.pis"]
    assert max(row["end"] for row in rows) > 0.0
    assert {"pi0.cpu", "pi3.cpu"} <= {row["where"] for row in rows}
    assert "is no replica" in call("explain", "quickstart", "--replica", "assistant.pi", code=2).stderr


def test_explain_may_show_a_prompt() -> None:
    decode, prefill = (json.loads(call("explain", "hello", *more, "--json").stdout)["chat.only"] for more in ((), ("--prefill", "512")))
    ends = [max(row["end"] for row in rows) for rows in (decode, prefill)]
    assert ends[1] > 5 * ends[0]


def test_devices_list_figures_with_their_sources() -> None:
    assert "jetson_agx_orin_64gb" in call("devices").stdout
    assert len(json.loads(call("devices", "--json").stdout)) >= 60
    figures = {each["figure"]: each for each in json.loads(call("devices", "rpi5_8gb", "--json").stdout)["figures"]}
    assert float(figures["pools.ram.capacity"]["value"]) == pytest.approx(8 * 2**30, rel=1e-5)
    assert {each["kind"] for each in figures.values()} <= {"datasheet", "measured", "assumed"}
    assert "did you mean 'rpi5_8gb'?" in call("devices", "rpi5_8g", code=2).stderr


def test_policies_are_listed_with_their_parameters() -> None:
    listed = {(each["family"], each["policy"]): each for each in json.loads(call("policies", "--json").stdout)}
    assert listed["kv", "sliding_window"]["parameters"]["sinks"] == "4"
    assert all(each["summary"] for each in listed.values())
    assert "    window: 1020" in call("policies", "kv").stdout
    assert "accepted: batching" in call("policies", "kvv", code=2).stderr


def test_schema_is_a_json_schema() -> None:
    assert json.loads(call("schema").stdout)["$schema"].endswith("2020-12/schema")


def test_a_trace_replaces_the_workloads_made_in_its_likeness(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,12,7\n", encoding="utf-8")
    scenario = changed(Scenario.load("quickstart"), trace=trace, thin=0.5, seed=9)
    assert scenario.seed == 9
    for name, before in Scenario.load("quickstart").workloads.items():
        after = scenario.workloads[name]
        if name in ("camera", "commands"):
            assert after == before
        else:
            assert after.trace is not None
            assert after.trace.file == trace
            assert (after.arrivals, after.lengths) == (None, None)
            assert after.thin == pytest.approx(0.5 * before.thin)


def test_the_published_trace_runs_through_the_quickstart(repository: Path, tmp_path: Path) -> None:
    trace = repository / "../shared/traces/azure_llm_2023_conv.csv"
    if not trace.is_file():
        pytest.skip("the Azure 2023 conversation trace is not at hand (../shared/traces)")
    path = tmp_path / "short.yaml"
    path.write_text("extends: quickstart\nrun: {warmup: 10 s, window: 60 s, drain: 2 min}\n", encoding="utf-8")
    outcome = call("run", str(path), "--trace", str(trace), "--out", str(tmp_path / "out"), "--json", "--quiet")
    # The trace has 229 requests from 10 s to 70 s, of which a fifth is kept by independent draws: 46, give or take 4 times 6.1.
    assert json.loads(outcome.stdout)["chat.jobs"] == pytest.approx(46, abs=24)


def test_a_trace_needs_a_workload_to_replace() -> None:
    with pytest.raises(ScenarioError, match="hold none that replays or imitates a trace"):
        changed(Scenario.load("hello"), thin=0.5)


def test_a_missing_trace_is_bad_input(short: str) -> None:
    outcome = call("run", "quickstart", "--trace", "nowhere.csv", code=2)
    assert "'nowhere.csv' does not exist" in outcome.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["short.yaml"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.322e12, "1.32 TB"), (999.9e6, "1 GB"), (0.0125, "12.5 mB"), (0.0, "0 B"), (None, "unknown"), (-2e3, "-2 kB")],
)
def test_quantities_have_three_figures_and_a_prefix(value: float | None, text: str) -> None:
    assert quantity(value, "B") == text
