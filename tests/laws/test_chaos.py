"""Hundreds of faults of every kind at once, and every law of a run holds: jobs, bytes, pools, energy.

A small cluster serves five services for twenty simulated minutes: chat on cards (conversations, a bounded cache), one in shards over
boards, a pipeline, a camera, and a cascade that calls two of them. Devices crash, leave and lose power, links fail and slow down,
storages stand still, slow down and err, engines straggle; replicas are started and stopped. Invariants are checked at random moments
(`Simulation.run_until` does that), and the accounts again at the end.
"""

from collections import Counter
from copy import deepcopy
from random import Random

import pytest

from edgewright.simulator import Scenario, Simulation

MINUTE = 60.0
LENGTH = 20 * MINUTE
SEEDS = 100


def lengths(prompt, output):
    return {"lengths": "joint"} | {
        name: {"shape": "uniform", "low": 1, "high": most} for name, most in (("prompt", prompt), ("output", output))
    }


def poisson(rate):
    return {"process": "poisson", "rate": rate}


SMALL = {"model": "pythia-160m", "format": "q8_0"}
CLUSTER = {
    "devices": {
        "gpu": {"device": "rtx4090", "count": 2, "storage": {"nvme": "nvme_gen4"}},
        "orin": {"device": "jetson_agx_orin_64gb", "storage": {"ssd": "nvme_gen3"}},
        "pi": {"device": "rpi5_8gb", "count": 3, "storage": {"sd": "sd_uhs1_sdr104"}},
    },
    "switches": ["lan", "ap"],
    "nodes": ["users", "camera"],
    "links": [
        {"name": "to-gpu", "link": "eth_10g", "between": ["lan", "gpu"]},
        {"name": "to-orin", "link": "eth_1g", "between": ["lan", "orin"]},
        {"name": "to-pi", "link": "eth_1g", "between": ["lan", "pi"]},
        {"name": "uplink", "link": "eth_1g", "between": ["ap", "lan"]},
        {"name": "backup", "bandwidth": "20 Mbit/s", "latency": "20 ms", "between": ["ap", "lan"]},
        {"name": "air-users", "link": "wifi6", "between": ["users", "ap"], "medium": "air"},
        {"name": "air-camera", "link": "wifi6", "between": ["camera", "ap"], "medium": "air"},
    ],
}


def services(pick):
    patience = {"attempts": 4, "pause": 0.5, "timeout": 90, "stall": 5}
    policies = [{"policy": "retry", "keep": pick.random() < 0.5}, {"policy": "resume", "checkpoint": pick.choice([None, 32])}]
    retry = lambda: {k: v for k, v in (pick.choice(policies) | patience).items() if v is not None}  # noqa: E731
    scaling = pick.choice(
        [
            "fixed",
            {"policy": "threshold", "low": 1, "high": 3, "period": 7, "hold": 20},
            {"policy": "keep_alive", "idle": 20, "jobs": 3},
            {"policy": "target_utilisation", "period": 10, "stabilisation": 40},
            {"policy": "scheduled", "plan": [[0, 2], [200, 1], [300, 0]], "repeat": 400},
        ]
    )
    split = {"policy": "tensor_parallel", "algorithm": pick.choice(["star", "ring"])}
    chat = {"model": "llama-3.2-1b", "format": "fp16", "engine": "vllm", "routing": pick.choice(["least_loaded", "first_fit"])}
    return {
        "chat": chat
        | {"replicas": [{"name": "card", "each": "gpu", "kv_capacity": "60 MB"}], "failure": retry(), "scaling": scaling}
        | {"startup": {"engine": 2}},
        "shards": SMALL
        | {"replicas": [{"name": "pis", "devices": ["pi"], "partitioning": split}], "engine": "llama.cpp"}
        | {"failure": {"policy": "failover", "service": "small", **patience}},
        "small": SMALL | {"replicas": [{"name": "only", "devices": ["orin"]}], "failure": retry(), "startup": {"weights": 3, "engine": 1}},
        "line": SMALL | {"replicas": [{"name": "two", "devices": ["orin", "gpu0"], "partitioning": "pipeline"}], "failure": retry()},
        "eye": {"model": "mobilenet-v2", "format": "int8", "failure": pick.choice(["drop", {"policy": "retry", "attempts": 2}])}
        | {"batching": {"policy": "static", "size": 1}, "replicas": [{"name": "pi", "devices": ["pi2"]}]},
        "cascade": {
            "orchestration": {"policy": "cascade", "small": "small", "big": "chat"},
            "outcomes": {"confidence": {"outcome": "bernoulli", "chance": 0.5}},
            "failure": pick.choice(["drop", {"policy": "retry", "timeout": 60, "attempts": 3}]),
        },
        "drafts": {
            "orchestration": {"policy": "speculative", "draft": "small", "target": "chat"},
            "outcomes": {"accepted": {"outcome": "acceptance", "rate": 0.7, "drafted": 4}},
        },
        "split": {"orchestration": {"policy": "disaggregated", "prefill": "small", "decode": "line"}, "failure": {"policy": "retry"}},
    }


WORKLOADS = {
    "questions": {"service": "chat", "entry": "users", "arrivals": poisson(0.3), "lengths": lengths(600, 900)},
    "talk": {
        "service": "chat",
        "arrivals": {"process": "sessions", "rate": 0.05, "turns": 3, "think": 2},
        "lengths": lengths(60, 60),
    },
    "commands": {"service": "shards", "entry": "users", "arrivals": poisson(0.1), "lengths": lengths(40, 15), "deadline": 60},
    "lines": {"service": "line", "arrivals": poisson(0.1), "lengths": lengths(60, 300)},
    "frames": {"service": "eye", "entry": "camera", "arrivals": poisson(0.3), "bytes": "300 kB"},
    "unsure": {"service": "cascade", "entry": "users", "arrivals": poisson(0.1), "lengths": lengths(60, 20)},
    "drafted": {"service": "drafts", "arrivals": poisson(0.05), "lengths": lengths(60, 20)},
    "halves": {"service": "split", "entry": "users", "arrivals": poisson(0.05), "lengths": lengths(100, 30)},
}


def weibull(mean, shape):
    return {"mean": mean, "law": "weibull", "shape": shape}


def exponential(mean):
    return {"mean": mean, "law": "exponential"}


FAULTS = {
    "reboots": {"kind": "crash", "targets": ["pi", "orin"], "every": weibull("3 min", 0.7), "lasts": exponential("8 s")},
    "panics": {
        "kind": "crash",
        "targets": ["gpu"],
        "every": "4 min",
        "lasts": "15 s",
        "spread": {"targets": ["orin"], "chance": 0.3, "delay": "2 s"},
    },
    "outage": {"kind": "power_loss", "targets": ["rack"], "at": ["5 min", "12 min"], "lasts": "20 s"},
    "visits": {"kind": "leave", "targets": ["pi1"], "every": "6 min", "lasts": exponential("30 s")},
    "cuts": {"kind": "link_down", "targets": ["uplink", "to-pi", "air-camera"], "every": "2 min", "lasts": exponential("6 s")},
    "slow": {"kind": "link_slow", "targets": ["to-gpu", "air-users"], "factor": 0.2, "latency": "30 ms", "every": "2 min", "lasts": "20 s"},
    "stuck": {"kind": "storage_down", "targets": ["pi.sd"], "every": "5 min", "lasts": "5 s"},
    "worn": {"kind": "storage_slow", "targets": ["gpu.nvme"], "factor": 0.1, "every": "2 min", "lasts": "1 min"},
    "errors": {
        "kind": "storage_errors",
        "targets": ["orin.ssd", "gpu.nvme"],
        "chance": 0.5,
        "delay": 1,
        "every": "1 min",
        "lasts": "1 min",
    },
    "hot": {"kind": "straggler", "targets": ["pi0", "gpu1"], "factor": 0.3, "every": "90 s", "lasts": exponential("30 s")},
}


def chaos(seed, length=LENGTH):
    pick = Random(seed)
    return {
        "name": "chaos",
        "seed": seed,
        "run": {"window": length, "drain": "2 min"},
        "record": {"period": 30, "operations": 50},
        "cluster": CLUSTER,
        "power": {"rack": {"devices": ["gpu", "orin"], "supply_efficiency": 0.92}},
        "services": services(pick),
        "workloads": WORKLOADS,
        "faults": FAULTS,
    }


def run(tables):
    """Run, with the invariants checked at some thirty random moments."""
    simulation, asked = Simulation(Scenario.of(deepcopy(tables))), {}
    simulation.machine.signals.submitted.subscribe(lambda each: each.caller is None and asked.update({each.id: each.job.output}))
    pick = Random(simulation.scenario.seed)
    for moment in sorted(pick.uniform(0.0, simulation.end) for _ in range(30)):
        simulation.run_until(moment)
    simulation.run_until(simulation.end)
    return simulation, asked


def require_accounts(simulation, asked):
    """What the tables say adds up, too."""
    result = simulation.result()
    jobs, tables = result.jobs, result.tables
    counts = Counter(jobs.status)
    assert sum(counts.values()) == len(jobs) == len(set(jobs.job))
    assert set(counts) <= {"completed", "rejected", "failed", "in_flight"}
    assert (jobs.retries + jobs.resumes <= jobs.interruptions).all()
    done = jobs[jobs.status == "completed"]
    assert [asked.get(number, tokens) for number, tokens in zip(done.job, done.output_tokens, strict=True)] == done.output_tokens.tolist()
    assert (jobs[jobs.status == "failed"].reason != "").all()
    energy = tables["energy"]["joules"].sum()
    assert energy == pytest.approx(tables["power"]["joules"].sum(), rel=1e-9)
    for name, traffic in simulation.machine.traffic.items():
        assert traffic.sent == pytest.approx(traffic.received + traffic.cancelled, rel=1e-9), name
    assert ((result.availability.up >= 0) & (result.availability.up <= 1 + 1e-12)).all()
    return result


@pytest.mark.parametrize("seed", range(5))
def test_chaos_keeps_every_law(seed):
    """Ten of the twenty minutes; all of them, for a hundred seeds, with `pytest -m slow`."""
    result = require_accounts(*run(chaos(seed, LENGTH / 2)))
    faults = result.faults
    assert len(faults) > 80
    assert set(faults.kind) >= {each["kind"] for each in FAULTS.values()}
    jobs = result.jobs
    assert (jobs.status == "completed").sum() > 0.5 * len(jobs)
    assert jobs.retries.sum() + jobs.resumes.sum() > 10
    assert (jobs.status == "failed").sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5, SEEDS))
def test_chaos_keeps_every_law_for_a_hundred_seeds(seed):
    require_accounts(*run(chaos(seed)))
