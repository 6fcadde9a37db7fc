"""Every KV policy passes the suite; policies broken in one way each do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgewright.policies.conformance import check_kv, check_policy
from edgewright.policies.families import Footprint
from edgewright.policies.kv import Full, HeavyHitters, Offload, SlidingWindow
from edgewright.policies.registry import policies_of

VARIANTS = [
    SlidingWindow(sinks=0, window=1),
    SlidingWindow(sinks=9, window=2),
    HeavyHitters(budget=0.0),
    HeavyHitters(budget=1.0, recent=0.0),
    HeavyHitters(tokens=17, recent=1.0),
    Offload(resident=1),
]


@pytest.mark.parametrize("name", policies_of("kv"))
def test_registered_policies_conform(name: str) -> None:
    check_policy(policies_of("kv")[name]())


@pytest.mark.parametrize("policy", VARIANTS, ids=repr)
def test_other_hyper_parameters_conform(policy: Any) -> None:
    check_policy(policy)


@dataclass(frozen=True)
class Sound:
    """Keeps everything; the broken ones below differ in one thing."""

    bits: float | None = None

    def footprint(self, prompt: Any, context: Any) -> Footprint:
        return Full().footprint(prompt, context)

    def select(self, scores: Any, prompt: int) -> Any:
        return np.ones(len(scores), dtype=bool)


@dataclass(frozen=True)
class NegativeBits(Sound):
    bits: float | None = -4.0


class AttendsTheFuture(Sound):
    def footprint(self, prompt: Any, context: Any) -> Footprint:
        return Footprint(resident=context, attended=context + 1)


class KeepsMoreThanThereIs(Sound):
    def footprint(self, prompt: Any, context: Any) -> Footprint:
        return Footprint(resident=np.maximum(context, 64), attended=context)


class Shrinks(Sound):
    def footprint(self, prompt: Any, context: Any) -> Footprint:
        return Footprint(resident=np.where(np.asarray(context) > 1000, 100, context), attended=0 * context)


class AttendsWhatIsNotAtHand(Sound):
    def footprint(self, prompt: Any, context: Any) -> Footprint:
        return Footprint(resident=np.minimum(context, 100), attended=context)


class MixesTheElements(Sound):
    def footprint(self, prompt: Any, context: Any) -> Footprint:
        kept = np.minimum(context, np.max(prompt) if np.ndim(context) == 0 else np.max(prompt) + 1)
        return Footprint(resident=kept, attended=kept)


class WritesIntoItsArguments(Sound):
    def footprint(self, prompt: Any, context: Any) -> Footprint:
        if isinstance(context, np.ndarray):
            context += 1
        return Footprint(resident=context, attended=context)


class DropsOneMore(Sound):
    def select(self, scores: Any, prompt: int) -> Any:
        return np.arange(len(scores)) > 0


class SelectsPositions(Sound):
    def select(self, scores: Any, prompt: int) -> Any:
        return np.arange(len(scores))


class SortsTheScores(Sound):
    def select(self, scores: Any, prompt: int) -> Any:
        scores.sort()
        return np.ones(len(scores), dtype=bool)


class SelectsAtRandom(Sound):
    generator = np.random.default_rng(1)

    def footprint(self, prompt: Any, context: Any) -> Footprint:
        return Footprint(resident=np.minimum(context, 1), attended=np.minimum(context, 1))

    def select(self, scores: Any, prompt: int) -> Any:
        return np.arange(len(scores)) == self.generator.integers(len(scores))


BROKEN = [
    (NegativeBits, "neither None nor positive"),
    (AttendsTheFuture, "attends 2 tokens of a context of 1"),
    (KeepsMoreThanThereIs, "keeps 64 tokens of a context of 1"),
    (Shrinks, "resident falls from 1000 to 100 between 500 and 1023|resident falls"),
    (AttendsWhatIsNotAtHand, "are at hand"),
    (MixesTheElements, "of an array is"),
    (WritesIntoItsArguments, "changed the arrays"),
    (DropsOneMore, "the footprint attends"),
    (SelectsPositions, "not bool"),
    (SortsTheScores, "changed the scores"),
    (SelectsAtRandom, "when asked again"),
]


def test_the_policy_that_the_broken_ones_are_made_from_conforms() -> None:
    check_kv(Sound())


@pytest.mark.parametrize(("policy", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_policies_are_rejected(policy: type[Sound], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_kv(policy())
