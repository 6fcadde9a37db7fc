"""Speculative decoding by two services.

Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding, ICML 2023. With acceptance `a` per token, a
round of `k` drafted tokens yields `(1 - a**(k + 1)) / (1 - a)` tokens on average.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import at_least
from edgewright.policies.families import Script
from edgewright.policies.orchestration.calls import call, result_of
from edgewright.policies.plan import Delay, par
from edgewright.policies.registry import register
from edgewright.policies.views import JobView

__all__ = ["Speculative"]


@register("orchestration", "speculative")
@dataclass(frozen=True, slots=True, kw_only=True)
class Speculative:
    """A draft service proposes `tokens` tokens one by one, the target verifies them in one pass and adds one of its own.

    How many are accepted is the service's outcome `accepted`, from 0 up, per job and round; more than `tokens` count as `tokens`.

    Attributes:
        draft, target: the services.
        tokens: drafted per round.

    How wrong it can be: rounds alternate strictly, as in the paper. Each call queues anew, as if the caches waited for it where it is
    served: their memory between calls is not held. The draft recomputes one token per round, and after a round that was accepted in
    full the second one is not counted. The number accepted is drawn before the verification, which changes nothing before its end.
    """

    draft: str
    target: str
    tokens: int = 4

    def __post_init__(self) -> None:
        at_least(self, tokens=1)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it calls."""
        return self.draft, self.target

    def serve(self, job: JobView) -> Script:
        """Both compute the prompt and the target the first token; then rounds, until the job has its tokens."""
        outcome = yield par(call(self.draft, output=0, emits=0), call(self.target, output=1))
        context, done = job.prompt + 1, bool(result_of(outcome)["done"])
        while not done:
            outcome = yield call(self.draft, prompt=context, prefilled=context - 1, output=self.tokens, emits=0)
            outcome = yield Delay(0.0, reveals="accepted")
            gained = min(int(outcome.revealed["accepted"]), self.tokens) + 1
            outcome = yield call(self.target, prompt=context + self.tokens, prefilled=context - 1, output=1, emits=gained)
            context, done = context + gained, bool(result_of(outcome)["done"])
