"""`python -m edgewright.experiments.benchmarks [NAME...]`: run benchmarks and print their table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

import click

from edgewright.experiments.benchmarks.cluster import cluster
from edgewright.experiments.benchmarks.events import events
from edgewright.experiments.benchmarks.fleet import fleet
from edgewright.experiments.benchmarks.memory import memory
from edgewright.experiments.benchmarks.page import README, write_tables
from edgewright.experiments.benchmarks.pricing import pricing
from edgewright.experiments.benchmarks.rows import HEADER, Row, cells
from edgewright.experiments.benchmarks.startup import startup
from edgewright.experiments.benchmarks.timing import pinned
from edgewright.experiments.benchmarks.versus import growth, llm
from edgewright.experiments.cli_output import OneOf, print_json, print_table

__all__ = ["BENCHMARKS", "LONG", "main"]

BENCHMARKS: Mapping[str, Callable[[], Iterator[Row]]] = MappingProxyType(
    {
        "llm": llm,
        "growth": growth,
        "memory": memory,
        "events": events,
        "pricing": pricing,
        "startup": startup,
        "cluster": cluster,
        "fleet-small": partial(fleet, 10_000, 300.0),
        "fleet": fleet,
        "llm-1k": partial(llm, 1_000),
        "llm-100k": partial(llm, 100_000, 1, (2.0,)),
        "growth-1m": partial(growth, (10_000, 1_000_000), turns=2),
        "memory-1m": partial(memory, 1_000_000),
    }
)
"""The benchmarks by name."""

LONG = ("cluster", "fleet", "fleet-small", "llm-1k", "llm-100k", "growth-1m", "memory-1m")
"""Those that run only when they are named: they take minutes, or repeat others at another size."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=OneOf(list(BENCHMARKS)), metavar="[NAME...]")
@click.option("--json", "machine", is_flag=True, help="Print the rows as JSON.")
@click.option("--update", is_flag=True, help="Put the rows of these benchmarks into README.md, in place of those of the last run.")
def main(names: tuple[str, ...], machine: bool, update: bool) -> None:
    """Run benchmarks by NAME (none: all but the long ones) on one core, and print what they reached beside what is asked of them."""
    core = pinned()
    chosen = names or tuple(name for name in BENCHMARKS if name not in LONG)
    found: dict[str, list[Row]] = {}
    for name in chosen:
        click.echo(f"{name} on core {core}", err=True)
        try:
            found[name] = list(BENCHMARKS[name]())
        except ModuleNotFoundError as error:
            raise click.ClickException(f"{name} needs {error.name}: pip install 'edgewright[benchmarks]'") from None
    rows = [row for group in found.values() for row in group]
    if machine:
        print_json([row.as_dict() for row in rows])
    else:
        print_table(HEADER, cells(rows))
    if update:
        write_tables(found)
        click.echo(f"wrote {README}", err=True)


if __name__ == "__main__":
    main()
