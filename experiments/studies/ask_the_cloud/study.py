"""When it is worth asking the cloud: up to which delay for questions, from which uplink on for pictures.

The way there and back is the delay of the network and the wait in the cloud's queue together: to a question it is all the same. The same
model answers in both places, so that nothing but time differs; on the board it is quantised to 4 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.studies.drawing import band, threshold
from edgewright.experiments.studies.reading import Span, by_replicate, crossing
from edgewright.experiments.studies.study import Level, Part, Rows, Study
from edgewright.experiments.studies.tables import crossed, grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["STUDY"]

_WAY, _UPLINK, _REPLICAS = "cluster.links.wan.latency", "cluster.links.wan.bandwidth", "services.chat.replicas"
_EDGE, _CLOUD = {"name": "edge", "devices": ["board"]}, {"name": "cloud", "devices": ["server"], "format": "bf16"}
_THERE_AND_BACK = (0.02, 0.1, 0.5, 2.0, 8.0, 32.0)
_TOKENS = (8, 64, 256)
_RATES = ("2 /min", "15 /min", "30 /min")
_WHERE: dict[Level, dict[str, object]] = {
    "edge": {_REPLICAS: [_EDGE]},
    "cloud": {_REPLICAS: [_CLOUD]},
    "either": {_REPLICAS: [_EDGE, _CLOUD]},
}
_MEGABITS = (1, 3, 10, 30, 100, 300, 1000)
_BOARD, _EYES = "cluster.devices.board", "services.eyes.replicas"
_ORIN = {"device": "jetson_orin_nano_8gb_super", "software": "pytorch"}
_SEERS: dict[Level, dict[str, object]] = {
    "Orin Nano Super": {_BOARD: _ORIN, _EYES: [_EDGE]},
    "Raspberry Pi 5": {_BOARD: {"device": "rpi5_8gb", "software": "pytorch"}, _EYES: [{**_EDGE, "format": "fp32"}]},
    "cloud": {_BOARD: _ORIN, _EYES: [{"name": "cloud", "devices": ["server"]}]},
}


def _questions(rows: Rows, rate: Level, tokens: Level) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seconds to the whole answer, on the board and in the cloud, per replicate and delay there and back."""
    own = rows["questions"]
    cloud = by_replicate(own, "e2e_p50_s", "delay (s)", where="cloud", rate=rate, tokens=tokens)
    edge = by_replicate(own, "e2e_p50_s", "delay (s)", where="edge", rate=rate, tokens=tokens)
    return edge.iloc[:, [0] * len(cloud.columns)].set_axis(cloud.columns, axis=1), cloud


def _most(rows: Rows, rate: Level, tokens: Level) -> Span:
    """The delay from which on the board answers sooner."""
    edge, cloud = _questions(rows, rate, tokens)
    return Span.of(crossing(_THERE_AND_BACK, cloud, edge))


def _uplink(rows: Rows, board: str) -> Span:
    """Mbit/s from which on the cloud sees sooner than the board."""
    own = rows["frames"]
    cloud = by_replicate(own, "e2e_p50_s", "uplink (Mbit/s)", where="cloud")
    edge = by_replicate(own, "e2e_p50_s", "uplink (Mbit/s)", where=board)
    return Span.of(crossing(_MEGABITS, edge.iloc[:, [0] * len(_MEGABITS)], cloud))


def _gain(rows: Rows, rate: Level) -> Span:
    """Of all delays, the most that a router gains on the better one of edge and cloud, as a share of its seconds."""
    edge, cloud = _questions(rows, rate, 64)
    either = by_replicate(rows["questions"], "e2e_p50_s", "delay (s)", where="either", rate=rate, tokens=64)
    return Span.of((1.0 - either / np.minimum(edge, cloud)).max(axis=1))


def _answer(rows: Rows) -> Sequence[str]:
    middle = _RATES[1]
    longer = "; ".join(f"{tokens} tokens: {_most(rows, middle, tokens)} s" for tokens in _TOKENS)
    busier = "; ".join(f"{rate}: {_most(rows, rate, 64)} s" for rate in _RATES)
    seers = [(board, _uplink(rows, board)) for board in ("Orin Nano Super", "Raspberry Pi 5")]
    frames = ", ".join(f"than the {board} {_over(span)}" for board, span in seers)
    gains = "; ".join(f"{rate}: {100 * span.middle:.0f} %" for rate in _RATES for span in [_gain(rows, rate)])
    return [
        f"Ask the cloud as long as the way there and back, with the wait in its queue, takes less than {_most(rows, middle, 64)} s for an"
        f" answer of 64 tokens; send it pictures of 200 kB from a Raspberry Pi 5 {_over(seers[1][1])}, from an Orin Nano Super"
        f" {_over(seers[0][1])}.",
        f"By the length of the answer, at {middle}: {longer}. By how much the board is asked, with answers of 64 tokens: {busier}. A router"
        f" that sends each question where it predicts the sooner answer gains at most, over the better one of the two: {gains}.",
        f"Pictures the cloud, 10 ms away, sees sooner {frames}.",
    ]


def _delays(rows: Rows) -> str:
    header = ["tokens of the answer", *_RATES]
    return grid(header, [[str(tokens), *(str(_most(rows, rate, tokens)) for rate in _RATES)] for tokens in _TOKENS], 1)


def _over(span: Span) -> str:
    return "at any rate tried" if span.high == -np.inf else "at no rate tried" if span.low == np.inf else f"over {span} Mbit/s or more"


def _picture(rows: Rows) -> Figure:
    from edgewright.simulator.plots import PAGE, PALETTE, canvas, picture_style

    with picture_style():
        drawing, (above, below) = canvas(PAGE, 5.4, rows=2, shared=False)
        above.set(xscale="log", yscale="log", xlabel="s there and back, queue included", ylabel="s to an answer of 64 tokens")
        for rate, colour in zip(_RATES, PALETTE[1:], strict=False):
            edge, cloud = _questions(rows, rate, 64)
            band(above, edge, f"board, {rate}", colour)
        band(above, cloud, f"cloud, {rate}", PALETTE[0], linestyle="--")
        either = by_replicate(rows["questions"], "e2e_p50_s", "delay (s)", where="either", rate=_RATES[-1], tokens=64)
        band(above, either, f"either, {_RATES[-1]}", PALETTE[7], linestyle=":")
        threshold(above, _most(rows, _RATES[1], 64), f"they cross at {_RATES[1]}")
        below.set(xscale="log", yscale="log", xlabel="uplink (Mbit/s)", ylabel="s per picture of 200 kB")
        cloud = by_replicate(rows["frames"], "e2e_p50_s", "uplink (Mbit/s)", where="cloud")
        for board, colour in (("Orin Nano Super", PALETTE[1]), ("Raspberry Pi 5", PALETTE[2])):
            edge = by_replicate(rows["frames"], "e2e_p50_s", "uplink (Mbit/s)", where=board)
            band(below, edge.iloc[:, [0] * len(_MEGABITS)].set_axis(cloud.columns, axis=1), board, colour)
        band(below, cloud, "cloud", PALETTE[0], linestyle="--")
        for axis in (above, below):
            axis.legend()
    return drawing


def _asked(delay: Level, where: Level, rate: Level, tokens: Level) -> bool:
    """The board does not know how far the cloud is; the router is tried with answers of one length."""
    if where == "edge":
        return delay == _THERE_AND_BACK[0]
    return where == "cloud" or tokens == 64


STUDY = Study(
    name="ask-the-cloud",
    question="When is it worth asking the cloud?",
    parts={
        "questions": Part(
            factors={
                "delay (s)": {each: {_WAY: f"{each / 2:g} s"} for each in _THERE_AND_BACK},
                "where": _WHERE,
                "rate": {each: {"workloads.questions.arrivals.rate": each} for each in _RATES},
                "tokens": {each: {"workloads.questions.lengths.output.value": each} for each in _TOKENS},
            },
            keep=_asked,
            figures={"e2e_p50_s": "E2E p50 (s)", "e2e_p90_s": "E2E p90 (s)", "ttft_p50_s": "TTFT p50 (s)"},
        ),
        "frames": Part(
            factors={
                "uplink (Mbit/s)": {each: {_UPLINK: f"{each} Mbit/s"} for each in _MEGABITS},
                "where": _SEERS,
            },
            keep=lambda uplink, where: where == "cloud" or uplink == _MEGABITS[0],
            figures={"e2e_p50_s": "E2E (s)"},
            base={
                "run": {"warmup": "0 s", "window": "1 min", "drain": "1 min"},
                "cluster.devices.server.software": "pytorch",
                "services": {"eyes": {"model": "vit-l-16", "format": "fp16", "replicas": [_EDGE]}},
                "workloads": {
                    "frames": {
                        "service": "eyes",
                        "entry": "user",
                        "arrivals": {"process": "periodic", "period": "10 s"},
                        "lengths": "one_shot",
                        "bytes": "200 kB",
                    }
                },
            },
        ),
    },
    answer=_answer,
    picture=_picture,
    tables={
        "The delay there and back (s) from which on the board answers sooner:": _delays,
        "Seconds to an answer, the cloud 20 ms away (there and back):": lambda rows: crossed(
            rows["questions"][rows["questions"]["delay (s)"] == _THERE_AND_BACK[0]].assign(
                **{"rate, tokens": lambda found: found["rate"] + ", " + found["tokens"].astype(str)}
            ),
            "e2e_p50_s",
            "rate, tokens",
            "where",
        ),
        "Pictures, seen by ViT-L/16:": lambda rows: crossed(rows["frames"], "e2e_p50_s", "uplink (Mbit/s)", "where"),
    },
)
"""The study."""
