"""From the jobs of a batch to the `Step` that they make: sums over sequences, for one step or a run of decode steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgewright.hwmodels import Quantity
from edgewright.policies.families import KvPolicy
from edgewright.simulator.request import Request
from edgewright.simulator.stretch import at_iteration
from edgewright.workloads import Attended, Step

__all__ = ["decode_run", "fetched_tokens", "mixed_step", "step_at"]


def mixed_step(decoding: Sequence[Request], chunks: Sequence[tuple[Request, int]], windows: Sequence[int], policy: KvPolicy) -> Step:
    """One step: the jobs that decode, and `(job, tokens)` chunks of prompts. Prefill attends to all that is cached.

    A prompt that is finished yields a token, unless its job wants none (only the cache, as a draft model's does).
    """
    past = [(request.context, tokens) for request, tokens in chunks if tokens]
    finishing = sum(1 for request, tokens in chunks if tokens and tokens == request.prompt_left and request.remaining > 0)
    step = Step.of(prefill=past, windows=windows, emits=finishing + len(decoding))
    if not decoding:
        return step
    run = decode_run(decoding, 1, windows, policy)
    return replace(
        step,
        decode=len(decoding),
        full=step.full._replace(context=at_iteration(run.full.context, 0)),
        windowed={w: step.windowed[w]._replace(context=at_iteration(run.windowed[w].context, 0)) for w in windows},
    )


def decode_run(decoding: Sequence[Request], iterations: int, windows: Sequence[int], policy: KvPolicy) -> Step:
    """Steps of pure decoding, the attention sums as arrays over the iterations: each caches one token more and attends to it too."""
    prompts = np.array([request.prompt for request in decoding], dtype=np.float64)[:, None]
    contexts = np.array([request.context for request in decoding], dtype=np.float64)[:, None] + np.arange(1.0, iterations + 1.0)
    attended = np.broadcast_to(np.asarray(policy.footprint(prompts, contexts).attended, dtype=np.float64), contexts.shape)
    return Step(
        decode=len(decoding),
        emits=len(decoding),
        full=Attended(context=attended.sum(axis=0)),
        windowed={window: Attended(context=np.minimum(attended, window).sum(axis=0)) for window in windows},
        outcomes=fetched_tokens(prompts, contexts, policy),
    )


def fetched_tokens(prompts: Quantity, contexts: Quantity, policy: KvPolicy) -> dict[str, Quantity]:
    """Cached tokens that decoding fetches from storage in each step, as the outcome `kv.fetched`; nothing if the policy fetches none."""
    fetched = np.asarray(policy.footprint(prompts, contexts).fetched, dtype=np.float64)
    if not fetched.any():
        return {}
    return {"kv.fetched": np.broadcast_to(fetched, np.shape(contexts)).sum(axis=0)}


def step_at(step: Step, iteration: int) -> Step:
    """One iteration of a run of steps."""
    return replace(
        step,
        full=_at(step.full, iteration),
        windowed={window: _at(sums, iteration) for window, sums in step.windowed.items()},
        outcomes={name: _outcome(value, iteration) for name, value in step.outcomes.items()},
    )


def _outcome(value: Any, iteration: int) -> Any:
    """One iteration's outcome: a number, or (expert routes) an array of its own."""
    found = np.asarray(value)[iteration] if np.ndim(value) else value
    return found if np.ndim(found) else float(found)


def _at(sums: Attended, iteration: int) -> Attended:
    return Attended(*(at_iteration(value, iteration) for value in sums))
