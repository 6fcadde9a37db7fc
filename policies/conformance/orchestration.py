"""The suite of the `orchestration` seam: scripts of jobs of many lengths, whose calls a toy service answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.fakes import FakeJob
from edgewright.policies.conformance.scripts import plans_of
from edgewright.policies.families import OrchestrationPolicy, Remembering
from edgewright.policies.plan import Call, Op, Plan
from edgewright.workloads import Stream

__all__ = ["ToyServices", "check_orchestration"]

OVERRIDES = ("prompt", "output", "prefilled", "kv_from", "emits")
REVEALED = (0.0, 1.0, 0.25, 0.75, 2.0, 9.0)


def check_orchestration(policy: OrchestrationPolicy, situations: int = 60) -> None:
    """Require of an orchestration policy, over seeded jobs and outcomes:

    - the script ends, and the job then has all its tokens;
    - plans compile; calls go to the policy's own `services` (where it lists them), with the overrides of `orchestration.calls`:
      counts from 0 up, no more tokens prefilled than there are in the prompt, caches from a replica that has served the job;
    - the same job with the same outcomes gives the same plans.

    Outcomes other than those of calls are drawn at random, between 0 and 9. Raises `AssertionError` saying for which job.
    """
    for number in range(situations):
        random = Random(f"orchestration:{number}")
        job, output = FakeJob(id=number, prompt=random.randint(1, 500)), random.choice((1, 2, random.randint(3, 60)))
        with situation(policy, f"a job of {job.prompt} + {output} tokens, seed {number}"):
            first, second = (_served(policy, job, output, number) for _ in range(2))
            require(first == second, "the same job with the same outcomes gives other plans")


def _served(policy: OrchestrationPolicy, job: FakeJob, output: int, seed: int) -> Sequence[Plan]:
    services = ToyServices(job, output, Random(f"outcomes:{seed}"), getattr(policy, "services", None))
    agent = policy.start("conformance", Stream(seed)) if isinstance(policy, Remembering) else policy
    plans = plans_of(agent.serve(job), services.answer)
    require(services.left == 0, f"the script ends when the job still lacks {services.left} of its {output} tokens")
    return plans


@dataclass(slots=True)
class ToyServices:
    """Answers calls: each generates what it was asked for, or what the job lacks.

    Attributes:
        job: the calling job; `left`: tokens that it lacks, which no script can see.
        random: where other outcomes come from.
        services: those that may be called; None: any.
        calls: answered so far.
    """

    job: FakeJob
    left: int
    random: Random
    services: tuple[str, ...] | None = None
    calls: int = 0

    def answer(self, ops: Sequence[Op]) -> Mapping[str, Any]:
        """What the operations of a plan reveal; of several calls the last one's result."""
        revealed: dict[str, Any] = {op.reveals: self.random.choice(REVEALED) for op in ops if op.reveals is not None}
        for op in ops:
            if isinstance(op, Call):
                revealed["call"] = self._called(op)
        return revealed

    def _called(self, call: Call) -> Mapping[str, Any]:
        overrides = dict(call.job)
        self._check(call, overrides)
        asked = overrides.get("output", self.left)
        worth = overrides.get("emits", asked)
        tokens, gained = (int(str(each)) for each in (asked, worth))
        self.left -= min(gained, self.left)
        self.calls += 1
        return {"replica": f"{call.service}.replica", "tokens": tokens, "done": self.left == 0, "started": 0.0, "ended": 1.0}

    def _check(self, call: Call, overrides: Mapping[str, object]) -> None:
        require(self.services is None or call.service in self.services, f"calls {call.service!r}, which is not in {self.services}")
        unknown = sorted(set(overrides) - set(OVERRIDES))
        require(not unknown, f"{call!r} overrides {unknown}; accepted are {', '.join(OVERRIDES)}")
        counts = {name: value for name, value in overrides.items() if name != "kv_from"}
        wrong = {name: value for name, value in counts.items() if not isinstance(value, int) or value < 0}
        require(not wrong, f"{call!r} overrides {wrong}; accepted are whole numbers from 0 up")
        prompt, prefilled = counts.get("prompt", self.job.prompt), counts.get("prefilled", 0)
        require(int(str(prefilled)) <= int(str(prompt)), f"{call!r} has {prefilled} of {prompt} prompt tokens prefilled")
        require("kv_from" not in overrides or self.calls, f"{call!r} takes its cache from a replica, and none has served the job")
