"""Trade-offs: the candidates that no other one beats in every goal.

How wrong: fronts are of means. Those on it are replicated to `most`; a candidate whose interval overlaps that of one that beats it may
belong to the front as well, and the answer counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgewright.experiments.search.answers import Answer, Candidate
from edgewright.experiments.search.choosing import candidates, costs_of, evaluated, goals
from edgewright.experiments.search.trials import Trials
from edgewright.experiments.sweeps.fronts import pareto_front

__all__ = ["front"]


def front(trials: Trials) -> Answer:
    """The answer: `found` is the front, by the first goal."""
    question = trials.question
    tried = candidates(trials)
    able = [each for each in tried if each.verdict in ("meets", "unsure")]
    if able and question.most > question.replications:
        near = {id(each) for each in _front(trials, able)} | {id(each) for each in _maybe(trials, able)}
        again = iter(evaluated(trials, [each.changes for each in able if id(each) in near], question.most))
        tried = [next(again) if id(each) in near else each for each in tried]
        able = [each for each in tried if each.verdict in ("meets", "unsure")]
    found = sorted(_front(trials, able), key=lambda each: costs_of(trials, each)[0])
    return Answer(question, found, tried, _sentence(trials, found, _maybe(trials, able)), trials.count)


def _front(trials: Trials, able: Sequence[Candidate]) -> list[Candidate]:
    if not able:
        return []
    kept = pareto_front(np.array([costs_of(trials, each) for each in able]))
    return [each for each, on in zip(able, kept, strict=True) if on]


def _maybe(trials: Trials, able: Sequence[Candidate]) -> list[Candidate]:
    """Candidates off the front that are on it where the figures of their intervals are for the best."""
    on = _front(trials, able)
    hopeful = []
    for each in able:
        if any(each is other for other in on):
            continue
        halves = [each.figures[name][1] for name in goals(trials)]
        most = np.array(costs_of(trials, each)) - np.nan_to_num(halves)
        if not any((np.array(costs_of(trials, other)) <= most).all() for other in on):
            hopeful.append(each)
    return hopeful


def _sentence(trials: Trials, found: Sequence[Candidate], maybe: Sequence[Candidate]) -> str:
    if not found:
        return "no candidate is known to keep the limits"
    said = f"{len(found)} candidates are beaten by no other in {', '.join(goals(trials))}"
    unsure = sum(each.verdict == "unsure" for each in found)
    if unsure:
        said += f"; of {unsure} it is not sure that they keep the limits"
    return said + f"; {len(maybe)} others may belong to them ({trials.question.confidence:.0%} intervals overlap)"
