"""EdgeMoE (Yi et al., arXiv 2308.14352): the runs that answer its claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import System, Value
from edgewright.experiments.reproductions.edgemoe.published import ASSUMPTIONS, CLAIMS
from edgewright.simulator import Result, Scenario, simulate
from edgewright.workloads import Step, format_named, zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM", "picture", "run"]

_SCENARIO = Path(__file__).with_name("scenario.yaml")
_REPLICA, _BOARD = "services.decoder.replicas.one.", "cluster.devices.board."
_MODELS = ("switch-base-8", "switch-base-16", "switch-base-32", "switch-base-64", "switch-base-128", "switch-large-128")
_FP32 = format_named("fp32")
_IOEXP_S = 0.789
"""The one token time that is an input."""

_IOFREE_S = _IOEXP_S / 3.55
"""A token without reads as the paper has it: the middle of 3.2 to 3.9."""

_SHARED_TABLE = 32128
"""Rows of the embedding table, which encoder and decoder share."""


class _Run(NamedTuple):
    """Seconds to the first token and per further one; joules of module and storage per token."""

    first: float
    token: float
    joules: float


@cache
def _run(changes: str) -> _Run:
    result = simulate(Scenario.load(_SCENARIO).override(json.loads(changes)))
    job = result.jobs.iloc[0]
    token = 0.0 if job.output_tokens < 2 else float(job.tpot_s)
    return _Run(float(job.ttft_s), token, _module_joules(result, float(job.finished_s)) / job.output_tokens)


def _module_joules(result: Result, until: float) -> float:
    """Energy of module and storage up to a moment after which nothing works: idle power up to there, all else as it is."""
    parts = result.energy.groupby("part").joules.sum()
    return float(parts["idle"]) * until / float(result.power.end_s.max()) + float(parts["static"]) + float(parts["dynamic"])


class _Board:
    """One of the two devices under the assumptions: the runs on it, with effective rates of its memory and its storage."""

    def __init__(self, device: str, assumed: Mapping[str, Any]) -> None:
        self.assumed = assumed
        self.changes: dict[str, Any] = {
            _BOARD + "device": device,
            _BOARD + "memory": "256 GB",
            "services.decoder.experts_routing.skew": assumed["skew"],
        }
        self.changes["services.decoder.experts_routing.affinity"] = assumed["affinity"]
        if device == "rpi4_8gb":
            self.changes |= {_BOARD + "software": "pytorch-fairseq", _BOARD + "storage.ssd.storage": "sd_uhs1"}
        self.free = self.run("resident").token
        if assumed["runtime"] == "paper" and device == "jetson_tx2":
            self._slow_down()
        missing = 6 * zoo.model("switch-base-8-decoder").experts.expert_bytes(_FP32)  # type: ignore[union-attr]
        self.rate = missing / (_IOEXP_S - self.free) if device == "jetson_tx2" else float(assumed["card"].removesuffix(" MB/s")) * 1e6
        self.changes[_BOARD + "storage.ssd.read"] = self.rate

    def _slow_down(self) -> None:
        """Find the rate of memory at which a token without reads takes what the paper says: secants of the time over the inverse rate."""
        rates, times = [59.7e9, 3e9], [self.free]
        for _ in range(6):
            self.changes[_BOARD + "bandwidth"] = rates[-1]
            times.append(self.run("resident").token)
            slope = (times[-1] - times[-2]) / (1.0 / rates[-1] - 1.0 / rates[-2])
            if abs(times[-1] - _IOFREE_S) < 1e-6:
                break
            rates.append(1.0 / (1.0 / rates[-1] + (_IOFREE_S - times[-1]) / slope))
        self.free = times[-1]

    def run(self, experts: Any, model: str = "switch-base-8", **changes: Any) -> _Run:
        """A decoder under a policy of experts."""
        found = {**self.changes, "services.decoder.model": f"{model}-decoder", _REPLICA + "experts": experts, **changes}
        return _run(json.dumps(found))

    def policy(self, model: str, slots: int = 10, **changes: Any) -> dict[str, Any]:
        """EdgeMoE's policy, its predictions learnt from routes of other tokens."""
        shape = zoo.model(f"{model}-decoder").experts
        assert shape is not None
        routes = {
            "layers": len(shape.blocks),
            "experts": shape.count,
            "top_k": 1,
            "affinity": self.assumed["affinity"],
            "skew": self.assumed["skew"],
        }
        own = {
            "policy": "prefetch",
            "slots": slots,
            "depth": self.assumed["depth"],
            "history": 2,
            "bits": _widths(self.assumed),
            "profile": routes,
        }
        return {**own, **changes}

    def edgemoe(self, model: str) -> _Run:
        """All of it."""
        return self.run(self.policy(model), model)

    def on_demand(self, model: str, bits: tuple[float, ...] = ()) -> _Run:
        """IO-EXP, or with narrow experts IO-QEXP."""
        return self.run(self.policy(model, 0, depth=0, bits=bits), model)

    def sti(self, model: str) -> _Run:
        """Layers of experts stream whole behind compute; that they are narrow is said by a disk that is faster by as much."""
        bits = _widths(self.assumed)
        keep = ("embed", "head", "attention", "ffn")
        changes = {_REPLICA + "residency": {"policy": "streaming_window", "window": 2, "keep": keep, "always": True}}
        return self.run("resident", model, **changes, **{_BOARD + "storage.ssd.read": self.rate * 32.0 * len(bits) / sum(bits)})

    def sample(self, policy: dict[str, Any]) -> float:
        """Seconds of a whole sample: the encoder over its prompt, which touches about every expert once, and the decoder."""
        lengths = "workloads.summaries.lengths."
        encoded = {
            "services.decoder.model": "switch-base-8-encoder",
            lengths + "prompt.value": self.assumed["prompt"],
            lengths + "output.value": 1,
        }
        decoded = {lengths + "output.value": self.assumed["output"]}
        times = self.run(policy, **decoded)
        return self.run(policy, **encoded).first + times.first + times.token * float(self.assumed["output"] - 1)


def run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    tx2, pi = _Board("jetson_tx2", assumed), _Board("rpi4_8gb", assumed)
    boards = [(board, model) for board in (tx2, pi) for model in _MODELS]
    ours = {(board, model): board.edgemoe(model) for board, model in boards}
    read = {model: tx2.on_demand(model) for model in _MODELS}
    free = {model: tx2.run("resident", model) for model in _MODELS}
    base = "switch-base-8"
    ahead = tx2.run(tx2.policy(base, 0), base).token
    return {
        "tpot_vs_ioexp_tx2": _ends(read[model].token / ours[tx2, model].token for model in _MODELS),
        "tpot_vs_ioqexp": _ends(board.on_demand(model, (4.0,)).token / ours[board, model].token for board, model in boards),
        "tpot_vs_sti": _ends(board.sti(model).token / ours[board, model].token for board, model in boards),
        "mem_vs_iofree": _ends(_memory(model, 32.0, assumed) / _ours_in_memory(model, assumed) for model in _MODELS),
        "mem_vs_ioqfree": _ends(_memory(model, 8.0, assumed) / _ours_in_memory(model, assumed) for model in _MODELS),
        "ablation_q": tx2.on_demand(base, _widths(assumed)).token,
        "ablation_qpc": (ahead, ours[tx2, base].token),
        "io_dominance": _ends(read[model].token / free[model].token for model in _MODELS),
        "expert_share": _expert_share(),
        "energy": fmean(ours[tx2, model].joules / free[model].joules for model in _MODELS),
        "p50_sample": (pi.sample(pi.policy(base)), pi.sample(pi.policy(base, 0, depth=0, bits=()))),
        "buffer_capacity": tuple(_cached(budget, assumed) for budget in (1.8e9, 2.0e9, 2.2e9, 3.2e9)),
    }


def _ends(values: Any) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _widths(assumed: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(float(bits) for bits in assumed["bits"].split(","))


def _parameters(model: str) -> tuple[int, int]:
    """Of encoder and decoder together: all of them, and those of experts."""
    halves = [zoo.model(f"{model}-{half}") for half in ("encoder", "decoder")]
    shape = halves[0].experts
    assert shape is not None
    return sum(half.parameters for half in halves) - _SHARED_TABLE * halves[0].hidden, 2 * len(
        shape.blocks
    ) * shape.count * shape.parameters


def _memory(model: str, bits: float, assumed: Mapping[str, Any]) -> float:
    """Bytes in memory with all of the model there."""
    return _parameters(model)[0] * bits / 8.0 + float(assumed["working_set"])


def _ours_in_memory(model: str, assumed: Mapping[str, Any]) -> float:
    """Bytes with ten narrow experts in the buffer, those being read, and one in full width."""
    every, experts = _parameters(model)
    shape, bits = zoo.model(f"{model}-decoder").experts, _widths(assumed)
    assert shape is not None
    narrow = (10 + assumed["depth"]) * shape.parameters * sum(bits) / len(bits) / 8.0
    return float((every - experts + shape.parameters) * 4.0 + narrow + assumed["working_set"])


def _cached(budget: float, assumed: Mapping[str, Any]) -> float:
    """Whole experts in fp32 in what a budget leaves, of 96."""
    every, experts = _parameters("switch-base-8")
    left = budget - (every - experts) * 4.0 - float(assumed["working_set"])
    return float(min(96, left // (experts / 96 * 4.0)))


def _expert_share() -> tuple[float, float]:
    """Of Switch-base-16: of the weights besides the embedding table, and of a decoded token's operations before the head."""
    every, experts = _parameters("switch-base-16")
    model = zoo.model("switch-base-16-decoder")
    assert model.experts is not None
    flops = sum(model.part(_FP32, 1, len(model.blocks) - 1)(Step.of(decode=[16])).flops.values())
    used = 2.0 * len(model.experts.blocks) * model.experts.parameters
    return experts / (every - _SHARED_TABLE * model.hidden), float(used / flops)


def picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """The ladder of techniques, and whole samples."""
    groups = {
        "ablation_q": ["narrow experts"],
        "ablation_qpc": ["read ahead", "buffer"],
    }
    return bars(rows, groups, "seconds per token")


SYSTEM = System(
    name="edgemoe",
    title="EdgeMoE: Fast On-Device Inference of MoE-based Large Language Models",
    source="Yi, Guo, Wei, Zhou, Wang, Xu, arXiv 2308.14352; IEEE TMC 2025",
    claims=CLAIMS,
    assumptions=ASSUMPTIONS,
    run=run,
    picture=picture,
)
"""See `README.md`."""
