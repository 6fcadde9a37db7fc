"""CE-CoLLM (Jin and Wu, 2024): claims, assumptions, and the runs that answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.simulator import Scenario, simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

_SCENARIO = Path(__file__).parent / "scenario.yaml"
_README = "readme (a third-party reimplementation that quotes the paper)"
_CONFIDENT_FIRST = 0.4789
_POSITIONS = 117
"""Hidden states sent per answer: 0.957 MB of 8192 bytes."""

_CLAIMS = (
    Claim(
        "time",
        "reduction of inference time",
        "fraction",
        0.1381,
        "cloud alone",
        "up to; best dataset and threshold",
        "abstract",
        note="An A100 decodes a token of a 7B model in 11 ms, less than one round trip of 20 ms; half of the tokens need one. Exits pay "
        "where the cloud takes some six round trips per token (README): in an engine bound by its host, not by these processors.",
    ),
    Claim(
        "cloud-compute",
        "reduction of the cloud's work",
        "fraction of its busy seconds",
        0.8455,
        "cloud alone",
        "up to; best dataset and threshold",
        "abstract; 84.53 on the paper's page (arXiv v2)",
        note="Alpaca's exits, the only ones published, spare 64 %: half of the tokens go up, to three quarters of the layers. 84.55 % "
        "need a rate of a fifth.",
    ),
    Claim(
        "bytes",
        "bytes per answer of the naive split",
        "MB",
        112.0,
        "none",
        "Alpaca",
        _README,
        note="Predicted from the number of positions that CE-CoLLM's own bytes imply, and from a prompt of 20 tokens.",
    ),
    Claim(
        "bytes-ce-collm",
        "bytes per answer",
        "MB",
        0.957,
        "naive split",
        "Alpaca",
        _README,
        unsimulated="An input: 0.957 MB of 8192-byte states are 117 positions per answer, which the paper does not say (the other half of "
        "the claim `bytes`).",
    ),
    Claim(
        "request-rate",
        "share of tokens that call the cloud",
        "fraction",
        0.4958,
        "1 for both baselines",
        "Alpaca, threshold 0.8",
        _README,
        unsimulated="An input: how confident exits are comes with the trace of the trained model.",
    ),
    Claim(
        "exit-share",
        "tokens confident at an intermediate layer",
        "fraction",
        0.4789,
        "none",
        "Alpaca",
        _README,
        unsimulated="An input, as request-rate. Both together leave 2.5 % of the tokens, taken here as those of the second exit.",
    ),
)

_ASSUMPTIONS = (
    Assumption(
        "edge",
        "jetson_agx_orin_64gb",
        ("rtx4090", "a100_80gb_sxm"),
        "an 'edge GPU server', not named: a strong board, a desktop card, the same as the cloud's",
    ),
    Assumption("software", None, ("huggingface",), "what runs the model: tuned kernels, or the library of the reimplementation"),
    Assumption("round_trip", "20 ms", ("5 ms", "50 ms"), "to the cloud and back; not said"),
    Assumption("uplink", "30 Mbit/s", ("100 Mbit/s",), "inferred from the time of the naive split"),
    Assumption("prompt", 20, (5, 50), "tokens of an Alpaca instruction; the rest of the 117 positions are answer"),
    Assumption("request_rate", 0.4958, (0.3, 0.1), "tokens that call the cloud: Alpaca's; that of the best dataset is not published"),
    Assumption("exits", "first", ("even",), "at which exit the confident tokens leave: exit-share is the first's, or half at each"),
)


class _Run(NamedTuple):
    """Means per answer: seconds from question to last token, seconds that the cloud's engine is busy, bytes sent up."""

    seconds: float
    cloud: float
    up: float


def _run_of(service: str, changes: Mapping[str, Any]) -> _Run:
    return _simulated(json.dumps({"workloads.user.service": service, **changes}, sort_keys=True))


@cache
def _simulated(changes: str) -> _Run:
    result = simulate(Scenario.load(_SCENARIO).override(json.loads(changes)))
    jobs, resources = result.jobs[result.jobs.source == "user"], result.resources.set_index("resource")
    busy, sent = float(resources.busy_s["cloud.gpu"]), float(resources.amount["wan>"])
    return _Run(float(jobs.e2e_s.mean()), busy / len(jobs), sent / len(jobs))


def _changes(assumed: Mapping[str, Any]) -> dict[str, Any]:
    """What the cluster and the questions of all services are."""
    trip = float(assumed["round_trip"].removesuffix(" ms"))
    return {
        "cluster.devices.edge": {"device": assumed["edge"], "software": assumed["software"]},
        "cluster.devices.cloud.software": assumed["software"],
        "cluster.links.wan.latency": f"{trip / 2} ms",
        "cluster.links.wan.bandwidth": assumed["uplink"],
        "workloads.user.lengths.prompt.value": assumed["prompt"],
        "workloads.user.lengths.output.value": _POSITIONS + 1 - assumed["prompt"],
    }


def _weights(assumed: Mapping[str, Any]) -> list[float]:
    """Chances of the first exit, the second, and the cloud."""
    confident = 1.0 - assumed["request_rate"]
    share = _CONFIDENT_FIRST / (1.0 - 0.4958) if assumed["exits"] == "first" else 0.5
    return [confident * share, confident * (1.0 - share), assumed["request_rate"]]


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    changes = _changes(assumed)
    ours = _run_of("answer", {**changes, "services.answer.outcomes.exit.weights": _weights(assumed)})
    cloud = _run_of("whole", changes)
    naive = _run_of("naive", {**changes, "run.window": "100 s"})
    return {
        "time": 1.0 - ours.seconds / cloud.seconds,
        "cloud-compute": 1.0 - ours.cloud / cloud.cloud,
        "bytes": naive.up / 1e6,
    }


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """What is saved against the cloud alone."""
    return bars(rows, {"time": ["time"], "cloud-compute": ["the cloud's work"]}, "fraction saved against the cloud alone")


SYSTEM = System(
    name="ce-collm",
    title="CE-CoLLM: Efficient and Adaptive Large Language Models Through Cloud-Edge Collaboration",
    source="Jin, Wu, arXiv 2411.02829, 2024",
    claims=_CLAIMS,
    assumptions=_ASSUMPTIONS,
    run=_run,
    picture=_picture,
)
"""See `README.md`."""
