"""What beginners get wrong: one error each, which names file, line, key and value, and what was perhaps meant; nothing is written."""

import builtins

import pytest
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.experiments.cli_output import OneOf
from edgewright.simulator import simulate


def invoked(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def refused(words, said):
    found = invoked(*words)
    assert found.exit_code == 2, found.output
    assert found.exception is None or isinstance(found.exception, SystemExit)
    assert said in found.stderr
    assert found.stdout == ""


SCENARIOS = {
    "a tab": ("extends: hello\nrun:\n\twindow: 5 s\n", ":3: is not YAML", "spaces where the tab stands"),
    "nothing": ("", ":1: is empty", "`cluster`, `services` and `workloads`"),
    "a list": ("- a\n", ":1: holds a list, not a table", "`key: value` lines"),
    "a bracket": ("extends: hello\nname: [a\n", ":3: is not YAML", ""),
    "a key twice": ("extends: hello\nseed: 1\nseed: 2\n", ":3: seed: is given twice, first in line 2", ""),
    "a misspelt key": (
        "extends: hello\nservices: {chat: {modl: x}}\n",
        ":2: services.chat.modl: 'x' is no key here",
        "did you mean 'model'?",
    ),
    "a misspelt table": ("extends: hello\nsevices: {}\n", ":2: sevices: {} is no key here", "did you mean 'services'?"),
    "a misspelt device": ("extends: hello\ncluster: {devices: {pi: {device: rpi5}}}\n", "'rpi5' is no device", "did you mean 'rpi5_8gb'?"),
    "a misspelt scenario": ("extends: helo\n", ":1: extends: 'helo' is no file", "did you mean 'hello'?"),
    "a unit of something else": ("extends: hello\nrun: {window: 5 m}\n", ":2: run.window: '5 m'", "perhaps ms or min is meant"),
    "a size without unit": (
        "extends: hello\ncluster: {devices: {pi: {device: rpi5_8gb, memory: 8}}}\n",
        ":2: cluster.devices.pi: memory: is 8 bytes",
        "as `8 GiB`",
    ),
    "a negative rate": (
        "extends: hello\nworkloads: {questions: {arrivals: {rate: -3 /min}}}\n",
        "'-3 /min' is not accepted",
        "not negative",
    ),
    "no rate": ("extends: hello\nworkloads: {questions: {arrivals: {rate: 0}}}\n", "rate: 0.0 is refused", "greater than 0"),
    "a text for a table": ("extends: hello\nservices: chat\n", ":2: services: 'chat' is refused", "a table of `key: value` lines"),
    "a text for a number": ("extends: hello\nseed: x\n", ":2: seed: 'x' is refused", "a whole number"),
    "a choice": ("extends: hello\nservices: {chat: {engine: {preemption: swop}}}\n", "'swop' is refused", "did you mean 'swap'?"),
    "too large a model": (
        "extends: hello\nservices: {chat: {model: llama-3.1-70b}}\n",
        "'all_resident' cannot serve llama-3.1-70b on pi",
        "a smaller model or format, more devices",
    ),
    "no configuration": (
        "extends: hello\nservices: {chat: {model: {hf: no.json}}}\n",
        "model.hf: 'no.json' is no file",
        "absolute or from",
    ),
    "no such format": ("extends: hello\nservices: {chat: {format: q4_1000}}\n", "'q4_1000' is no number format", "did you mean 'q4_0'?"),
    "no such trace format": (
        "extends: hello\nworkloads: {questions: {arrivals: null, lengths: null, trace: {file: scenario.yaml, format: azur}}}\n",
        "'azur' is no trace format",
        "did you mean 'azure'?",
    ),
}


@pytest.mark.parametrize("what", SCENARIOS)
def test_a_scenario_with(what, tmp_path):
    text, *said = SCENARIOS[what]
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    for each in said:
        refused(("check", file), each)


@pytest.mark.parametrize(("name", "content"), [("bad.json", "{"), ("empty.onnx", ""), ("empty.gguf", "")])
def test_a_file_that_describes_no_model(name, content, tmp_path):
    (tmp_path / name).write_text(content, encoding="utf-8")
    kind = {"json": "hf"}.get(name.partition(".")[2], name.partition(".")[2])
    file = tmp_path / "scenario.yaml"
    file.write_text(f"extends: hello\nservices: {{chat: {{model: {{{kind}: {name}}}}}}}\n", encoding="utf-8")
    refused(("check", file), f"services.chat.model.{kind}: {tmp_path / name}: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("services.chat.formt=q4_0", "did you mean 'format'?"),
        ("service.chat.format=q4_0", "did you mean 'services'?"),
        ("services.chta.format=q4_0", "'chta' leads nowhere; accepted: chat; did you mean 'chat'?"),
        ("workloads.question.arrivals.rate=4", "did you mean 'questions'?"),
        ("cluster.devices.p.count=4", "'p' leads nowhere"),
        ("services.chat.kv=slidng_window", "did you mean 'sliding_window'?"),
    ],
)
def test_a_misspelt_set(given, said):
    refused(("check", "hello", "--set", given), said)


SPECS = {
    "a misspelt key": ("sweep", "factor:\n  services.chat.format: [q8_0]\n", ":3: factor: ", "did you mean 'factors'?"),
    "a misspelt key below": ("sweep", "precision: {metrc: ttft_p90_s}\n", ":3: precision.metrc: 'ttft_p90_s' is no key here", "'metric'?"),
    "a misspelt end": (
        "sweep",
        "factors: {seed: {low: 1, hgh: 2, steps: 2}}\n",
        ":3: factors.seed.hgh: 2 is no key here",
        "did you mean 'high'?",
    ),
    "a misspelt factor": ("sweep", "factors: {services.chat.formt: [q8_0]}\n", "services.chat.formt: 'q8_0' is no key here", "'format'?"),
    "no list": (
        "sweep",
        "factors: {services.chat.format: q8_0}\n",
        "factor 'services.chat.format' is 'q8_0'",
        "a list of values, or a range",
    ),
    "a misspelt figure": (
        "sweep",
        "precision: {metric: ttft_p90}\nbase: {run.window: 9}\n",
        "no figure 'ttft_p90'",
        "did you mean 'ttft_p90_s'?",
    ),
    "a misspelt question": ("search", "find: capacty\n", ":3: find: 'capacty' is refused", "did you mean 'capacity'?"),
}


@pytest.mark.parametrize("what", SPECS)
def test_a_sweep_or_search_with(what, tmp_path):
    command, text, *said = SPECS[what]
    file = tmp_path / "spec.yaml"
    file.write_text(f"name: s\nscenario: hello\n{text}", encoding="utf-8")
    for number, each in enumerate(said):
        refused((command, file, "--out", tmp_path / f"out{number}"), each)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "helo"), "did you mean 'hello'?"),
        (("run", "."), "is a directory"),
        (("run", "quickstart", "--trace", "no.csv"), "'no.csv' does not exist"),
        (("runn", "hello"), "Did you mean 'run'?"),
        (("run", "hello", "--sed", "3"), "--seed"),
        (("devices", "rpi5"), "did you mean 'rpi5_8gb'?"),
        (("devices", "--profile", "no.yaml"), "no.yaml: is no file; accepted: the path of a YAML file with a table `devices`"),
        (("policies", "kvv"), "did you mean 'kv'?"),
        (("reproduce", "flovr"), "did you mean 'flover'?"),
        (("sweep", "no.yaml"), "no.yaml: is no file; accepted: the path of a YAML file with the keys `name`, `scenario`"),
        (("compare", ".", "."), "is not a result directory"),
        (("report", "."), "is not a result directory"),
        (("new", "x.yaml", "--like", "bord"), "Did you mean 'board'?"),
        (("completion", "bas"), "Did you mean 'bash'?"),
        (("calibrate", "--like", "rpi5"), "did you mean 'rpi5_8gb'?"),
        (("run", "hello", "--out", "/dev/null/x"), "/dev/null"),
    ],
)
def test_a_command_line(words, said):
    refused(words, said)


DEVICES = {
    "no table": ("3", "b: 3 is no table; accepted: a table of figures"),
    "figures missing": ("{title: B}", "b: missing engines, idle_W, kind, memory, tdp_W; accepted: a value for each"),
    "a misspelt figure": ("{title: B, kind: k, memory: {}, idle_w: 3, tdp_W: 5, engines: {}}", "unknown key idle_w"),
    "its nearest": ("{title: B, kind: k, memory: {}, idle_w: 3, tdp_W: 5, engines: {}}", "did you mean 'idle_W'?"),
    "a memory of one number": ("{title: B, kind: k, memory: 8 GiB, idle_W: 3, tdp_W: 5, engines: {}}", "b.memory: '8 GiB' is no table"),
    "a list of engines": ("{MEMORY, engines: [cpu]}", "b.engines: ['cpu'] is no table; accepted: a table of engines by name"),
    "a peak in words": ("{MEMORY, engines: {cpu: {kind: cpu, peaks: {fp32: fast}}}}", "b.cpu.peaks.fp32: 'fast' is no number"),
    "more idle than busy": (
        "{MEMORY, engines: {cpu: {kind: cpu, peaks: {fp32: 1e9}}}}",
        "b.idle_W: 7 W is above tdp_W; accepted: at most 5 W",
    ),
}


@pytest.mark.parametrize("what", DEVICES)
def test_a_device_of_a_file_with(what, tmp_path):
    text, said = DEVICES[what]
    idle = 7 if what.startswith("more") else 3
    memory = f"title: B, kind: cpu_sbc, memory: {{capacity: 8 GiB, bandwidth: 10 GB/s}}, idle_W: {idle}, tdp_W: 5"
    (tmp_path / "b.yaml").write_text(f"devices:\n  b: {text.replace('MEMORY', memory)}\n", encoding="utf-8")
    refused(("devices", "b", "--profile", tmp_path / "b.yaml"), f"b.yaml:2: devices.b: {said}" if said[0] == "b" else said)


@pytest.mark.parametrize("content", ["x", "[]", "{}"])
def test_a_directory_that_is_no_result(content, tmp_path):
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    refused(("report", tmp_path), "run.json: is not what a run writes")
    refused(("compare", tmp_path, tmp_path), "run.json: is not what a run writes")


def test_the_name_of_a_scenario_is_no_scenario():
    with pytest.raises(TypeError, match=r"'hello' is no scenario; accepted is what `Scenario.load` gives"):
        simulate("hello")


def test_a_choice_that_is_near_none_gets_no_advice():
    assert "Did you mean" not in OneOf(["board"]).get_invalid_choice_message("xyz", None)


def test_a_missing_extra_says_what_to_install(monkeypatch, tmp_path):
    there = builtins.__import__

    def absent(name, *rest):
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'", name="optuna")
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    file = tmp_path / "best.yaml"
    asked = "find: best\nminimise: joules_per_token\ntrials: 2\nfactors: {services.chat.format: [q8_0, q4_0]}\n"
    file.write_text(f"name: s\nscenario: hello\n{asked}", encoding="utf-8")
    refused(("search", file, "--out", tmp_path / "out"), "pip install 'edgewright[search]'")
