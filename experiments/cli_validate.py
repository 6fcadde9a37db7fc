"""`edgewright validate`: predictions beside measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgewright.experiments.cli_output import print_json, print_table

if TYPE_CHECKING:
    from edgewright.experiments.validation.report import Group, Judged
    from edgewright.experiments.validation.rows import Row
    from edgewright.hwmodels import Device

__all__ = ["validate"]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.csv...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the rows with their predictions to this CSV file.")
@click.option("--json", "machine", is_flag=True, help="Print the groups as JSON.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write a scatter plot: .svg, .html, or .png (needs matplotlib)."
)
@click.option("--profile", "profiles", multiple=True, type=click.Path(path_type=Path), help="A YAML file with devices of your own.")
def validate(files: tuple[Path, ...], out: Path | None, machine: bool, plot: Path | None, profiles: tuple[Path, ...]) -> None:
    """Predict every row of files of measurements, and print how far off the predictions are.

    Errors are log(predicted / measured), per file, phase and metric: the median and 90th percentile of their size, and the median as bias.
    """
    from edgewright.experiments.validation.plot import plotter
    from edgewright.experiments.validation.report import groups_of, judge, write_rows
    from edgewright.simulator.assemble_devices import devices_of

    draw = None if plot is None else plotter(plot)
    own = {name: device for path in profiles for name, device in devices_of(path).items()}
    judged: Iterator[Judged] = judge(_rows(files, own))
    if out is not None:
        judged = write_rows(judged, out)
    if draw is not None and plot is not None:
        kept = list(judged)
        draw(kept, plot)
        judged = iter(kept)
    groups = groups_of(judged)
    if machine:
        print_json([each.as_table() for each in groups])
        return
    _print(groups)


def _rows(files: tuple[Path, ...], profiles: Mapping[str, Device]) -> Iterator[Row]:
    from edgewright.experiments.validation.rows import read_rows

    for path in files:
        yield from read_rows(path, profiles)


def _print(groups: list[Group]) -> None:
    header = ("file", "phase", "metric", "n", "median", "p90", "bias", "inside", "not predicted")
    print_table(header, [_cells(each) for each in groups])
    predicted, missing = sum(len(each.errors) for each in groups), sum(sum(each.reasons.values()) for each in groups)
    click.echo(f"{predicted} rows predicted, {missing} not", err=True)


def _cells(group: Group) -> list[str]:
    why = "; ".join(f"{count}: {reason}" for reason, count in group.reasons.most_common())
    figures = [_figure(each) for each in (group.median, group.p90)]
    bias = "" if group.bias is None else f"{group.bias:+.3f}"
    inside = "" if group.coverage is None else f"{group.coverage:.0%}"
    return [*group.key, str(len(group.errors)), *figures, bias, inside, why]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
