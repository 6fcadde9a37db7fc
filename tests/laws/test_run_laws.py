"""Laws of whole runs: Little's law, jobs in = jobs out, energy = the integral of power = the sum of its parts, bytes, capacities.

Fifteen small scenarios, drawn by seed, mix what there is: paged language models that preempt, fail and reject, conversations,
tensor parallelism, experts on demand, weights that stream, cameras, cascades and speculation, nested power domains with a controller.

Tolerance: every figure here is a sum of at most some 1e5 positive terms, so its relative rounding is below 1e5 * 1e-16 = 1e-11; times
are differences at clocks of up to 1e3 s, which adds 1e-13 s each. `REL` leaves a margin of a hundred to that.
"""

from collections import Counter
from functools import cache, partial
from itertools import count, pairwise
from random import Random

import numpy as np
import pytest

from edgewright.hwmodels import engine_static_W
from edgewright.simulator import InvariantViolation, Scenario, Simulation, components, machine, simulate
from edgewright.simulator.blocks import BlockPool
from edgewright.simulator.energy import Account
from edgewright.simulator.engines import MemoryPool
from edgewright.simulator.power_domain import Domain
from edgewright.simulator.replica import Replica
from edgewright.simulator.request import Request

REL = 1e-9
SEEDS = range(15)
DEVICES = {
    "gpu": {"device": "rtx4090", "count": 2},
    "orin": {"device": "jetson_agx_orin_64gb", "storage": {"ssd": "nvme_gen3"}},
    "pi": {"device": "rpi5_8gb", "count": 2, "storage": {"sd": "sd_uhs1_sdr104"}},
}


def lengths(prompt, output):
    """Uniform prompts and outputs from 1 to these."""
    return {"lengths": "joint"} | {
        name: {"shape": "uniform", "low": 1, "high": most} for name, most in (("prompt", prompt), ("output", output))
    }


def poisson(rate):
    return {"process": "poisson", "rate": rate}


def drawn(seed):
    """A scenario: which services, how busy, under which policies. Odd seeds: jobs enter at a node; even ones: at the replica itself."""
    pick = Random(seed)
    entry = "users" if seed % 2 else None
    offered = {name: make(pick, entry) for name, make in PARTS.items()}
    chosen = {name: offered[name] for name in ("chat", *pick.sample(sorted(set(offered) - {"chat"}), 3))}
    services = {name: service for parts, _ in chosen.values() for name, service in parts.items()}
    workloads = {name: workload for _, parts in chosen.values() for name, workload in parts.items()}
    links = [{"name": f"to-{name}", "link": "eth_1g", "between": ["lan", name]} for name in DEVICES]
    wire = {"name": "wire", "bandwidth": "100 Mbit/s", "latency": "1 ms", "between": ["users", "lan"]}
    return Scenario.of(
        {
            "name": "drawn",
            "seed": seed,
            "run": {"warmup": 2, "window": 18, "drain": "1 h"},
            "record": {"period": 3, "operations": 20},
            "cluster": {"devices": DEVICES, "switches": ["lan"], "nodes": ["users"], "links": [*links, wire]},
            "power": powered(pick),
            "services": services,
            "workloads": workloads,
        }
    )


def powered(pick):
    """No domain; or two, one in the other, perhaps under a budget that must be held by slowing clocks."""
    held = {"budget": "500 W", "policy": "two_thresholds", "telemetry": {"period": 1, "noise": 0.01}, "actuator": {"delay": 0.5}}
    rack = {"devices": ["gpu", "orin"], "parent": "room", "supply_efficiency": 0.92} | (held if pick.random() < 0.5 else {})
    return {"room": {"devices": ["pi0"], "overhead": "12 W", "supply_efficiency": 0.9}, "rack": rack} if pick.random() < 0.7 else {}


def _only(**replica):
    return [{"name": "only", **replica}]


def _chat(pick, entry):
    """A cache of 600 to 1500 tokens of 32 KiB: some prompts cannot be held, some answers outgrow it, some are preempted."""
    kv = pick.choice(["full", {"policy": "sliding_window", "sinks": 4, "window": 252}, {"policy": "quantised", "bits": 4.5}])
    batching = pick.choice(["continuous", {"policy": "chunked_prefill", "budget": 128}, {"policy": "static", "size": 4, "timeout": 1}])
    replicas = _only(each="gpu", kv_capacity=f"{pick.randint(20, 50)} MB")
    routing = pick.choice(["first_fit", "least_loaded", "predicted_latency", "energy_slo"])
    service = {"model": "llama-3.2-1b", "format": "fp16", "engine": "vllm", "batching": batching, "kv": kv, "routing": routing}
    talk = {"process": "sessions", "rate": 1, "turns": 3, "think": 0.5}
    return {"chat": service | {"replicas": replicas}}, {
        "questions": {"service": "chat", "entry": entry, "arrivals": poisson(pick.choice([5, 15])), "lengths": lengths(900, 150)},
        "talk": {"service": "chat", "arrivals": talk, "lengths": lengths(60, 30)},
    }


def _shards(pick, entry):
    split = {"policy": "tensor_parallel", "algorithm": pick.choice(["star", "ring"])}
    service = SMALL | {"engine": "llama.cpp", "replicas": _only(devices=["pi"], partitioning=split)}
    return {"shards": service}, {"commands": {"service": "shards", "arrivals": poisson(0.3), "lengths": lengths(30, 10)}}


def _streaming(pick, entry):
    window = {"policy": "streaming_window", "window": pick.randint(2, 4), "always": True}
    service = SMALL | {"replicas": _only(devices=["pi0"], residency=window)}
    return {"stream": service}, {"rare": {"service": "stream", "arrivals": poisson(0.1), "lengths": lengths(8, 4)}}


def _experts(pick, entry):
    replicas = _only(devices=["orin"], experts={"policy": "on_demand", "slots": 8})
    service = {"model": "olmoe-1b-7b", "format": "w4a16", "engine": {"preset": "vllm", "max_sequences": 4}, "replicas": replicas}
    return {"experts": service}, {"asks": {"service": "experts", "arrivals": poisson(0.3), "lengths": lengths(20, 10)}}


def _camera(pick, entry):
    batching = pick.choice([{"policy": "dynamic", "size": 4, "timeout": 0.02}, {"policy": "static", "size": 1}])
    service = {"model": "mobilenet-v2", "format": "int8", "batching": batching, "replicas": _only(devices=["pi1"])}
    frames = {"service": "eye", "entry": entry, "bytes": "100 kB", "arrivals": {"process": "periodic", "period": 0.1}}
    return {"eye": service}, {"frames": frames}


def _calls(pick, entry):
    confidence, accepted = {"outcome": "bernoulli", "chance": 0.6}, {"outcome": "acceptance", "rate": 0.7, "drafted": 4}
    return {
        "small": SMALL | {"replicas": _only(devices=["orin"])},
        "cascade": {"orchestration": {"policy": "cascade", "small": "small", "big": "chat"}, "outcomes": {"confidence": confidence}},
        "drafts": {"orchestration": {"policy": "speculative", "draft": "small", "target": "chat"}, "outcomes": {"accepted": accepted}},
    }, {
        "unsure": {"service": "cascade", "arrivals": poisson(1), "lengths": lengths(60, 20)},
        "drafted": {"service": "drafts", "arrivals": poisson(0.5), "lengths": lengths(60, 20)},
    }


SMALL = {"model": "pythia-160m", "format": "q8_0"}
PARTS = {"chat": _chat, "shards": _shards, "streaming": _streaming, "experts": _experts, "camera": _camera, "calls": _calls}
"""By name: `(pick, entry) -> (services, workloads)`."""


class Watched:
    """A run and what a bystander counted: the integral of the jobs inside that enter and leave at their replicas, from signals."""

    def __init__(self, scenario):
        self.simulation = Simulation(scenario)
        self.inside = self.since = self.integral = 0.0
        self.outside = {name for name, table in scenario.workloads.items() if table.entry}
        signals = self.simulation.machine.signals
        signals.submitted.subscribe(partial(self._count, 1))
        signals.finished.subscribe(partial(self._count, -1))
        self.asked = {}
        signals.submitted.subscribe(lambda each: each.caller is None and self.asked.update({each.id: each.job.output}))
        for part in range(1, 101):
            self.simulation.run_until(self.simulation.end * part / 100)
            if self.simulation.drained:
                break
        self.result = self.simulation.result()
        self.tables = self.result.tables
        self.end = self.result.meta["end_s"]
        self.integral += self.inside * (self.end - self.since)

    def _count(self, change, request):
        if request.caller is not None or request.job.source in self.outside:
            return
        self.integral += self.inside * (self.simulation.now - self.since)
        self.inside, self.since = self.inside + change, self.simulation.now


@cache
def run_of(seed):
    return Watched(drawn(seed))


@pytest.fixture(params=SEEDS)
def watched(request):
    """Each of the runs, which nobody changes."""
    return run_of(request.param)


def jobs_of(watched, mask):
    """Columns of some jobs, and `ended`: when they were over, the end of the run for those that were not."""
    jobs = {name: column[mask] for name, column in watched.tables["jobs"].items()}
    return jobs | {"ended": np.where(np.isnan(jobs["finished_s"]), watched.end, jobs["finished_s"])}


# -- jobs --------------------------------------------------------------------------------------------------------------------------------


def test_the_integral_of_jobs_inside_is_the_sum_of_their_times(watched):
    """Little's law over a whole run. (Where jobs enter elsewhere, the table adds the answer's way back, which no bystander sees.)"""
    sources = watched.tables["jobs"]["source"]
    jobs = jobs_of(watched, np.array([not source.startswith("call.") and source not in watched.outside for source in sources]))
    assert watched.integral == pytest.approx((jobs["ended"] - jobs["arrival_s"]).sum(), rel=REL)


def test_the_integral_of_each_queue_is_the_sum_of_the_times_in_it(watched):
    """The same for every replica, from the table of queues: waiting, and waiting and running together."""
    for name in watched.simulation.replicas:
        jobs = jobs_of(watched, watched.tables["jobs"]["replica"] == name)
        if watched.outside & set(jobs["source"]):
            continue
        assert integral(watched, name, "waiting", "running") == pytest.approx((jobs["ended"] - jobs["queued_s"]).sum(), rel=REL, abs=REL)
        if not jobs["preemptions"].any() and not np.isnan(jobs["scheduled_s"]).any():
            assert integral(watched, name, "waiting") == pytest.approx(jobs["queue_s"].sum(), rel=REL, abs=REL)


def integral(watched, replica, *columns):
    queue = watched.tables["queue"]
    mine = queue["replica"] == replica
    level = sum(queue[column][mine] for column in columns)
    return float((level * np.diff(np.append(queue["time_s"][mine], watched.end))).sum())


def test_jobs_in_are_jobs_out(watched):
    """Every job is there once and is over; those of open sources are the ones that the source draws by itself, no more and no fewer."""
    jobs = watched.tables["jobs"]
    assert len(set(jobs["job"])) == len(jobs["job"])
    assert set(jobs["status"]) <= {"completed", "rejected", "failed"}
    for name, process in watched.simulation.sources.items():
        if process.source.name == "talk":
            continue
        drawn_jobs = process.source.jobs(process.stream, 0.0, 20.0, count())
        assert sorted(jobs["arrival_s"][jobs["source"] == name]) == [job.arrival for job in drawn_jobs]


def test_what_is_completed_is_whole(watched):
    """Answers have the length that was drawn, and times are in order."""
    jobs = jobs_of(watched, watched.tables["jobs"]["status"] == "completed")
    for earlier, later in pairwise(("arrival_s", "queued_s", "scheduled_s", "first_token_s", "finished_s")):
        assert not (jobs[earlier] > jobs[later] + 1e-9).any()
    assert all(tokens == watched.asked.get(job, tokens) for job, tokens in zip(jobs["job"], jobs["output_tokens"], strict=True))


def test_tokens_of_steps_are_tokens_of_jobs(watched):
    """Every token that a replica's steps yielded is some job's there."""
    steps, jobs = watched.tables["steps"], watched.tables["jobs"]
    for name, replica in watched.simulation.replicas.items():
        if replica.model.generates:
            assert steps["output_tokens"][steps["replica"] == name].sum() == jobs["output_tokens"][jobs["replica"] == name].sum()


# -- energy ------------------------------------------------------------------------------------------------------------------------------


def test_energy_is_the_integral_of_power_and_the_sum_of_parts(watched):
    """Parts: without the domains behind. Power: at the plug, with them."""
    energy, power = watched.tables["energy"], watched.tables["power"]
    for name, domain in watched.simulation.domains.items():
        mine = power["domain"] == name
        assert energy["joules"][energy["domain"] == name].sum() == pytest.approx(power["joules"][mine].sum(), rel=REL)
        assert domain.joules() == pytest.approx((power["mean_W"] * (power["end_s"] - power["start_s"]))[mine].sum(), rel=REL)
    assert (power["peak_W"] >= power["mean_W"] * (1 - REL)).all()
    plugs = sum(domain.joules() for name, domain in watched.simulation.domains.items() if name != "rack")
    assert plugs == pytest.approx(energy["joules"].sum(), rel=REL)


def test_parts_of_energy_follow_from_the_specifications(watched):
    """Idle: watts times the length of the run. Static: watts times busy seconds, where no clock changes. Supply: what efficiency says."""
    slowed = set(watched.tables["actuations"]["target"])
    for name, device in watched.simulation.machine.cluster.devices.items():
        assert joules(watched, name, "idle") == pytest.approx(device.idle_W * watched.end, rel=REL)
        if name not in slowed:
            busy = {engine: watched.simulation.machine.engines[f"{name}.{engine}"].busy_s for engine in device.engines}
            static = sum(engine_static_W(device.engines[engine]) * seconds for engine, seconds in busy.items())
            assert sum(joules(watched, f"{name}.{engine}", "static") for engine in device.engines) == pytest.approx(static, rel=REL)
        stores = [f"{each.device}.{each.name}" for each in watched.simulation.machine.cluster.attachments if each.device == name]
        parts = [f"{name}.{each}" for each in (*device.engines, *device.buses)]
        behind = sum(joules(watched, owner, part) for owner in (name, *parts, *stores) for part in ("idle", "static", "dynamic", "board"))
        assert joules(watched, name, "supply") == pytest.approx(behind * (1 / device.supply_efficiency - 1), rel=REL)


def joules(watched, owner, part):
    energy = watched.tables["energy"]
    return energy["joules"][(energy["owner"] == owner) & (energy["part"] == part)].sum()


# -- bytes and capacities ----------------------------------------------------------------------------------------------------------------


def test_the_wire_carries_every_question_and_every_answer(watched):
    """To the site: 4 B per prompt token of what was not rejected, 100 kB per frame. Back: 4 B per token of whole answers, and results."""
    up = down = 0.0
    for name in watched.outside:
        jobs = jobs_of(watched, watched.tables["jobs"]["source"] == name)
        source = watched.simulation.sources[name].source
        sent, done = jobs["status"] != "rejected", jobs["status"] == "completed"
        up += 100e3 * sent.sum() if source.kind == "infer" else 4.0 * jobs["prompt_tokens"][sent].sum()
        down += source.egress_bytes_per_token * done.sum() if source.kind == "infer" else 4.0 * jobs["output_tokens"][done].sum()
    traffic = watched.simulation.machine.traffic
    found = [traffic[name].sent if name in traffic else 0.0 for name in ("wire>", "wire<")]
    assert found == pytest.approx([up, down], rel=REL)


def test_nothing_is_above_its_capacity(watched):
    tables = watched.tables
    assert (tables["kv"]["blocks"] <= tables["kv"]["capacity_blocks"]).all()
    assert (tables["memory"]["peak_bytes"] <= tables["memory"]["capacity_bytes"]).all()
    assert (tables["usage"]["utilisation"] <= 1 + REL).all()
    assert (tables["resources"]["busy_s"] <= watched.end * (1 + REL)).all()
    assert {replica.kv.used for replica in watched.simulation.replicas.values() if replica.kv is not None} == {0}  # all is over
    assert (tables["resources"]["amount"] <= tables["resources"]["capacity"] * tables["resources"]["busy_s"] * (1 + REL)).all()


def test_the_scenarios_cover_what_they_are_for():
    """Laws that hold because nothing happens are no laws: over all runs there are failures of every kind, and every service works."""
    together = list(map(run_of, SEEDS))
    jobs = Counter(status for each in together for status in each.tables["jobs"]["status"])
    assert jobs["completed"] > 1000
    assert min(jobs["rejected"], jobs["failed"]) > 10
    assert sum(each.tables["jobs"]["preemptions"].sum() for each in together) > 10
    assert any(len(each.tables["actuations"]["target"]) for each in together)
    assert {name for each in together for name in each.simulation.services} >= {"chat", "shards", "stream", "experts", "eye", "small"}
    assert any((each.tables["jobs"]["cached_tokens"] > 0).any() for each in together)


# -- a run that breaks a law is stopped --------------------------------------------------------------------------------------------------


def broken():
    """All that a defect can touch: frames of 1 MB share a wire, weights stream, a chat with a cache, a domain with a lossy supply."""
    scenario = drawn(5).tables()
    frames = {"service": "eye", "entry": "users", "bytes": 1e6, "arrivals": {"process": "periodic", "period": 0.2}}
    twice = {"frames": frames, "more": frames | {"arrivals": {"process": "periodic", "period": 0.2, "offset": 0.03}}}
    return Scenario.of(
        scenario | {"power": {"room": {"devices": ["pi0"], "supply_efficiency": 0.9}}, "workloads": scenario["workloads"] | twice}
    )


def _never_received(self, bound, share):
    for traffic, amount in bound.traffic:
        traffic.sent += amount
    self._accounted(bound, share)


def _too_fast(activities, fair=components.fair_rates):
    return {each: 2.0 * rate for each, rate in fair(activities).items()}


def _blocks_leak(self, request, retain, release=BlockPool.release):
    used = self.used
    release(self, request, retain)
    self.used = used


def _jobs_vanish(self, request, first=False, enqueue=Replica.enqueue):
    enqueue(self, request, first)
    if request.id % 50 == 7 and request in self.waiting:
        self.waiting.remove(request)


def _jobs_end_oddly(self, status, now, reason="", end=Request.end):
    end(self, "lost" if self.id == 9 else status, now, reason)


def _supplies_lose_unseen(self, rows=Domain.energy_rows):
    return [row for row in rows(self) if row[1] != "supply"]


def _energy_comes_back(self, joules, put=Account.put):
    put(self, -1e6 * joules)


def _pools_overflow(self):
    while self.waiting:
        amount, granted, _ = self.waiting.popleft()
        self.level += amount
        granted()


BREAKS = {
    "bytes that never arrive": (machine.Machine, "delivered", _never_received, "were received or cancelled"),
    "operations that hide what they moved": (machine.Machine, "_accounted", lambda *_: None, "operations account for"),
    "a wire that is too fast": (components, "fair_rates", _too_fast, r"carries .* per second|moved .* could have moved"),
    "blocks that are not given back": (BlockPool, "release", _blocks_leak, "KV blocks held"),
    "jobs that vanish": (Replica, "enqueue", _jobs_vanish, "are in flight, but nowhere"),
    "jobs that end oddly": (Request, "end", _jobs_end_oddly, "neither in flight nor over"),
    "supplies that lose unseen": (Domain, "energy_rows", _supplies_lose_unseen, "plugs drew"),
    "work that gives energy back": (Account, "put", _energy_comes_back, "energy is negative"),
    "a pool without bounds": (MemoryPool, "_grant", _pools_overflow, "pool .* holds"),
}
"""What is replaced by what, and what the run must complain of."""


def test_the_run_to_be_broken_is_whole():
    assert set(simulate(broken()).tables["jobs"]["status"]) == {"completed"}


@pytest.mark.parametrize(("owner", "name", "defect", "complaint"), BREAKS.values(), ids=BREAKS)
def test_a_defect_stops_the_run(monkeypatch, owner, name, defect, complaint):
    """The run says when and what. It is stopped where the invariants are looked at next, a hundredth of the run later at most."""
    simulation = Simulation(broken())
    monkeypatch.setattr(owner, name, defect)
    with pytest.raises(InvariantViolation, match=rf"^at [0-9.e+]+ s: .*({complaint})"):
        for_a_while(simulation)


def for_a_while(simulation):
    for part in range(1, 101):
        simulation.run_until(simulation.end * part / 2000)


def test_nothing_happens_in_the_past():
    with pytest.raises(ValueError, match=r"[Nn]egative delay"):
        Simulation(broken()).machine.at(-1.0, lambda: None)
