"""Tensor parallel or pipeline: where they cross in the latency and in the rate of the network between four boards.

A token needs two all-reduces per layer in tensor parallel, of kilobytes: latency decides. A prompt needs them of megabytes: the rate does.
Collectives are chosen by size, as libraries do: the algorithm that is fastest for decoding, and the one that is for prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.studies.drawing import band, threshold
from edgewright.experiments.studies.reading import Span, by_replicate, crossing, said
from edgewright.experiments.studies.study import Level, Part, Rows, Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["STUDY"]

_SPLIT, _LINK, _USERS = "services.chat.replicas.four.partitioning", "cluster.links", "workloads.user.arrivals.users"
_SPLITS: dict[Level, dict[str, object]] = {
    "pipeline": {_SPLIT: {"policy": "pipeline"}},
    "tensor, ring": {_SPLIT: {"policy": "tensor_parallel", "algorithm": "ring"}},
    "tensor, direct": {_SPLIT: {"policy": "tensor_parallel", "algorithm": "direct"}},
    "tensor, doubling": {_SPLIT: {"policy": "tensor_parallel", "algorithm": "recursive_doubling"}},
}
_MILLISECONDS = (0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0)
_MEGABITS = (100, 300, 1000, 2500, 5000, 10000)
_FIGURES = {"ttft_p50_s": "TTFT (s)", "tpot_p50_s": "TPOT (s)"}


def _cable(**figures: object) -> dict[str, object]:
    return {_LINK: [{"name": "cable", "between": ["lan", "board"], **figures}]}


# The catalogue's latencies of Ethernet are through a switch, from board to board: half of it on either side. Those of Wi-Fi are one hop.
_LINKS: dict[Level, dict[str, object]] = {
    "Wi-Fi 5": _cable(link="wifi5", medium="air"),
    "Wi-Fi 6": _cable(link="wifi6", medium="air"),
    "1 GbE": _cable(link="eth_1g", latency="60 us"),
    "2.5 GbE": _cable(link="eth_2g5", latency="50 us"),
    "10 GbE": _cable(link="eth_10g", latency="15 us"),
}


def _some(*names: str) -> dict[Level, dict[str, object]]:
    return {name: _SPLITS[name] for name in names}


def _tensor(rows: pd.DataFrame, figure: str, factor: str) -> pd.DataFrame:
    """Of tensor parallelism, with the algorithm that takes least, per replicate and place."""
    found = [by_replicate(rows, figure, factor, split=name) for name in dict.fromkeys(rows["split"]) if name != "pipeline"]
    best = found[0]
    for other in found[1:]:
        best = best.where(~(other < best), other)
    return best


def _farthest(rows: Rows) -> Span:
    """Milliseconds from board to board up to which tensor parallel decodes faster."""
    own = rows["latency"]
    factor = "ms from board to board"
    return Span.of(crossing(_MILLISECONDS, _tensor(own, "tpot_p50_s", factor), by_replicate(own, "tpot_p50_s", factor, split="pipeline")))


def _slowest(rows: Rows) -> Span:
    """Mbit/s from which on tensor parallel computes prompts faster."""
    own = rows["rate"]
    return Span.of(crossing(_MEGABITS, by_replicate(own, "ttft_p50_s", "Mbit/s", split="pipeline"), _tensor(own, "ttft_p50_s", "Mbit/s")))


def _longest(rows: Rows) -> dict[str, Span]:
    """Per link the length of an answer from which on tensor parallel ends it sooner."""
    own = rows["links"]
    late = _tensor(own, "ttft_p50_s", "link") - by_replicate(own, "ttft_p50_s", "link", split="pipeline")
    gain = by_replicate(own, "tpot_p50_s", "link", split="pipeline") - _tensor(own, "tpot_p50_s", "link")
    found = {}
    for link in late.columns:
        tokens = np.where(gain[link] > 0, np.maximum(late[link], 0.0) / gain[link], np.where(late[link] < 0, 0.0, np.inf))
        found[str(link)] = Span.of(tokens)
    return found


def _answer(rows: Rows) -> Sequence[str]:
    lengths, alone, crowd = _longest(rows), Span.of(rows["alone"]["tpot_p50_s"]), rows["crowd"]
    never = [link for link, span in lengths.items() if span.low == np.inf]
    always = [link for link, span in lengths.items() if span.high == 0.0]
    from_on = [f"over {link} for answers of {span} tokens or more" for link, span in lengths.items() if link not in (*never, *always)]
    served = {split: by_replicate(crowd, "tokens_per_s", "link", split=split) for split in ("pipeline", "tensor, ring")}
    ahead = [f"{Span.of(served['pipeline'][link] / served['tensor, ring'][link])} times over {link}" for link in served["pipeline"].columns]
    return [
        f"For one user, the pipeline over {_listed(never) or 'none'} and tensor parallel over {_listed(always) or 'none'}, however long the"
        f" answer; in between tensor parallel pays {_listed(from_on) or 'nowhere'} (the prompt has 512).",
        f"They cross where boards are {_farthest(rows)} ms from each other one way: nearer, tensor parallel takes less time per token. It"
        f" computes prompts sooner from {_slowest(rows)} Mbit/s on.",
        f"For eight users the pipeline, which has a step in flight on every board, gives {_listed(ahead)} as many tokens per second as"
        f" tensor parallel. One board alone reads the weights from its NVMe drive for every token: {alone} s each.",
    ]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _picture(rows: Rows) -> Figure:
    from edgewright.simulator.plots import PAGE, PALETTE, canvas, picture_style

    panels = (
        ("latency", "tpot_p50_s", "ms from board to board", "s per token", _farthest(rows), "ms"),
        ("rate", "ttft_p50_s", "Mbit/s", "s to the first token", _slowest(rows), "Mbit/s"),
    )
    with picture_style():
        drawing, axes = canvas(PAGE, 5.4, rows=2, shared=False)
        for axis, (part, figure, factor, title, cross, unit) in zip(axes, panels, strict=True):
            axis.set(xscale="log", yscale="log", xlabel=factor, ylabel=title)
            band(axis, _tensor(rows[part], figure, factor), "tensor parallel", PALETTE[0])
            band(axis, by_replicate(rows[part], figure, factor, split="pipeline"), "pipeline", PALETTE[4], linestyle="--")
            threshold(axis, cross, f"they cross: {said(cross.middle)} {unit}")
            axis.legend()
    return drawing


_CROWD = {"run.warmup": "2 min", "run.window": "10 min", "run.drain": "1 s", _USERS: 8}

STUDY = Study(
    name="tensor-or-pipeline",
    question="Four boards hold one model: tensor parallel or pipeline, over Ethernet and over Wi-Fi?",
    parts={
        "latency": Part(
            factors={
                "ms from board to board": {each: _cable(bandwidth="940 Mbit/s", latency=f"{each / 2:g} ms") for each in _MILLISECONDS},
                "split": _some("pipeline", "tensor, direct", "tensor, doubling"),
            },
            figures=_FIGURES,
        ),
        "rate": Part(
            factors={
                "Mbit/s": {each: _cable(bandwidth=f"{each} Mbit/s", latency="60 us") for each in _MEGABITS},
                "split": _some("pipeline", "tensor, ring"),
            },
            figures=_FIGURES,
        ),
        "links": Part(
            factors={"link": _LINKS, "split": _some("pipeline", "tensor, ring", "tensor, direct")},
            figures=_FIGURES,
        ),
        "crowd": Part(
            factors={"link": {name: _LINKS[name] for name in ("1 GbE", "10 GbE")}, "split": _some("pipeline", "tensor, ring")},
            figures={"tokens_per_s": "tokens per second", **_FIGURES},
            base=_CROWD,
        ),
        "alone": Part(
            factors={"split": {"one board": {}}},
            figures=_FIGURES,
            base={
                "services.chat.replicas": [
                    {"name": "four", "devices": ["board0"], "residency": {"policy": "streaming_window"}, "weight_budget": "12 GB"}
                ]
            },
        ),
    },
    answer=_answer,
    picture=_picture,
    tables={"One user:": "links", "Eight users:": "crowd"},
)
"""The study."""
