"""What share of the attention a KV policy retains: its real algorithm on a seeded sample of attention statistics.

    retained_attention(Keyformer(budget=0.5), AttentionProcess(), prompt=512, answer=64).mean

Requests and layers draw their attention from `workloads.AttentionProcess`; the policy follows it step by step (`KvFollowing.follow`), or
chooses anew in each step by the scores summed so far (`KvPolicy.select`). The retained share of a step is the attention that falls on
what the layer attends to, of what it would spread with every token at hand.

In what sense it stands for accuracy: a layer whose retained share is 1 computes what the whole model does; 1 minus the share bounds
the total variation between its attention weights and the whole model's (renormalised weights lie that far apart), so that it orders
policies and budgets by how far they can go wrong. It is no task's score: an answer may hang on one token of little attention, or be robust
to the loss of half. The attention of steps after an error is taken as if none had occurred.

How wrong: as the process differs from a model's heads (`workloads/attention_stats.py`); heads are one each here, summed over none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.policies.families import KvFollowing, KvPolicy
from edgewright.policies.kv.following import each_layer, prompt_rows
from edgewright.workloads import AttentionProcess, Stream

__all__ = ["Retention", "followed", "retained_attention", "sampled_attention"]


@dataclass(frozen=True, slots=True)
class Retention:
    """Shares of attention retained in the steps of answers.

    Attributes:
        mean: over requests, layers and steps.
        layers: means per layer.
        low, high: 5 % and 95 % quantiles over requests (each the mean of its layers and steps).
        requests: how many.
    """

    mean: float
    layers: tuple[float, ...]
    low: float
    high: float
    requests: int


def retained_attention(
    policy: KvPolicy,
    process: AttentionProcess,
    *,
    prompt: int,
    answer: int,
    requests: int = 50,
    layers: int = 4,
    history: int = 64,
    seed: int = 0,
) -> Retention:
    """What a policy retains of a sample of `requests` with `prompt` tokens and `answer` steps, in `layers` layers.

    `history`: rows of the prompt's last tokens that the policy may judge by (at least 1, at most `prompt`).
    """
    found = np.empty((requests, layers))
    for request in range(requests):
        attention = sampled_attention(process, Stream(seed, "attention"), prompt, answer, layers, history, request)
        kept = followed(policy, attention, prompt)
        found[request] = np.where(kept, attention, 0.0).sum(axis=2)[:, -answer:].mean(axis=1)
    low, high = np.quantile(found.mean(axis=1), (0.05, 0.95))
    return Retention(float(found.mean()), tuple(float(each) for each in found.mean(axis=0)), float(low), float(high), requests)


def sampled_attention(
    process: AttentionProcess, stream: Stream, prompt: int, answer: int, layers: int, history: int, request: int
) -> NDArray[np.float64]:
    """Attention of one request, (layers, steps, context): rows of the prompt's last `history` tokens, then of the answer's."""
    rows, context = min(history, prompt) + answer, prompt + answer
    found = np.zeros((layers, rows, context))
    for layer in range(layers):
        for row in range(rows):
            seen = context - rows + row + 1
            found[layer, row, :seen] = process.scores(stream, seen, seen, sequence=request, layer=layer)
    return found


def followed(policy: KvPolicy, attention: NDArray[np.float64], prompt: int) -> NDArray[np.bool_]:
    """Which tokens each layer attends to in each step, in the shape of `attention` (see `KvFollowing.follow`)."""
    if isinstance(policy, KvFollowing):
        mask: NDArray[np.bool_] = policy.follow(attention, prompt)
        return mask
    first, context = prompt_rows(attention, prompt), attention.shape[2]

    def choose(rows: NDArray[np.float64], layer: int) -> NDArray[np.bool_]:
        summed = np.cumsum(rows, axis=0)
        found = np.zeros((len(rows) - first, context), dtype=bool)
        for step, mask in enumerate(found):
            seen = prompt + step + 1
            mask[:seen] = policy.select(summed[first + step - 1, :seen], prompt)
        return found

    return each_layer(attention, prompt, choose)
