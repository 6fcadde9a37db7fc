"""How far off a device is that nobody calibrated: `python -m edgewright.experiments.validation.datasheet FILE.csv... [--update]`.

Every row that asks for the time of a whole model, or for a power, is predicted from the catalogue's device alone: its datasheet, the usual
efficiencies of its kind of engine, no software. The 5, 50 and 95 % quantiles of log(measured / predicted) by class of engine (times) and
class of device (powers) are what `hwmodels.uncertainty` says of such devices; `--update` writes them to
`hwmodels/catalog/datasheet_errors.yaml`. Each pair of a device and a group of rows (file, phase, metric) weighs as much as any other,
however many rows it has.

How wrong: measurements are of software of all ages and qualities, and what it lacks counts as the device's error here. Classes with few
devices are those devices' error. Powers are compared at the time that tuned software is predicted to take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgewright.experiments.cli_output import print_table
from edgewright.experiments.validation.answering import watts_of
from edgewright.experiments.validation.asking import Ask, Unpredictable, ask, cores_of
from edgewright.experiments.validation.power_fit import power_case
from edgewright.experiments.validation.rows import Row, read_rows
from edgewright.experiments.validation.tuner import timed
from edgewright.hwmodels import price
from edgewright.hwmodels.software import Power, engine_class, measured_name, power_class

__all__ = ["TABLE", "ErrorsByClass", "learned", "main", "quantiles_of"]

TABLE = Path(__file__).parents[2] / "hwmodels" / "catalog" / "datasheet_errors.yaml"
"""Where what was found lies."""

ErrorsByClass = dict[str, dict[tuple[str, ...], list[float]]]
"""log(measured / predicted) by class, and there by device and group."""

_KERNELS_ALONE = ("op", "peak")
_HEADER = """\
# How far off devices are that nobody calibrated: 5, 50 and 95 % quantiles of log(measured / predicted), found on published measurements by
# `python -m edgewright.experiments.validation.datasheet` and written by it. `rows` and `devices` are how many each rests on.
"""


def learned(rows: Sequence[Row]) -> tuple[ErrorsByClass, ErrorsByClass]:
    """Errors of times and of powers."""
    times: ErrorsByClass = {}
    powers: ErrorsByClass = {}
    for row in rows:
        for found, (where, weighed, miss) in _misses(row, times, powers):
            found.setdefault(where, {}).setdefault(weighed, []).append(miss)
    return times, powers


def _misses(row: Row, times: ErrorsByClass, powers: ErrorsByClass) -> Iterator[tuple[ErrorsByClass, tuple[str, tuple[str, ...], float]]]:
    try:
        question = ask(row)
    except Unpredictable:
        return
    weighed = (measured_name(question.device), *row.group)
    logged = timed(question, row.value)
    if logged is not None and row.text("phase") not in _KERNELS_ALONE and _whole(question):
        predicted = float(price(question.work, question.device, question.engine, question.clock).seconds)
        if predicted > 0.0:
            yield times, (engine_class(question.device, question.engine), weighed, logged - log(predicted))
    case = power_case(question, row.value, row.number("power_W"))
    if case is not None:
        miss = log(case.watts / watts_of(question, case.parts, Power()))
        yield powers, (power_class(question.device, question.engine), weighed, miss)


def _whole(question: Ask) -> bool:
    """Whether one whole device did it: no other, no part of its cores."""
    cores = cores_of(question.device, question.engine)
    return not question.links_s and not question.syncs and (question.threads is None or cores is None or question.threads >= cores)


def quantiles_of(groups: dict[tuple[str, ...], list[float]]) -> list[float]:
    """The 5, 50 and 95 % quantiles, each group of as much weight as any other."""
    values = np.concatenate([np.sort(each) for each in groups.values()])
    weights = np.concatenate([np.full(len(each), 1.0 / len(each)) for each in groups.values()])
    order = np.argsort(values, kind="stable")
    middles = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return [round(float(np.interp(share, middles, values[order])), 3) for share in (0.05, 0.5, 0.95)]


def _entries(found: ErrorsByClass) -> dict[str, dict[str, Any]]:
    everything = {key: misses for groups in found.values() for key, misses in groups.items()}
    named = dict(sorted(found.items())) | ({"any": everything} if everything else {})
    return {
        name: {
            "rows": sum(map(len, groups.values())),
            "devices": len({key[0] for key in groups}),
            "spread": quantiles_of(groups),
        }
        for name, groups in named.items()
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--update", is_flag=True, help=f"Rewrite {TABLE.name}.")
def main(files: tuple[Path, ...], update: bool) -> None:
    """Find from FILES of measurements how far off devices are that nobody calibrated."""
    times, powers = learned([row for path in files for row in read_rows(path)])
    document = {"time": _entries(times), "power": _entries(powers)}
    cells = [
        [what, name, str(each["rows"]), str(each["devices"]), *(f"{value:+.3f}" for value in each["spread"])]
        for what, entries in document.items()
        for name, each in entries.items()
    ]
    print_table(("figure", "class", "rows", "devices", "5 %", "50 %", "95 %"), cells)
    if update:
        import yaml

        TABLE.write_text(_HEADER + yaml.safe_dump(document, default_flow_style=None, sort_keys=False, width=140), encoding="utf-8")


if __name__ == "__main__":
    main()
