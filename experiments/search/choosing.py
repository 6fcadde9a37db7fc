"""Candidates for a choice: every combination of the factors, or those that Optuna proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import TYPE_CHECKING

from edgewright.experiments.search.answers import Candidate, failed, judged
from edgewright.experiments.search.costs import COSTS
from edgewright.experiments.search.trials import Trials
from edgewright.experiments.sweeps.points import points_of
from edgewright.experiments.sweeps.spec import Factor, Range, Spec, SweepError

if TYPE_CHECKING:
    import optuna

__all__ = ["candidates", "costs_of", "evaluated", "goals"]


def goals(trials: Trials) -> tuple[str, ...]:
    """The figures of which less, then those of which more is better."""
    return (*trials.question.minimise, *trials.question.maximise)


def costs_of(trials: Trials, candidate: Candidate) -> list[float]:
    """Means of the goals, all to be minimised."""
    signs = [1.0] * len(trials.question.minimise) + [-1.0] * len(trials.question.maximise)
    return [sign * candidate.figures[name][0] for sign, name in zip(signs, goals(trials), strict=True)]


def evaluated(trials: Trials, changes: Sequence[Mapping[str, object]], replications: int) -> list[Candidate]:
    """Candidates by that many runs each; raises `SweepError` for a goal that is no figure, or unavailable, as cost without prices is."""
    question, named = trials.question, goals(trials)
    found = trials.replicate(changes, replications)
    ran = [runs for runs in found if len(runs) == replications]
    if not ran:
        raise SweepError(f"{question.name}: every run failed, the first: {trials.failure(changes[0])}; accepted: factors that run")
    for runs in ran:
        trials.require(runs[0], [*named, *question.limits])
    for name in named:
        if all(isnan(runs[0][name]) for runs in ran):
            hint = "`prices` of every group of devices, of energy, and `life`" if name in COSTS else "a figure that these runs have"
            raise SweepError(f"{question.name}: {name} is unavailable; accepted: {hint}")
    return [
        judged(question, change, runs, named) if len(runs) == replications else failed(question, change, named, trials.failure(change))
        for change, runs in zip(changes, found, strict=True)
    ]


def candidates(trials: Trials) -> list[Candidate]:
    """What is tried, by the least number of runs each."""
    question = trials.question
    if question.trials is None:
        spec = Spec(scenario=question.scenario, factors=question.factors)
        return evaluated(trials, points_of(spec, trials.scenario.seed), question.replications)
    return _proposed(trials)


def _proposed(trials: Trials) -> list[Candidate]:
    """Ask Optuna for a few candidates at a time, and tell it their means; those that miss a limit count as worse than all that do not."""
    question = trials.question
    assert question.trials is not None
    study = _study(trials)
    found: dict[str, Candidate] = {}
    for begin in range(0, question.trials, _BATCH):
        asked = [study.ask() for _ in range(min(_BATCH, question.trials - begin))]
        changes = [{key: _suggested(trial, key, factor) for key, factor in question.factors.items()} for trial in asked]
        for trial, candidate in zip(asked, evaluated(trials, changes, question.replications), strict=True):
            found[repr(sorted(candidate.changes.items()))] = candidate
            costs = costs_of(trials, candidate)
            able = candidate.verdict in ("meets", "unsure") and not any(map(isnan, costs))
            trial.set_constraint("limits", -1.0 if able else 1.0)
            study.tell(trial, [cost if isfinite(cost) else _WORST for cost in costs])
    return list(found.values())


_BATCH = 8
"""Candidates asked for at once: fixed, so that any number of processes sees the same ones."""

_WORST = 1e30
"""What Optuna is told of a figure that a candidate does not have; its constraint says the rest."""


def _study(trials: Trials) -> optuna.Study:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("`trials` needs the extra `search`: pip install 'edgewright[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(seed=trials.scenario.seed % 2**32, population_size=2 * _BATCH)
    return optuna.create_study(directions=["minimize"] * len(goals(trials)), sampler=sampler)


def _suggested(trial: optuna.Trial, key: str, factor: Factor) -> object:
    if isinstance(factor, Range):
        return factor.at(trial.suggest_float(key, 0.0, 1.0))
    return factor[trial.suggest_int(key, 0, len(factor) - 1)]
