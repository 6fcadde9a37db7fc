"""Faults, starting and scaling of a scenario that cannot be are refused before the clock starts, by key, value and what is accepted."""

from copy import deepcopy

import pytest

from edgewright.simulator import Scenario, ScenarioError, Simulation

GOOD = {
    "name": "good",
    "run": {"window": 1},
    "cluster": {
        "devices": {
            "pi": {"device": "rpi5_8gb", "count": 2, "storage": {"sd": "sd_uhs1_sdr104"}},
            "bare": {"device": "rpi5_8gb"},
        },
        "switches": ["hub"],
        "links": [
            {"name": "lan", "link": "eth_1g", "between": ["pi", "hub"]},
            {"name": "up", "link": "eth_1g", "between": ["bare", "hub"]},
        ],
    },
    "power": {"rack": {"devices": ["pi"]}},
    "services": {
        "chat": {"model": "smollm-135m", "format": "q8_0", "replicas": [{"name": "pi", "each": "pi"}]},
        "other": {"model": "smollm-135m", "format": "q8_0", "replicas": [{"name": "b", "devices": ["bare"]}], "startup": {"weights": 1}},
        "eye": {"model": "mobilenet-v2", "format": "int8", "replicas": [{"name": "b", "devices": ["bare"]}], "startup": {"weights": 1}},
    },
    "workloads": {
        "frames": {"service": "eye", "arrivals": {"process": "periodic", "period": 1}},
    },
    "faults": {"f": {"kind": "crash", "targets": ["pi"], "at": [1], "lasts": "1 s"}},
}

FAULT = "faults.f"
BAD = {
    "unknown kind": ({FAULT: {"kind": "flood"}}, "faults.f.kind", "crash"),
    "unknown device": ({FAULT: {"targets": ["pie"]}}, "faults.f.targets.0", "did you mean 'pi'"),
    "a link that is none": ({FAULT: {"kind": "link_down"}}, "faults.f.targets.0", "lan0"),
    "a storage that is none": ({FAULT: {"kind": "storage_down"}}, "faults.f.targets.0", "pi.sd"),
    "a domain that is none": ({FAULT: {"kind": "power_loss"}}, "faults.f.targets.0", "rack"),
    "no time": ({FAULT: {"at": None}}, "faults.f.at", "one of the two"),
    "two times": ({FAULT: {"every": "1 h"}}, "faults.f.at", "one of the two"),
    "a process's key": ({FAULT: {"together": True}}, "faults.f.together", "every"),
    "a foreign figure": ({FAULT: {"factor": 0.5}}, "faults.f.factor", "no such key"),
    "a missing figure": ({FAULT: {"kind": "straggler"}}, "faults.f.factor", "20 %"),
    "an engine that stops": ({FAULT: {"kind": "straggler", "factor": 0}}, "faults.f.factor", "crash"),
    "a link without rate": ({FAULT: {"kind": "link_slow", "targets": ["up"], "factor": 0}}, "faults.f.factor", "link_down"),
    "power of a rail": (
        {FAULT: {"kind": "power_loss", "targets": ["cpu"]}, "power": {"cpu": {"rail": ["bare.cpu"]}}},
        "faults.f.targets.0",
        "rack",
    ),
    "weights of a box in the dark": (
        {"power": {"box": {"devices": ["bare"], "solar": {"peak": "9 W", "latitude": 48}}}, "services.other": {"startup": None}},
        "services.other.startup.weights",
        "storage",
    ),
    "an engine that is none": ({FAULT: {"kind": "straggler", "factor": 0.5, "engine": "tpu"}}, "faults.f.engine", "cpu"),
    "reads that never succeed": (
        {FAULT: {"kind": "storage_errors", "targets": ["pi.sd"], "chance": 1}},
        "faults.f.chance",
        "storage_down",
    ),
    "a shape of no law": ({FAULT: {"at": None, "every": {"mean": 5, "shape": 2}}}, "faults.f.every.shape", "weibull"),
    "a time of nothing": ({FAULT: {"lasts": 0}}, "faults.f.lasts.mean", "greater than 0"),
    "a spread to nowhere": (
        {FAULT: {"spread": {"targets": ["x"], "chance": 0.5}}},
        "faults.f.spread.targets.0",
        "bare",
    ),
    "weights from nowhere": (
        {FAULT: {"targets": ["bare"]}, "services.other": {"startup": None}},
        "services.other.startup.weights",
        "storage",
    ),
    "weights from two places": ({"services.other": {"startup": {"source": "hub"}}}, "services.other.startup.source", "one of the two"),
    "a source that is none": ({"services.other": {"startup": {"weights": None, "source": "x"}}}, "services.other.startup.source", "hub"),
    "failover to nobody": ({"services.chat": {"failure": {"policy": "failover", "service": "x"}}}, "services.chat.failure.service", "eye"),
    "failover to itself": ({"services.chat": {"failure": {"policy": "failover", "service": "chat"}}}, "services.chat.failure", "another"),
    "failover to a camera": (
        {"services.chat": {"failure": {"policy": "failover", "service": "eye"}}},
        "services.chat.failure",
        "same kind",
    ),
    "checkpoints on nothing": (
        {"services.other": {"failure": {"policy": "resume", "checkpoint": 8}}},
        "services.other.failure.checkpoint",
        "storage",
    ),
    "sleep of a sleepless board": (
        {"services.chat": {"scaling": {"policy": "keep_alive", "rest": "sleep"}}},
        "services.chat.scaling.rest",
        "stop",
    ),
    "an attempt too few": ({"services.chat": {"failure": {"policy": "retry", "attempts": 0}}}, "services.chat.failure.attempts", "from 1"),
}


def changed(changes):
    tables = deepcopy(GOOD)
    for path, values in changes.items():
        place = tables
        for part in path.split("."):
            place = place[part]
        for key, value in values.items():
            if value is None:
                place.pop(key, None)
            elif isinstance(value, dict) and isinstance(place.get(key), dict):
                place[key] = {name: each for name, each in (place[key] | value).items() if each is not None}
            else:
                place[key] = value
    return tables


def test_a_group_of_links_is_no_other_that_begins_alike():
    tables = changed({FAULT: {"kind": "link_down", "targets": ["lan"]}})
    tables["cluster"]["links"][1]["name"] = "lan-up"
    assert Simulation(Scenario.of(tables)).faults["f"].targets == ["lan0", "lan1"]


def test_the_good_scenario_runs():
    simulation = Simulation(Scenario.of(GOOD))
    simulation.run_until(1.0)
    assert simulation.now == 1.0
    assert set(simulation.faults) == set(GOOD["faults"])


@pytest.mark.parametrize(("changes", "key", "accepted"), BAD.values(), ids=BAD)
def test_a_bad_value_is_refused_by_name(changes, key, accepted):
    with pytest.raises(ScenarioError) as refused:
        Simulation(Scenario.of(changed(changes)))
    message = str(refused.value)
    assert f" {key}: " in message, message
    assert accepted in message.rsplit("accepted", 1)[1], message


def test_times_may_be_written_short():
    """`lasts: 5 s` is short for `{mean: 5 s}`: fixed; `every: 1 min` for an exponential mean."""
    tables = changed({FAULT: {"at": None, "every": "1 min"}})
    table = Scenario.of(tables).faults["f"]
    assert (table.every.mean, table.every.law, table.lasts.mean) == (60.0, None, 1.0)
