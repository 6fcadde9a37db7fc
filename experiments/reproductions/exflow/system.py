"""ExFlow (Yao et al., IPDPS 2024): the runs that answer its claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import System, Value
from edgewright.experiments.reproductions.exflow.published import ASSUMPTIONS, CLAIMS
from edgewright.policies.experts import Affinity
from edgewright.policies.experts.crossing import crossings, transition_counts
from edgewright.policies.experts.layout import round_robin_table
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import MarkovRouting, Stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM", "hops", "picture", "run"]

_SCENARIO = Path(__file__).with_name("scenario.yaml")
_REPLICA = "services.writer.replicas.all."
_NODES, _PER_NODE = "abcdefgh", 4
_MIXTRAL = 0.76
"""Concentration at which Mixtral's routes change the GPU 17.5 times on four."""

_VECTOR, _LAYERS, _ID = 1024 * 2.0, 24, 4.0
"""Bytes of a token's hidden vector in fp16, layers of the model, and bytes of a token's number."""


class _Run(NamedTuple):
    """Seconds of a decode step, bytes sent by all GPUs over the whole run, and tokens computed in it."""

    step: float
    sent: float
    tokens: int


@cache
def _run(changes: str) -> _Run:
    result = simulate(Scenario.load(_SCENARIO).override(json.loads(changes)))
    last, jobs, links = result.steps.iloc[-1], result.jobs, result.links
    sent = links[links.resource.str.match(r"nv[a-h]\d>$")].amount.sum()
    tokens = int((jobs.prompt_tokens + jobs.output_tokens - 1).sum())
    return _Run(float((last.end_s - last.start_s) / last.iterations), float(sent), tokens)


class _Cluster:
    """GPUs under the assumptions."""

    def __init__(self, assumed: Mapping[str, Any]) -> None:
        self.assumed = assumed
        self.changes: dict[str, Any] = {"services.writer.experts_routing.concentration": assumed["concentration"]}
        for node in _NODES:
            self.changes[f"cluster.devices.{node}.software"] = assumed["software"]
            if assumed["calls"] == "links":
                self.changes |= {f"cluster.links.nv{node}.latency": 2e-6, f"cluster.links.ib{node}.latency": 1.2e-6}
                self.changes[f"cluster.links.ib{node}.efficiency"] = 1.0

    def run(self, experts: int, gpus: int, policy: Mapping[str, Any], **changes: Any) -> _Run:
        """A model on some GPUs under a policy of experts."""
        suffix = "" if self.assumed["layers"] == "all" else "-alternating"
        found = {
            **self.changes,
            "services.writer.model": f"gpt-350m-moe-{experts}{suffix}",
            "workloads.prompts.arrivals.at": [0.0] * (gpus * self.assumed["tokens"]),
            _REPLICA + "devices": list(_NODES[: gpus // _PER_NODE]),
            _REPLICA + "experts": {"algorithm": "direct", **policy},
            **changes,
        }
        return _run(json.dumps(found))

    def deepspeed(self, experts: int, gpus: int, **changes: Any) -> _Run:
        """Tokens return home after each layer; experts by their number."""
        return self.run(experts, gpus, {"policy": "round_robin"}, **changes)

    def coherent(self, experts: int, gpus: int) -> _Run:
        """One all-to-all, experts by their number, ids gathered alone."""
        return self.run(experts, gpus, {"policy": "round_robin", "coherent": True, "gather_cache": False})

    def exflow(self, experts: int, gpus: int, *, cache: bool) -> _Run:
        """One all-to-all, experts by affinity."""
        tokens = self.assumed["profile_tokens"]
        return self.run(experts, gpus, {"policy": "affinity", "profile_tokens": tokens, "gather_cache": cache})

    def computing(self, experts: int, gpus: int) -> float:
        """Seconds of a step whose links take no time."""
        free: dict[str, Any] = {}
        for node in _NODES:
            free |= {f"cluster.links.{kind}{node}.latency": 0.0 for kind in ("nv", "ib")}
            free |= {f"cluster.links.{kind}{node}.bandwidth": 1e18 for kind in ("nv", "ib")}
        return self.deepspeed(experts, gpus, **free).step


def hops(experts: int, layers: int, top_k: int, concentration: float, gpus: int, tokens: int) -> tuple[float, float]:
    """How often a token's first expert is on another GPU than the one before, over all layers: with affinity, and by number.

    The placement is solved for `tokens` tokens and judged by 4000 others.
    """
    router = MarkovRouting(layers=layers, experts=experts, top_k=top_k, concentration=concentration)
    seen, fresh = (
        np.asarray(router.routes(Stream(0, name), count), dtype=np.int64) for name, count in (("profile", tokens), ("fresh", 4000))
    )
    judged = transition_counts(fresh[:, :, :1], experts)
    solved = Affinity().table(transition_counts(seen, experts), gpus)
    return crossings(judged, solved) / 4000, crossings(judged, round_robin_table(layers, experts, gpus)) / 4000


def run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    cluster, tokens = _Cluster(assumed), assumed["profile_tokens"]
    charged = assumed["cache"] == "gathered"
    base, computing = cluster.deepspeed(16, 8), cluster.computing(16, 8)
    routed = cluster.exflow(16, 8, cache=False).step - computing
    gains = [cluster.deepspeed(32, gpus).step / cluster.exflow(32, gpus, cache=charged).step for gpus in (8, 16)]
    kept, default = hops(64, 24, 1, assumed["concentration"], 32, tokens)
    return {
        "throughput_max": base.step / cluster.exflow(16, 8, cache=charged).step,
        "routing_latency": 1.0 - routed / (base.step - computing),
        "moe32": sqrt(gains[0] * gains[1]),
        "moe64_hops_32gpu": 1.0 - kept / default,
        "traffic_formula": _follows_formula(cluster, base, assumed),
        "mixtral_4gpu": tuple(hops(8, 32, 2, _MIXTRAL, gpus, tokens)[0] for gpus in (4, 8)),
    }


def _follows_formula(cluster: _Cluster, base: _Run, assumed: Mapping[str, Any]) -> bool:
    """Whether the GPUs send what Table I says, within 2 %, on eight GPUs that have experts by number: p = 7/8, p* by the routes."""
    layers = _LAYERS if assumed["layers"] == "all" else _LAYERS // 2
    coherent = cluster.coherent(16, 8)
    _, changed = hops(16, layers, 1, assumed["concentration"], 8, 1000)
    twice = 2.0 * layers * 7 / 8 * _VECTOR * base.tokens
    once = ((7 / 8 + changed) * _VECTOR + 7 * _ID) * coherent.tokens
    return abs(base.sent / twice - 1.0) < 0.02 and abs(coherent.sent / once - 1.0) < 0.02


def picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """Throughput and routes, published and simulated."""
    groups = {
        "throughput_max": ["throughput, 16 experts"],
        "moe32": ["throughput, 32 experts"],
        "routing_latency": ["time of all-to-alls saved"],
        "moe64_hops_32gpu": ["hops saved, 64 experts, 32 GPUs"],
    }
    return bars(rows, groups, "ratio, or fraction saved")


SYSTEM = System(
    name="exflow",
    title="Exploiting Inter-Layer Expert Affinity for Accelerating Mixture-of-Experts Model Inference",
    source="Yao, Anthony, Shafi, Subramoni, Panda, IPDPS 2024, arXiv 2401.08383",
    claims=CLAIMS,
    assumptions=ASSUMPTIONS,
    run=run,
    picture=picture,
)
"""See `README.md`."""
