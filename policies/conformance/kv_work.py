"""The suite of KV policies that have work of their own, or follow steps: their sums are sums, their models whole, their masks causal."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from edgewright.hwmodels.conformance import require
from edgewright.policies.families import KvFollowing, KvWork
from edgewright.workloads import Step

__all__ = ["check_following", "check_refit", "check_work"]

_LAYERS, _STEPS, _PROMPT, _ROWS = 2, 12, 48, 20
_MODEL = "llama-3.1-8b"


def check_work(policy: KvWork, prompt: int, contexts: Sequence[int], random: Random) -> None:
    """Require of what roles see:

    - in decoding, no negative tokens; arrays give elementwise what numbers give;
    - in prefilling, a prompt in two chunks asks for as many tokens and pairs in each role as in one.
    """
    import numpy as np

    several = np.array(contexts, dtype=np.float64)
    together = policy.decoding(np.full(len(contexts), float(prompt)), several)
    for index, context in enumerate(contexts):
        single = policy.decoding(prompt, context)
        require(set(single) == set(together), f"roles {sorted(single)} of a number, {sorted(together)} of an array")
        for role, tokens in single.items():
            found = np.broadcast_to(together[role], several.shape)[index]
            require(tokens >= 0.0, f"{role} reads {tokens} tokens at context {context}")
            require(found == tokens, f"{role} reads {found} tokens of an array, {tokens} of a number, at context {context}")
    cut = random.randint(0, prompt)
    whole, parts = _prefilled(policy, prompt, [prompt]), _prefilled(policy, prompt, [each for each in (cut, prompt - cut) if each])
    require(whole == parts, f"a prompt in one chunk asks for {whole}, cut at {cut} for {parts}")


def check_refit(policy: KvWork) -> None:
    """Require that the refitted model has as many parameters, and as many bytes of weights and cache, whole and in shards."""
    from edgewright.workloads import format_named, zoo

    plain, fp16 = zoo.model(_MODEL), format_named("fp16")
    made = policy.refit(plain)
    require(made.parameters == plain.parameters, f"refit makes {made.parameters} parameters of {plain.parameters}")
    for shards in (1, 2):
        one, other = (model.part(fp16, shards=shards) for model in (plain, made))
        for name in ("weight_bytes", "kv_bytes_per_token", "state_bytes"):
            require(getattr(one, name) == getattr(other, name), f"refit changes {name} of one of {shards} shards")


def check_following(policy: KvFollowing) -> None:
    """Require masks in the shape of the attention, over no token that is yet to come, the same ones when asked again; the attention is
    left as it was, and the prompt attends to all that it sees."""
    import numpy as np

    context = _PROMPT + _STEPS
    attention = np.tril(np.random.default_rng(7).exponential(size=(_LAYERS, _ROWS, context)), context - _ROWS)
    attention /= attention.sum(axis=2, keepdims=True)
    before, seen = attention.copy(), attention > 0.0
    mask = np.asarray(policy.follow(attention, _PROMPT))
    require((attention == before).all(), "follow changed the attention that it was given")
    require(mask.dtype == bool and mask.shape == attention.shape, f"follow gave {mask.dtype} of shape {mask.shape}")
    require(not (mask & ~seen).any(), "follow attends to tokens that are yet to come")
    require(bool((mask == seen)[:, : _ROWS - _STEPS].all()), "follow takes tokens from the prompt itself")
    require((mask == policy.follow(attention, _PROMPT)).all(), "follow attends to other tokens when asked again")


def _prefilled(policy: KvWork, prompt: int, chunks: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Tokens and pairs of each role over a prompt's chunks; roles that have none are left out."""
    totals: dict[str, tuple[float, float]] = {}
    past = 0
    for new in chunks:
        for role, step in policy.prefilling(prompt, past, new, ()).items():
            tokens, pairs = totals.get(role, (0.0, 0.0))
            totals[role] = tokens + step.prefill, pairs + _pairs(step)
        past += new
    return {role: sums for role, sums in totals.items() if any(sums)}


def _pairs(step: Step) -> float:
    return float(step.full.pairs)
