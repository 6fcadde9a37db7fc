"""The workload of the comparison: one A100, Llama-2-7B, lengths of the Azure conversation trace, Poisson arrivals.

Continuous batching, paged KV memory in blocks of 16 tokens, at most 256 sequences in a batch, every metric on. What is timed is the whole
loop: arrivals, lengths and all events, the tables of the result and its summary. Building the scenario is start-up, and apart.
"""

from __future__ import annotations

from typing import Any

from edgewright.simulator import Result, Scenario, Simulation

__all__ = ["BATCH", "BLOCK", "llm_scenario", "run_llm"]

BATCH = 256
"""Sequences in a batch, at most."""

BLOCK = 16
"""Tokens per block of KV memory."""


def llm_scenario(rate: float, requests: int, batching: str | dict[str, Any] = "continuous") -> Scenario:
    """The workload at `rate` requests per second, for as long as `requests` take on average."""
    engine = {"preset": "ideal", "max_sequences": BATCH, "block_size": BLOCK, "memory_fraction": 0.9}
    service = {
        "model": "llama-2-7b",
        "format": "fp16",
        "engine": engine,
        "batching": batching,
        "replicas": [{"name": "one", "devices": ["gpu"]}],
    }
    return Scenario.model_validate(
        {
            "name": "llm",
            "seed": 1,
            "run": {"window": requests / rate, "drain": 3600.0},
            "slo": {"ttft": 2.0, "tpot": 0.1},
            "cluster": {"devices": {"gpu": {"device": "a100_80gb_sxm"}}},
            "services": {"chat": service},
            "workloads": {"conversation": {"service": "chat", "arrivals": {"process": "poisson", "rate": rate}, "lengths": "azure"}},
        }
    )


def run_llm(simulation: Simulation) -> Result:
    """Run to the end of the drain at the latest; the result, its figures worked out."""
    while not simulation.drained and simulation.now < simulation.end:
        simulation.run_until(simulation.now + 60.0 if simulation.now >= simulation.window[1] else simulation.window[1])
    result = simulation.result()
    result.metrics  # noqa: B018 - worked out at first use
    return result
