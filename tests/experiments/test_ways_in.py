"""The command line's ways in: starters, `--set`, plugins, completion; results on stdout and talk on stderr."""

import json

import pytest
from click import Group
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.experiments.cli_new import starters
from edgewright.experiments.cli_scenario import changes_of
from edgewright.policies.plugins import PluginError, load
from edgewright.policies.registry import UnknownPolicy, lookup, registered
from edgewright.simulator import Scenario
from edgewright.simulator.errors import ScenarioError

PLUGIN = """
from dataclasses import dataclass
from edgewright.policies import register

@register("power", "{name}")
@dataclass(frozen=True)
class Mine:
    def start(self, view, stream):
        raise NotImplementedError
"""


def invoked(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("like", starters())
def test_a_starter_checks_and_runs_as_it_is_written(like, tmp_path):
    file = tmp_path / "my first.yaml"
    assert invoked("new", file, "--like", like).exit_code == 0
    found = invoked("run", file, "--set", "run.window=20 s", "--set", "run.warmup=1 s", "--out", tmp_path / "out", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["scenario"] == "my-first"
    assert "written to" in found.stderr


def test_a_starter_names_the_schema_that_lies_beside_it(tmp_path):
    invoked("new", tmp_path / "a.yaml")
    first = (tmp_path / "a.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads((tmp_path / first.partition("$schema=")[2]).read_text(encoding="utf-8")) == Scenario.file_schema()


@pytest.mark.parametrize(("name", "said"), [("a.txt", "ends in .yaml"), ("old.yaml", "exists"), ("no/a.yaml", "is no directory")])
def test_new_refuses_what_it_cannot_write_and_writes_nothing(name, said, tmp_path):
    (tmp_path / "old.yaml").write_text("kept", encoding="utf-8")
    found = invoked("new", tmp_path / name)
    assert found.exit_code == 2
    assert said in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["old.yaml"]


def test_set_takes_values_as_a_scenario_file_does():
    given = ["a.b=1", "c=x0.5", "d=+1", "e={policy: sliding_window, window: 8}", "f=", "g=10 Mbit/s", "h=on", "i=1e9"]
    window = {"policy": "sliding_window", "window": 8}
    assert changes_of(given) == {"a.b": 1, "c": "x0.5", "d": "+1", "e": window, "f": None, "g": "10 Mbit/s", "h": "on", "i": 1e9}


@pytest.mark.parametrize(
    ("given", "said"), [(["a"], "is no change"), (["=1"], "is no change"), (["a=1", "a=2"], "is set twice"), (["a={"], "is not YAML")]
)
def test_set_refuses_what_is_no_change(given, said):
    with pytest.raises(ScenarioError, match=said):
        changes_of(given)


def test_set_changes_what_is_checked_and_explained():
    found = invoked("check", "hello", "--set", "cluster.devices.pi.device=rpi5_16gb", "--json")
    assert found.exit_code == 0, found.output
    assert (
        invoked("explain", "hello", "--set", "services.chat.format=q4_0", "--json").stdout != invoked("explain", "hello", "--json").stdout
    )
    wrong = invoked("check", "hello", "--set", "services.chat.formt=q4_0")
    assert wrong.exit_code == 2
    assert "did you mean 'format'?" in wrong.stderr


def test_a_plugin_registers_once_and_its_digest_is_among_the_versions(run_fresh, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.format(name="mine"), encoding="utf-8")
    said = run_fresh(
        f"""
from click.testing import CliRunner
from edgewright.experiments.cli import main
from edgewright.policies.plugins import load
from edgewright.simulator.provenance import versions

found = CliRunner().invoke(main, ["policies", "power", "--plugin", {str(file)!r}])
load([{str(file)!r}])  # a second time changes nothing
print(found.exit_code, "mine: " in found.stdout, len(versions()["plugin mine.py"]))
"""
    )
    assert said.split() == ["0", "True", "64"]


@pytest.mark.parametrize(("text", "said"), [("1 / 0", "ZeroDivisionError"), ("def", "SyntaxError"), (None, "is no plugin")])
def test_a_plugin_that_fails_says_where(text, said, tmp_path):
    file = tmp_path / "broken.py"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(PluginError, match=f"broken.py: .*{said}"):
        load([file])
    assert invoked("run", "hello", "--plugin", file).exit_code == 2


def test_a_scenario_cannot_name_a_plugin():
    assert "plugin" not in json.dumps(Scenario.file_schema())


def test_a_policy_is_registered_for_as_long_as_a_block_runs():
    with registered("kv", "for_a_moment", type("Moment", (), {})):
        assert lookup("kv", "for_a_moment").__name__ == "Moment"
    with pytest.raises(UnknownPolicy):
        lookup("kv", "for_a_moment")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell):
    assert "_EDGEWRIGHT_COMPLETE" in invoked("completion", shell).stdout


def leaves(group, words=()):
    """Every command that does something, by the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, Group):
            yield from leaves(command, (*words, name))
        else:
            yield pytest.param(command, id=" ".join((*words, name)))


@pytest.mark.parametrize("command", [*leaves(main)])
def test_every_command_speaks_json_and_has_help(command):
    assert "--json" in [name for option in command.params for name in option.opts]
    assert command.help


ROUTING = """
from dataclasses import dataclass
from edgewright.policies import register

class First:
    def route(self, job, view):
        return view.servers[0].name

@register("routing", "always_first")
@dataclass(frozen=True)
class AlwaysFirst:
    def start(self, scope, stream):
        return First()
"""


def test_processes_of_a_sweep_load_the_plugin_too(run_fresh, tmp_path):
    (tmp_path / "mine.py").write_text(ROUTING, encoding="utf-8")
    spec = {
        "name": "s",
        "scenario": "hello",
        "base": {"run.window": 20},
        "factors": {"services.chat.routing": ["always_first", "least_loaded"]},
    }
    (tmp_path / "s.yaml").write_text(json.dumps(spec), encoding="utf-8")
    words = ["sweep", "s.yaml", "--plugin", "mine.py", "--jobs", "2", "--figure", "e2e_p50_s", "--json"]
    said = json.loads(run_fresh(f"from edgewright.experiments.cli import main\nmain({words})", cwd=tmp_path))
    assert [point["failed"] for point in said["points"]] == [0, 0]
    assert said["points"][0]["mean"] == said["points"][1]["mean"]  # one replica: every policy routes alike


def test_the_schema_proposes_the_names_that_there_are():
    tables = Scenario.file_schema()["$defs"]

    def proposed(table, key):
        whole = tables[table].get("anyOf", [tables[table]])[-1]["properties"][key]
        return next(each["enum"] for each in (whole, *whole.get("anyOf", ())) if "enum" in each)

    assert "rpi5_8gb" in proposed("DeviceGroup", "device")
    assert "eth_1g" in proposed("LinkGroup", "link")
    assert "nvme_gen3" in proposed("StorageTable", "storage")
    assert "llama-3.2-1b" in proposed("ModelTable", "zoo")
    assert "llama-3.2-1b" in tables["ModelTable"]["anyOf"][0]["enum"]
    assert "q4_0" in proposed("ServiceTable", "format")
    assert "vllm" in proposed("EngineTable", "preset")
    assert "azure" in proposed("TraceTable", "format")
    assert {"type": "string"} in tables["DeviceGroup"]["properties"]["device"]["anyOf"]  # a device of the user's file


def completed(monkeypatch, line):
    """What bash would be offered for the last word of the line."""
    words = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    found = CliRunner().invoke(
        main, [], prog_name="edgewright", complete_var="_EDGEWRIGHT_COMPLETE", env={"_EDGEWRIGHT_COMPLETE": "bash_complete"}
    )
    return [each.partition(",")[2] for each in found.stdout.split()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("edgewright con", "conform"),
        ("edgewright run hel", "hello"),
        ("edgewright devices rpi5_8", "rpi5_8gb"),
        ("edgewright devices rpi5_8gb --beside rpi4_8", "rpi4_8gb"),
        ("edgewright policies rou", "routing"),
        ("edgewright reproduce flo", "flover"),
        ("edgewright conform policy routing least", "least_loaded"),
        ("edgewright conform model llama-3.2-1", "llama-3.2-1b"),
        ("edgewright conform trace a.csv --format bur", "burstgpt"),
        ("edgewright new a.yaml --like cam", "camera"),
        ("edgewright calibrate --like rpi5_8", "rpi5_8gb"),
    ],
)
def test_the_shell_is_offered(line, offered, monkeypatch):
    assert offered in completed(monkeypatch, line)
