"""A small model first, a big one where it is unsure: Chen et al., FrugalGPT, 2023 (arXiv 2305.05176)."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.policies.base import within
from edgewright.policies.families import Script
from edgewright.policies.orchestration.calls import call
from edgewright.policies.plan import Delay
from edgewright.policies.registry import register
from edgewright.policies.views import JobView

__all__ = ["Cascade"]


@register("orchestration", "cascade")
@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """The small service answers in full; where its confidence is below the threshold, the big one answers anew.

    The confidence is the service's outcome `confidence`, a number from 0 to 1 per job (or a boolean: sure or not).

    Attributes:
        small, big: the services.
        threshold: least confidence with which the small answer stands.

    How wrong it can be: judging takes no time; the small answer's tokens count when they are generated, though a user would see them
    only once judged. The confidence is drawn before the answer exists, which changes nothing that happens before it is known.
    """

    small: str
    big: str
    threshold: float = 0.5

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "threshold")

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it calls."""
        return self.small, self.big

    def serve(self, job: JobView) -> Script:
        """The small answer, worth nothing if it is not sure, and then the big one."""
        outcome = yield Delay(0.0, reveals="confidence")
        sure = float(outcome.revealed["confidence"]) >= self.threshold
        yield call(self.small, emits=None if sure else 0)
        if not sure:
            yield call(self.big)
