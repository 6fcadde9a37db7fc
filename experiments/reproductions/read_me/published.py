"""Read-ME (Cai et al., NeurIPS 2024): what it claims, and what is not said."""

from __future__ import annotations

from edgewright.experiments.reproductions.claims import Assumption, Claim

__all__ = ["ASSUMPTIONS", "CLAIMS"]

_NOTES = "third-party notes"

CLAIMS = (
    Claim(
        "mean_latency",
        "reduction of the mean time of a request",
        "fraction",
        0.061,
        "the better of prefill- and decode-prioritised batching",
        "up to; Chatbot Arena replayed",
        "abstract",
        note="Nothing below the limit, where all running requests fit a batch and there is nothing to choose; the gain is that of an "
        "overloaded server, where batches of fewer experts are quicker.",
    ),
    Claim(
        "p95_latency",
        "reduction of the 95th percentile of the time of a request",
        "fraction (against prefill-, decode-prioritised)",
        (0.095, 0.1),
        "prefill-prioritised, decode-prioritised batching",
        "Chatbot Arena replayed",
        _NOTES,
        note="As mean_latency.",
    ),
    Claim(
        "mixtral_unique",
        "distinct experts per layer and batch",
        "of 8",
        7.63,
        "none",
        "Mixtral-8x7B, 56.8 tokens in the mean batch",
        _NOTES,
        note="57 tokens of two experts each touch all eight unless a router is skewed: even, 8.0; at a Zipf exponent of 1, 7.9.",
    ),
    Claim(
        "prefetch",
        "reduction of the time of a request",
        "fraction",
        0.3,
        "loading on demand",
        "up to, small cache; here two of eight experts per layer, one request",
        _NOTES,
        note="An expert is 135 MB, 5 ms over PCIe 4.0; a layer of a decode step computes for 0.2 ms. Reading one layer ahead hides no "
        "more than that. 30 % needs layers that compute for 2 ms, as those of long prompts do.",
    ),
    Claim(
        "router_share",
        "share of routers in the time of a token",
        "fraction (one router before the model, one per layer)",
        (0.004, 0.0395),
        "a router in every layer",
        "single request",
        _NOTES,
        note="Launches decide: one small layer against a product in each of 32. Softmax and the choice of a layer's router are not "
        "counted.",
    ),
    Claim(
        "mmlu",
        "MMLU",
        "points",
        10.1,
        "dense models of similar size",
        "5-shot",
        "abstract",
        unsimulated="Quality of a trained model.",
    ),
)
"""What the paper claims, in the order of its figures."""

ASSUMPTIONS = (
    Assumption(
        "load",
        0.9,
        (0.7, 1.3),
        "requests per second, as a share of what decode-prioritised batches of 32 complete; the notes do not say",
    ),
    Assumption("pool", 64, (48,), "requests that may run, of which 32 decode in a step: twice as many, or half as many more"),
    Assumption(
        "model",
        "read-me",
        ("read-me-permanent",),
        "one expert per token (4.6 B active, as printed), or two and a permanent one (as noted)",
    ),
    Assumption("skew", 1.0, (0.0,), "Zipf exponent of Mixtral's experts"),
)
"""What it leaves open."""
