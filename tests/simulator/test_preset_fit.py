"""An engine preset from the log of a server: a known preset is simulated, its log written, and the preset recovered."""

import json

import pytest
import yaml

from edgewright.simulator import Scenario, simulate
from edgewright.simulator.preset_fit import LoggedRequest, PresetFit, read_log

INSTANT = {
    "title": "takes no time of its own",
    "kind": "server",
    "memory": {"pool": "ram", "capacity": 1.0e11, "bandwidth": 1.0e17},
    "idle_W": 1,
    "tdp_W": 2,
    "engines": {"cpu": {"kind": "cpu", "peaks": {"fp32": 1.0e20, "int8": 1.0e20}, "launch_overhead": 0.0, "ramp": 0.0}},
}


def served(tmp_path, engine, rate):
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
            "cluster.devices.pi": {"device": "instant"},
            "services.chat.engine": engine,
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
    assert fit.engine("ideal")["step_overhead"] == fit.terms_["step"]


def test_bad_logs_are_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"arrival": 0, "first_token": 1, "end": 2, "prompt_tokens": 3}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl:1: .*output: output_tokens or output_toks"):
        read_log(path)
    with pytest.raises(ValueError, match="needs ten answers"):
        PresetFit().fit([LoggedRequest(0.0, 1.0, 2.0, 8.0, 4.0)] * 3)
