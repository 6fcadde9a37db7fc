"""The suite of the `failure` seam: seeded jobs, interrupted again and again in every way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from random import Random

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.fakes import FakeJob, FakeServer
from edgewright.policies.families import FailurePolicy, Remedy
from edgewright.policies.views import Interruption, Stage
from edgewright.workloads import Stream

__all__ = ["check_failure"]

_CAUSES = ("crashed", "unpowered", "asleep", "absent", "stopped", "unavailable", "stalled", "timeout", "call")
_STAGES: tuple[Stage, ...] = ("routing", "input", "queued", "running", "calling")
_LONG = 10_000
"""Attempts after which a job that is never given up is taken to be tried for ever."""


def check_failure(policy: FailurePolicy, situations: int = 200) -> None:
    """Require of a failure policy, over seeded interruptions:

    - limits are above 0, and the same at every look;
    - a remedy's pause is finite and not negative, a retry names a server of the view or none, a failover a service, a resume goes where
      keys and values survive or to the replica where the job was;
    - no job is tried for ever: interrupted at every attempt, it is dropped in the end;
    - another agent told the same decides the same, whatever agents have decided in between.

    Raises `AssertionError` saying in which situation.
    """
    told = [_interruption(number) for number in range(situations)]
    first = _decided(policy, told)
    _decided(policy, told[::-1])
    for number, (before, after) in enumerate(zip(first, _decided(policy, told), strict=True)):
        with situation(policy, f"situation {number}"):
            require(before == after, f"a second agent decides {after} instead of {before}")
    for number in (0, 1):
        with situation(policy, f"situation {number}"):
            _gives_up(policy, told[number])


def _decided(policy: FailurePolicy, told: Sequence[Interruption]) -> list[Remedy]:
    agent = policy.start("service", Stream(1, "conformance"))
    limits = agent.limits
    remedies = []
    for number, interruption in enumerate(told):
        with situation(policy, f"situation {number}"):
            require(limits.attempt > 0.0 and limits.stall > 0.0, f"limits are {limits}")
            require(limits.checkpoint is None or limits.checkpoint >= 1, f"limits are {limits}")
            remedy = agent.decide(interruption)
            _checked(remedy, interruption)
            require(agent.limits == limits, f"limits have become {agent.limits}")
            remedies.append(remedy)
    return remedies


def _checked(remedy: Remedy, told: Interruption) -> None:
    require(remedy.action in ("drop", "retry", "resume", "failover"), f"does {remedy.action!r}")
    require(0.0 <= remedy.after < inf, f"waits {remedy.after} s")
    names = [server.name for server in told.servers]
    if remedy.action == "retry":
        require(remedy.to is None or remedy.to in names, f"retries at {remedy.to!r}; servers are {names}")
    if remedy.action == "failover":
        require(bool(remedy.to), "fails over to nowhere")
    if remedy.action == "resume":
        require(bool(told.replica), "resumes a job that was at no replica")


def _gives_up(policy: FailurePolicy, told: Interruption) -> None:
    agent = policy.start("service", Stream(1, "conformance"))
    for attempt in range(1, _LONG):
        if agent.decide(replace(told, attempt=attempt, now=told.now + attempt)).action == "drop":
            return
    require(False, f"tries a job {_LONG} times and more")


def _interruption(number: int) -> Interruption:
    random = Random(f"failure:{number}")
    stage = random.choice(_STAGES)
    servers = [FakeServer(name=f"server{place}", available=random.random() < 0.6) for place in range(random.randint(1, 4))]
    prompt = random.randint(1, 4000)
    deadline = random.choice((None, float(number) + random.uniform(0.0, 100.0)))
    at_replica = stage in ("queued", "running")
    return Interruption(
        now=float(number),
        job=FakeJob(id=number, arrival=float(number) / 2, prompt=prompt, deadline=deadline),
        cause=random.choice(_CAUSES),
        where="somewhere",
        stage=stage,
        attempt=random.randint(1, 8),
        generated=random.randint(0, 500),
        cached=random.choice((0, random.randint(0, prompt))) if at_replica else 0,
        replica=random.choice(servers).name if at_replica else "",
        servers=servers,
    )
