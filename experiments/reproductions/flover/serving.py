"""One run: some requests of one model, served by Flover or by an instance of the model each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgewright.simulator import Result, Scenario, simulate

__all__ = ["GPUS", "INTERVAL", "TOKENS", "Served", "Setting"]

GPUS = {"gpt-j-6b": 1, "llama-2-13b": 1, "llama-30b": 2, "llama-65b": 4}
"""The paper's models, and how many A100 each runs on. LLaMA-13B has the shapes of Llama-2-13B; "33B" is the checkpoint called 30B."""
INTERVAL = 0.5
"""Seconds between requests in the main figure."""
TOKENS = 512
"""Tokens that each request generates."""


@dataclass(frozen=True)
class Served:
    """What came of a run."""

    result: Result

    @property
    def total(self) -> float:
        """Seconds from the first arrival to the last token."""
        return float(self.result.jobs.finished_s.max())

    @property
    def mean(self) -> float:
        """Mean latency of a request, from end to end."""
        return float(self.result.jobs.e2e_s.mean())

    @property
    def iterations(self) -> int:
        """Iterations of the main stream, and one for the first tokens of the requests that start it."""
        steps = self.result.steps
        return int(steps[steps.decode > 0].iterations.sum()) + 1


@dataclass(frozen=True)
class Setting:
    """Software and collectives of a set of runs; each run is done once."""

    software: str
    algorithm: str

    def serve(self, model: str, requests: int, **engine: bool) -> Served:
        """That many requests, `INTERVAL` apart; `instances` and `padding` are those of the engine."""
        return _served(self, model, tuple(INTERVAL * index for index in range(requests)), None, tuple(engine.items()))

    def speedup(self, model: str, requests: int) -> float:
        """Total time with an instance per request over that of Flover."""
        return self.serve(model, requests, instances=True).total / self.serve(model, requests).total

    def shuffled(self, longest: int, seed: int, **engine: bool) -> Served:
        """32 requests to LLaMA-65B whose outputs are uniform up to `longest`."""
        return _served(self, "llama-65b", tuple(INTERVAL * index for index in range(32)), (longest, seed), tuple(engine.items()))

    def poisson(self, mean: float, seed: int) -> Served:
        """32 requests to GPT-J with exponential intervals of that mean."""
        from edgewright.workloads import Stream

        stream, at = Stream(seed).child("intervals"), [0.0]
        for index in range(31):
            at.append(at[-1] + stream.exponential(mean, index))
        return _served(self, "gpt-j-6b", tuple(at), None, ())


@cache
def _served(
    setting: Setting, model: str, at: tuple[float, ...], lengths: tuple[int, int] | None, engine: tuple[tuple[str, bool], ...]
) -> Served:
    changes: dict[str, Any] = {
        "services.chat.model": model,
        "cluster.devices.gpu.count": GPUS[model],
        "cluster.devices.gpu.software": None if setting.software == "none" else setting.software,
        "workloads.users.arrivals": {"process": "replay", "at": list(at)},
        **{f"services.chat.engine.{name}": value for name, value in engine},
    }
    if GPUS[model] > 1:
        changes["services.chat.replicas.model.partitioning"] = {"policy": "tensor_parallel", "algorithm": setting.algorithm}
    if lengths is not None:
        changes["seed"] = lengths[1]
        changes["workloads.users.lengths.output"] = {"shape": "uniform", "low": 1, "high": lengths[0]}
    return Served(simulate(Scenario.load(Path(__file__).with_name("scenario.yaml")).override(changes)))
