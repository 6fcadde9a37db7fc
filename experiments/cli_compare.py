"""`edgewright compare`: two result directories side by side."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewright.experiments.cli_output import print_json, print_table

if TYPE_CHECKING:
    from edgewright.experiments.comparison import Comparison

__all__ = ["compare"]


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw where the time went (PNG, SVG or PDF by its ending).")
@click.option("--rows", type=click.IntRange(0), default=20, show_default=True, help="Figures listed, largest changes first; 0: all.")
@click.option("--json", "machine", is_flag=True, help="Print all tables as JSON.")
def compare(a: Path, b: Path, plot: Path | None, rows: int, machine: bool) -> None:
    """Compare the result directories A and B: figures that differ, where the time of a job went, and how sure the difference is."""
    from edgewright.experiments.comparison import compare as compared
    from edgewright.simulator.result import Result

    try:
        found = compared(Result.read(a), Result.read(b))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if plot is not None:
        found.plot().savefig(plot)
    if machine:
        tables = {name: getattr(found, name).to_dict(orient="records") for name in ("figures", "phases", "totals", "busy")}
        print_json({"a": str(a), "b": str(b), "pairs": found.pairs, **tables})
    else:
        _print(found, rows)


def _print(found: Comparison, most: int) -> None:
    click.echo(f"A: {found.names[0]}, B: {found.names[1]}; {found.pairs} jobs completed in both\n")
    click.echo("where the time of a job went (mean seconds; B - A with its 95 % confidence interval)")
    phases: list[dict[Any, Any]] = found.phases.to_dict(orient="records")
    cells = [[row["service"], row["phase"], *_three(row), _between(row["low"], row["high"])] for row in phases]
    totals: list[dict[Any, Any]] = found.totals.to_dict(orient="records")
    cells += [[row["service"], "all", *_three(row), _between(row["low"], row["high"])] for row in totals]
    print_table(("service", "phase", "A", "B", "B - A", "interval"), cells)
    click.echo("\nbusy seconds")
    busy: list[dict[Any, Any]] = found.busy.to_dict(orient="records")
    print_table(("kind", "A", "B", "B - A"), [[row["kind"], *_three(row)] for row in busy])
    change = (found.figures["ratio"] - 1.0).abs().fillna(float("inf"))
    ordered = found.figures.loc[change.sort_values(ascending=False, kind="stable").index]
    shown: list[dict[Any, Any]] = (ordered.head(most) if most else ordered).to_dict(orient="records")
    click.echo(f"\nfigures that differ ({len(shown)} of {len(ordered)})")
    rows = [[row["figure"], *_three(row), f"{row['ratio']:.3f}" if isfinite(row["ratio"]) else "-"] for row in shown]
    print_table(("figure", "A", "B", "B - A", "B / A"), rows)


def _three(row: dict[Any, Any]) -> list[str]:
    return [f"{row['a']:.4g}", f"{row['b']:.4g}", f"{row['difference']:+.3g}"]


def _between(low: float, high: float) -> str:
    return f"[{low:+.3g}, {high:+.3g}]" if isfinite(low) else "-"
