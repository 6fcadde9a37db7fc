"""An engine preset from the log of a server: a known preset is simulated, its log written, and the preset recovered."""

import json

import pytest
import yaml
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.simulator import Scenario, ScenarioError, simulate
from edgewright.simulator.preset_fit import TERMS, LoggedRequest, PresetFit, read_log

INSTANT = {
    "title": "takes no time of its own",
    "kind": "server",
    "memory": {"pool": "ram", "capacity": 1.0e11, "bandwidth": 1.0e17},
    "idle_W": 1,
    "tdp_W": 2,
    "engines": {"cpu": {"kind": "cpu", "peaks": {"fp32": 1.0e20, "int8": 1.0e20}, "launch_overhead": 0.0, "ramp": 0.0}},
}


def served(tmp_path, engine, rate, device="instant", batching="continuous"):
    """The log of a simulated server whose steps take what the engine's host takes."""
    (tmp_path / "devices.yaml").write_text(yaml.safe_dump({"devices": {"instant": INSTANT}}))
    lengths = {
        "lengths": "joint",
        "prompt": {"shape": "uniform", "low": 16, "high": 256},
        "output": {"shape": "uniform", "low": 8, "high": 64},
    }
    base = Scenario.load("hello").override(
        {
            "cluster.device_files": [str(tmp_path / "devices.yaml")],
            "cluster.devices.pi": {"device": device},
            "services.chat.engine": engine,
            "services.chat.batching": batching,
            "workloads.questions.arrivals": {"process": "poisson", "rate": rate},
            "workloads.questions.lengths": lengths,
        }
    )
    jobs = simulate(base).jobs
    done = jobs[jobs["status"] == "completed"]
    path = tmp_path / "requests.jsonl"
    names = {"arrival": "arrival_s", "first_token": "first_token_s", "end": "finished_s", "prompt_tokens": "prompt_tokens"}
    rows = [
        {key: row[column] for key, column in names.items()} | {"output_tokens": row["output_tokens"]} for row in done.to_dict("records")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_known_preset_is_recovered(tmp_path):
    """20 ms per step and 5 ms per sequence, at most 6 at once, more asked than served: the batch binds. Each term within 10 %."""
    engine = {"preset": "vllm", "max_sequences": 6, "step_overhead": 0.020, "sequence_overhead": 0.005}
    fit = PresetFit().fit(read_log(served(tmp_path, engine, "2 /s")))
    assert fit.max_sequences_ == 6
    assert fit.kv_tokens_ is None
    found = fit.terms_["step"] + 6 * fit.terms_["sequence"]  # a full batch: what most steps are
    assert found == pytest.approx(0.020 + 6 * 0.005, rel=0.05)
    assert abs(fit.residuals_).max() < 0.1


def test_terms_are_told_apart_where_the_batch_varies(tmp_path):
    engine = {"preset": "vllm", "step_overhead": 0.020, "sequence_overhead": 0.005}
    fit = PresetFit().fit(read_log(served(tmp_path, engine, "1 /s")))
    assert fit.max_sequences_ is None
    assert fit.terms_["step"] == pytest.approx(0.020, rel=0.1)
    assert fit.terms_["sequence"] == pytest.approx(0.005, rel=0.1)
    assert fit.engine("ideal")["step_overhead"] == pytest.approx(fit.terms_["step"], rel=1e-5)


def test_bad_logs_are_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"arrival": 0, "first_token": 1, "end": 2, "prompt_tokens": 3}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl:1: .*output: output_tokens or output_toks"):
        read_log(path)
    with pytest.raises(ValueError, match="needs ten answers"):
        PresetFit().fit([LoggedRequest(0.0, 1.0, 2.0, 8.0, 4.0)] * 3)


FOUR = {"step_overhead": 0.020, "sequence_overhead": 0.004, "context_overhead": 2e-5, "prompt_overhead": 2e-4}
"""Terms of all kinds: a step of one sequence of 200 tokens takes 20 + 4 + 4 ms, a prompt of 136 tokens 27 ms besides."""


@pytest.mark.parametrize("batching", ["continuous", "chunked_prefill"])
def test_a_scenario_names_the_file_and_the_same_terms_come_back(tmp_path, batching):
    """Known terms, all that a step takes, on a real board; the log; the fit; its file in a scenario; and that scenario's log again."""
    known = {"preset": "vllm", "whole_step": True, **FOUR}
    first = PresetFit().fit(read_log(served(tmp_path, known, "90 /min", "rpi5_8gb", batching)))
    assert first.batching_ == batching
    for name in TERMS:
        assert abs(first.terms_[name] - FOUR[f"{name}_overhead"]) < max(3.0 * first.errors_[name], 0.1 * FOUR[f"{name}_overhead"]), name
    log, out = tmp_path / "requests.jsonl", tmp_path / "engine.yaml"
    ran = CliRunner().invoke(main, ["calibrate", "--from-log", str(log), "--out", str(out), "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    written = yaml.safe_load(out.read_text())
    assert written == json.loads(ran.stdout)
    assert written["fit"]["never_bound"] == ["max_sequences", "kv_tokens"]
    assert written["engine"]["context_overhead"] == pytest.approx(first.terms_["context"], rel=1e-5)
    before, after = (read_log(served(tmp_path, engine, "90 /min", "rpi5_8gb", batching)) for engine in (known, {"file": str(out)}))
    assert len(before) == len(after)
    spans = [[each.end - each.arrival for each in log] for log in (before, after)]
    assert sum(spans[1]) == pytest.approx(sum(spans[0]), rel=0.02)


def test_measured_steps_take_what_they_say_and_keep_the_engine_busy(boards):
    """Steps of 100 ms, whatever the model asks of the board; the engine is busy all the while."""
    simulation = boards(
        1, engine={"whole_step": True, "step_overhead": 0.1, "kv_tokens": 640}, arrivals={"process": "poisson", "rate": "1 /s"}
    )
    result = simulate(simulation.scenario)
    steps = result.steps
    assert ((steps["end_s"] - steps["start_s"]) / steps["iterations"]).to_numpy() == pytest.approx(0.1)
    busy = result.resources.set_index("resource")["busy_s"]["pi0.cpu"]
    assert busy == pytest.approx(float((steps["end_s"] - steps["start_s"]).sum()))
    replica = result.replicas.iloc[0]
    assert replica["kv_capacity_tokens"] == 640
    assert "640 tokens" in replica["derivation"]


def test_files_of_engines_are_checked(tmp_path):
    path = tmp_path / "engine.yaml"
    for text, said in (
        ("fit: {}", r"engine\.yaml.*engine.*is missing"),
        ("engine: {preset: vllm, step_overheads: 1}", r"engine\.yaml.*step_overheads.*is no key here"),
        ("engine: {preset: vlm}", r"engine\.yaml.*preset.*is no engine preset.*vllm"),
    ):
        path.write_text(text)
        with pytest.raises(ScenarioError, match=said):
            Scenario.load("hello").override({"services.chat.engine": {"file": str(path)}})
    path.write_text("engine: {preset: llama.cpp, step_overhead: 1 ms}")
    with pytest.raises(ScenarioError, match=r"services\.chat\.engine\.file.*stands beside a preset"):
        Scenario.load("hello").override({"services.chat.engine": {"preset": "vllm", "file": str(path)}})
    engine = (
        Scenario.load("hello").override({"services.chat.engine": {"file": str(path), "max_sequences": 2}}).services["chat"].engine.built()
    )
    assert (engine.name, engine.memory, engine.step_overhead, engine.max_sequences) == ("engine", "slots", 1e-3, 2)
    refused = Scenario.load("hello").override({"services.chat.engine": {"preset": "vllm", "kv_tokens": 10**9}})
    with pytest.raises(ScenarioError, match=r"has room for \d+ tokens of KV cache, and 1000000000 are stated"):
        simulate(refused)
    ran = CliRunner().invoke(main, ["calibrate", "--from-log", str(path), "--preset", "vlm"])
    assert "is no engine preset" in ran.output
