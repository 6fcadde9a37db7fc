"""A recorded serving run as a scenario, and what the simulator makes of it.

The requests arrive when they did and have the lengths they had; the engine has the limits that the run states. Nothing else is taken from
the run: efficiencies are those of the software family on that device (`hwmodels.software`), and where the run does not state how many
tokens its KV cache held, the number is derived from the device's memory as in any scenario.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.experiments.validation.serving_run import ServingRun, Timings
from edgewright.simulator import Result, Scenario, simulate
from edgewright.workloads import format_named, zoo

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["replayed", "scenario_of", "timings_of"]

_SOFTWARE = "vllm"


def scenario_of(run: ServingRun) -> Scenario:
    """The scenario of a run; raises `ScenarioError` where it cannot be one (a model that does not fit)."""
    engine: dict[str, Any] = {
        "preset": "vllm",
        "max_sequences": run.max_sequences,
        "max_tokens": run.max_tokens,
        "block_size": run.block_size,
        "prefix_caching": run.prefix_caching,
    }
    replica: dict[str, Any] = {"name": "engine", "devices": ["gpu"]}
    if run.memory_fraction is not None:
        engine["memory_fraction"] = run.memory_fraction
    if run.kv_tokens is not None:
        replica["kv_capacity"] = run.kv_tokens * zoo.model(run.model).kv_bytes_per_token(format_named(run.format))
    end = max(each.last for each in run.requests)
    lengths = [{"prompt": each.prompt, "output": each.output} for each in run.requests]
    return Scenario.of(
        {
            "name": re.sub(r"[^A-Za-z0-9_-]", "_", run.name),
            "description": "a recorded serving run",
            "seed": 1,
            "run": {"window": max(each.arrival for each in run.requests) + 1e-3, "drain": 10.0 * end},
            "cluster": {"devices": {"gpu": {"device": run.device, "software": _SOFTWARE}}},
            "services": {
                "serving": {
                    "model": run.model,
                    "format": run.format,
                    "engine": engine,
                    "batching": {"policy": "chunked_prefill", "budget": run.max_tokens},
                    "replicas": [replica],
                }
            },
            "workloads": {
                "recorded": {
                    "service": "serving",
                    "arrivals": {"process": "replay", "at": [each.arrival for each in run.requests]},
                    "lengths": {"lengths": "recorded", "rows": lengths},
                }
            },
        }
    )


def replayed(run: ServingRun) -> tuple[Timings, str]:
    """What the simulator predicts of a run, and how many tokens its KV cache holds, in words."""
    result = simulate(scenario_of(run))
    origin = "" if run.kv_tokens is not None else " (derived: the run does not state it)"
    return timings_of(result), f"{_kv_words(result)}{origin}"


def timings_of(result: Result) -> Timings:
    """The times of all requests of a result; a request that was not completed is an error of the scenario (`ValueError`)."""
    jobs, steps = result.jobs, result.steps
    if not (jobs["status"] == "completed").all():
        raise ValueError(f"{int((jobs['status'] != 'completed').sum())} of {len(jobs)} requests were not completed")
    return Timings(
        jobs["ttft_s"].to_numpy(),
        jobs["tpot_s"].dropna().to_numpy(),
        jobs["e2e_s"].to_numpy(),
        (jobs["first_token_s"] - jobs["scheduled_s"]).to_numpy(),
        _decode_steps(steps),
    )


def _decode_steps(steps: pd.DataFrame) -> np.ndarray | None:
    """Seconds per decode step as `serving_run.measured` has them: of every whole second without prompts, sequences over tokens."""
    start, end, prompts, decode, tokens = (
        steps[name].to_numpy(float) for name in ("start_s", "end_s", "prefill_tokens", "decode", "output_tokens")
    )
    found = []
    for second in range(int(end.max())):
        inside = np.clip(np.minimum(end, second + 1.0) - np.maximum(start, second), 0.0, None)
        here = inside > 0.0
        if here.any() and not prompts[here].any():
            found.append(decode[here][-1] / (tokens * inside / (end - start))[here].sum())
    return np.array(found) if found else None


def _kv_words(result: Result) -> str:
    (row,) = result.replicas.itertuples()
    return f"{row.kv_capacity_tokens:.0f} tokens of KV cache, {row.derivation}"
