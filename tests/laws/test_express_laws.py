"""Running express equals stepping: whatever the load, the memory and the engine, the tables are those of the general path.

Identities, counts and texts are equal; floats to 1e-9 of their value (both add the same terms, rounded in another order; times of a run of
minutes have an ulp of 1e-14 s, and thousands of steps add up to the absolute 1e-10).
"""

from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.simulator import Scenario, Simulation, simulate
from edgewright.simulator.express_tokens import TokenExpress

pytestmark = pytest.mark.usefixtures("express_pays")


def lengths(prompt, output):
    def shape(median):
        return {"shape": "lognormal", "median": median, "sigma": 0.9, "high": 400}

    return {"lengths": "joint", "prompt": shape(prompt), "output": shape(output)}


PAGED = {"preset": "vllm", "workspace": "0.1 GB", "max_sequences": 8}


def board(rate=2.0, window=20.0, seed=1, engine=None, replica=None, workload=None, device="rpi5_8gb", service=None, batching="continuous"):
    """One board that answers questions, nobody else on it."""
    engine = PAGED if engine is None else engine
    return {
        "name": "alone",
        "seed": seed,
        "run": {"warmup": window / 10, "window": window, "drain": 30},
        "cluster": {"devices": {"pi": {"device": device}}},
        "power": {"desk": {"devices": ["pi"], "supply_efficiency": 0.9}},
        "services": {
            "chat": {
                "model": "smollm-135m",
                "format": "q8_0",
                "engine": engine,
                "batching": batching,
                "replicas": [{"name": "only", "devices": ["pi"], **(replica or {})}],
                **(service or {}),
            }
        },
        "workloads": {
            "questions": {
                "service": "chat",
                "arrivals": {"process": "poisson", "rate": rate},
                "lengths": lengths(60, 40),
                **(workload or {}),
            }
        },
    }


def work(rate, medians=(60, 40), **more):
    return {"service": "chat", "arrivals": {"process": "poisson", "rate": rate}, "lengths": lengths(*medians), **more}


WORKLOADS = (
    ("long", 0.3, {"medians": (200, 90), "thin": 0.8}),
    ("short", 2.0, {"medians": (20, 5)}),
    ("urgent", 0.5, {"deadline": "2 s", "priority": 4}),
)


def failed(result):
    return (result.jobs.status == "failed").any()


def preempted(result):
    return result.jobs.preemptions.max() > 1


CASES = {
    "light": (board(0.5), None),
    "overloaded": (board(6.0), lambda result: result.steps.waiting.max() > 5),
    "preemptions": (board(3.0, replica={"kv_capacity": "6 MB"}), preempted),
    "rejections": (
        board(3.0, engine={"preset": "vllm", "preemption": "reject", "workspace": "0.1 GB"}, replica={"kv_capacity": "5 MB"}),
        failed,
    ),
    "a cache that prompts outgrow": (
        board(3.0, replica={"kv_capacity": "3 MB"}),
        lambda result: (result.jobs.status == "rejected").any() and failed(result),
    ),
    "blocks of one token": (board(2.0, engine="ideal", replica={"kv_capacity": "9 MB"}), preempted),
    "a watermark": (
        board(3.0, engine={"preset": "vllm", "watermark": 0.2, "workspace": "0.1 GB"}, replica={"kv_capacity": "8 MB"}),
        lambda result: result.steps.waiting.max() > 0,
    ),
    "few tokens per step": (board(3.0, engine={"preset": "vllm", "max_tokens": 100, "workspace": "0.1 GB"}), None),
    "host time per sequence": (board(3.0, engine={"preset": "vllm", "sequence_overhead": "3 ms", "workspace": "0.1 GB"}), None),
    "one at a time": (board(1.0, engine={"preset": "vllm", "max_sequences": 1, "workspace": "0.1 GB"}), None),
    "bursts, thinned, with deadlines": (
        board(workload={"arrivals": {"process": "gamma", "rate": 4, "cv": 3}, "thin": "50 %", "deadline": "4 s", "priority": 2}),
        lambda result: result.jobs.missed.any(),
    ),
    "a card": (board(30.0, 10, device="rtx4090", workload={"lengths": "azure"}), lambda result: result.steps.decode.max() > 6),
    "three workloads": (
        board(2.0) | {"workloads": {name: work(rate, **more) for name, rate, more in WORKLOADS}},
        lambda result: set(result.jobs.source) == {"long", "short", "urgent"} and len(set(result.jobs.priority)) == 2,
    ),
    "full batches": (board(3.0, batching={"policy": "static", "size": 5}), lambda result: set(result.steps.decode) <= set(range(6))),
    "batches in time": (board(2.0, batching={"policy": "dynamic", "size": 4, "timeout": "300 ms"}), None),
    "closed batches that are preempted": (
        board(3.0, replica={"kv_capacity": "6 MB"}, batching={"policy": "static", "size": 8, "timeout": "1 s"}),
        preempted,
    ),
    "closed batches over several steps": (
        board(4.0, engine={**PAGED, "max_tokens": 150}, batching={"policy": "dynamic", "size": 8, "timeout": "2 s"}),
        lambda result: result.steps.prefill_tokens.max() > 60,
    ),
    "several at one moment": (
        board(workload={"arrivals": {"process": "replay", "at": [0.0, 0.5, 0.5, 0.5, 1.0, 3.0, 3.0, 9.0, 9.0]}}),
        lambda result: result.queue.running.max() > 2,
    ),
    "two in step": (
        board() | {"workloads": {name: work(1.0, arrivals={"process": "periodic", "period": 0.5}) for name in "ab"}},
        None,
    ),
    "long answers": (board(0.2, 30, workload={"lengths": lengths(10, 390)}), None),
}


@pytest.mark.parametrize(("tables", "covered"), CASES.values(), ids=CASES)
def test_express_equals_the_general_path(ran, require_same, tables, covered):
    fast = ran(tables, TokenExpress)
    require_same(fast, ran(tables, None))
    assert covered is None or covered(fast)


engines = st.fixed_dictionaries(
    {
        "preset": st.sampled_from(["vllm", "ideal"]),
        "workspace": st.just("0.1 GB"),
        "max_sequences": st.integers(1, 20),
        "max_tokens": st.sampled_from([64, 300, 2048]),
        "block_size": st.sampled_from([1, 3, 16, 64]),
        "watermark": st.sampled_from([0.0, 0.1, 0.4]),
        "preemption": st.sampled_from(["recompute", "reject"]),
        "step_overhead": st.sampled_from([0.0, 0.001]),
        "sequence_overhead": st.sampled_from([0.0, 0.0005]),
    }
)


closing = st.fixed_dictionaries(
    {"policy": st.sampled_from(["static", "dynamic"]), "size": st.integers(1, 12), "timeout": st.sampled_from([0.0, 0.1, 2.0])}
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    engine=engines,
    rate=st.floats(0.3, 8.0),
    kilobytes=st.integers(2500, 40_000),
    medians=st.tuples(st.integers(1, 200), st.integers(1, 100)),
    batching=st.just("continuous") | closing,
    seed=st.integers(0, 1000),
)
def test_express_equals_the_general_path_in_any_scenario(ran, require_same, engine, rate, kilobytes, medians, batching, seed):
    memory = {"kv_capacity": f"{kilobytes} kB"}
    tables = board(rate, 8.0, seed, engine, memory, {"lengths": lengths(*medians)}, batching=batching)
    require_same(ran(tables, TokenExpress), ran(tables, None))


def test_a_run_that_ends_before_its_jobs_do_is_cut_off_alike(ran, require_same):
    tables = board(4.0, 10)
    tables["run"]["drain"] = 0.5
    fast = ran(tables, TokenExpress)
    assert (fast.jobs.status == "in_flight").any()
    require_same(fast, ran(tables, None))


def test_looking_often_changes_nothing(ran):
    tables = board(2.0, 10)
    rarely, often = deepcopy(tables), deepcopy(tables)
    often["record"] = {"period": "0.05 s"}
    a, b = ran(rarely, TokenExpress), ran(often, TokenExpress)
    for name in ("jobs", "steps", "kv", "queue"):
        assert a.frame(name).equals(b.frame(name))
    assert a.energy.joules.sum() == pytest.approx(b.energy.joules.sum(), rel=1e-12)
    assert a.power.joules.sum() == pytest.approx(b.power.joules.sum(), rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"workload": {"arrivals": {"process": "closed", "users": 2, "think": 1}}},
        {"workload": {"prefix": {"tokens": 40, "groups": 2}}},
        {"service": {"batching": "chunked_prefill"}},
        {"service": {"kv": "quantised"}},
        {"service": {"failure": {"policy": "drop", "timeout": 9}}},
        {"engine": "llama.cpp"},
    ],
    ids=str,
)
def test_scenarios_that_could_tell_the_difference_take_the_general_path(change):
    assert Simulation(Scenario.of(board(**change)), express=True).express is None


def test_a_power_policy_or_a_fault_keeps_a_scenario_on_the_general_path():
    governed, failing = board(), board()
    governed["power"]["desk"] |= {"budget": "7 W", "policy": "static_cap"}
    failing["services"]["chat"]["startup"] = {"weights": "1 s"}
    failing["faults"] = {"crash": {"kind": "crash", "targets": ["pi"], "every": "8 s", "lasts": "1 s"}}
    for tables in (governed, failing):
        assert Simulation(Scenario.of(tables), express=True).express is None


def test_few_jobs_are_not_worth_compiled_code_and_nobody_who_may_look_gets_it(monkeypatch):
    assert Simulation(Scenario.of(board())).express is None
    monkeypatch.setattr("edgewright.simulator.express_rule.WORTH", {True: 2000, False: 2000})
    assert Simulation(Scenario.of(board()), express=True).express is None


def test_simulate_runs_express_where_it_may(require_same, monkeypatch):
    tables = board(2.0, 10)
    fast = simulate(Scenario.of(deepcopy(tables)))
    monkeypatch.setattr("edgewright.simulator.express_rule.WORTH", {True: 2000, False: 2000})
    require_same(fast, simulate(Scenario.of(deepcopy(tables))))
