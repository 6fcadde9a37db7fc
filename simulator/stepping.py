"""From the jobs of a batch to the `Step` that they make: sums over sequences, for one step or a run of decode steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.policies.families import KvPolicy, KvWork
from edgewright.simulator.request import Request
from edgewright.simulator.stretch import at_iteration
from edgewright.workloads import Attended, Step

__all__ = ["decode_run", "decoded", "mean_of", "mixed_step", "padded", "prefilled", "step_at"]


def mixed_step(decoding: Sequence[Request], chunks: Sequence[tuple[Request, int]], windows: Sequence[int], policy: KvPolicy) -> Step:
    """One step: the jobs that decode, and `(job, tokens)` chunks of prompts. Prefill attends to all that is cached.

    A prompt that is finished yields a token, unless its job wants none (only the cache, as a draft model's does).
    """
    past = [(request.prompt, request.context, tokens) for request, tokens in chunks if tokens]
    finishing = sum(1 for request, tokens in chunks if tokens and tokens == request.prompt_left and request.remaining > 0)
    step = prefilled(past, windows, policy, emits=finishing + len(decoding))
    if not decoding:
        return step
    return _together(step_at(decode_run(decoding, 1, windows, policy), 0), step)


def decode_run(decoding: Sequence[Request], iterations: int, windows: Sequence[int], policy: KvPolicy) -> Step:
    """Steps of pure decoding, the attention sums as arrays over the iterations: each caches one token more and attends to it too."""
    prompts = np.array([request.prompt for request in decoding], dtype=np.float64)[:, None]
    contexts = np.array([request.context for request in decoding], dtype=np.float64)[:, None] + np.arange(1.0, iterations + 1.0)
    return decoded(prompts, contexts, windows, policy)


def decoded(prompts: NDArray[np.float64], contexts: NDArray[np.float64], windows: Sequence[int], policy: KvPolicy) -> Step:
    """Decode steps of sequences with these prompts `(sequences, 1)` at these contexts `(sequences, steps)`, the new tokens included."""
    count = len(contexts)

    def seen(tokens: Quantity) -> Step:
        attended = np.broadcast_to(np.asarray(tokens, dtype=np.float64), contexts.shape)
        windowed = {window: Attended(context=np.minimum(attended, window).sum(axis=0)) for window in windows}
        return Step(decode=count, emits=count, full=Attended(context=attended.sum(axis=0)), windowed=windowed)

    step = seen(policy.footprint(prompts, contexts).attended)
    outcomes = _fetched(prompts, contexts, policy)
    roles = _by_roles(policy)
    if roles is None:
        return replace(step, outcomes=outcomes) if outcomes else step
    return replace(step, outcomes=outcomes, roles={role: seen(tokens) for role, tokens in roles.decoding(prompts, contexts).items()})


def prefilled(chunks: Sequence[tuple[int, int, int]], windows: Sequence[int], policy: KvPolicy, emits: int | None = None) -> Step:
    """A step of prompt chunks `(prompt, past, new)`; `emits` as in `Step.of`."""
    step = Step.of(prefill=[(past, new) for _, past, new in chunks], windows=windows, emits=emits)
    by_roles = _by_roles(policy)
    if by_roles is None:
        return step
    roles: dict[str, Step] = {}
    for chunk in chunks:
        for role, seen in by_roles.prefilling(*chunk, windows=windows).items():
            roles[role] = _together(roles[role], seen) if role in roles else seen
    return replace(step, roles=roles)


_ROLES: dict[type, bool] = {}


def _by_roles(policy: KvPolicy) -> KvWork | None:
    """The policy, if it says how work differs by role: asked once of a kind of policy, as to ask it takes long."""
    kind = type(policy)
    if kind not in _ROLES:
        _ROLES[kind] = isinstance(policy, KvWork)
    return cast(KvWork, policy) if _ROLES[kind] else None


def _together(one: Step, other: Step) -> Step:
    """Both at once: counts and sums added, in every role; what is emitted is the second's."""
    first, second = one.roles, other.roles
    roles = None if first is None or second is None else {role: _of_both(first, second, role) for role in {**first, **second}}
    windows = {**one.windowed, **other.windowed}
    return Step(
        decode=one.decode + other.decode,
        prefill=one.prefill + other.prefill,
        emits=other.emits,
        full=_summed(one.full, other.full),
        windowed={window: _summed(one.attended(window), other.attended(window)) for window in windows},
        outcomes={**one.outcomes, **other.outcomes},
        roles=roles,
    )


def _of_both(one: Mapping[str, Step], other: Mapping[str, Step], role: str) -> Step:
    found = [roles[role] for roles in (one, other) if role in roles]
    return _together(*found) if len(found) == 2 else found[0]


def _summed(one: Attended, other: Attended) -> Attended:
    return Attended(one.context + other.context, one.pairs + other.pairs, one.reads + other.reads)


def _fetched(prompts: Quantity, contexts: Quantity, policy: KvPolicy) -> dict[str, Quantity]:
    """Cached tokens that decoding fetches from storage in each step, as the outcome `kv.fetched`; nothing if the policy fetches none."""
    fetched = np.asarray(policy.footprint(prompts, contexts).fetched, dtype=np.float64)
    if not fetched.any():
        return {}
    return {"kv.fetched": np.broadcast_to(fetched, np.shape(contexts)).sum(axis=0)}


def padded(step: Step, ended: Sequence[tuple[int, int]], windows: Sequence[int], policy: KvPolicy) -> Step:
    """The step with the rows of sequences that have ended besides, `(prompt, context)` each: they decode on at their last context.

    They yield nothing: the head is not computed for them.
    """
    prompts, contexts = (np.array(column, dtype=np.float64)[:, None] for column in zip(*ended, strict=True))
    return _together(step_at(decoded(prompts, contexts, windows, policy), 0), step)


def mean_of(step: Step) -> Step:
    """The step of one of the sequences that decode in it, at their mean context."""

    def one(sums: Attended) -> Attended:
        return Attended(sums.context / step.decode)

    return replace(
        step,
        decode=1,
        emits=1,
        full=one(step.full),
        windowed={window: one(sums) for window, sums in step.windowed.items()},
        roles=None if step.roles is None else {role: mean_of(seen) for role, seen in step.roles.items()},
    )


def step_at(step: Step, iteration: int) -> Step:
    """One iteration of a run of steps."""
    return replace(
        step,
        full=_at(step.full, iteration),
        windowed={window: _at(sums, iteration) for window, sums in step.windowed.items()},
        outcomes={name: _outcome(value, iteration) for name, value in step.outcomes.items()},
        roles=None if step.roles is None else {role: step_at(seen, iteration) for role, seen in step.roles.items()},
    )


def _outcome(value: Any, iteration: int) -> Any:
    """One iteration's outcome: a number, or (expert routes) an array of its own."""
    found = np.asarray(value)[iteration] if np.ndim(value) else value
    return found if np.ndim(found) else float(found)


def _at(sums: Attended, iteration: int) -> Attended:
    return Attended(*(at_iteration(value, iteration) for value in sums))
