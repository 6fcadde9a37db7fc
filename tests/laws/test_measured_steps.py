"""Jumping equals stepping where steps take what a server's log says, and where the host's time grows with the context."""

import numpy as np
import pytest

from edgewright.simulator import Scenario, simulate

TERMS = {"step_overhead": 0.01, "sequence_overhead": 1e-3, "context_overhead": 2e-5, "prompt_overhead": 1e-4}
LENGTHS = {
    "lengths": "joint",
    "prompt": {"shape": "uniform", "low": 16, "high": 200},
    "output": {"shape": "uniform", "low": 20, "high": 120},
}
ENGINES = {
    "a server's steps": {"preset": "vllm", "whole_step": True, "kv_tokens": 800, **TERMS},
    "host time by context": {"preset": "vllm", "workspace": "0.1 GB", **TERMS},
}


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_measured_steps_are_jumped_over_as_they_are_stepped_through(engine, monkeypatch):
    """Times to 1e-9 of their value, or 1e-10 s; counts exactly. 800 tokens of cache do not hold all that asks: some are preempted."""
    changes = {
        "services.chat.engine": engine,
        "run": {"warmup": 0.0, "window": 10.0, "drain": 60.0},
        "workloads.questions.arrivals": {"process": "poisson", "rate": 2.0},
        "workloads.questions.lengths": LENGTHS,
    }
    scenario = Scenario.load("hello").override(changes)
    jumped = simulate(scenario)
    monkeypatch.setattr("edgewright.simulator.replica.can_stretch", lambda strand: False)
    stepped = simulate(scenario)
    for name in ("jobs", "energy", "resources", "replicas"):
        a, b = jumped.frame(name), stepped.frame(name)
        for column in a.columns:
            if a[column].dtype.kind == "f":
                assert np.allclose(a[column], b[column], rtol=1e-9, atol=1e-10, equal_nan=True), f"{name}.{column}"
            else:
                assert a[column].tolist() == b[column].tolist(), f"{name}.{column}"
    assert (jumped.jobs["status"] == "completed").all()
    assert (jumped.replicas["preemptions"].sum() > 0) == ("kv_tokens" in engine)
    assert len(jumped.steps) < len(stepped.steps)
