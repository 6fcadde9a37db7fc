"""`edgewright search`: how much, which one, what trade-off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgewright.experiments.cli_output import print_json, print_table
from edgewright.experiments.cli_scenario import with_plugins

if TYPE_CHECKING:
    from edgewright.experiments.search.answers import Answer, Candidate

__all__ = ["search"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory of runs and answer; absent: results/NAME.")
@click.option("--jobs", type=click.IntRange(min=0), default=1, show_default=True, help="Processes; 0: one per core.")
@with_plugins
@click.option("--json", "machine", is_flag=True, help="Print the answer as JSON.")
def search(file: Path, out: Path | None, jobs: int, machine: bool) -> None:
    """Answer the question in FILE: the highest load that meets an SLO, the best configuration under limits, or a Pareto front.

    Every answer says how sure it is. A search that was stopped goes on where it was when the same command is given again.
    """
    import json
    import os

    from edgewright.experiments.cli_output import as_json
    from edgewright.experiments.search.question import Question
    from edgewright.experiments.search.running import answer
    from edgewright.experiments.sweeps import read_spec

    question, scenario = read_spec(file, Question)
    directory = out if out is not None else Path("results") / question.name
    found = answer(question, scenario, jobs or os.cpu_count() or 1, directory)
    (directory / "answer.json").write_text(json.dumps(as_json(found.as_dict()), indent=1, default=str) + "\n", encoding="utf-8")
    if machine:
        print_json(found.as_dict())
    else:
        _print(found)
    click.echo(f"{found.runs} runs; written to {directory}", err=True)


def _print(found: Answer) -> None:
    click.echo(found.sentence)
    chosen = found.tried if found.question.find == "capacity" else found.found
    if not chosen:
        return
    figures = list(chosen[0].figures)
    click.echo("")
    print_table((*chosen[0].changes, *figures, "runs", "limits"), [_cells(each, figures) for each in chosen])


def _cells(candidate: Candidate, figures: list[str]) -> list[str]:
    shown = [f"{mean:.4g} ± {half:.2g}" for mean, half in (candidate.figures[name] for name in figures)]
    return [*map(str, candidate.changes.values()), *shown, str(candidate.runs), candidate.verdict]
