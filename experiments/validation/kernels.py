"""Own kernels at sizes that the fit has not seen: `python -m edgewright.experiments.validation.kernels`.

The timings that `Calibration` is fitted to, and those of sizes drawn evenly in their logarithms (`unseen_points`), lie beside this file
with the machine that they are of; sizes that were drawn and are among those fitted are left out. Printed, and with `--update` written to
`kernels.csv` and `hwmodels/README.md`: the median and the 90th percentile of |ln(predicted / measured)| by kernel, warm and cold, and how
often the interval of nine in ten holds the measured value.

    --measure    time both sets anew on this machine first: some four minutes, with nothing else running

Timings that the harness does not trust count like all others, and how many they are is printed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import click
import numpy as np

from edgewright.experiments.cli_output import print_table
from edgewright.hwmodels.calibration import Calibration, Timing, TimingFile, full_suite, time_points, unseen_points
from edgewright.hwmodels.calibration.suite import COLD
from edgewright.hwmodels.calibration.timing import machine_facts, read_timings
from edgewright.kernels import Effort

__all__ = ["FITTED", "README", "TABLE", "UNSEEN", "Group", "groups", "main", "misses"]

FITTED = Path(__file__).with_name("kernels_fitted.jsonl")
"""Timings that the fit has seen."""
UNSEEN = Path(__file__).with_name("kernels_unseen.jsonl")
"""Timings that it has not."""
TABLE = Path(__file__).with_name("kernels.csv")
"""The committed errors."""
README = Path(__file__).parents[2] / "hwmodels" / "README.md"
"""Where they are shown."""

_UNSEEN_COUNT = 140
_MARKS = ("<!-- kernels: begin -->", "<!-- kernels: end -->")
_HEADER = ("kernel", "caches", "timings", "trusted", "median", "p90", "inside")


@dataclass(frozen=True, slots=True)
class Group:
    """Errors of one kernel: sizes, of |ln(predicted / measured)|, and the share of measurements within their interval."""

    kernel: str
    caches: str
    timings: int
    trusted: int
    median: float
    p90: float
    inside: float


def misses(calibration: Calibration, rows: Sequence[Timing]) -> list[tuple[float, bool]]:
    """ln(predicted / measured) of each timing, and whether its interval holds it."""
    predicted = [calibration.predict_call(row) for row in rows]
    return [(log(each.seconds / row.seconds), each.low <= row.seconds <= each.high) for each, row in zip(predicted, rows, strict=True)]


def groups(calibration: Calibration, rows: Sequence[Timing]) -> Iterator[Group]:
    """Every kernel warm and cold, then all."""
    found = list(zip(rows, misses(calibration, rows), strict=True))
    names = sorted({(row.kernel, row.reach >= COLD) for row in rows})
    for name, cold in [*names, ("all", False)]:
        own = [each for each in found if name == "all" or (each[0].kernel, each[0].reach >= COLD) == (name, cold)]
        sizes, trusted = np.abs([miss for _, (miss, _) in own]), sum(not row.reasons for row, _ in own)
        caches = "" if name == "all" else "cold" if cold else "warm"
        inside = float(np.mean([held for _, (_, held) in own]))
        yield Group(name, caches, len(own), trusted, float(np.median(sizes)), float(np.quantile(sizes, 0.9)), inside)


def _measure() -> None:
    """Time both sets anew, shuffled into one another: a machine whose speed drifts is as fast for the one as for the other."""
    from tqdm import tqdm

    fitted = full_suite(int(machine_facts(())["cores"]))
    unseen = [point for point in unseen_points(_UNSEEN_COUNT) if point not in set(fitted)]
    for path in (FITTED, UNSEEN):
        path.unlink(missing_ok=True)
    files = [TimingFile(path, machine_facts({point.kernel for point in points})) for path, points in ((FITTED, fitted), (UNSEEN, unseen))]
    with tqdm(total=len(fitted) + len(unseen), disable=None) as bar:

        def keep(timing: Timing) -> None:
            files[any(point.matches(timing) for point in unseen)].append(timing)
            bar.update()

        time_points((*fitted, *unseen), (), keep, Effort(budget=0.1))


def _size(row: Timing) -> tuple[object, ...]:
    return row.kernel, row.shape, row.dtype, row.reach >= COLD


def _cells(group: Group) -> list[str]:
    figures = [f"{group.median:.3f}", f"{group.p90:.3f}", f"{group.inside:.0%}"]
    return [group.kernel, group.caches, str(group.timings), str(group.trusted), *figures]


def _update(cells: Sequence[Sequence[str]], machine: str) -> None:
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_HEADER, *cells])
    lines = ["| " + " | ".join(each) + " |" for each in (_HEADER, ["---"] * len(_HEADER), *cells)]
    head, rest = README.read_text(encoding="utf-8").split(_MARKS[0])
    shown = "\n".join((_MARKS[0], "", machine, "", *lines, "", _MARKS[1]))
    README.write_text(head + shown + rest.split(_MARKS[1])[1], encoding="utf-8")


@click.command(help=__doc__.split("\n")[0])
@click.option("--measure", is_flag=True, help="Time the kernels anew on this machine.")
@click.option("--update", is_flag=True, help=f"Rewrite {TABLE.name} and the table of {README.parent.name}/{README.name}.")
def main(measure: bool, update: bool) -> None:
    """Print how far predictions of unseen sizes are from what was measured."""
    if measure:
        _measure()
    facts, fitted = read_timings(FITTED)
    calibration = Calibration(facts["caches"] or {}, facts["cores"]).fit(fitted)
    seen = {_size(row) for row in fitted}
    cells = [_cells(group) for group in groups(calibration, [row for row in read_timings(UNSEEN)[1] if _size(row) not in seen])]
    print_table(_HEADER, cells)
    if update:
        _update(cells, f"{facts['cpu']}, {facts['cores']} cores; {len(fitted)} timings fitted; native kernels on {facts['path']}.")


if __name__ == "__main__":
    main()
