"""`edgewright conform`: parts of the user's own, checked from the command line."""

import json

import pytest
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.workloads import traces

BOARD = """
family: {source: 'data sheet'}
devices:
  mine:
    title: 'Mine'
    kind: cpu_sbc
    memory: {capacity: 16 GiB, bandwidth: 34 GB/s}
    idle_W: 4 W
    tdp_W: 15 W
    engines: {cpu: {kind: cpu, peaks: {fp32: 150e9}, launch_overhead: 8 us}}
    assumed: [cpu.WHAT]
"""
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 99,
}
PLUGIN = """
from edgewright.workloads.traces import TraceRow, finite, records, trace_format

@trace_format("mine-NAME")
def mine(file, path):
    for cells in records(file, path, ("when", "in", "out")):
        yield TraceRow(cells.read("when", finite, "seconds"), cells.tokens("in"), cells.tokens("out"))
"""
REPLAY = """
extends: hello
run: {warmup: 0 s, window: 1 min}
workloads: {questions: {arrivals: null, lengths: null, trace: {file: mine.csv, format: FORMAT}}}
"""


def invoked(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_device_of_a_file(tmp_path):
    file = tmp_path / "boards.yaml"
    file.write_text(BOARD.replace("WHAT", "launch_overhead"), encoding="utf-8")
    found = invoked("conform", "device", "mine", "--profile", file, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["conforms"] is True
    file.write_text(BOARD.replace("WHAT", "lanch_overhead"), encoding="utf-8")
    broken = invoked("conform", "device", "mine", "--profile", file)
    assert broken.exit_code == 1
    assert "origins" in broken.stdout
    assert "no figure 'lanch_overhead'" in broken.stdout
    assert "device 'mine' fails 1 of" in broken.stderr


def test_a_model_of_a_file(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG), encoding="utf-8")
    found = invoked("conform", "model", file)
    assert found.exit_code == 0, found.output
    assert "BROKEN" not in found.stdout
    file.write_text("{}", encoding="utf-8")
    assert invoked("conform", "model", file).exit_code == 2


def test_a_trace_format_of_a_plugin_conforms_and_is_replayed(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "_READERS", dict(traces.trace_formats()))  # what the plugin adds is gone after the test
    name = f"mine-{tmp_path.name}"
    plugin, sample, scenario = tmp_path / "mine.py", tmp_path / "mine.csv", tmp_path / "replay.yaml"
    plugin.write_text(PLUGIN.replace("mine-NAME", name), encoding="utf-8")
    sample.write_text("when,in,out\n5.5,12,3\n7.0,40,9\n", encoding="utf-8")
    scenario.write_text(REPLAY.replace("FORMAT", name), encoding="utf-8")
    assert invoked("conform", "trace", sample, "--format", name).exit_code == 2
    assert invoked("conform", "trace", sample, "--format", name, "--plugin", plugin).exit_code == 0
    ran = invoked("run", scenario, "--plugin", plugin, "--json", "--quiet", "--out", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["completed"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("device", "rpi5_8b"), "did you mean 'rpi5_8gb'?"),
        (("model", "llama-3.2-1"), "did you mean 'llama-3.2-1b'?"),
        (("model", "no.json"), "is no file"),
        (("trace", "no.csv"), "cannot be read"),
        (("trace", "no.csv", "--format", "azur"), "did you mean 'azure'?"),
        (("policy", "routng", "least_loaded"), "did you mean 'routing'?"),
        (("policy", "routing", "least_load"), "did you mean 'least_loaded'?"),
        (("policy", "kv", "keyformer", "--set", "budgt=1"), "did you mean 'budget'?"),
    ],
)
def test_what_cannot_be_checked_is_one_error_with_the_nearest_name(words, said):
    found = invoked("conform", *words)
    assert found.exit_code == 2
    assert said in found.stderr
    assert found.stdout == ""


def test_a_policy_with_parameters():
    assert invoked("conform", "policy", "kv", "keyformer", "--set", "budget=0.5").exit_code == 0
