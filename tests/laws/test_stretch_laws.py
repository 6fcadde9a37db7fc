"""Jumping over a run of steps equals stepping through it: whatever cuts the runs, and under every kind of batch, memory and clock.

Each scenario runs twice, once with runs of steps jumped over and once with every step interpreted operation by operation. Identities,
counts and texts must be equal; floats to 1e-9 of their value. A run of steps is priced as one array and summed by `cumsum`, a step at a
time by scalars and events: the same terms rounded in another order. 60 s of steps have an ulp of 7e-15 s, and 2000 of them add up to
1e-11 s at worst; hence the absolute 1e-10 besides, for what is close to 0 (gaps, bins in which little happens).
"""

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.hwmodels import Cluster, Connection, Work
from edgewright.hwmodels.ideal import ideal_device, ideal_link
from edgewright.policies.compile import compile_plan
from edgewright.policies.plan import Compute, Mark, Transfer, seq
from edgewright.policies.pricing import demand_of
from edgewright.simulator import Scenario, Simulation
from edgewright.simulator.interpreter import Execution, Scope
from edgewright.simulator.machine import Machine
from edgewright.simulator.plan_runner import PlanRunner
from edgewright.simulator.stretch import Stretch
from edgewright.workloads import Step

REL, ABS = 1e-9, 1e-10
TABLES = ("jobs", "energy", "resources", "replicas", "memory", "power", "usage", "actuations", "queue", "faults", "availability")


def lengths(prompt=60, output=60, longest=300):
    def shape(median):
        return {"shape": "lognormal", "median": median, "sigma": 0.8, "high": longest}

    return {"lengths": "joint", "prompt": shape(prompt), "output": shape(output)}


def poisson(rate):
    return {"process": "poisson", "rate": rate}


@dataclass
class Draft:
    """A scenario that is put together: a Pi that answers questions with a small model, until something is changed."""

    rate: float = 1.0
    window: float = 10.0
    model: str = "smollm-135m"
    device: dict = field(default_factory=lambda: {"device": "rpi5_8gb"})
    service: dict = field(default_factory=dict)
    replica: dict = field(default_factory=dict)
    workload: dict = field(default_factory=dict)
    services: dict = field(default_factory=dict)
    workloads: dict = field(default_factory=dict)
    power: dict = field(default_factory=dict)
    faults: dict = field(default_factory=dict)
    drain: float = 60.0

    def built(self, seed):
        engine = {"preset": "vllm", "workspace": "0.1 GB", "max_sequences": 8}
        chat = {"model": self.model, "format": "q8_0", "engine": engine}
        replica = {"name": "only", "devices": ["pi"]} | self.replica
        questions = {"service": "chat", "entry": "user", "arrivals": poisson(self.rate), "lengths": lengths()}
        return {
            "name": "twice",
            "seed": seed,
            "run": {"window": self.window, "drain": self.drain},
            "cluster": {
                "devices": {"pi": self.device},
                "switches": ["hub"],
                "nodes": ["user"],
                "links": [
                    {"name": "lan", "link": "eth_1g", "between": ["hub", "pi"]},
                    {"name": "up", "link": "eth_1g", "between": ["user", "hub"]},
                ],
            },
            "power": self.power,
            "faults": self.faults,
            "services": {"chat": {**chat, "replicas": [replica], **self.service}, **self.services},
            "workloads": {"questions": questions | self.workload, **self.workloads},
        }


PIS = {"device": "rpi5_8gb", "count": 3}
SD = {"device": "rpi5_8gb", "storage": {"sd": "sd_uhs1_sdr104"}}
SMALL = {"kv_capacity": "8 MB"}
SWAPPING = {"preset": "vllm", "workspace": "0.1 GB", "max_sequences": 8, "preemption": "swap", "swap_to": "sd", "swap_space": "1 GB"}
EYE = {"model": "yolov8n", "format": "int8", "batching": {"policy": "static", "size": 1}, "replicas": [{"name": "eye", "devices": ["pi"]}]}
FRAMES = {"service": "eye", "entry": "user", "arrivals": poisson(1), "lengths": "one_shot", "bytes": "150 kB", "deadline": "2 s"}
OTHER = {"model": "smollm-135m", "format": "q8_0", "engine": {"preset": "vllm", "workspace": "0.1 GB"}}
OTHERS = {"service": "other", "entry": "user", "arrivals": poisson(0.3), "lengths": lengths()}
EXITS = {"policy": "early_exit", "first": "a", "second": "b", "cloud": "c", "edge": "pi0", "gateway": "pi1", "state": 1152}
ANSWERS = {"orchestration": EXITS, "outcomes": {"exit": {"outcome": "categorical", "weights": [2, 1, 2]}}}
TOWERS = {"zoo": "deit-tiny", "change": {"change": "class_split", "parts": 3, "heads": 1}}
NARROW = {**EYE, "model": TOWERS, "replicas": [{"name": "a", "devices": ["pi"], "partitioning": "branches"}]}
MOE = {"experts_routing": {"skew": 0.8, "affinity": 0.4, "persistence": 0.25}, "format": "w4a16"}
ORIN = {"device": "jetson_agx_orin_64gb", "storage": {"nvme": "nvme_gen3"}}


def piece(device, first, last):
    model = {"zoo": "smollm-135m", "change": {"change": "layers", "first": first, "last": last}}
    return {"model": model, "replicas": [{"name": "some", "devices": [device], "kv_capacity": "20 MB"}]}


LAST = {"devices": ["pi2"]}
PIECES = {"answers": ANSWERS, "a": piece("pi0", 0, 8), "b": piece("pi0", 8, 16), "c": piece("pi1", 8, 30)}


def domain(policy, budget, **actuator):
    return {"desk": {"devices": ["pi"], "budget": budget, "policy": policy, "telemetry": {"period": "0.7 s"}, "actuator": actuator}}


def parallel(algorithm):
    return {"devices": ["pi"], "partitioning": {"policy": "tensor_parallel", "algorithm": algorithm}}


RETRY = {"failure": {"policy": "retry", "stall": 0.4, "timeout": 9, "attempts": 8}, "startup": {"weights": 0.3, "engine": 0.2}}
CRASHES = {"crash": {"kind": "crash", "targets": ["pi"], "every": "0.8 s", "lasts": {"mean": 0.3, "law": "exponential"}}}
RARE = CRASHES["crash"] | {"every": "40 s"}
TROUBLES = {
    "cuts": {"kind": "link_down", "targets": ["lan"], "every": "9 s", "lasts": {"mean": 0.5, "law": "exponential"}},
    "late": {"kind": "link_slow", "targets": ["lan"], "every": "5 s", "lasts": "0.7 s", "factor": 0.3, "latency": "2 ms"},
    "hot": {"kind": "straggler", "targets": ["pi"], "every": "1 s", "lasts": "0.5 s", "factor": 0.4},
}


def any_interrupted(run):
    return run.jobs.interruptions.sum() > 1


def any_preempted(run):
    return run.jobs.preemptions.sum() > 0


def any_failed(run):
    return (run.jobs.status == "failed").any()


def any_cached(run):
    return (run.jobs.cached_tokens > 0).any()


def any_actuated(run):
    return run.actuations.effective_s.notna().any()


CASES = {
    "arrivals": (Draft(rate=2.0), lambda run: len(run.jobs) > 10),
    "slots": (Draft(service={"engine": "llama.cpp"}), lambda run: len(run.jobs) > 5),
    "blocks of one token": (Draft(service={"engine": "ideal"}), lambda run: len(run.kv) > 100),
    "preemption": (Draft(1.5, replica=SMALL), any_preempted),
    "padding, an instance each": (Draft(0.4, service={"engine": {"instances": True, "padding": True, "max_sequences": 4}}), None),
    "swapped": (
        Draft(1.5, device=SD, service={"engine": SWAPPING}, replica=SMALL),
        lambda run: (run.replicas.swapped_in_bytes > 0).any(),
    ),
    "swapped to the host": (
        Draft(9.0, 4, device={"device": "rtx4090"}, service={"engine": {**SWAPPING, "swap_to": "host"}}, replica={"kv_capacity": "6 MB"}),
        lambda run: (run.replicas.swapped_in_bytes > 0).any(),
    ),
    "rejected": (Draft(1.5, service={"engine": {**SWAPPING, "preemption": "reject"}}, replica=SMALL), any_failed),
    "shared prefixes": (Draft(1.5, replica=SMALL, workload={"prefix": {"tokens": 40, "groups": 2}}), any_cached),
    "sessions with prefixes": (
        Draft(
            replica={"kv_capacity": "12 MB"},
            workload={
                "arrivals": {"process": "sessions", "rate": 0.8, "turns": 3, "think": 1},
                "lengths": lengths(20, 20, 60),
                "prefix": {"tokens": 50, "groups": 3, "share": 0.7},
            },
        ),
        any_cached,
    ),
    "mapped weights": (
        Draft(0.3, 6, device=SD, replica={"residency": {"policy": "mmap", "replacement": "random"}, "weight_budget": "100 MB"}),
        lambda run: run.resources.amount[run.resources.resource == "pi.sd.read"].item() > 0,
    ),
    "weights in swap": (Draft(0.3, 6, device=SD, replica={"residency": "swap", "weight_budget": "100 MB"}), None),
    "exits of a decoder in pieces": (
        Draft(device=PIS, replica=LAST, services=PIECES, workloads={"others": {**OTHERS, "service": "answers"}}),
        lambda run: {"a", "b", "c"} <= set(run.jobs.service),
    ),
    "narrow models side by side": (Draft(device=PIS, replica=LAST, services={"eye": NARROW}, workloads={"f": FRAMES}), None),
    "an end within a run of steps": (Draft(drain=0), lambda run: (run.jobs.status == "in_flight").any()),
    "chunked prefill": (Draft(2.0, service={"batching": {"policy": "chunked_prefill", "budget": 64}}), lambda run: len(run.jobs) > 10),
    "static batches": (Draft(service={"batching": {"policy": "static", "size": 3, "timeout": 1}}), lambda run: len(run.jobs) > 5),
    "dynamic batches": (Draft(service={"batching": {"policy": "dynamic", "size": 3, "timeout": 1}}), lambda run: len(run.jobs) > 5),
    "sliding window": (Draft(1.5, service={"kv": {"policy": "sliding_window", "sinks": 2, "window": 30}}, replica=SMALL), None),
    "heavy hitters": (Draft(1.5, service={"kv": {"policy": "heavy_hitters", "budget": 0.3}}, replica=SMALL), None),
    "key tokens": (Draft(1.5, service={"kv": {"policy": "keyformer", "budget": 0.4}}, replica=SMALL), None),
    "compressed by halves": (Draft(1.5, service={"kv": {"policy": "scissorhands", "tokens": 24, "history": 8}}, replica=SMALL), None),
    "persistent positions": (Draft(1.5, service={"kv": {"policy": "tidaldecode", "tokens": 30}}, replica=SMALL), any_preempted),
    "pages": (Draft(1.5, service={"kv": {"policy": "quest", "tokens": 30, "page": 4}}), None),
    "cut prompts": (Draft(1.5, service={"kv": {"policy": "snapkv", "tokens": 40}}, replica=SMALL), None),
    "filtered prompts": (
        Draft(
            1.5,
            service={"kv": {"policy": "gemfilter", "tokens": 40}, "engine": {"preset": "vllm", "max_tokens": 48, "workspace": "0.1 GB"}},
            replica=SMALL,
        ),
        None,
    ),
    "copied caches": (
        Draft(1.0, service={"kv": {"policy": "gemfilter", "tokens": 40}, "engine": {"preset": "transformers", "cache_copies": 2}}),
        None,
    ),
    "quantised": (Draft(1.5, service={"kv": "quantised"}, replica={"kv_capacity": "3 MB"}), any_preempted),
    "offloaded": (Draft(0.5, device=SD, service={"kv": {"policy": "offload", "resident": 40}}), None),
    "two offloaded": (
        Draft(
            0.3,
            device=SD,
            service={"kv": {"policy": "offload", "resident": 40}},
            services={"other": {**OTHER, "kv": {"policy": "offload", "resident": 40}, "replicas": [{"name": "too", "devices": ["pi"]}]}},
            workloads={"others": OTHERS},
        ),
        None,
    ),
    "a camera on the same engine": (
        Draft(services={"eye": EYE}, workloads={"frames": FRAMES}),
        lambda run: (run.jobs.service == "eye").any(),
    ),
    "thresholds": (Draft(power=domain("two_thresholds", "7 W", delay="0.33 s")), any_actuated),
    "a late cap": (Draft(power=domain("static_cap", "6 W", delay="3.3 s")), any_actuated),
    "windows": (Draft(0.2, 20, "gemma-3-1b", service={"format": "q4_0"}, workload={"lengths": lengths(600, 40, 900)}), None),
    "sessions": (
        Draft(
            replica={"kv_capacity": "12 MB"},
            workload={"arrivals": {"process": "sessions", "rate": 0.8, "turns": 3, "think": 1}, "lengths": lengths(20, 20, 60)},
        ),
        lambda run: run.replicas.evictions.sum() > 0 and (run.jobs.cached_tokens > 0).any(),
    ),
    "a closed loop": (Draft(workload={"arrivals": {"process": "closed", "users": 3, "think": 1}}), None),
    "experts": (
        Draft(0.5, 6, "olmoe-1b-7b", ORIN, MOE, {"experts": {"policy": "on_demand", "slots": 24}}),
        lambda run: run.replicas.expert_misses.sum() > 0,
    ),
    "a star": (Draft(1.0, 4, device=PIS, replica=parallel("star")), None),
    "a ring": (Draft(3.0, 2, device=PIS, replica=parallel("ring")), None),
    "a ring with foreign flows": (
        Draft(
            3.0,
            3,
            device=PIS,
            replica=parallel("ring"),
            services={"eye": {**EYE, "replicas": [{"name": "eye", "devices": ["pi0"]}]}},
            workloads={"frames": {**FRAMES, "arrivals": poisson(2), "bytes": "20 MB"}},
        ),
        None,
    ),
    "a star and a stranger": (
        Draft(
            1.0,
            3,
            device=PIS,
            replica=parallel("star"),
            services={"other": {**OTHER, "replicas": [{"name": "too", "devices": ["pi1"]}]}},
            workloads={"others": OTHERS},
        ),
        None,
    ),
    "crashes": (Draft(2.0, service=RETRY, faults=CRASHES), any_interrupted),
    "crashes of a bounded cache that resumes": (
        Draft(1.5, replica=SMALL, service=RETRY | {"failure": {"policy": "resume", "pause": 0.2}}, faults=CRASHES),
        any_interrupted,
    ),
    "stragglers": (Draft(2.0, faults={"hot": TROUBLES["hot"]}), lambda run: len(run.frame("faults")) > 3),
    "experts under crashes": (
        Draft(0.5, 6, "olmoe-1b-7b", ORIN, {**MOE, **RETRY}, {"experts": {"policy": "on_demand", "slots": 24}}, faults=CRASHES),
        any_interrupted,
    ),
    "a star in trouble": (
        Draft(1.0, 6, device=PIS, replica=parallel("star"), service=RETRY, faults=TROUBLES | {"crash": RARE}),
        any_interrupted,
    ),
    "a star under a cap": (
        Draft(1.0, 3, device=PIS, replica=parallel("star"), power=domain("two_thresholds", "12 W", delay="0.1 s")),
        None,
    ),
}


@dataclass
class Ran:
    simulation: Simulation
    result: object


@pytest.fixture
def both_ways(monkeypatch):
    """`both_ways(tables) -> (jumped, stepped)`: the same scenario with runs of steps jumped over, and without."""

    def run(tables):
        simulation = Simulation(Scenario.of(deepcopy(tables)))
        while not simulation.drained and simulation.now < simulation.end:
            simulation.run_until(simulation.now + simulation.end / 50)
        return Ran(simulation, simulation.result())

    def both(tables):
        jumped = run(tables)
        with monkeypatch.context() as patch:
            patch.setattr("edgewright.simulator.replica.can_stretch", lambda strand: False)
            return jumped, run(tables)

    return both


def same(a, b):
    return np.allclose(a, b, rtol=REL, atol=ABS, equal_nan=True)


def require_same_frames(a, b, name):
    assert len(a) == len(b), name
    for column in a.columns:
        if a[column].dtype.kind == "f":
            assert same(a[column], b[column]), f"{name}.{column}"
        else:
            assert a[column].tolist() == b[column].tolist(), f"{name}.{column}"


def merged(steps):
    """Rows of steps with rows of like decode steps that follow each other made one."""
    rows, last = [], {}
    for row in steps.to_dict("records"):
        before = last.get(row["replica"])
        decoding = before is not None and row["prefill_tokens"] == before["prefill_tokens"] == 0 and row["decode"] == before["decode"]
        if decoding and abs(row["start_s"] - before["end_s"]) < ABS:
            before.update({name: row[name] for name in ("end_s", "context_tokens", "kv_blocks")})
            before.update({name: before[name] + row[name] for name in ("iterations", "output_tokens")})
        else:
            last[row["replica"]] = row
            rows.append(row)
    return sorted(rows, key=lambda row: (row["replica"], row["start_s"]))


def kv_over_time(result):
    """Block-seconds of KV memory by replica."""
    found = {}
    for name, rows in result.kv.groupby("replica"):
        assert rows.time_s.is_monotonic_increasing
        found[name] = float((np.diff(np.append(rows.time_s, result.meta["end_s"])) * rows.blocks).sum())
    return found


def token_gaps(result):
    return np.sort(np.repeat(result.itl.gap_s, result.itl.tokens))


def traffic(simulation):
    return {name: (each.sent, each.received, each.cancelled) for name, each in simulation.machine.traffic.items()}


@pytest.mark.parametrize(("draft", "covered"), CASES.values(), ids=CASES)
def test_jumping_equals_stepping(both_ways, draft, covered):
    jumped, stepped = both_ways(draft.built(seed=2))
    for name in TABLES:
        require_same_frames(jumped.result.frame(name), stepped.result.frame(name), name)
    runs, steps = merged(jumped.result.steps), merged(stepped.result.steps)
    assert [{k: pytest.approx(v, rel=REL) if isinstance(v, float) else v for k, v in row.items()} for row in runs] == steps
    gaps = token_gaps(jumped.result), token_gaps(stepped.result)
    assert len(gaps[0]) == len(gaps[1])
    assert same(*gaps)
    assert traffic(jumped.simulation) == {link: pytest.approx(sums, rel=REL) for link, sums in traffic(stepped.simulation).items()}
    assert kv_over_time(jumped.result) == pytest.approx(kv_over_time(stepped.result), rel=REL)
    assert len(jumped.result.steps) < stepped.result.steps.iterations.sum()
    assert covered is None or covered(jumped.result)


PAIR = Cluster(
    {name: ideal_device(10.0, 100.0, busy_W=3.0, joules_per_flop=0.5) for name in "ab"},
    (),
    (Connection("ab", ("a", "b"), ideal_link(10.0, 0.3)),),
)
seconds = st.floats(0.1, 10.0)


@dataclass(frozen=True)
class Ramp:
    """Work that grows with what the step attends to: unlike in every iteration."""

    base: float

    def __call__(self, step):
        return Work.of("gemm", "fp32", 10.0 * (self.base + 0.01 * step.full.context))


def decode(counts):
    return Step(decode=1, emits=1, full=Step().full._replace(context=counts))


def chain(times):
    """A plan that ends with a transfer, so that its last bytes arrive when the step ends."""
    first, second, third = times
    return seq(
        Compute("a", Ramp(first)), Transfer("a", "b", 10.0 * second), Compute("b", Ramp(third)), Transfer("b", "a", 10.0 * second), Mark()
    )


def accounts(machine):
    machine.settle()
    joules = {"/".join(key): value for key, value in machine.joules().items()}
    resources = {f"{name} moved": r.moved for name, r in machine.resources.items()} | {
        f"{n} busy": r.busy_s for n, r in machine.resources.items()
    }
    sent = {f"{name} sent": each.sent for name, each in machine.traffic.items()}
    return joules | resources | sent | {f"{name} busy": engine.busy_s for name, engine in machine.engines.items()}


def run_stretch(plan, steps, start, looks, disturbances):
    """A stretch of so many steps from `start` on; accounts at the looks and at the end, and when its steps ended."""
    machine = Machine(PAIR)
    (strand,) = compile_plan(plan).strands
    runner = PlanRunner(Scope(machine, "alone"), compile_plan(plan))
    ends, seen = [], []

    def go_on():
        done = len(ends)
        if done < steps:
            contexts = np.arange(done, steps, dtype=float)
            stretch = Stretch(runner, strand, decode(contexts), steps - done, over, one_more, lambda _, k: decode(float(done + k)))
            if stretch.possible():
                stretch.begin()
            else:
                runner.step(decode(float(done)), one_more)

    def over(stretch, whole, partial):
        ends.extend(map(float, stretch.ends[:whole]))
        if not partial:
            go_on()

    def one_more():
        ends.append(float(machine.env.now))
        go_on()

    _observe(machine, looks, disturbances, seen)
    machine.at(start, go_on)
    machine.env.run()
    return ends, seen, accounts(machine)


def run_steps(plan, steps, start, looks, disturbances):
    """The same, each step interpreted."""
    machine = Machine(PAIR)
    runner = PlanRunner(Scope(machine, "alone"), compile_plan(plan))
    ends, seen = [], []

    def token():
        ends.append(float(machine.env.now))
        if len(ends) < steps:
            runner.step(decode(float(len(ends))), token)

    _observe(machine, looks, disturbances, seen)
    machine.at(start, lambda: runner.step(decode(0.0), token))
    machine.env.run()
    return ends, seen, accounts(machine)


def _observe(machine, looks, disturbances, seen):
    for time in looks:
        machine.at(time, lambda: seen.append(accounts(machine)))
    for time, clock in disturbances:
        if clock is None:
            rival = Transfer("a", "b", 7.0)
            machine.at(time, lambda rival=rival: machine.run(lambda: demand_of(rival, PAIR, Step(), machine.clocks), lambda _: None))
        else:
            machine.at(time, lambda clock=clock: machine.set_clock("a.cpu", clock))


@settings(max_examples=60)
@given(
    st.tuples(seconds, seconds, seconds),
    st.integers(1, 12),
    st.floats(0.0, 1000.0),
    st.lists(st.floats(0.0, 1200.0), max_size=3),
    st.lists(st.tuples(st.floats(0.0, 1200.0), st.sampled_from([None, 0.5, 1.0])), max_size=4),
)
def test_a_stretch_equals_its_steps_at_any_moment(times, steps, start, looks, disturbances):
    """Ends of steps, and every account whenever somebody looks; rivals on a link and changes of clock come at any time.

    Bytes sent are whole messages, so a look within a rounding of a message's end may see it or not: looks there are not compared.
    """
    plan = chain(times)
    jumped, stepped = run_stretch(plan, steps, start, looks, disturbances), run_steps(plan, steps, start, looks, disturbances)
    assert jumped[0] == pytest.approx(stepped[0], rel=REL)
    assert jumped[2] == pytest.approx(stepped[2], rel=REL, abs=1e-7)
    for seen, expected in zip(jumped[1], stepped[1], strict=True):
        smooth = {name for name in expected if not name.endswith("sent")}
        assert {name: seen.get(name, 0.0) for name in smooth} == pytest.approx({name: expected[name] for name in smooth}, rel=REL, abs=1e-7)


def test_an_iteration_that_is_handed_over_at_its_end_still_ends():
    """A cut within a rounding of a step's end leaves nothing to run: its token comes all the same."""
    (strand,) = compile_plan(chain((1.0, 1.0, 1.0))).strands
    tokens = []
    execution = Execution(Scope(Machine(PAIR), "alone"), strand, decode(0.0), lambda: tokens.append("token"))
    nodes = len(strand.ops)
    execution.resume([0.0] * nodes, [4.0] * nodes, [0.0] * nodes, 4.0)
    assert tokens == ["token"]
