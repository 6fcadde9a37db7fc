"""`edgewright sweep`: from a file of factors to a data set and a table of means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgewright.experiments.cli_output import print_json, print_table
from edgewright.experiments.cli_scenario import with_plugins

if TYPE_CHECKING:
    import pandas as pd

    from edgewright.experiments.sweeps import SweepResult

__all__ = ["sweep"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory of the data set; absent: results/NAME.")
@click.option("--jobs", type=click.IntRange(min=0), default=1, show_default=True, help="Processes; 0: one per core.")
@click.option("--dask", metavar="ADDRESS", help="Run on the workers of the Dask scheduler at this address instead.")
@with_plugins
@click.option("--retry", is_flag=True, help="Run again what failed in an earlier call.")
@click.option("--figure", "figures", multiple=True, help="Figure to print, in place of the file's; may be repeated.")
@click.option("--json", "machine", is_flag=True, help="Print the table as JSON.")
@click.option("--quiet", is_flag=True, help="No talk on stderr.")
def sweep(
    file: Path, out: Path | None, jobs: int, dask: str | None, retry: bool, figures: tuple[str, ...], machine: bool, quiet: bool
) -> None:
    """Run the sweep that FILE describes; print means with 95 % confidence intervals, or with extremes over draws.

    Results arrive in the directory as they finish, one Parquet file per run, all of them in results.parquet at the end. A sweep that was
    stopped, however hard, goes on where it was when the same command is given again.
    """
    import os

    from edgewright.experiments.sweeps import Spec, read_spec
    from edgewright.experiments.sweeps.driver import run_sweep

    spec, scenario = read_spec(file, Spec)
    directory = out if out is not None else Path("results") / spec.name
    watched = not quiet and sys.stderr.isatty()
    result = run_sweep(spec, scenario, directory, jobs=jobs or os.cpu_count() or 1, dask=dask, progress=watched, again=retry)
    asked = list(figures) or (list(spec.figures) if "figures" in spec.model_fields_set else [])
    shown = asked or [name for name in spec.figures if name in result.frame]
    try:
        summary = result.summary(shown)
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from None
    result.report(directory / "report.html", shown)
    if machine:
        print_json({"directory": str(directory), "points": summary.to_dict(orient="records")})
    else:
        _print(summary, result)
    failed = int((result.frame["status"] == "failed").sum())
    if failed and not quiet:
        reasons = result.frame["reason"][result.frame["status"] == "failed"].value_counts()
        click.echo(f"{failed} of {len(result.frame)} runs failed; most often: {reasons.index[0]}", err=True)
    if not quiet:
        click.echo(f"written to {directory}: read {directory / 'results.parquet'}, open {directory / 'report.html'}", err=True)


def _print(summary: pd.DataFrame, result: SweepResult) -> None:
    """A row per point: its factors, then of each figure mean ± half-width, or mean and extremes over draws."""
    from edgewright.experiments.sweeps.report import said

    figures = list(dict.fromkeys(summary["figure"]))
    rows = []
    for _, point in summary.groupby("point", sort=True):
        first = point.iloc[0]
        cells = [said(row, result.drawn) for _, row in point.iterrows()]
        rows.append([*(str(first[key]) for key in result.factors), f"{first['runs'] - first['failed']}/{first['runs']}", *cells])
    print_table([*result.factors, "runs", *figures], rows)
