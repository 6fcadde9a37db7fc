"""Learn from measurements what software gets out of hardware: `python -m edgewright.experiments.validation.fit FILE.csv...`.

Writes `hwmodels/catalog/software.yaml` (figures, effects, power, intervals) and the table of README.md beside this file: every group's
error as fitted, with each device left out, and with each model left out. See `tuner.py` for the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from edgewright.experiments.validation.asking import Unpredictable, ask
from edgewright.experiments.validation.rows import Row, read_rows
from edgewright.experiments.validation.tuner import Case, Tuner, pooled, timed
from edgewright.hwmodels.software import OTHER, measured_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.experiments.validation.power_fit import PowerCase

__all__ = ["TABLE", "cases_of", "collectives", "grouped", "learn", "left_out", "main", "power_cases", "spreads"]

TABLE = Path(__file__).parents[2] / "hwmodels" / "catalog" / "software.yaml"
"""Where what was learned lies."""

_FOLDS = 12
_FEW = 20
_HEADER = """\
# What families of software get out of classes of engines, learned from published measurements (provenance: measured) by
# `python -m edgewright.experiments.validation.fit`. Written by that command; see hwmodels/software.py for the meaning of each figure.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--check-only", is_flag=True, help="Write nothing.")
def main(files: tuple[Path, ...], check_only: bool) -> None:
    """Learn the figures of software from FILES of measurements, and write them and their errors."""
    rows = [row for path in files for row in read_rows(path)]
    tuner = learn(rows)
    devices, models = left_out(tuner)
    if not check_only:
        _write(tuner.document(spreads(tuner, devices)))
    from edgewright.experiments.validation.power_fit import fit_power
    from edgewright.experiments.validation.readme import write_readme
    from edgewright.hwmodels import software

    software._document.cache_clear()
    software._figures.cache_clear()
    if not check_only:
        found = tuner.document(spreads(tuner, devices))
        _write(found | {"power": fit_power(power_cases(rows)), "collectives": collectives(rows)})
        software._document.cache_clear()
        software._figures.cache_clear()
        write_readme(rows, grouped(tuner, devices), models)
        click.echo(f"wrote {TABLE.name} and README.md", err=True)


def cases_of(rows: Sequence[Row]) -> list[Case]:
    """The rows that ask for a time and can be asked, as cases."""
    found = []
    for row in rows:
        try:
            question = ask(row)
        except Unpredictable:
            continue
        seconds = timed(question, row.value)
        if seconds is not None:
            found.append(Case(question, seconds, row.group))
    return found


def power_cases(rows: Sequence[Row]) -> list[PowerCase]:
    """The rows that ask for energy or power, as cases."""
    from edgewright.experiments.validation.power_fit import power_case

    found = []
    for row in rows:
        try:
            case = power_case(ask(row), row.value, row.number("power_W"))
        except Unpredictable:
            continue
        found += [case] if case else []
    return found


def learn(rows: Sequence[Row]) -> Tuner:
    """The estimator, fitted to rows; the pool of all software is a family of its own."""
    cases = cases_of(rows)
    return Tuner().fit([*cases, *pooled(cases)])


def collectives(rows: Sequence[Row]) -> dict[str, Any]:
    """The costs of collectives by system, and the quantiles of their residuals."""
    from edgewright.experiments.validation.collectives import Measured, fabric_of, fitted_costs, measured_call
    from edgewright.hwmodels.collective_library import cost_terms, library_seconds

    systems: dict[str, list[Measured]] = {}
    for row in rows:
        if row.text("phase") == "network":
            call = measured_call(row.cells)
            systems.setdefault(call.system, []).append(call)
    found = {}
    for system, calls in systems.items():
        costs = fitted_costs(calls)
        terms = [cost_terms(each.kind, each.ranks, each.per_node, each.nbytes, fabric_of(each)) for each in calls]
        left = [float(np.log(each.seconds / library_seconds(term, costs))) for each, term in zip(calls, terms, strict=True)]
        quantiles = [round(float(np.quantile(left, share)), 3) for share in (0.05, 0.95)]
        found[system] = {"costs": {name: float(f"{cost:.4g}") for name, cost in costs.items()}, "spread": quantiles}
    return found


Left = dict[tuple[str, str, str], list[float]]
"""Residuals by group."""


def left_out(tuner: Tuner) -> tuple[dict[tuple[str, str], NDArray[np.float64]], Left]:
    """Residuals with each device left out, by family, and with models left out in folds, by group."""
    cases = [case for each in tuner.families_.values() for case in each.cases]
    devices: dict[tuple[str, str], NDArray[np.float64]] = {}
    for device in sorted({measured_name(case.ask.device) for case in cases}):
        for key, misses in tuner.without(device=device).items():
            devices[key] = misses if key not in devices else np.where(np.isnan(misses), devices[key], misses)
    models = sorted({case.ask.model for case in cases})
    by_group: Left = {}
    for fold in range(_FOLDS):
        for key, misses in tuner.without(models=frozenset(models[fold::_FOLDS])).items():
            _collect(by_group, tuner.families_[key].cases, misses, key)
    return devices, by_group


def grouped(tuner: Tuner, devices: Mapping[tuple[str, str], NDArray[np.float64]]) -> Left:
    """Residuals of families, by group."""
    found: Left = {}
    for key, misses in devices.items():
        _collect(found, tuner.families_[key].cases, misses, key)
    return found


def _collect(found: Left, cases: Sequence[Case], misses: NDArray[np.float64], key: tuple[str, str]) -> None:
    if key[0] == OTHER:
        return
    for case, miss in zip(cases, misses, strict=True):
        if not np.isnan(miss):
            found.setdefault(case.group, []).append(float(miss))


def spreads(tuner: Tuner, devices: Mapping[tuple[str, str], NDArray[np.float64]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The quantiles of log(measured / predicted) of every family: of few cases, together with those of its class of engines."""
    seen = {key: -each.residuals(tuner.offsets(each)) for key, each in tuner.families_.items()}
    unseen = {key: -misses[~np.isnan(misses)] for key, misses in devices.items()}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key in tuner.families_:
        found[key] = {"spread": _quantiles(seen, key), "spread_unseen": _quantiles(unseen, key)}
    return found


def _quantiles(residuals: Mapping[tuple[str, str], NDArray[np.float64]], key: tuple[str, str]) -> list[float]:
    own = residuals.get(key, np.zeros(0))
    if len(own) < _FEW:
        own = np.concatenate([own, *(each for other, each in residuals.items() if other[1] == key[1])])
    if not len(own):
        own = np.concatenate(list(residuals.values()))
    return [round(float(np.quantile(own, share)), 3) for share in (0.05, 0.95)]


def _write(document: Mapping[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(dict(document), default_flow_style=None, width=140, sort_keys=False)
    TABLE.write_text(_HEADER + text, encoding="utf-8")


if __name__ == "__main__":
    main()
