"""A composition of experts: whole models that are switched between memory tiers, one per prompt.

Prabhakar et al., SambaNova SN40L: Scaling the AI Memory Wall with Dataflow and Composition of Experts, MICRO 2024 (arXiv 2405.07518).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hwmodels.units import Bytes
from edgewright.policies.base import at_least
from edgewright.policies.experts.cache import ExpertCache
from edgewright.policies.families import OrchestrationAgent, Script
from edgewright.policies.orchestration.calls import call, result_of
from edgewright.policies.plan import Delay, Transfer, par
from edgewright.policies.registry import register
from edgewright.policies.views import JobView
from edgewright.workloads import Stream

__all__ = ["Composition"]


@register("orchestration", "composition")
@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A job is a batch of prompts: a router reads all of them at once, then each is answered by its expert, one after another.

    An expert that is not in fast memory is copied there first, in place of the one least recently used. Which expert a prompt wants is
    the service's outcome `expert`, a number per prompt. Experts are alike: one service answers for all of them.

    Attributes:
        router, expert: the services.
        prompts: of a job.
        tokens: that each prompt but the last is answered with; the last has the rest of the job's.
        slots: experts that fast memory holds besides what runs; at the start those numbered from 0.
        model: bytes of an expert.
        source: the node that holds all experts.
        target: the device to which they are copied.

    How wrong it can be: a switch waits for the answer before it (as in the publication), though prompts of one expert could be answered
    together, and the next expert copied meanwhile. Fast memory is counted in experts; what the two services hold comes on top. Jobs
    that are served at the same time share the slots as if neither used them for long.
    """

    router: str
    expert: str
    slots: int
    model: Bytes
    source: str
    target: str
    prompts: int = 8
    tokens: int = 20

    def __post_init__(self) -> None:
        at_least(self, slots=0, model=0, prompts=1, tokens=1)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it calls."""
        return self.router, self.expert

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes between which it copies."""
        return self.source, self.target

    def start(self, scope: str, stream: Stream) -> OrchestrationAgent:
        """The agent of one service; it knows which experts are in fast memory."""
        return _Agent(self)

    def serve(self, job: JobView) -> Script:
        """The script of one job alone, from the experts that are there at the start."""
        return _Agent(self).serve(job)


class _Agent:
    def __init__(self, policy: Composition) -> None:
        self._policy = policy
        self._cache = ExpertCache(policy.slots, range(policy.slots))

    def serve(self, job: JobView) -> Script:
        policy = self._policy
        yield par(*(call(policy.router, output=1, emits=0) for _ in range(policy.prompts)))
        for left in range(policy.prompts - 1, -1, -1):
            outcome = yield Delay(0.0, reveals="expert")
            if self._cache.use([int(outcome.revealed["expert"])]):
                yield Transfer(policy.source, policy.target, policy.model)
            outcome = yield call(policy.expert, output=policy.tokens if left else None)
            if result_of(outcome)["done"]:
                return
