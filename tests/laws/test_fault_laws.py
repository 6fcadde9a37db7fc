"""Whatever fails when: at any moment every job is somewhere, and bytes, pools and energy add up.

Schedules are drawn by Hypothesis: up to twelve faults of any kind on three boards, with jobs of several services in flight.
`Simulation.run_until` checks the invariants at each of the moments.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.simulator import Scenario, Simulation

LENGTHS = {"lengths": "joint", "prompt": {"shape": "uniform", "low": 1, "high": 200}, "output": {"shape": "uniform", "low": 1, "high": 60}}
CARD = {"read": "200 MB/s", "write": "100 MB/s", "latency": "1 ms"}
TARGETS = {
    "crash": ["pi0", "pi1", "pi"],
    "leave": ["pi2", "pi1"],
    "power_loss": ["desk"],
    "link_down": ["lan0", "lan1", "lan", "way"],
    "link_slow": ["lan1", "lan"],
    "storage_down": ["pi.card"],
    "storage_slow": ["pi0.card"],
    "storage_errors": ["pi1.card"],
    "straggler": ["pi0", "pi"],
}
FIGURES = {
    "link_slow": {"factor": 0.1, "latency": 0.05},
    "storage_slow": {"factor": 0.2},
    "storage_errors": {"chance": 0.4, "delay": 0.2},
    "straggler": {"factor": 0.5},
}
POLICIES = [
    "drop",
    {"policy": "retry", "pause": 0.3, "stall": 0.7, "timeout": 6},
    {"policy": "retry", "pause": 0.0, "keep": False, "attempts": 3},
    {"policy": "resume", "pause": 0.1, "checkpoint": 16, "stall": 1},
    {"policy": "failover", "service": "spare", "pause": 0.2, "stall": 0.5},
]
SCALINGS = ["fixed", {"policy": "keep_alive", "idle": 3, "jobs": 1}, {"policy": "threshold", "low": 1, "high": 2, "period": 1, "hold": 2}]


def fault(kind):
    seconds = st.floats(0.0, 15.0)
    return st.tuples(st.just(kind), st.sampled_from(TARGETS[kind]), seconds, st.floats(0.01, 4.0))


faults = st.lists(st.sampled_from(sorted(TARGETS)).flatmap(fault), max_size=12)


def poisson(rate):
    return {"process": "poisson", "rate": rate}


def scenario(drawn, failure, scaling, seed):
    model = {"model": "smollm-135m", "format": "q8_0", "engine": {"preset": "vllm", "workspace": "50 MB", "max_sequences": 4}}
    startup = {"engine": 0.2}
    split = {"name": "both", "devices": ["pi0", "pi1", "pi2"], "partitioning": {"policy": "tensor_parallel", "algorithm": "star"}}
    ends = {"lan0": "pi0", "lan1": "pi1", "lan2": "pi2", "lan": "user"}
    links = [{"name": name, "link": "eth_1g", "between": [end, "hub"]} for name, end in ends.items()]
    return Scenario.of(
        {
            "name": "faulty",
            "seed": seed,
            "run": {"window": 15, "drain": 15},
            "cluster": {
                "devices": {"pi": {"device": "rpi5_8gb", "count": 3, "storage": {"card": CARD}}},
                "switches": ["hub"],
                "nodes": ["user"],
                "links": [*links, {"name": "way", "bandwidth": "10 Mbit/s", "latency": "5 ms", "between": ["user", "pi2"]}],
            },
            "power": {"desk": {"devices": ["pi0", "pi1"], "supply_efficiency": 0.9}},
            "services": {
                "chat": model
                | {"replicas": [{"name": "pi", "each": "pi", "kv_capacity": "6 MB"}], "routing": "least_loaded"}
                | {"failure": failure, "scaling": scaling, "startup": startup},
                "spare": model | {"replicas": [{"name": "last", "devices": ["pi2"]}], "startup": startup},
                "wide": model | {"replicas": [split], "failure": failure, "startup": startup},
                "pair": {
                    "orchestration": {"policy": "disaggregated", "prefill": "spare", "decode": "chat"},
                    "failure": {"policy": "retry", "pause": 0.2},
                },
            },
            "workloads": {
                "asks": {"service": "chat", "entry": "user", "arrivals": poisson(1.5), "lengths": LENGTHS, "bytes_per_token": 2000},
                "wide": {"service": "wide", "entry": "user", "arrivals": poisson(0.3), "lengths": LENGTHS, "deadline": 10},
                "pairs": {"service": "pair", "entry": "user", "arrivals": poisson(0.3), "lengths": LENGTHS},
            },
            "faults": {
                f"fault{number}": {"kind": kind, "targets": [target], "at": [at], "lasts": lasts} | FIGURES.get(kind, {})
                for number, (kind, target, at, lasts) in enumerate(drawn)
            },
        }
    )


@settings(max_examples=25, deadline=None)
@given(faults, st.sampled_from(POLICIES), st.sampled_from(SCALINGS), st.integers(0, 1000), st.lists(st.floats(0.0, 30.0), max_size=4))
def test_nothing_is_lost_from_the_accounts(drawn, failure, scaling, seed, moments):
    simulation = Simulation(scenario(drawn, failure, scaling, seed))
    for moment in [*sorted(moments), simulation.end]:
        simulation.run_until(moment)
        submitted = sum(service.arrivals for service in simulation.services.values())
        assert simulation.recorder.over.total() + len(simulation.recorder.open) == submitted
    result = simulation.result()
    assert result.energy.joules.sum() == pytest.approx(result.power.joules.sum(), rel=1e-9)
    over = result.jobs[result.jobs.status.isin(["completed", "failed", "rejected"])]
    assert (over.finished_s >= over.arrival_s).all()
    for name, record in simulation.recorder.uptimes.records.items():
        assert 0.0 <= record.fraction(simulation.now) <= 1.0 + 1e-12, name
