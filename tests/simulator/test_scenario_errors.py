"""Bad scenarios: each is refused before the clock starts, with one error that names file, key, value and what is accepted."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from edgewright.experiments.cli import main
from edgewright.hwmodels import Cluster
from edgewright.simulator.check import check
from edgewright.simulator.errors import ScenarioError
from edgewright.simulator.scenario import Scenario

GOOD: dict[str, Any] = {
    "name": "good",
    "run": {"window": "1 min"},
    "cluster": {
        "devices": {
            "gpu": {"device": "rtx4090", "storage": {"nvme": "nvme_gen4"}},
            "pi": {"device": "rpi5_8gb", "count": 3},
        },
        "switches": ["lan"],
        "nodes": ["phones"],
        "links": [
            {"name": "fast", "link": "eth_10g", "between": ["gpu", "lan"]},
            {"name": "slow", "link": "eth_1g", "between": ["pi", "lan"]},
            {"name": "wifi", "link": "wifi6", "between": ["phones", "lan"]},
        ],
    },
    "power": {"rack": {"devices": ["gpu", "pi"], "budget": "300 W"}, "site": {"budget": "400 W"}},
    "services": {
        "chat": {"model": "llama-3.2-1b", "format": "fp16", "engine": "vllm", "replicas": [{"name": "only", "devices": ["gpu"]}]},
        "small": {"model": "smollm-135m", "format": "q8_0", "replicas": [{"name": "pis", "each": "pi"}]},
    },
    "workloads": {
        "talk": {
            "service": "chat",
            "entry": "phones",
            "arrivals": {"process": "poisson", "rate": 1},
            "lengths": {"lengths": "joint", "prompt": {"shape": "fixed", "value": 10}, "output": {"shape": "fixed", "value": 5}},
        }
    },
}

LINK = "cluster.links"
REPLICA = "services.chat.replicas.0"
TALK = "workloads.talk"

# key that is set: (to what, key named, value named, what is accepted)
BAD: dict[str, tuple[str, Any, str, str, str]] = {
    "unknown key": ("speed", 3, "speed", "3", "services"),
    "misspelt key": ("cluster.device", {}, "cluster.device", "{}", "did you mean 'devices'?"),
    "unknown key deep down": ("workloads.talk.rate", 2, "workloads.talk.rate", "2", "arrivals"),
    "missing table": ("run", None, "run", "is missing", "required"),
    "missing figure": (
        "cluster.links.0",
        {"name": "x", "between": ["gpu", "lan"]},
        "cluster.links.0.bandwidth",
        "is missing",
        "link: NAME",
    ),
    "wrong type": ("cluster.switches", "lan", "cluster.switches", "'lan'", "a list"),
    "number for text": ("name", 7, "name", "7", "a text"),
    "name with a dot": ("name", "a.b", "name", "'a.b'", "pattern"),
    "group name with a space": ("cluster.devices.my board", {"device": "rtx4090"}, "cluster.devices.my board", "'my board'", "pattern"),
    "unknown device": ("cluster.devices.gpu.device", "rtx4091", "cluster.devices.gpu.device", "'rtx4091'", "did you mean 'rtx4090'?"),
    "unknown storage": ("cluster.devices.gpu.storage.nvme", "nvme", "cluster.devices.gpu.storage.nvme.storage", "'nvme'", "nvme_gen4"),
    "unknown link": (f"{LINK}.0.link", "eth_9g", f"{LINK}.0.link", "'eth_9g'", "did you mean"),
    "unknown end": (f"{LINK}.0.between", ["gpu", "wan"], f"{LINK}.0.between.1", "'wan'", "did you mean 'lan'?"),
    "three ends": (f"{LINK}.0.between", ["gpu", "lan", "pi"], f"{LINK}.0.between", "['gpu', 'lan', 'pi']", "at most 2 items"),
    "most packets lost": (f"{LINK}.0.loss", 0.5, f"{LINK}.0.loss", "0.5", "less than 0.5"),
    "unknown congestion control": (f"{LINK}.0.congestion", "vegas", f"{LINK}.0.congestion", "'vegas'", "bbr, cubic, none, reno"),
    "no connections": (f"{LINK}.0.connections", 0, f"{LINK}.0.connections", "0", "greater than or equal to 1"),
    "no window": (f"{LINK}.0.window", 0, f"{LINK}.0.window", "0", "greater than 0"),
    "unknown duplex": (f"{LINK}.0.duplex", "both", f"{LINK}.0.duplex", "'both'", "full, half, shared"),
    "link name twice": (f"{LINK}.0.name", "slow", f"{LINK}.1.name", "'slow'", "used once"),
    "device name twice": ("cluster.switches", ["lan", "pi1"], "cluster.switches.1", "'pi1'", "used once"),
    "unknown model": ("services.chat.model", "llama-3.2-1", "services.chat.model", "'llama-3.2-1'", "did you mean 'llama-3.2-1b'?"),
    "unknown format": ("services.chat.format", "fp17", "services.chat.format", "'fp17'", "did you mean 'fp16'?"),
    "unknown engine": ("services.chat.engine", "vlm", "services.chat.engine.preset", "'vlm'", "did you mean 'vllm'?"),
    "unknown policy": ("services.chat.kv", "sliding", "services.chat.kv.policy", "'sliding'", "did you mean 'sliding_window'?"),
    "policy without a name": ("services.chat.kv", {"window": 4}, "services.chat.kv", "{'window': 4}", "key `policy`"),
    "unknown parameter": (
        "services.chat.kv",
        {"policy": "sliding_window", "size": 4},
        "services.chat.kv.size",
        "4",
        "sinks, window",
    ),
    "parameter out of range": (
        "services.chat.kv",
        {"policy": "sliding_window", "window": -4},
        "services.chat.kv.window",
        "-4",
        "numbers from 1 up",
    ),
    "layers that the model does not have": (
        "services.chat.kv",
        {"policy": "gemfilter", "layers": 40},
        "services.chat.kv",
        "layer 40",
        "layers up to that",
    ),
    "parameter of a wrong type": (
        "services.chat.kv",
        {"policy": "sliding_window", "window": "wide"},
        "services.chat.kv.window",
        "'wide'",
        "a valid integer",
    ),
    "unknown process": (
        f"{TALK}.arrivals",
        {"process": "poison", "rate": 1},
        f"{TALK}.arrivals.process",
        "'poison'",
        "did you mean 'poisson'?",
    ),
    "process without its rate": (f"{TALK}.arrivals", "poisson", f"{TALK}.arrivals.rate", "is missing", "required"),
    "unknown key of a distribution": (
        f"{TALK}.lengths.prompt",
        {"shape": "lognormal", "median": 10, "sigma": 1, "most": 20},
        f"{TALK}.lengths.prompt.most",
        "20",
        "high, low, median, shape, sigma",
    ),
    "unknown distribution": (f"{TALK}.lengths.prompt", {"shape": "pareto"}, f"{TALK}.lengths.prompt", "'pareto'", "'lognormal'"),
    "distribution without its figure": (
        f"{TALK}.lengths.output",
        {"shape": "fixed"},
        f"{TALK}.lengths.output.value",
        "is missing",
        "required",
    ),
    "negative length": (f"{TALK}.lengths.output.value", -5, f"{TALK}.lengths.output.value", "-5", "greater than or equal to"),
    "wrong unit": ("power.rack.budget", "160 Mbit/s", "power.rack.budget", "'160 Mbit/s'", "a power such as `15 W`"),
    "no unit known": ("run.window", "1 fortnite", "run.window", "'1 fortnite'", "a time such as `40 ms`"),
    "negative size": ("cluster.devices.gpu.memory", "-8 GiB", "cluster.devices.gpu.memory", "'-8 GiB'", "a size such as `16 GiB`"),
    "yes for a number": ("power.rack.budget", True, "power.rack.budget", "True", "a power"),
    "not a number": ("power.rack.budget", float("nan"), "power.rack.budget", "nan", "a power"),
    "fraction above one": (f"{TALK}.thin", "120 %", f"{TALK}.thin", "'120 %'", "0.5` or `50 %"),
    "window of no length": ("run.window", 0, "run.window", "0", "greater than 0"),
    "deadline in the past": (f"{TALK}.deadline", 0, f"{TALK}.deadline", "0", "greater than 0"),
    "no device": ("cluster.devices", {}, "cluster.devices", "{}", "at least 1 item"),
    "count of nothing": ("cluster.devices.pi.count", 0, "cluster.devices.pi.count", "0", "greater than or equal to 1"),
    "unknown service": (f"{TALK}.service", "chart", f"{TALK}.service", "'chart'", "did you mean 'chat'?"),
    "unknown entry": (f"{TALK}.entry", "phone", f"{TALK}.entry", "'phone'", "did you mean 'phones'?"),
    "no arrivals": (f"{TALK}.arrivals", None, f"{TALK}.arrivals", "None", "one of the two"),
    "replica on an unknown device": (f"{REPLICA}.devices", ["gpu1"], f"{REPLICA}.devices.0", "'gpu1'", "did you mean 'gpu'?"),
    "replica on a switch": (f"{REPLICA}.devices", ["lan"], f"{REPLICA}.devices.0", "'lan'", "gpu, pi"),
    "replica on the same device twice": (f"{REPLICA}.devices", ["pi", "pi1"], f"{REPLICA}.devices", "'pi1'", "used once"),
    "replica nowhere": (f"{REPLICA}.devices", None, f"{REPLICA}.devices", "None", "each: GROUP"),
    "replica name twice": (
        "services.chat.replicas",
        [{"name": "a", "devices": ["gpu"]}, {"name": "a", "devices": ["gpu"]}],
        "services.chat.replicas.1.name",
        "'a'",
        "used once",
    ),
    "copies whose names collide": (
        "services.small.replicas",
        [{"name": "pis", "each": "pi"}, {"name": "pis1", "devices": ["gpu"]}],
        "services.small.replicas.1.name",
        "'pis1'",
        "used once",
    ),
    "service of nothing": ("services.chat.replicas", [], "services.chat.replicas", "[]", "at least one replica"),
    "service without a model": ("services.chat.model", None, "services.chat.replicas.0", "'only'", "a model here"),
    "two models": ("services.chat.model", {}, "services.chat.model", "names 0 models", "exactly one of zoo, hf"),
    "missing model file": ("services.chat.model", {"hf": "nowhere.json"}, "services.chat.model.hf", "'nowhere.json'", "the path of a file"),
    "missing trace": (
        TALK,
        {"service": "chat", "trace": {"file": "nowhere.csv"}},
        f"{TALK}.trace.file",
        "'nowhere.csv'",
        "the path of a file",
    ),
    "unknown parent domain": ("power.rack.parent", "sight", "power.rack.parent", "'sight'", "did you mean 'site'?"),
    "domain within itself": ("power.rack.parent", "rack", "power.rack.parent", "'rack'", "does not lead back"),
    "device in two domains": ("power.site.devices", ["gpu"], "power.site.devices.0", "'gpu'", "used once"),
    "policy without a budget": ("power.site", {"policy": "static_cap"}, "power.site.budget", "is missing", "watts"),
    "call of an unknown service": (
        "services.front",
        {"orchestration": {"policy": "cascade", "small": "small", "big": "bigg"}},
        "services.front.orchestration.big",
        "'bigg'",
        "chat, front, small",
    ),
    "call of itself": (
        "services.front",
        {"orchestration": {"policy": "cascade", "small": "small", "big": "front"}},
        "services.front.orchestration",
        "front -> front",
        "does not lead back",
    ),
    "orchestration besides replicas": (
        "services.small.orchestration",
        {"policy": "cascade", "small": "chat", "big": "chat"},
        "services.small.orchestration",
        "besides replicas or a model",
        "one or the other",
    ),
    "a link named as a device": (
        f"{LINK}.0.name",
        "gpu",
        f"{LINK}.0.name",
        "a second device or link, after devices.gpu",
        "a name used once",
    ),
    "links named as devices": (
        f"{LINK}.1.name",
        "pi",
        f"{LINK}.1.name",
        "'pi0' is the name of a second device or link",
        "a name used once",
    ),
    # What only the built system shows.
    "cache on a storage that is not there": (
        "services.small.kv",
        "offload",
        "services.small.kv",
        "pi0 has none",
        "`storage` for the device",
    ),
    "a medium named as a link": (
        f"{LINK}.2.medium",
        "wifi",
        LINK,
        "'wifi' is the name of a medium and of a connection",
        "names of their own",
    ),
    "disconnected cluster": (LINK, GOOD["cluster"]["links"][1:], LINK, "gpu", "connect every device"),
    "model that fits nowhere": ("services.chat.model", "llama-3.1-70b", f"{REPLICA}.residency", "llama-3.1-70b", "a smaller model"),
    "no room for a cache": (f"{REPLICA}.kv_capacity", "1 kB", REPLICA, "one block takes", "a smaller model"),
    "slots that do not fit": (
        "services.chat.engine",
        {"preset": "llama.cpp", "slot_tokens": 1_000_000},
        REPLICA,
        "4 slots of 1000000 tokens",
        "a smaller model",
    ),
    "budget below idle power": ("power.rack.budget", "5 W", "power.rack.budget", "5.0 W is below", "more than"),
    "odd tensor parallelism": (
        "services.chat.replicas",
        [{"name": "tp", "devices": ["pi"], "partitioning": "tensor_parallel"}],
        "services.chat.replicas.0.partitioning",
        "llama-3.2-1b on pi0, pi1, pi2: chat.tp: layer0.attention of llama-3.2-1b does not divide into 3 shards",
        "2, 4, 8, 16, 32",
    ),
    "streaming without a storage": (
        "services.small.replicas",
        [{"name": "s", "devices": ["pi0"], "residency": {"policy": "streaming_window", "always": True}}],
        "services.small.replicas.0.residency",
        "pi0 has none",
        "`storage` for the device",
    ),
    "lengths for a camera": (
        "services.chat",
        {"model": "yolov8n", "replicas": [{"name": "a", "devices": ["gpu"]}]},
        f"{TALK}.lengths",
        "takes one input at a time",
        "no lengths, or `one_shot`",
    ),
    "no lengths for a talker": (f"{TALK}.lengths", None, f"{TALK}.lengths", "generates tokens", "such as `azure`"),
}


def changed(tables: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    tables = copy.deepcopy(tables)
    table: Any = tables
    *path, last = key.split(".")
    for part in path:
        table = table[int(part) if isinstance(table, list) else part]
    place = int(last) if isinstance(table, list) else last
    if value is None:
        del table[place]
    else:
        table[place] = value
    return tables


def written(tmp_path: Path, tables: dict[str, Any]) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(tables, sort_keys=False), encoding="utf-8")
    return path


def test_the_scenario_that_the_bad_ones_are_made_of_is_good(tmp_path: Path) -> None:
    checked = check(Scenario.load(written(tmp_path, GOOD)))
    assert [setup.scope for setup in checked.setups] == ["chat.only", "small.pis0", "small.pis1", "small.pis2"]


@pytest.mark.parametrize("case", BAD)
def test_each_kind_is_refused_with_one_error(tmp_path: Path, case: str) -> None:
    set_key, value, key, said, accepted = BAD[case]
    path = written(tmp_path, changed(GOOD, set_key, value))
    with pytest.raises(ScenarioError) as caught:
        check(Scenario.load(path))
    error = caught.value
    assert error.file == str(path)
    assert error.line is not None
    assert error.key == key
    assert said in error.problem
    assert accepted in error.accepted
    assert str(error) == f"{path}:{error.line}: {key}: {error.problem}; accepted: {error.accepted}"
    assert "\n" not in str(error)


@pytest.mark.parametrize("command", ["run", "check", "explain"])
def test_commands_end_with_code_2_and_write_nothing(tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, changed(GOOD, "power.rack.budget", "5 W"))
    outcome = CliRunner().invoke(main, [command, str(path)])
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.count("\n") == 1
    assert "power.rack.budget" in outcome.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_malformed_trace_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,12,many\n", encoding="utf-8")
    tables = changed(GOOD, TALK, {"service": "chat", "trace": {"file": "trace.csv"}})
    with pytest.raises(ScenarioError) as caught:
        check(Scenario.load(written(tmp_path, tables)))
    message = str(caught.value)
    assert "workloads.talk.trace.file" in message
    assert "trace.csv:2: column GeneratedTokens: got 'many'" in message
    assert "a whole number from 1" in message


def test_a_bad_model_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "abacus"}', encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"services\.chat\.model\.hf: .*abacus.*accepted: .*llama"):
        check(Scenario.load(written(tmp_path, changed(GOOD, "services.chat.model", {"hf": "config.json"}))))


def test_a_scenario_built_in_code_is_refused_alike() -> None:
    with pytest.raises(ScenarioError, match=r"^<python>: seed: -1 is refused; accepted: greater than or equal to 0$"):
        Scenario.of({**GOOD, "seed": -1})


@pytest.mark.parametrize("copies", [1, 5])
def test_of_devices_that_are_alike_one_is_asked_whether_it_can_compute(copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices of one kind, one model: one price, whatever their number."""
    priced, compute = [], Cluster.compute

    def counting(cluster: Cluster, device: str, *rest: Any) -> Any:
        priced.append(device)
        return compute(cluster, device, *rest)

    monkeypatch.setattr(Cluster, "compute", counting)
    replicas = [{"name": "only", "each": "pi"}]
    check(Scenario.load("hello").override({"cluster.devices.pi.count": copies, "services.chat.replicas": replicas}))
    assert len(priced) == 1
