"""`python -m edgewright.experiments.studies [NAME...] [--update] [--list] [--json]`: run studies, print answers and tables."""

from __future__ import annotations

from pathlib import Path

import click

from edgewright.experiments.cli_output import print_json
from edgewright.experiments.studies.page import recorded, results, write_index, write_study
from edgewright.experiments.studies.study import REPLICATIONS, Rows, Study, find, names

__all__ = ["main"]


@click.command()
@click.argument("chosen", nargs=-1, metavar="[NAME...]")
@click.option("--list", "listing", is_flag=True, help="Only say what is asked, and what the rows that are kept answer; nothing runs.")
@click.option("--update", is_flag=True, help="Renew rows, answer, table and picture of each study, and the page over all.")
@click.option("--json", "machine", is_flag=True, help="Print answers and rows as JSON.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="results/studies", show_default=True, help="For the runs.")
@click.option("--jobs", type=click.IntRange(min=0), default=1, show_default=True, help="Processes; 0: one per core.")
@click.option("--replications", type=click.IntRange(min=2), default=REPLICATIONS, show_default=True, help="Runs per point.")
def main(chosen: tuple[str, ...], listing: bool, update: bool, machine: bool, out: Path, jobs: int, replications: int) -> None:
    """Run the studies named, or all; print their answers. Stopped at any moment, the same command goes on where it was."""
    import os

    try:
        studies = [find(name) for name in chosen or names()]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    said = []
    for study in studies:
        rows = recorded(study) if listing else study.run(out / study.name, jobs or os.cpu_count() or 1, replications)
        if update and not listing:
            write_study(study, rows)
        said.append(_said(study, rows, listing))
        if not machine:
            _show(study, rows, listing)
    if machine:
        print_json(said)
    if update and not listing:
        write_index()


def _said(study: Study, rows: Rows, listing: bool) -> dict[str, object]:
    parts = {} if listing else {name: frame.to_dict(orient="records") for name, frame in rows.items()}
    return {"study": study.name, "question": study.question, "answer": list(study.answer(rows)), "rows": parts}


def _show(study: Study, rows: Rows, listing: bool) -> None:
    if listing:
        click.echo(f"{study.name}: {study.question}\n  {study.answer(rows)[0]}")
    else:
        click.echo(f"# {study.question}\n\n{results(study, rows)}\n")


if __name__ == "__main__":
    main()
