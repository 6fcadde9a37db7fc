"""ED-ViT (Liu et al., 2024): claims, assumptions, and the runs that answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.experiments.reproductions.bars import bars
from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.simulator import Scenario, simulate
from edgewright.workloads import format_named, zoo
from edgewright.workloads.changes_vision import ClassSplit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from edgewright.experiments.reproductions.running import Outcomes
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["SYSTEM"]

_SCENARIO = Path(__file__).parent / "scenario.yaml"
_PARTS = 10
_NETWORKS = {
    "ViT-Base, 2 of 12 heads": ("vit-b-16", 2),
    "ViT-Base, 1 of 12 heads": ("vit-b-16", 1),
    "ViT-Base, 3 of 12 heads": ("vit-b-16", 3),
    "ViT-Small, 1 of 6 heads": ("deit-small", 1),
    "ViT-Large, 2 of 16 heads": ("vit-l-16", 2),
}
"""Zoo name and heads kept."""

_CLAIMS = (
    Claim(
        "latency",
        "original's latency over that of the ten devices",
        "ratio",
        28.9,
        "original ViT on one device",
        "up to; 28.9 and 34.1 are 'latency and size, respectively', by the abstract's wording",
        "abstract",
        note="28.9 is the ratio of operations (29.1 by the shapes). A board does not follow it: issuing the same number of operators takes "
        "0.11 s at either size under PyTorch, and the hub sends ten images. With software that issues faster it is 26.",
    ),
    Claim(
        "size",
        "original's size over that of what one device holds",
        "ratio",
        34.1,
        "original ViT",
        "up to; as above",
        "abstract",
        note="Two of twelve heads: a sixth of the width and a thirty-sixth of the matrices, with biases, norms and positions on top.",
    ),
)

_ASSUMPTIONS = (
    Assumption(
        "network",
        "ViT-Base, 2 of 12 heads",
        tuple(name for name in _NETWORKS if name != "ViT-Base, 2 of 12 heads"),
        "what is cut how narrow on ten devices: ViT-Base is the paper's main model; the heads kept are not said",
    ),
    Assumption(
        "software",
        "pytorch-fairseq",
        ("other", None),
        "PyTorch as measured on this board with other transformers; all software measured on it; assumed efficiencies",
    ),
    Assumption("link", "eth_1g", ("wifi5", "eth_100m"), "between the boards; not said"),
    Assumption("fusion", 256, (1280,), "width of the hidden layer of the fusing MLP; not said"),
)


@cache
def _seconds(changes: str) -> float:
    """Mean seconds from image to result."""
    return float(simulate(Scenario.load(_SCENARIO).override(json.loads(changes))).jobs.e2e_s.mean())


def _run(assumed: Mapping[str, Any]) -> dict[str, Value]:
    """All claims under these assumptions."""
    name, heads = _NETWORKS[assumed["network"]]
    cluster = {
        **{f"cluster.devices.{group}.software": assumed["software"] for group in ("hub", "pi")},
        **{f"cluster.links.{link}.link": assumed["link"] for link in ("up", "cable")},
    }
    change = {"change": "class_split", "parts": _PARTS, "heads": heads, "fusion": assumed["fusion"]}
    spread = {"services.split.model": {"zoo": name, "change": change}}
    times = [
        _seconds(json.dumps({**cluster, **changes}, sort_keys=True))
        for changes in ({"services.whole.model": name, "workloads.camera.service": "whole"}, spread)
    ]
    model = zoo.model(name)
    narrow = ClassSplit(parts=_PARTS, heads=heads, fusion=assumed["fusion"]).apply(model)
    fp32 = format_named("fp32")
    largest = narrow.part(fp32, 0, (len(narrow.blocks) - 1) // _PARTS)
    return {"latency": times[0] / times[1], "size": model.weight_bytes(fp32) / largest.weight_bytes}


def _picture(rows: list[Row], outcomes: Outcomes) -> Figure:
    """How many times faster and smaller."""
    return bars(rows, {"latency": ["latency"], "size": ["size"]}, "original over ED-ViT")


SYSTEM = System(
    name="ed-vit",
    title="ED-ViT: Splitting Vision Transformer for Distributed Inference on Edge Devices",
    source="Liu et al., arXiv 2410.11650, 2024",
    claims=_CLAIMS,
    assumptions=_ASSUMPTIONS,
    run=_run,
    picture=_picture,
)
"""See `README.md`."""
