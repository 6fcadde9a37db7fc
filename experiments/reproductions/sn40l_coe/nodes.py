"""The three platforms: what they hold, how fast they switch, and how long a batch of prompts takes on each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgewright.hwmodels import Device, Work, catalog, price
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import Model, format_named, zoo
from edgewright.workloads.fused_layers import fused_layers

__all__ = ["EXPERT", "HOST_DRAM", "PLATFORMS", "Node", "Situation", "speedup_of_fusion"]

_BF16 = format_named("bf16")
EXPERT = 2 * 6_738_415_616
"""Bytes of a Llama-2-7B in bf16: 13.48 GB."""
PLATFORMS = {"sn40l": "sn40l_node", "a100": "dgx_a100_640gb", "h100": "dgx_h100_640gb"}
"""Nodes of eight, each as one engine, by what they are called here."""
LINKS = {"sn40l": 1e12, "a100": 32e9, "h100": 64e9}
"""Bytes per second to fast memory: DDR of the node; PCIe of generation 4 and 5, as the publication takes them."""
HOST_DRAM = 2e12
"""Bytes of host memory of a DGX (both have 2 TB at most in their data sheets)."""


@dataclass(frozen=True)
class Situation:
    """What the publication leaves open: see the assumptions of the system."""

    experts: int
    software: str
    prompt: int
    links: int


@dataclass(frozen=True)
class Node:
    """A platform in a situation."""

    name: str
    at: Situation

    @property
    def slots(self) -> int:
        """Experts that fast memory holds besides the router and the one that runs, a twentieth left for caches."""
        device = catalog.device(PLATFORMS[self.name])
        return int(0.95 * device.main_pool.capacity // EXPERT) - 2

    @property
    def rate(self) -> float:
        """Bytes per second of a switch."""
        return LINKS[self.name] * (1 if self.name == "sn40l" else self.at.links)

    @property
    def switch(self) -> float:
        """Seconds to copy an expert into fast memory."""
        return EXPERT / self.rate

    def batch(self, prompts: int, tokens: int) -> float:
        """Mean seconds of a batch, over thirty batches."""
        return _batch(self, prompts, tokens)


@cache
def _batch(node: Node, prompts: int, tokens: int) -> float:
    base = Scenario.load(Path(__file__).with_name("scenario.yaml"))
    changes: dict[str, Any] = {
        "cluster.devices.node.device": PLATFORMS[node.name],
        "cluster.links.load.bandwidth": node.rate,
        "services.chat.orchestration.slots": node.slots,
        "services.chat.orchestration.model": EXPERT,
        "services.chat.orchestration.prompts": prompts,
        "services.chat.orchestration.tokens": tokens,
        "services.chat.outcomes.expert.weights": [1.0] * node.at.experts,
        "workloads.users.lengths.prompt": {"shape": "fixed", "value": node.at.prompt},
        "workloads.users.lengths.output": {"shape": "fixed", "value": prompts * tokens},
    }
    if node.name != "sn40l":
        changes |= {f"services.{service}.model.change": None for service in ("router", "expert")}
        changes["cluster.devices.node.software"] = None if node.at.software == "none" else node.at.software
    jobs = simulate(base.override(changes)).jobs
    return float(jobs[jobs.service == "chat"].e2e_s.mean())


def speedup_of_fusion() -> tuple[float, float]:
    """The least and the greatest gain by fusing layers on the node: a prompt of 4096 tokens, and decoding one token at 512."""
    device, plain = catalog.device(PLATFORMS["sn40l"]), zoo.model("llama-2-7b")
    fused = fused_layers(plain)
    gains = [_gain(device, plain.prefill(4096, format=_BF16), fused.prefill(4096, format=_BF16)), _decoding(device, plain, fused)]
    return min(gains), max(gains)


def _decoding(device: Device, plain: Model, fused: Model) -> float:
    return _gain(device, plain.decode(1, 512.0, format=_BF16), fused.decode(1, 512.0, format=_BF16))


def _gain(device: Device, plain: Work, fused: Work) -> float:
    return float(price(plain, device).seconds) / float(price(fused, device).seconds)
