"""Benchmark `pricing`: a million points (sequences that decode, tokens they attend to) priced in one call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgewright.experiments.benchmarks.rows import Row, Target
from edgewright.experiments.benchmarks.timing import in_turn
from edgewright.hwmodels import Cluster, catalog
from edgewright.policies.pricing import decode_prices
from edgewright.workloads import format_named, zoo

__all__ = ["pricing"]


def pricing(points: int = 1_000_000, turns: int = 3) -> Iterator[Row]:
    """Points per CPU second: decode steps of Llama-2-7B on an A100, 1 to 64 sequences of 1 to 4096 tokens."""
    part, cluster = zoo.model("llama-2-7b").part(format_named("fp16")), Cluster({"gpu": catalog.device("a100_80gb_sxm")})
    generator = np.random.default_rng(1)
    batches, contexts = generator.integers(1, 65, points), generator.integers(1, 4097, points).astype(np.float64)
    engine = cluster.engine_name("gpu")
    seconds = in_turn({"ours": lambda: decode_prices(part, cluster, engine, batches, contexts).seconds}, turns)["ours"]
    yield Row(f"pricing, {points} points in one call", points / seconds, "points/CPU s", Target(10e6, True))
