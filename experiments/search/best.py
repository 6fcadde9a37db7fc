"""The cheapest, fastest or least hungry configuration under limits: candidates race, and replications go to those that may still win.

After each round a candidate is out if it surely misses a limit, or if its paired difference to the leader (same seeds) is surely for the
worse. How wrong: intervals are looked at after every round and for every candidate, so that all verdicts together are a little less sure
than each is; among candidates of Optuna's, the best may not have been proposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgewright.experiments.search.answers import Answer, Candidate
from edgewright.experiments.search.choosing import candidates, costs_of, evaluated, goals
from edgewright.experiments.search.trials import Trials
from edgewright.experiments.sweeps.stopping import interval

__all__ = ["best"]


def best(trials: Trials) -> Answer:
    """The answer: `found` is the winner, and after it all that cannot be told from it."""
    question = trials.question
    tried = {_key(each): each for each in candidates(trials)}
    count = question.replications
    racing = _race(trials, [each for each in tried.values() if each.verdict in ("meets", "unsure")], count)
    while count < question.most and (len(racing) > 1 or any(each.verdict == "unsure" for each in racing)):
        count = min(question.most, count + max(1, question.replications // 2))
        again = evaluated(trials, [each.changes for each in racing], count)
        tried.update({_key(each): each for each in again})
        racing = _race(trials, [each for each in again if each.verdict in ("meets", "unsure")], count)
    return Answer(question, racing, list(tried.values()), _sentence(trials, racing), trials.count)


def _race(trials: Trials, able: Sequence[Candidate], count: int) -> list[Candidate]:
    """Those that may be best, the leader first: one that surely keeps the limits before one that may not, then by the goal."""
    able = [each for each in able if costs_of(trials, each)[0] == costs_of(trials, each)[0]]
    if not able:
        return []
    ordered = sorted(able, key=lambda each: (each.verdict != "meets", costs_of(trials, each)[0]))
    leader = ordered[0]
    if leader.verdict != "meets":
        return ordered
    others = [each for each in ordered[1:] if _may_win(trials, leader, each, count)]
    return [leader, *others]


def _may_win(trials: Trials, leader: Candidate, other: Candidate, count: int) -> bool:
    """Whether the mean of paired differences may be for the better, or zero."""
    goal, sign = goals(trials)[0], 1.0 if trials.question.minimise else -1.0
    first, second = trials.replicate([leader.changes, other.changes], count)
    mean, half = interval([sign * (b[goal] - a[goal]) for a, b in zip(first, second, strict=True)], trials.question.confidence)
    return not mean - half > 0.0


def _sentence(trials: Trials, racing: Sequence[Candidate]) -> str:
    question = trials.question
    if not racing:
        return "no candidate is known to keep the limits"
    goal, winner = goals(trials)[0], racing[0]
    mean, half = winner.figures[goal]
    said = f"{_shown(winner.changes)}: {goal} {mean:.4g} ± {half:.2g} ({question.confidence:.0%} confidence, {winner.runs} runs)"
    if winner.verdict == "unsure":
        said += "; whether it keeps the limits is not sure"
    if len(racing) > 1:
        said += f"; {len(racing) - 1} other candidates cannot be told from it"
    return said


def _shown(changes: Mapping[str, object]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in changes.items())


def _key(candidate: Candidate) -> str:
    return repr(sorted(candidate.changes.items()))
