"""InstInfer (Pan et al., arXiv 2409.04992): the runs that answer its claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import System, Value
from edgewright.experiments.reproductions.instinfer.published import ASSUMPTIONS, CLAIMS
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import format_named, zoo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM", "picture", "run"]

_SCENARIO = Path(__file__).with_name("scenario.yaml")
_REPLICA = "services.writer.replicas.one."
_SSD, _DRAM = "nvme_gen4", {"read": "150 GB/s", "write": "150 GB/s", "latency": "1 us", "queue_depth": 1024}
_DENSE64 = 6.85


class _Run(NamedTuple):
    """Tokens per second, seconds in all, share of decode time in which the cache is read or attended to, bytes over PCIe."""

    rate: float
    seconds: float
    share: float
    bytes: float


@cache
def _run(changes: str) -> _Run:
    result = simulate(Scenario.load(_SCENARIO).override(json.loads(changes)))
    jobs, used = result.jobs, result.resources
    busy: dict[str, float] = dict(zip(used.resource, used.busy_s, strict=True))
    amount: dict[str, float] = dict(zip(used.resource, used.amount, strict=True))
    end, first = float(jobs.finished_s.max()), float(jobs.ttft_s.max())
    reader = "gpu.csd0" if "gpu.csd0" in busy else "gpu.csd" if busy["gpu.csd"] else "gpu.ssd.read"
    moved = amount["gpu.host>"] + amount["gpu.host<"]
    return _Run(float(jobs.output_tokens.sum()) / end, end, busy[reader] / (end - first), moved)


class _Bench:
    """The GPU with its storages under the assumptions."""

    def __init__(self, assumed: Mapping[str, Any]) -> None:
        self.assumed = assumed
        self.host_path = 7e9
        if assumed["host_path"] == "from dense64":
            self.host_path = self._implied()

    def run(self, model: str, batch: int, tokens: int = 1024, **changes: Any) -> _Run:
        """So many sequences of `tokens` tokens in and out."""
        found: dict[str, Any] = {
            "services.writer.model": model,
            "workloads.offline.arrivals.at": [0.0] * batch,
            **{f"workloads.offline.lengths.{what}.value": tokens for what in ("prompt", "output")},
            **changes,
        }
        if model == "opt-30b":
            found["cluster.devices.gpu.memory"] = "96 GiB"
        return _run(json.dumps(found))

    def inside(self, model: str, batch: int, tokens: int = 1024, *, sparse: bool = False, storages: int = 1) -> _Run:
        """InstInfer: attention in one storage or several, dense or SparF."""
        changes: dict[str, Any] = {"services.writer.kv": {"policy": "sparf", "groups": self.assumed["groups"]} if sparse else "full"}
        if storages > 1:
            changes["cluster.devices.gpu.storage"] = {"csd": "instcsd", "dram": _DRAM, **{f"csd{n}": "instcsd" for n in range(storages)}}
            changes[_REPLICA + "partitioning.storages"] = [f"csd{n}" for n in range(storages)]
        return self.run(model, batch, tokens, **changes, **self._weights())

    def flexgen(self, model: str, batch: int, tokens: int = 1024, rate: float | None = None) -> _Run:
        """The cache on the SSD."""
        ssd = {"storage": _SSD, "read": self.host_path if rate is None else rate}
        return self._offloaded(model, batch, tokens, {"ssd": ssd, "csd": "instcsd", "dram": _DRAM})

    def deepspeed(self, model: str, batch: int) -> _Run:
        """The cache in the host's memory."""
        return self._offloaded(model, batch, 1024, {"dram": _DRAM, "csd": "instcsd", "ssd": _SSD})

    def vllm(self, model: str, batch: int) -> _Run:
        """The cache on the GPU; who finds no room is computed anew."""
        engine: dict[str, Any] = {_REPLICA + "partitioning": "single", "services.writer.engine": "vllm"}
        return self.run(model, batch, **engine)

    def _offloaded(self, model: str, batch: int, tokens: int, storages: Mapping[str, Any]) -> _Run:
        kv = {"policy": "offload", "resident": 1}
        changes = {_REPLICA + "partitioning": "single", "services.writer.kv": kv, "cluster.devices.gpu.storage": storages}
        return self.run(model, batch, tokens, **changes, **self._weights())

    def _weights(self) -> dict[str, Any]:
        if self.assumed["weights"] == "on the GPU":
            return {}
        return {_REPLICA + "residency": {"policy": "lru", "storage": "dram"}, _REPLICA + "weight_budget": "2 GB"}

    def _implied(self) -> float:
        """The rate at which FlexGen takes 6.85 times as long as InstInfer: its time is affine in the inverse of the rate."""
        fast, slow = (self.flexgen("opt-13b", 64, rate=rate).seconds for rate in (7e9, 1e9))
        slope = (slow - fast) / (1e-9 - 1 / 7e9)
        wanted = _DENSE64 * self.inside("opt-13b", 64).seconds
        return slope / (wanted - fast + slope / 7e9)


def run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    bench, batch = _Bench(assumed), 64
    dense, flexgen = bench.inside("opt-13b", 64), bench.flexgen("opt-13b", 64)
    twice = bench.inside("opt-13b", 64, storages=2)
    fp16, opt = format_named("fp16"), zoo.model("opt-13b")
    return {
        "headline": bench.inside("opt-13b", batch, sparse=True).rate / bench.flexgen("opt-13b", batch).rate,
        "vs_dram": dense.rate / bench.deepspeed("opt-13b", 16).rate,
        "vs_recomp": bench.inside("opt-13b", 256, sparse=True).rate / bench.vllm("opt-13b", 256).rate,
        "opt30": _gains(bench, "opt-30b", batch, 1024),
        "llama13": _gains(bench, "llama-2-13b", batch, 2048),
        "kv_share": (flexgen.share, dense.share, twice.share),
        "migration": 1.0 - dense.bytes / flexgen.bytes,
        "kv_footprint": (opt.weight_bytes(fp16) / 1e9, 128 * 2048 * opt.kv_bytes_per_token(fp16) / 1e9),
    }


def _gains(bench: _Bench, model: str, batch: int, tokens: int) -> tuple[float, float]:
    base = bench.flexgen(model, batch, tokens).rate
    return bench.inside(model, batch, tokens).rate / base, bench.inside(model, batch, tokens, sparse=True).rate / base


def picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """Throughput against the baselines."""
    groups = {
        "headline": ["OPT-13B, SparF"],
        "opt30": ["OPT-30B, dense", "OPT-30B, SparF"],
        "llama13": ["Llama-2-13B, dense", "Llama-2-13B, SparF"],
        "vs_dram": ["against DeepSpeed"],
        "vs_recomp": ["against vLLM"],
    }
    return bars(rows, groups, "throughput, ratio")


SYSTEM = System(
    name="instinfer",
    title="InstInfer: In-Storage Attention Offloading for Cost-Effective Long-Context LLM Inference",
    source="Pan, Li, Li, Liang, Mao, Li, Wang, Ge, arXiv 2409.04992; HPCA 2025 as InstAttention",
    claims=CLAIMS,
    assumptions=ASSUMPTIONS,
    run=run,
    picture=picture,
)
"""See `README.md`."""
