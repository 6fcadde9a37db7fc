"""The suite of the `batching` seam: a toy engine serves seeded scenes with the policy, asking before every step and only when it must."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.toy_engine import Scene, ToyEngine, ToyJob, ToyStep
from edgewright.policies.families import BatchingPolicy
from edgewright.workloads import Stream

__all__ = ["check_batching", "scene"]


def check_batching(policy: BatchingPolicy, situations: int = 60) -> None:
    """Require of a batching policy, over seeded scenes of jobs that generate and of one-shot jobs:

    - decisions respect `max_sequences`, `max_tokens` and memory, name known jobs, and leave the view as it was;
    - every job is served at last, and `wake_at` lies in the future;
    - another agent on the same scene decides the same, whatever agents have served in between;
    - **with and without its horizon the decisions are the same**: keeping one for as long as `until` says changes no step.

    Raises `AssertionError` saying in which scene and what. The toy engine stands for no real one; see `toy_engine`.
    """
    logs: dict[int, Sequence[ToyStep]] = {}
    for number in range(situations):
        with situation(policy, f"scene {number}"):
            logs[number] = _served(policy, scene(number), honour=False)
    for number in reversed(range(situations)):
        with situation(policy, f"scene {number}"):
            _same(logs[number], _served(policy, scene(number), honour=False), "a second agent decides otherwise")
            _same(logs[number], _served(policy, scene(number), honour=True), "keeping decisions for their horizon changes what runs")


def scene(number: int) -> Scene:
    """A scene of up to 14 jobs: bursts and lulls, tight and ample memory, prompts longer than a step, prompts that arrive computed."""
    random = Random(f"batching:{number}")
    generates = number % 4 != 3
    jobs = tuple(_jobs(random, generates))
    largest = max(job.prompt + job.output for job in jobs)
    sequences = random.randint(1, 6)
    return Scene(
        jobs=jobs,
        max_sequences=sequences,
        max_tokens=random.randint(sequences, 48),
        kv_tokens=largest + random.choice((0, 5, 20, 1000)),
        generates=generates,
    )


def _jobs(random: Random, generates: bool) -> list[ToyJob]:
    jobs, now = [], 0.0
    for number in range(random.randint(1, 14)):
        now += random.choice((0, 0, 0.125, 1, 4, 30))
        prompt = random.randint(1, 40) if generates else 1
        cached = prompt * (generates and random.random() < 0.1)
        jobs.append(ToyJob(number, now, prompt, random.randint(1, 20) if generates else 0, cached))
    return jobs


def _served(policy: BatchingPolicy, what: Scene, *, honour: bool) -> Sequence[ToyStep]:
    return ToyEngine(what, policy.start("replica", Stream(1, "conformance")), honour).run()


def _same(expected: Sequence[ToyStep], found: Sequence[ToyStep], message: str) -> None:
    pairs = [*zip(expected, found, strict=False)]
    differing = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
    require(
        len(expected) == len(found) and differing == len(pairs),
        f"{message}: step {differing} is {_at(found, differing)} instead of {_at(expected, differing)}",
    )


def _at(steps: Sequence[ToyStep], place: int) -> object:
    return steps[place] if place < len(steps) else "missing"
