"""The highest load that meets the limits: bisection between a load that surely does and one that surely does not.

At each load replications go on until the confidence interval of every limited figure lies on one side of its limit, or `most` is reached.
How wrong: it takes figures to worsen with the load; where they do not, the answer is a load at which they cross, not the last one. Each
verdict has the stated confidence by itself, the two bounds together a little less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

from edgewright.experiments.search.answers import Answer, Candidate, judged
from edgewright.experiments.search.trials import Trials
from edgewright.experiments.sweeps.spec import SweepError

__all__ = ["capacity"]


def capacity(trials: Trials) -> Answer:
    """The answer; its `bounds` are factors on the numbers under `load`."""
    question = trials.question
    low, high = question.between
    tried: dict[float, Candidate] = {}

    def at(factor: float) -> str:
        if factor not in tried:
            tried[factor] = _settled(trials, dict.fromkeys(question.load, f"x{factor:.9g}"))
        return tried[factor].verdict

    lower = low if at(low) == "meets" else None
    upper = high if at(high) == "misses" else None
    if lower is not None and upper is not None:
        lower = _edge(lower, upper, question.relative, lambda factor: at(factor) == "meets")
        missed = min(factor for factor in tried if tried[factor].verdict == "misses")
        upper = _edge(missed, lower, question.relative, lambda factor: at(factor) == "misses")
    found = [tried[lower]] if lower is not None else []
    ordered = [tried[factor] for factor in sorted(tried)]
    return Answer(question, found, ordered, _sentence(trials, lower, upper), trials.count, (lower, upper))


def _edge(inside: float, outside: float, relative: float, holds: Callable[[float], bool]) -> float:
    """The last factor on the way from `inside`, where it holds, to `outside`, where it does not, to a relative width."""
    while max(inside, outside) / min(inside, outside) > 1.0 + relative:
        middle = sqrt(inside * outside)
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _settled(trials: Trials, changes: Mapping[str, object]) -> Candidate:
    """Replicate until the verdict is sure, or `most` is reached."""
    question = trials.question
    count = question.replications
    while True:
        (runs,) = trials.replicate([changes], count)
        if len(runs) < count:
            raise SweepError(f"{question.name}: a run with {dict(changes)} failed: {trials.failure(changes)}; accepted: loads that run")
        trials.require(runs[0], list(question.limits))
        candidate = judged(question, changes, runs, ())
        if candidate.verdict != "unsure" or count >= question.most:
            return candidate
        count = min(question.most, count + max(1, question.replications // 2))


def _sentence(trials: Trials, lower: float | None, upper: float | None) -> str:
    question = trials.question
    sure = f"with {question.confidence:.0%} confidence"
    limits = " and ".join(_limit(name, limit.at_most, limit.at_least) for name, limit in question.limits.items())
    if lower is None:
        return f"no load from {question.between[0]:g} times that of the scenario is known to meet {limits} {sure}"
    if upper is None:
        return (
            f"{_loads(trials, lower)} meets {limits} {sure}, and so may more: no load up to {question.between[1]:g} times is known to miss"
        )
    return f"{_loads(trials, lower)} meets {limits} {sure}; {_loads(trials, upper)} does not"


def _limit(name: str, at_most: float | None, at_least: float | None) -> str:
    return f"{name} <= {at_most:g}" if at_most is not None else f"{name} >= {at_least:g}"


def _loads(trials: Trials, factor: float) -> str:
    """A load as its factor, and as the numbers themselves."""
    scenario = trials.scenario.override(dict.fromkeys(trials.question.load, f"x{factor:.9g}")).resolved()
    return f"{factor:.3g} times the load ({', '.join(f'{key} = {_value(scenario, key):.4g}' for key in trials.question.load)})"


def _value(table: Mapping[str, object], key: str) -> float:
    found: object = table
    for part in key.split("."):
        assert isinstance(found, Mapping)
        found = found[part]
    assert isinstance(found, int | float)
    return float(found)
