"""The suite of the `kv` seam: the laws of a footprint, and that the real selection keeps as many tokens as the closed form says."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.kv_work import check_following, check_refit, check_work
from edgewright.policies.families import Footprint, KvFollowing, KvPolicy, KvWork

__all__ = ["check_kv"]

CONTEXTS = (*range(1, 40), 63, 64, 65, 127, 128, 500, 1023, 1024, 1025, 4096, 100_000)


def check_kv(policy: KvPolicy, situations: int = 60) -> None:
    """Require of a KV policy, over seeded prompts and contexts:

    - `0 <= attended <= context`, `0 <= resident <= context`, `0 <= fetched`, and what is attended is resident or fetched;
    - `resident` never falls as the context grows;
    - arrays give elementwise what numbers give, and are left as they were;
    - `select` keeps exactly `footprint(prompt, context).attended` positions, the same ones when asked again, and leaves the scores alone;
    - `bits` is None or positive;
    - where it has work of its own (`KvWork`) or follows steps (`KvFollowing`), the laws of `kv_work.py`.

    Raises `AssertionError` saying for which prompt and context.
    """
    require(policy.bits is None or policy.bits > 0, f"{policy!r}: bits is {policy.bits!r}, neither None nor positive")
    random = Random("kv")
    for _ in range(situations):
        prompt = random.choice((1, 2, 7, random.randint(1, 100), random.randint(1, 5000)))
        with situation(policy, f"prompt {prompt}"):
            _check_growth(policy, prompt)
            _check_arrays(policy, prompt)
            _check_selection(policy, prompt, prompt + random.choice((0, 1, random.randint(0, 2000))), random.randrange(2**32))
            if isinstance(policy, KvWork):
                check_work(policy, prompt, CONTEXTS, random)
    if isinstance(policy, KvWork):
        check_refit(policy)
    if isinstance(policy, KvFollowing):
        check_following(policy)


def _check_growth(policy: KvPolicy, prompt: int) -> None:
    footprints = [(context, policy.footprint(prompt, context)) for context in CONTEXTS]
    for context, footprint in footprints:
        _check_footprint(context, footprint)
    for (shorter, before), (longer, after) in pairwise(footprints):
        require(
            before.resident <= after.resident, f"resident falls from {before.resident} to {after.resident} between {shorter} and {longer}"
        )


def _check_footprint(context: int, footprint: Footprint) -> None:
    resident, attended, fetched = footprint.resident, footprint.attended, footprint.fetched
    require(0 <= attended <= context, f"attends {attended} tokens of a context of {context}")
    require(0 <= resident <= context, f"keeps {resident} tokens of a context of {context}")
    require(fetched >= 0, f"fetches {fetched} tokens at context {context}")
    require(attended <= resident + fetched, f"attends {attended} tokens at context {context}, of which {resident} + {fetched} are at hand")


def _check_arrays(policy: KvPolicy, prompt: int) -> None:
    import numpy as np

    contexts = np.array(CONTEXTS, dtype=np.float64)
    prompts = np.full(len(contexts), float(prompt))
    together = policy.footprint(prompts, contexts)
    require((contexts == np.array(CONTEXTS)).all() and (prompts == prompt).all(), "footprint changed the arrays that it was given")
    for name in ("resident", "attended", "fetched"):
        single: Any = [getattr(policy.footprint(prompt, context), name) for context in CONTEXTS]
        both = np.broadcast_to(getattr(together, name), contexts.shape)
        require((both == single).all(), f"{name} of an array is {both}, of its numbers {single}")


def _check_selection(policy: KvPolicy, prompt: int, context: int, seed: int) -> None:
    import numpy as np

    scores = np.random.default_rng(seed).exponential(size=context)
    scores[:: max(context // 7, 1)] = 1.0
    before = scores.copy()
    mask = np.asarray(policy.select(scores, prompt))
    require((scores == before).all(), "select changed the scores that it was given")
    require(mask.dtype == bool and mask.shape == (context,), f"select gave {mask.dtype} of shape {mask.shape}, not bool ({context},)")
    attended = policy.footprint(prompt, context).attended
    require(mask.sum() == attended, f"select keeps {mask.sum()} of {context} positions, the footprint attends {attended}")
    require((mask == policy.select(scores, prompt)).all(), f"select keeps other positions of {context} when asked again")
