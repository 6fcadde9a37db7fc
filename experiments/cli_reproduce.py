"""`edgewright reproduce`: published systems against their baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from edgewright.experiments import cli_completion as completion
from edgewright.experiments.cli_output import print_json, print_table

if TYPE_CHECKING:
    from edgewright.experiments.reproductions.verdicts import Row

__all__ = ["reproduce"]


@click.command()
@click.argument("systems", nargs=-1, metavar="[NAME...]", shell_complete=completion.systems)
@click.option("--list", "listing", is_flag=True, help="Only say which systems there are, and what their claims are about.")
@click.option("--json", "machine", is_flag=True, help="Print the rows as JSON.")
@click.option("--jobs", type=click.IntRange(min=0), default=1, show_default=True, help="Processes; 0: one per core.")
@click.option("--measure", is_flag=True, help="First time the kernels of the systems that have some on this machine, and store the rows.")
@click.option("--update", is_flag=True, help="Renew table and picture of each system; without a NAME also the page over all.")
def reproduce(systems: tuple[str, ...], listing: bool, machine: bool, jobs: int, measure: bool, update: bool) -> None:
    """Simulate published systems and their baselines; print claim, simulated value with its band, ratio and verdict.

    Without a NAME all of them. The band is over the alternatives of every assumption that the publication leaves open, one at a time.
    A verdict is about figures within 15 % of what was published, and about orders that hold. The systems: edgewright reproduce --list
    """
    import os

    from edgewright.experiments.reproductions import catalogue, pages, running, verdicts

    try:
        found = {name: catalogue.find(name) for name in systems or catalogue.names()}
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if listing:
        _list(list(found), machine)
        return
    if measure:
        for name, system in found.items():
            if system.measure is not None:
                system.measure(catalogue.folder_of(name))
    rows: list[Row] = []
    for outcomes in running.reproduce(list(found), jobs or os.cpu_count() or 1):
        rows += verdicts.rows_of(found[outcomes.system], outcomes)
        click.echo(f"{outcomes.system}: {1 + len(outcomes.variants)} variants simulated", err=True)
        if update:
            pages.write_system(outcomes)
    if update and not systems:
        pages.write_overview()
    _show(rows, machine)


def _list(systems: Sequence[str], machine: bool) -> None:
    from edgewright.experiments.reproductions import find

    found = [(find(name), len(find(name).claims)) for name in systems]
    if machine:
        print_json([{"system": each.name, "title": each.title, "source": each.source, "claims": count} for each, count in found])
    else:
        print_table(("system", "claims", "title"), [(each.name, str(count), each.title) for each, count in found])


def _show(rows: Sequence[Row], machine: bool) -> None:
    from collections import Counter
    from dataclasses import asdict

    from edgewright.experiments.reproductions.pages import figures

    if machine:
        print_json([asdict(row) for row in rows])
        return
    header = ("system", "claim", "published", "simulated", "low", "high", "ratio", "verdict")
    cells = [tuple(figures(each) for each in (row.published, row.simulated, row.low, row.high, row.ratio)) for row in rows]
    print_table(header, [(row.system, row.claim, *cell, row.verdict) for row, cell in zip(rows, cells, strict=True)])
    counts = Counter(row.verdict for row in rows)
    click.echo("; ".join(f"{count} {verdict}" for verdict, count in counts.items()), err=True)
    for row in rows:
        if row.reason:
            click.echo(f"{row.system} {row.claim}: {row.reason}", err=True)
