"""A small made-up run, seeded: two chat replicas, a camera, one rack. Nothing in it was simulated; every table has rows."""

import numpy as np
import pytest

from edgewright.policies.compile import compile_plan
from edgewright.simulator.interpreter import Scope
from edgewright.simulator.plan_runner import PlanRunner
from edgewright.simulator.result import Result
from edgewright.simulator.scenario import Scenario
from edgewright.simulator.simulation import Simulation
from edgewright.simulator.stepping import step_at
from edgewright.simulator.stretch import Stretch
from edgewright.simulator.tables import with_latencies
from edgewright.workloads import Job, Step

END = 400.0
DEVICES = ("orin0", "orin1", "nx0", "rtx0", "pi0", "pi1", "pi2", "pi3")


@pytest.fixture
def made_up():
    """`made_up(requests=80, frames=120, seed=7) -> Result`: the made-up run, its window from 50 s to 350 s."""
    return synthetic


@pytest.fixture
def bare():
    """`bare(**tables) -> Result`: a run of 100 s, measured from 10 s to 90 s, with nothing but the tables given."""

    def make(slo=None, **tables):
        return Result(_meta(1) | {"window": (10.0, 90.0), "end_s": 100.0, "slo": slo or {}, "topology": {"nodes": [], "links": []}}, tables)

    return make


@pytest.fixture
def jobs_of():
    """`jobs_of(rows, end=100.0)`: the table of jobs, each row a mapping of what differs from a completed chat request of two tokens."""
    return _jobs_of


@pytest.fixture
def boards():
    """`boards(count, replica={}, arrivals=NOBODY, prompt=64, output=32, engine={}, device={}, links={}, **tables) -> Simulation`.

    Boards `pi0`, `pi1`, ..., each on a link (`lan0`, `lan1`, ...) to one switch, all of them the one replica `chat.only`; users are behind
    a link `lan` of their own. `replica`, `engine`, `device` and `links` (by name) add to these tables, `tables` replace whole ones.
    """
    return _boards


@pytest.fixture
def ask():
    """`ask(simulation, number, prompt, output, entry=None, **of_the_job) -> Request`: send a job to `chat` now."""
    return _ask


@pytest.fixture
def jump():
    """`jump(machine, plan, steps=1, step=Step()) -> (stretch, tokens)`: steps one after another, jumped over until cut."""
    return _jump


UNTROUBLED = ("interruptions", "retries", "resumes", "lost_tokens", "wasted_tokens")
NOBODY = {"process": "poisson", "rate": "0.000001 /min"}
"""No arrival within a thousand hours or so: tests ask themselves."""


def _boards(count, replica=(), arrivals=NOBODY, prompt=64, output=32, engine=(), device=(), links=(), **tables):
    names = [f"pi{number}" for number in range(count)]
    lengths = {"lengths": "joint", "prompt": {"shape": "fixed", "value": prompt}, "output": {"shape": "fixed", "value": output}}
    only = {"name": "only", "devices": names} | dict(replica)
    plain = {"preset": "ideal", "block_size": 16}
    cluster = {"devices": {name: {"device": "rpi5_8gb"} | dict(device) for name in names}, "nodes": ["user", "switch"]}
    ends = {f"lan{number}": name for number, name in enumerate(names)} | {"lan": "user"}
    cluster["links"] = [{"name": n, "link": "eth_1g", "between": [end, "switch"]} | dict(links).get(n, {}) for n, end in ends.items()]
    found = {
        "name": "boards",
        "seed": 1,
        "run": {"warmup": "0 s", "window": "60 s", "drain": "60 s"},
        "cluster": cluster,
        "services": {
            "chat": {
                "model": "smollm-135m",
                "format": "q8_0",
                "replicas": [only],
                "engine": plain | dict(engine),
                "startup": {"weights": 2},
            }
        },
        "workloads": {"questions": {"service": "chat", "entry": "user", "arrivals": arrivals, "lengths": lengths}},
    }
    return Simulation(Scenario.of(found | tables))


def _ask(simulation, number, prompt, output, entry=None, **of_the_job):
    found = []
    simulation.machine.signals.submitted.subscribe(found.append)
    simulation.submit(Job(number, "chat", "test", simulation.now, prompt, output, index=number, **of_the_job), entry, lambda _: None)
    return found[0]


def _jump(machine, plan, steps=1, step=None):
    step = Step() if step is None else step
    program = compile_plan(plan)
    runner, tokens = PlanRunner(Scope(machine, "plan"), program), []

    def token():
        tokens.append(machine.env.now)
        if len(tokens) < steps:
            runner.step(step_at(step, len(tokens)), token)

    def ended(stretch, whole, partial):
        tokens.extend(map(float, stretch.ends[:whole]))

    stretch = Stretch(runner, program.strands[0], step, steps, ended, token, step_at)
    return stretch, tokens


def synthetic(requests=80, frames=120, seed=7):
    rng = np.random.default_rng(seed)
    jobs = _jobs(rng, requests, frames)
    return Result(_meta(seed), {"jobs": jobs, **_serving(rng), **_power(rng), **_machine(rng)})


def _jobs_of(rows, end=100.0):
    nan = float("nan")
    plain = {"service": "chat", "replica": "chat.0", "source": "users", "session": -1, "status": "completed", "reason": ""}
    plain |= {"arrival_s": 20.0, "queued_s": 20.0, "scheduled_s": 21.0, "first_token_s": 22.0, "finished_s": 23.0, "prompt_tokens": 5}
    plain |= {"output_tokens": 2, "cached_tokens": 0, "preemptions": 0, "priority": 0, "deadline_s": nan}
    plain |= dict.fromkeys(UNTROUBLED, 0)
    full = [plain | {"job": number} | row for number, row in enumerate(rows)]
    measured = [10 <= row["arrival_s"] < 90 for row in full]
    return with_latencies({name: [row[name] for row in full] for name in ("job", *plain)} | {"measured": measured}, end)


def _jobs(rng, requests, frames):
    count = requests + frames
    chat = np.arange(count) < requests
    arrival = np.concatenate([np.sort(rng.uniform(0, 380, requests)), np.linspace(0, 390, frames)])
    scheduled = arrival + 0.01 + np.where(chat, rng.exponential(0.8, count), 0.004)
    first = scheduled + np.where(chat, rng.uniform(0.1, 0.6, count), 0.03)
    output = np.where(chat, rng.integers(1, 120, count), 0)
    finished = first + np.where(chat, output * rng.uniform(0.03, 0.05, count), 0.0)
    status = np.where(finished > END, "in_flight", "completed").astype(object)
    status[3], status[5] = "rejected", "failed"
    for column, lost in ((scheduled, [3]), (first, [3, 5]), (finished, np.flatnonzero(status == "in_flight"))):
        column[lost] = np.nan
    finished[3] = arrival[3]
    columns = {
        "job": np.arange(count),
        "service": np.where(chat, "chat", "camera").astype(object),
        "replica": np.where(chat, np.where(np.arange(count) % 2, "chat.0", "chat.1"), "camera.0").astype(object),
        "source": np.where(chat, "users", "lens").astype(object),
        "session": np.full(count, -1),
        "status": status,
        "reason": np.where(status == "rejected", "no replica can hold it", np.where(status == "failed", "link lost", "")).astype(object),
        "measured": (arrival >= 50) & (arrival < 350),
        "arrival_s": arrival,
        "queued_s": np.where(status == "rejected", np.nan, arrival + 0.01),
        "scheduled_s": scheduled,
        "first_token_s": first,
        "finished_s": finished,
        "prompt_tokens": np.where(chat, rng.integers(20, 2000, count), 1),
        "output_tokens": np.where(np.isnan(first), 0, output),
        "cached_tokens": np.zeros(count, np.int64),
        "preemptions": (np.arange(count) % 37 == 1).astype(np.int64),
        **{name: np.zeros(count, np.int64) for name in UNTROUBLED},
        "priority": np.zeros(count, np.int64),
        "deadline_s": np.where(chat, np.nan, arrival + 0.045),
    }
    return with_latencies(columns, END)


def _serving(rng):
    edges = np.arange(0.0, END, 0.5)
    count = len(edges)
    steps = {
        "replica": ["chat.0", "chat.1"] * (count // 2),
        "start_s": edges,
        "end_s": edges + 1.25,
        "iterations": rng.integers(1, 20, count),
        "decode": rng.integers(1, 9, count),
        "prefill_tokens": rng.integers(0, 2, count) * 256,
        "output_tokens": rng.integers(1, 60, count),
        "context_tokens": rng.integers(100, 9000, count),
        "waiting": rng.integers(0, 4, count),
        "kv_blocks": rng.integers(10, 500, count),
    }
    replicas = ("chat.0", "chat.1", "camera.0")
    times = np.sort(rng.uniform(0, END, 900))
    names = [replicas[index % 2] for index in range(len(times))]
    waves = (250 + 200 * np.sin(times / 30) + rng.normal(0, 20, len(times))).clip(0, 500).astype(np.int64)
    return {
        "steps": steps,
        "itl": {"service": ["chat"] * 60, "gap_s": rng.uniform(0.03, 0.09, 60), "tokens": rng.integers(1, 100, 60)},
        "kv": {"replica": names, "time_s": times, "blocks": waves, "capacity_blocks": np.full(len(times), 512)},
        "queue": {"replica": names, "time_s": times, "waiting": waves // 60, "running": waves // 50},
        "replicas": {
            "replica": replicas,
            "service": ["chat", "chat", "camera"],
            "devices": ["orin0", "rtx0", "nx0"],
            "kv_capacity_tokens": [8192.0, 8192.0, np.nan],
            "kv_capacity_bytes": [2.0**30, 2.0**30, np.nan],
            "derivation": ["0.90 × 59.6 GiB − weights 4.6 GiB − activations 0.5 GiB, in blocks of 16", "set in the scenario", "keeps none"],
            "preemptions": [3, 0, 0],
            "evictions": [12, 0, 0],
            "prompt_tokens": [1000, 2000, 0],
            "hit_tokens": [250, 0, 0],
            "swapped_out_bytes": [2e9, 0.0, 0.0],
            "swapped_in_bytes": [1e9, 0.0, 0.0],
            "expert_hits": [0, 900, 0],
            "expert_misses": [0, 100, 0],
        },
        "operations": {
            "replica": ["chat.0"] * 40,
            "name": [f"block{index % 8}" for index in range(40)],
            "kind": ["compute"] * 40,
            "resource": ["orin0.gpu"] * 40,
            "start_s": np.arange(40) * 0.01,
            "end_s": np.arange(40) * 0.01 + 0.009,
        },
    }


def _power(rng):
    start = np.arange(0.0, END, 2.0)
    mean = 180 + 60 * np.sin(start / 40) + rng.normal(0, 8, len(start))
    return {
        "power": {
            "domain": ["rack"] * len(start),
            "start_s": start,
            "end_s": start + 2,
            "joules": 2 * mean,
            "mean_W": mean,
            "peak_W": mean + rng.uniform(5, 40, len(start)),
            "budget_W": np.where(start < 200, 260.0, 220.0),
        },
        "actuations": {
            "time_s": [60.0, 60.0, 120.0, 200.0, 280.0, 330.0],
            "domain": ["rack"] * 6,
            "target": ["rtx0", "orin0", "rtx0", "rtx0", "rtx0", "orin0"],
            "kind": ["clock", "clock", "clock", "watts", "clock", "brake"],
            "value": [0.7, 0.8, 1.0, 150.0, 0.6, np.nan],
            "effective_s": [61.0, 62.0, 121.0, 240.0, 281.0, np.nan],
        },
        **_faults(),
        "power_events": {"time_s": [90.0, 150.0], "name": ["rack"] * 2, "event": ["power_lost", "power_back"], "value": [0.1, 0.2]},
        "thermal": {
            "device": ["orin0"] * len(start),
            "start_s": start,
            "end_s": start + 2,
            **dict.fromkeys(("die_C", "max_die_C", "sink_C"), 40.0 + mean / 10),
            "clock_limit": np.ones(len(start)),
        },
        "sources": {
            "domain": ["rack"] * len(start),
            "start_s": start,
            "end_s": start + 2,
            "charge": 0.5 + 0.4 * np.sin(start / 60),
            "load_J": 2 * mean,
            "sun_J": 2 * mean,
            **{name: np.zeros(len(start)) for name in ("curtailed_J", "grid_J", "unmet_J", "lost_J", "stored_J")},
            "carbon_g": np.full(len(start), np.nan),
            "cost": np.full(len(start), np.nan),
        },
        "energy": {
            "domain": ["rack"] * 5,
            "owner": ["orin0", "orin0", "orin0", "orin0", "rack"],
            "part": ["idle", "static", "dynamic", "board", "supply"],
            "joules": [20e3, 5e3, 30e3, 6e3, 11e3],
        },
    }


def _faults():
    return {
        "faults": {
            "fault": ["reboots", "cuts"],
            "kind": ["crash", "link_down"],
            "target": ["orin0", "lan0"],
            "start_s": [100.0, 390.0],
            "end_s": [130.0, np.nan],
        },
        "availability": {
            "what": ["device", "link", "replica", "service"],
            "name": ["orin0", "lan0", "chat.0", "chat"],
            "up": [0.925, 0.975, 0.9, 1.0],
            "outages": [1, 1, 1, 0],
            "repair_s": [30.0, np.nan, 40.0, np.nan],
        },
    }


def _machine(rng):
    names = [f"{device}.{part}" for device in DEVICES for part in ("engine", "dram")] + [
        f"lan{index}{way}" for index in range(len(DEVICES)) for way in "><"
    ]
    names += ["wifi", "rtx0.nvme0.read"]
    kinds = ["engine", "bus"] * len(DEVICES) + ["link"] * (2 * len(DEVICES) + 1) + ["storage"]
    mean = rng.uniform(0, 0.9, len(names))
    bins = np.arange(0.0, END, 20.0)
    return {
        "resources": {
            "resource": names,
            "kind": kinds,
            "capacity": [1.0 if kind == "engine" else 1.25e8 for kind in kinds],
            "amount": mean * END * np.array([1.0 if kind == "engine" else 1.25e8 for kind in kinds]),
            "busy_s": mean * END,
            "utilisation": mean,
        },
        "usage": {
            "resource": np.repeat(np.array(names, object), len(bins)),
            "start_s": np.tile(bins, len(names)),
            "end_s": np.tile(bins + 20, len(names)),
            "utilisation": (np.repeat(mean, len(bins)) + rng.uniform(-0.1, 0.1, len(names) * len(bins))).clip(0, 1),
        },
        "memory": {
            "pool": [f"{device}.ram" for device in DEVICES[:4] for _ in range(3)],
            "allocation": ["chat.0 weights", "chat.0 KV", "total"] * 4,
            "capacity_bytes": np.repeat([64e9, 64e9, 16e9, 24e9], 3),
            "peak_bytes": [5e9, 20e9, 25e9, 5e9, 18e9, 23e9, 1e9, 0.0, 1e9, 8e9, 12e9, 20e9],
        },
    }


def _meta(seed):
    links = [
        {"name": f"lan{index}", "title": "1 GbE", "ends": [device, "switch"], "resources": [f"lan{index}>", f"lan{index}<"]}
        for index, device in enumerate(DEVICES)
    ]
    links += [
        {"name": "wifi", "title": "Wi-Fi 6", "ends": ["users", "switch"], "resources": ["wifi"]},
        {"name": "rtx0.nvme0", "title": "PCIe", "ends": ["rtx0", "rtx0.nvme0"], "resources": ["rtx0.nvme0.read"]},
    ]
    nodes = [{"name": device, "title": f"the board {device}", "kind": "device", "resources": [f"{device}.engine"]} for device in DEVICES]
    nodes += [
        {"name": "switch", "title": "switch", "kind": "switch", "resources": []},
        {"name": "users", "title": "users", "kind": "client", "resources": []},
        {"name": "rtx0.nvme0", "title": "NVMe", "kind": "storage", "resources": ["rtx0.nvme0.read"]},
    ]
    return {
        "name": "made up",
        "seed": seed,
        "scenario": {"name": "made up", "devices": {device: {"spec": "jetson_agx_orin_64gb"} for device in DEVICES}, "seed": seed},
        "given": {"name": "made up"},
        "versions": {"edgewright": "0.1.0", "python": "3.11"},
        "window": (50.0, 350.0),
        "end_s": END,
        "slo": {"chat": {"ttft_s": 2.0, "tpot_s": 0.05}},
        "thin": {"chat": 0.31},
        "overload": False,
        "clairvoyant": [],
        "topology": {"nodes": nodes, "links": links},
        "provenance": [
            {
                "subject": "jetson_agx_orin_64gb",
                "figure": "gpu.peaks.fp16",
                "value": 4.2e13,
                "unit": "FLOP/s",
                "kind": "datasheet",
                "source": "a data sheet",
            },
            {"subject": "jetson_agx_orin_64gb", "figure": "idle_W", "value": 9.1, "unit": "W", "kind": "measured", "source": "a meter"},
            {"subject": "eth_1g", "figure": "per_message", "value": None, "unit": "s", "kind": "assumed", "source": "a guess"},
        ],
        "notes": ["operations are those of the first 0.4 s"],
    }
