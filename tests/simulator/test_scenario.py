"""Scenarios: what a file becomes, what-if changes, and the setups that a run starts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgewright.hwmodels import catalog
from edgewright.policies.batching import Continuous
from edgewright.policies.kv import Full, SlidingWindow
from edgewright.simulator.assemble import build_cluster
from edgewright.simulator.assemble_memory import resident_bytes
from edgewright.simulator.check import check
from edgewright.simulator.check_power import idle_watts
from edgewright.simulator.errors import ScenarioError, choices
from edgewright.simulator.loader import shipped_scenarios
from edgewright.simulator.presets import PRESETS
from edgewright.simulator.scenario import Scenario
from edgewright.simulator.schema_cluster import DeviceGroup

TABLES: dict[str, Any] = {
    "name": "tiny",
    "run": {"window": "1 min"},
    "cluster": {
        "devices": {"gpu": {"device": "rtx4090", "count": 2, "storage": {"nvme": "nvme_gen4"}}, "pi": {"device": "rpi5_8gb"}},
        "switches": ["lan"],
        "links": [
            {"name": "fast", "link": "eth_10g", "between": ["gpu", "lan"]},
            {"name": "wan", "bandwidth": "100 Mbit/s", "latency": "20 ms", "between": ["lan", "pi"]},
        ],
    },
    "power": {"rack": {"devices": ["gpu"], "budget": "500 W", "parent": "site"}, "site": {"devices": ["pi"], "overhead": "7 W"}},
    "services": {
        "chat": {
            "model": "llama-3.1-8b",
            "format": "bf16",
            "engine": "vllm",
            "kv": {"policy": "sliding_window", "window": 100},
            "replicas": [{"name": "copy", "each": "gpu"}],
        }
    },
    "workloads": {"talk": {"service": "chat", "entry": "pi", "arrivals": "azure", "lengths": "azure", "thin": "10 %"}},
}


@pytest.fixture
def tiny() -> Scenario:
    return Scenario.of(TABLES)


def test_values_are_si_and_choices_are_built(tiny: Scenario) -> None:
    assert tiny.run.window == 60.0
    assert tiny.workloads["talk"].thin == 0.1
    assert tiny.services["chat"].kv == SlidingWindow(window=100)
    assert tiny.services["chat"].batching == Continuous()
    assert tiny.services["chat"].engine.built() == PRESETS["vllm"]


def test_a_policy_may_be_passed_as_an_object() -> None:
    scenario = Scenario.of({**TABLES, "services": {"chat": {**TABLES["services"]["chat"], "kv": Full()}}})
    assert scenario.services["chat"].kv == Full()


@pytest.mark.parametrize("name", shipped_scenarios())
def test_shipped_scenarios_pass_every_check(name: str) -> None:
    checked = check(Scenario.load(name))
    assert checked.scenario.name == name
    assert set(checked.capacities) == {setup.scope for setup in checked.setups}
    assert set(checked.sources) == set(checked.scenario.workloads)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_a_resolved_scenario_describes_the_same(name: str) -> None:
    scenario = Scenario.load(name)
    again = Scenario.of(json.loads(json.dumps(scenario.resolved())))
    assert again.resolved() == scenario.resolved()
    assert Scenario.of(scenario.tables()).resolved() == scenario.resolved()


def test_resolved_spells_out_the_catalogue(tiny: Scenario) -> None:
    resolved = tiny.resolved()
    fast, wan = resolved["cluster"]["links"]
    assert fast["bandwidth"] == catalog.link("eth_10g").bandwidth
    assert (wan["bandwidth"], wan["latency"], wan["duplex"]) == (12.5e6, 0.02, "full")
    assert resolved["cluster"]["devices"]["gpu"]["memory"] == 24 * 2**30
    assert resolved["services"]["chat"]["batching"] == {"policy": "continuous"}
    assert resolved["services"]["chat"]["kv"] == {"policy": "sliding_window", "sinks": 4, "window": 100, "bits": None}


def test_overload_is_the_quickstart_at_full_rate() -> None:
    quickstart, overload = Scenario.load("quickstart"), Scenario.load("overload")
    assert overload.overload
    assert not quickstart.overload
    assert overload.cluster == quickstart.cluster
    assert all(overload.workloads[name].thin >= each.thin for name, each in quickstart.workloads.items())


# -- what if -------------------------------------------------------------------------------------------------------------------------------


def test_override_replaces_values_and_parameters(tiny: Scenario) -> None:
    changed = tiny.override({"services.chat.kv": "full", "seed": 7, "services.chat.engine.max_sequences": 8})
    assert (changed.services["chat"].kv, changed.seed) == (Full(), 7)
    assert changed.services["chat"].engine.built().max_sequences == 8
    assert tiny.override({"services.chat.kv.window": 50}).services["chat"].kv == SlidingWindow(window=50)
    assert tiny.services["chat"].kv == SlidingWindow(window=100)


def test_override_is_relative_to_figures_of_file_and_catalogue(tiny: Scenario) -> None:
    changed = tiny.override({"power.rack.budget": "x0.7", "cluster.links.wan.bandwidth": "x0.5", "cluster.links.fast.bandwidth": "x2"})
    assert changed.power["rack"].budget == pytest.approx(350.0)
    connections = {each.name: each.link for each in build_cluster(changed).connections}
    assert connections["wan"].bandwidth == 6.25e6
    assert connections["fast0"].bandwidth == connections["fast1"].bandwidth == 2 * catalog.link("eth_10g").bandwidth


def test_one_device_more_is_one_replica_more(tiny: Scenario) -> None:
    changed = tiny.override({"cluster.devices.gpu.count": "+1"})
    checked = check(changed)
    assert [setup.scope for setup in checked.setups] == ["chat.copy0", "chat.copy1", "chat.copy2"]
    assert [each.name for each in checked.cluster.connections] == ["fast0", "fast1", "fast2", "wan"]


def test_override_adds_and_removes(tiny: Scenario) -> None:
    changed = tiny.override({"slo.ttft": "2 s", "power.rack.parent": None})
    assert changed.slo.ttft == 2.0
    assert changed.power["rack"].parent is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("services.chat.kvs", "full", "services.chat.kvs: 'full' is no key here; accepted: .*did you mean 'kv'"),
        (
            "cluster.links.wann.bandwidth",
            "x0.5",
            "wann.bandwidth: 'wann' leads nowhere; accepted: fast, wan; did you mean 'wan'",
        ),
        ("name.value", 3, "name.value: 'tiny' leads beyond 'name', which is a plain value"),
        ("name", "x2", "name: 'tiny' is no number, so that 'x2' means nothing"),
        ("cluster.devices.gpu.count", "-5", "cluster.devices.gpu.count: -3 is refused; accepted: greater than or equal to 1"),
        ("power.rack.budget", "70 %", "power.rack.budget: '70 %' is not accepted"),
    ],
)
def test_overrides_that_make_no_sense_are_refused(tiny: Scenario, key: str, value: object, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        tiny.override({key: value})


# -- the cluster ---------------------------------------------------------------------------------------------------------------------------


def test_groups_become_instances_and_their_links_connections(tiny: Scenario) -> None:
    cluster = build_cluster(tiny)
    assert list(cluster.devices) == ["gpu0", "gpu1", "pi"]
    assert [(each.name, each.ends) for each in cluster.connections] == [
        ("fast0", ("gpu0", "lan")),
        ("fast1", ("gpu1", "lan")),
        ("wan", ("lan", "pi")),
    ]
    assert [(each.device, each.name) for each in cluster.attachments] == [("gpu0", "nvme"), ("gpu1", "nvme")]


def test_a_link_within_a_group_joins_every_pair() -> None:
    tables = {**TABLES["cluster"], "devices": {"gpu": {"device": "rtx4090", "count": 3}, "pi": {"device": "rpi5_8gb"}}}
    links = [*TABLES["cluster"]["links"], {"name": "mesh", "link": "nvlink3", "between": ["gpu", "gpu"]}]
    cluster = build_cluster(Scenario.of({**TABLES, "cluster": {**tables, "links": links}}))
    mesh = [(each.name, each.ends) for each in cluster.connections if each.name.startswith("mesh")]
    assert mesh == [("mesh0-1", ("gpu0", "gpu1")), ("mesh0-2", ("gpu0", "gpu2")), ("mesh1-2", ("gpu1", "gpu2"))]


def test_figures_of_the_scenario_replace_the_catalogues_and_say_so() -> None:
    devices = {**TABLES["cluster"]["devices"], "pi": {"device": "rpi5_8gb", "memory": "4 GiB", "idle": "2 W", "bandwidth": "10 GB/s"}}
    pi = build_cluster(Scenario.of({**TABLES, "cluster": {**TABLES["cluster"], "devices": devices}})).devices["pi"]
    assert (pi.main_pool.capacity, pi.idle_W, pi.buses[pi.main_pool.bus].bandwidth) == (4 * 2**30, 2.0, 1e10)
    assert pi.provenance["idle_W"].source == pi.provenance["ram.capacity"].source == "set in the scenario"


def test_devices_come_from_files_too(tmp_path: Path) -> None:
    board = {
        "title": "My board",
        "kind": "cpu_sbc",
        "memory": {"pool": "ram", "capacity": "4 GiB", "bandwidth": "10 GB/s"},
        "idle_W": 2,
        "tdp_W": 8,
        "engines": {"cpu": {"kind": "cpu", "peaks": {"fp32": 1e11, "fp16": 1e11}, "clock_max": "2 GHz"}},
    }
    (tmp_path / "boards.yaml").write_text(yaml.safe_dump({"devices": {"mine": board}}), encoding="utf-8")
    cluster = {**TABLES["cluster"], "device_files": ["boards.yaml"], "devices": {**TABLES["cluster"]["devices"], "pi": {"device": "mine"}}}
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump({**TABLES, "cluster": cluster}), encoding="utf-8")
    assert build_cluster(Scenario.load(path)).devices["pi"].title == "My board"
    (tmp_path / "boards.yaml").write_text(yaml.safe_dump({"devices": {"mine": {**board, "speed": 3}}}), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"boards\.yaml:\d+: devices\.mine: .*speed"):
        Scenario.load(path)


def test_idle_watts_add_up_through_domains(tiny: Scenario) -> None:
    cluster = build_cluster(tiny)
    gpu, pi = cluster.devices["gpu0"], cluster.devices["pi"]
    nvme = next(each.storage.idle_W for each in cluster.attachments)
    rack = 2 * (gpu.idle_W + gpu.board_W + nvme) / gpu.supply_efficiency
    site = rack + (pi.idle_W + pi.board_W) / pi.supply_efficiency + 7.0
    assert idle_watts(tiny.power["rack"], tiny, cluster) == pytest.approx(rack, rel=1e-12)
    assert idle_watts(tiny.power["site"], tiny, cluster) == pytest.approx(site, rel=1e-12)


# -- KV memory -----------------------------------------------------------------------------------------------------------------------------


def capacity_of(scenario: Scenario, scope: str = "chat.copy0") -> int | None:
    return check(scenario).capacities[scope].tokens


def test_kv_capacity_is_what_weights_and_workspace_leave(tiny: Scenario) -> None:
    # 0.9 of the card, less 8 030 261 248 parameters of 2 bytes, less 1.24 GB; a token takes 2 x 8 x 128 x 32 x 2 = 131 072 bytes.
    left = 0.9 * 24 * 2**30 - 2 * 8_030_261_248 - 1.24e9
    assert capacity_of(tiny) == int(left // 131_072) // 16 * 16
    assert "blocks of 16 on gpu0" in check(tiny).capacities["chat.copy0"].derivation


def test_the_preset_reproduces_the_run_that_its_workspace_was_read_off(tiny: Scenario) -> None:
    # vLLM 0.19 on a 4090 of 25 250 627 584 bytes reported 41 408 tokens; the workspace is rounded to 10 MB, which is 76 tokens.
    card = tiny.override({"cluster.devices.gpu.memory": 25_250_627_584})
    assert capacity_of(card) == pytest.approx(41_408, abs=80)


def test_replicas_on_one_device_share_what_is_left(tiny: Scenario) -> None:
    two = [{"name": "a", "devices": ["gpu0"]}, {"name": "b", "devices": ["gpu0"]}]
    scenario = tiny.override({"services.chat.replicas": two, "services.chat.format": "w4a16"})
    weights = sum(resident_bytes(check(scenario).setups[0]).values())
    left = 0.9 * 24 * 2**30 - 2 * (weights + 1.24e9)
    assert capacity_of(scenario, "chat.a") == capacity_of(scenario, "chat.b") == int(left / 2 // 131_072) // 16 * 16
    fixed = scenario.override({"services.chat.replicas.a.kv_capacity": "1 GiB"})
    assert capacity_of(fixed, "chat.a") == 8192
    assert capacity_of(fixed, "chat.b") == int((left - 2**30) // 131_072) // 16 * 16


def test_fewer_bits_hold_more_tokens(tiny: Scenario) -> None:
    full = capacity_of(tiny.override({"services.chat.kv": "full"}))
    half = capacity_of(tiny.override({"services.chat.kv": {"policy": "quantised", "bits": 8}}))
    assert full is not None
    assert half is not None
    assert 2 * full <= half < 2 * full + 32


def test_shards_hold_their_share_of_the_cache(tiny: Scenario) -> None:
    replicas = [{"name": "tp", "devices": ["gpu"], "partitioning": "tensor_parallel", "kv_capacity": "1 GiB"}]
    assert capacity_of(tiny.override({"services.chat.replicas": replicas}), "chat.tp") == 2 * 8192


def test_slots_are_reserved_from_the_start(tiny: Scenario) -> None:
    slots = tiny.override({"services.chat.engine": {"preset": "llama.cpp", "slot_tokens": 1000}, "services.chat.format": "q8_0"})
    assert capacity_of(slots) == 4 * 1000


# -- names ---------------------------------------------------------------------------------------------------------------------------------


def test_long_lists_are_cut_to_the_nearest() -> None:
    names = [f"device{number}" for number in range(50)]
    assert choices("device7x", names, "edgewright devices").startswith("one of 50 names such as device7, ")
    assert choices("device7x", names, "edgewright devices").endswith("(`edgewright devices` lists them); did you mean 'device7'?")
    assert choices("x", []) == "none is defined"


def test_figures_set_by_hand_are_no_longer_assumed() -> None:
    assert "step_overhead" in PRESETS["vllm"].assumed
    assert PRESETS["vllm"].with_({"step_overhead": 2e-3}).assumed == ()


def test_the_schema_of_files_knows_short_forms_and_choices() -> None:
    schema = Scenario.file_schema()
    engine = schema["$defs"]["EngineTable"]["anyOf"]
    assert [each["type"] for each in engine] == ["string", "object"]
    kv = schema["$defs"]["ServiceTable"]["properties"]["kv"]["anyOf"]
    assert "sliding_window" in kv[0]["enum"]
    window = next(each for each in kv[1:] if each["properties"]["policy"] == {"const": "sliding_window"})
    assert set(window["properties"]) == {"policy", "sinks", "window", "bits"}
    assert "extends" in schema["properties"]
    json.dumps(schema)


@pytest.mark.parametrize("count", [None, 1, 12])
def test_the_group_of_a_device_is_the_one_that_stands_for_it(count: int | None) -> None:
    """Names that begin alike (`a1` and `a12` of `a`, and a group `a1`), numbers written otherwise, and numbers that are too high."""
    groups = {name: DeviceGroup(device="rpi5_8gb", count=count) for name in ("a", "b")}
    names = [*(name for group in groups for name in (group, *(f"{group}{i}" for i in range(15)))), "a01", "a-1", "ab", "c0"]
    found = {name: [group for group, table in groups.items() if table.holds(group, name)] for name in names}
    assert found == {name: [group for group, table in groups.items() if name in table.instances(group)] for name in names}
