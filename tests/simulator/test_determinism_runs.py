"""Same scenario and seed, same bytes: in another process, under another hash seed, and in whatever order policies and tables are listed."""

import json
from copy import deepcopy
from hashlib import sha256

import pytest

from edgewright.simulator import Scenario, simulate

SHAPE = {"shape": "lognormal", "median": 40, "sigma": 0.7, "high": 200}
LENGTHS = {"lengths": "joint", "prompt": SHAPE, "output": SHAPE}
PI = {"preset": "vllm", "workspace": "0.1 GB", "max_sequences": 4}
SCENARIO = {
    "name": "repeat",
    "seed": 11,
    "run": {"warmup": "1 s", "window": "8 s", "drain": "5 min"},
    "record": {"period": "1 s"},
    "cluster": {
        "devices": {
            "pi": {"device": "rpi5_8gb", "count": 3},
            "spare": {"device": "rpi5_8gb", "heat": {}},
            "orin": {"device": "jetson_agx_orin_64gb", "storage": {"nvme": "nvme_gen3"}, "priority": 1},
        },
        "switches": ["hub"],
        "nodes": ["user"],
        "links": [
            {"name": "lan", "link": "eth_1g", "between": ["hub", "pi"]},
            {"name": "lan-spare", "link": "eth_1g", "between": ["hub", "spare"]},
            {"name": "lan-orin", "link": "eth_1g", "between": ["hub", "orin"]},
            {"name": "air", "link": "wifi6", "between": ["user", "hub"]},
        ],
    },
    "power": {
        "rack": {"budget": "40 W", "policy": "two_thresholds", "devices": ["orin"], "telemetry": {"period": "0.5 s", "noise": 0.02}},
        "hut": {"devices": ["spare"], "battery": {"capacity": "20 J"}},
        "shelf": {"parent": "rack", "devices": ["pi"], "supply_efficiency": 0.9},
    },
    "services": {
        "chat": {
            "model": "smollm-135m",
            "format": "q8_0",
            "engine": PI,
            "routing": "least_loaded",
            "replicas": [
                {
                    "name": "ring",
                    "devices": ["pi"],
                    "partitioning": {"policy": "tensor_parallel", "algorithm": "ring"},
                    "kv_capacity": "4 MB",
                },
                {"name": "solo", "devices": ["orin"], "kv_capacity": "8 MB"},
            ],
        },
        "experts": {
            "model": "olmoe-1b-7b",
            "format": "w4a16",
            "engine": PI,
            "experts_routing": {"skew": 0.8, "affinity": 0.4, "persistence": 0.25},
            "replicas": [{"name": "disk", "devices": ["orin"], "experts": {"policy": "on_demand", "slots": 32}}],
        },
        "eye": {
            "model": "yolov8n",
            "format": "int8",
            "batching": {"policy": "dynamic", "size": 2, "timeout": "50 ms"},
            "replicas": [{"name": "only", "devices": ["pi1"]}],
        },
    },
    "workloads": {
        "talks": {
            "service": "chat",
            "entry": "user",
            "arrivals": {"process": "sessions", "rate": 0.8, "turns": 3, "think": 0.5},
            "lengths": LENGTHS,
        },
        "bursts": {"service": "chat", "entry": "user", "arrivals": {"process": "gamma", "rate": 1, "cv": 3}, "lengths": LENGTHS},
        "questions": {
            "service": "experts",
            "entry": "user",
            "arrivals": {"process": "poisson", "rate": 0.5},
            "lengths": LENGTHS,
            "thin": 0.8,
        },
        "frames": {"service": "eye", "entry": "user", "arrivals": {"process": "poisson", "rate": 3}, "lengths": "one_shot", "bytes": 1e5},
    },
}

PROGRAM = """
import json, sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
{first}
from edgewright.simulator import Scenario, simulate
with TemporaryDirectory() as directory:
    simulate(Scenario.of(json.loads({tables!r}))).to_parquet(directory)
    for path in sorted(Path(directory).glob("*.parquet")):
        print(path.name, path.stat().st_size, sha256(path.read_bytes()).hexdigest())
"""
BACKWARDS = """
import importlib, pkgutil
import edgewright.policies as house
for found in sorted(pkgutil.walk_packages(house.__path__, "edgewright.policies."), key=lambda found: found.name, reverse=True):
    importlib.import_module(found.name)
"""


@pytest.fixture(scope="module")
def run():
    """The scenario's result in this process."""
    return simulate(Scenario.of(deepcopy(SCENARIO)))


def digests(result, directory):
    result.to_parquet(directory)
    return [f"{p.name} {p.stat().st_size} {sha256(p.read_bytes()).hexdigest()}" for p in sorted(directory.glob("*.parquet"))]


def test_the_scenario_has_something_of_everything(run):
    """Else equality would say little: every table has rows, jobs were preempted, cached, throttled; experts were fetched."""
    assert [name for name in run.tables if not len(run.frame(name))] == ["intervals"]  # it was not asked for any
    assert run.jobs.preemptions.any()
    assert (run.jobs.cached_tokens > 0).any()
    assert run.actuations.effective_s.notna().any()
    assert run.replicas.expert_misses.any()
    assert set(run.jobs.replica) == {"chat.ring", "chat.solo", "experts.disk", "eye.only"}


def test_every_process_writes_the_same_bytes(run, same_in_every_process, run_fresh, tmp_path):
    """Here, in three fresh interpreters with other hash seeds, and in one that imports all policies in the opposite order first."""
    tables = json.dumps(SCENARIO)
    expected = digests(run, tmp_path)
    assert same_in_every_process(PROGRAM.format(first="", tables=tables)).splitlines() == expected
    assert run_fresh(PROGRAM.format(first=BACKWARDS, tables=tables)).splitlines() == expected


def test_a_second_run_in_the_same_process_writes_the_same_bytes(run, tmp_path):
    """Nothing is left over from the first: caches may only save time."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert digests(simulate(Scenario.of(deepcopy(SCENARIO))), second) == digests(run, first)


def test_another_seed_is_another_run(run):
    other = simulate(Scenario.of({**deepcopy(SCENARIO), "seed": 12}))
    assert run.jobs.arrival_s.tolist() != other.jobs.arrival_s.tolist()


def backwards(value):
    """The same tables with the keys of every mapping in the opposite order. Lists keep theirs: it has a meaning."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


KEYS = {
    "jobs": ["source", "arrival_s"],
    "steps": ["replica", "start_s"],
    "itl": ["service", "gap_s"],
    "power": ["domain", "start_s"],
    "actuations": ["time_s", "target", "kind"],
    "energy": ["domain", "owner", "part"],
    "resources": ["resource"],
    "usage": ["resource", "start_s"],
    "memory": ["pool", "allocation"],
    "kv": ["replica", "time_s"],
    "queue": ["replica", "time_s"],
    "replicas": ["replica"],
}
"""By table, what names a row."""


@pytest.mark.parametrize("name", KEYS)
def test_the_order_of_keys_has_no_meaning(run, reordered, name):
    """Services, workloads, domains, devices and all that is written with a key: listed backwards, every figure stays, to the last bit.

    What the order does decide: the order of rows, and the numbers of jobs (`job`), which count as jobs are drawn. Where two events fall on
    the same instant the one listed first goes first; here nothing but the start does.
    """
    first, second = (each.frame(name).sort_values(KEYS[name], kind="stable", ignore_index=True) for each in (run, reordered))
    for column in first.columns.drop("job", errors="ignore"):
        assert first[column].equals(second[column]), column


@pytest.fixture(scope="module")
def reordered():
    """The scenario with every mapping backwards."""
    return simulate(Scenario.of(backwards(SCENARIO)))


def test_the_numbers_of_jobs_follow_the_order_of_workloads(run, reordered):
    """Said here so that nobody relies on the opposite: identities of jobs are (source, arrival), numbers only name them within a run."""
    assert sorted(run.jobs.job) == sorted(reordered.jobs.job)
    assert dict(zip(run.jobs.job, run.jobs.source, strict=True)) != dict(zip(reordered.jobs.job, reordered.jobs.source, strict=True))


def test_workloads_do_not_disturb_each_other_s_draws(run):
    """Without the camera, everybody else asks the same questions at the same times (streams are named, not shared)."""
    fewer = deepcopy(SCENARIO)
    del fewer["workloads"]["frames"]
    asked = ["source", "arrival_s", "prompt_tokens"]
    alone = simulate(Scenario.of(fewer)).jobs
    others = run.jobs[run.jobs.source.isin(["bursts", "questions"])][asked].reset_index(drop=True)
    assert alone[alone.source.isin(["bursts", "questions"])][asked].reset_index(drop=True).equals(others)


def test_listing_replicas_in_another_order_breaks_ties_another_way():
    """The order of replicas has a meaning: among equals, the router takes the first."""
    swapped = deepcopy(SCENARIO)
    swapped["services"]["chat"]["replicas"].reverse()
    first = [simulate(Scenario.of(tables)).jobs.set_index("source").replica["bursts"].iloc[0] for tables in (deepcopy(SCENARIO), swapped)]
    assert first == ["chat.ring", "chat.solo"]
