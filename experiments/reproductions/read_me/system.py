"""Read-ME (Cai et al., NeurIPS 2024): the runs that answer its claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import System, Value
from edgewright.experiments.reproductions.read_me.published import ASSUMPTIONS, CLAIMS
from edgewright.hwmodels import catalog
from edgewright.hwmodels.roofline import price
from edgewright.hwmodels.software import software
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import Model, RoutingProcess, Step, Stream, format_named, from_config, zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM", "distinct", "picture", "run", "skew_for"]

_SCENARIO = Path(__file__).with_name("scenario.yaml")
_BATCH, _UNIQUE, _EXPERTS = 32, 5.1, 8
"""Tokens of a batch, and the distinct experts that decode-prioritised batches touch: the second is an input."""


class _Served(NamedTuple):
    """Mean and 95th percentile of the time of a request, and tokens per second."""

    mean: float
    p95: float
    rate: float


@cache
def _served(changes: str) -> _Served:
    result = simulate(Scenario.load(_SCENARIO).override(json.loads(changes)))
    jobs = result.jobs
    rate = float(jobs.output_tokens.sum()) / float(jobs.finished_s.max())
    return _Served(float(jobs.e2e_s.mean()), float(jobs.e2e_s.quantile(0.95)), rate)


def distinct(skew: float, tokens: int) -> float:
    """Experts of eight that so many independent tokens touch, if popularity falls as the rank to the power `-skew`."""
    weights = np.arange(1.0, _EXPERTS + 1.0) ** -skew
    return float((1.0 - (1.0 - weights / weights.sum()) ** tokens).sum())


def skew_for(unique: float, tokens: int) -> float:
    """The exponent at which they touch `unique`, by bisection."""
    low, high = 0.0, 8.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if distinct(middle, tokens) > unique else (low, middle)
    return low


def _conversations(assumed: Mapping[str, Any], batching: Any, running: int, rate: float) -> _Served:
    changes = {
        "services.chat.model": assumed["model"],
        "services.chat.batching": batching,
        "services.chat.engine.max_sequences": running,
        "services.chat.experts_routing.skew": skew_for(_UNIQUE, _BATCH),
        "workloads.arena.arrivals.rate": rate,
    }
    return _served(json.dumps(changes))


def _most(assumed: Mapping[str, Any]) -> float:
    """Tokens per second of full decode-prioritised batches."""
    changes = {
        "services.chat.model": assumed["model"],
        "services.chat.batching": {"policy": "chunked_prefill", "budget": 2048},
        "services.chat.engine.max_sequences": _BATCH,
        "services.chat.experts_routing.skew": skew_for(_UNIQUE, _BATCH),
        "workloads.arena.arrivals": {"process": "replay", "at": [0.0] * _BATCH},
        "workloads.arena.lengths": {
            "lengths": "joint",
            "prompt": {"shape": "fixed", "value": 70},
            "output": {"shape": "fixed", "value": 214},
        },
    }
    return _served(json.dumps(changes)).rate


def run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    decode_first, prefill_first = {"policy": "chunked_prefill", "budget": 2048}, "continuous"
    rate = round(assumed["load"] * _most(assumed) / 214.5, 3)
    first, second = (_conversations(assumed, batching, _BATCH, rate) for batching in (prefill_first, decode_first))
    ours = _conversations(assumed, {"policy": "expert_aware", "budget": _BATCH}, assumed["pool"], rate)
    return {
        "mean_latency": 1.0 - ours.mean / min(first.mean, second.mean),
        "p95_latency": (1.0 - ours.p95 / first.p95, 1.0 - ours.p95 / second.p95),
        "mixtral_unique": _touched(assumed["skew"]),
        "prefetch": 1.0 - _alone(assumed, ahead=True) / _alone(assumed, ahead=False),
        "router_share": _router_shares(),
    }


def _touched(skew: float) -> float:
    """Distinct experts per layer of Mixtral in batches of 57 tokens, each of another conversation."""
    router = RoutingProcess(layers=32, experts=8, top_k=2, skew=skew)
    found = [router.routes_at(Stream(batch, "mixtral"), np.arange(57), np.zeros(57, dtype=np.int64)) for batch in range(10)]
    return float(np.mean([len(np.unique(layer)) for routes in found for layer in routes]))


def _alone(assumed: Mapping[str, Any], *, ahead: bool) -> float:
    """Seconds of one request with two of eight experts per layer in memory, the others with the host."""
    slots = 2 * 32
    experts = {"policy": "prefetch", "slots": slots, "depth": 1 if ahead else 0, "history": 1}
    changes = {
        "services.chat.model": assumed["model"],
        "services.chat.batching": "continuous",
        "services.chat.replicas.one.experts": experts,
        "workloads.arena.arrivals": {"process": "replay", "at": [0.0]},
        "workloads.arena.lengths": {
            "lengths": "joint",
            "prompt": {"shape": "fixed", "value": 70},
            "output": {"shape": "fixed", "value": 64},
        },
    }
    return _served(json.dumps(changes)).mean


def _router_shares() -> tuple[float, float]:
    """Of a decoded token's time: a transformer layer of 18 M parameters before the model, and a product in each layer."""
    before = from_config(
        {
            "model_type": "llama",
            "hidden_size": 1216,
            "intermediate_size": 3242,
            "num_hidden_layers": 1,
            "num_attention_heads": 19,
            "vocab_size": 8,
            "tie_word_embeddings": False,
        },
        "router",
    )
    backbone = _seconds(zoo.model("read-me"))
    router = _seconds(before)
    layerwise = _seconds(zoo.model("read-me-layerwise"))
    return router / (router + backbone), (layerwise - backbone) / layerwise


def _seconds(model: Model) -> float:
    """Of decoding one token at a context of 512."""
    device = software(catalog.device("a100_80gb_sxm"), "gpu", "huggingface").device
    return float(price(model.work(Step.of(decode=[512]), format_named("fp16")), device, "gpu").seconds)


def picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """Reductions of latency."""
    groups = {"mean_latency": ["mean"], "p95_latency": ["p95, prefill first", "p95, decode first"], "prefetch": ["reading ahead"]}
    return bars(rows, groups, "fraction of the time saved")


SYSTEM = System(
    name="read-me",
    title="Read-ME: Refactorizing LLMs as Router-Decoupled Mixture of Experts with System Co-Design",
    source="Cai, Ro, Kim, Wang, Bian, Akella, Wang, NeurIPS 2024, arXiv 2410.19123",
    claims=CLAIMS,
    assumptions=ASSUMPTIONS,
    run=run,
    picture=picture,
)
"""See `README.md`."""
