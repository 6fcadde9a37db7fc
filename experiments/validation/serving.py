"""Recorded serving runs beside their replay: `python -m edgewright.experiments.validation.serving DIR...`.

Each run is replayed request by request (`serving_replay.py`), and every figure stands beside what was measured and, where it was kept, what
LLMServingSim predicts. The errors are predicted / measured - 1. `--update` writes the table into README.md beside this file.

How wrong it can be: the table itself. What the simulator takes from a run is its requests and the limits of its engine; its KV cache where
the run states it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import click

from edgewright.experiments.cli_output import print_table
from edgewright.experiments.pages import replace_section
from edgewright.experiments.validation.readme import README
from edgewright.experiments.validation.serving_replay import replayed
from edgewright.experiments.validation.serving_run import ServingRun, Timings, measured, peer, read_run
from edgewright.simulator.errors import ScenarioError

__all__ = ["HEADER", "compared", "main", "markdown", "statistics"]

HEADER = ("run", "figure", "statistic", "measured", "ours", "error", "LLMServingSim", "its error")
"""The columns of the table; times in seconds."""

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_TITLES = {
    "ttft": "time to first token",
    "tpot": "time per token",
    "latency": "latency",
    "prefill": "scheduled to first token",
    "step": "decode step",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR...")
@click.option("--update", is_flag=True, help="Write the table into README.md as well.")
def main(folders: tuple[Path, ...], update: bool) -> None:
    """Replay recorded serving runs and print how far off the replay is."""
    rows: list[tuple[str, ...]] = []
    for folder in folders:
        try:
            run = read_run(folder)
            found, cache = compared(run)
        except ScenarioError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{run.name}: {cache}", err=True)
        rows += found
    print_table(HEADER, rows)
    if update:
        replace_section("serving", markdown(rows), README)


def compared(run: ServingRun) -> tuple[list[tuple[str, ...]], str]:
    """The rows of a run's table under `HEADER`, and how its KV cache came about."""
    ours, cache = replayed(run)
    return list(_rows(run.name, measured(run), ours, peer(run))), cache


def statistics(timings: Timings | None) -> dict[tuple[str, str], float]:
    """Mean and quantiles of every figure that is known, by figure and statistic."""
    import numpy as np

    found: dict[tuple[str, str], float] = {}
    for figure in fields(Timings):
        values = None if timings is None else getattr(timings, figure.name)
        if values is not None:
            found[figure.name, "mean"] = float(np.mean(values))
            found.update({(figure.name, name): float(np.quantile(values, share)) for name, share in _QUANTILES.items()})
    return found


def _rows(name: str, truth: Timings, ours: Timings, theirs: Timings | None) -> Iterator[tuple[str, ...]]:
    found, beside = statistics(ours), statistics(theirs)
    for key, value in statistics(truth).items():
        figure, statistic = key
        cells = (*_beside(found.get(key), value), *_beside(beside.get(key), value))
        yield (name, _TITLES[figure], statistic, f"{value:.4g}", *cells)


def _beside(predicted: float | None, value: float) -> tuple[str, str]:
    """A prediction and its error; empty where there is none."""
    return ("", "") if predicted is None else (f"{predicted:.4g}", f"{predicted / value - 1.0:+.1%}")


def markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """The table as README.md has it."""
    lines = [HEADER, ("---", "---", "---", *("---:" for _ in HEADER[3:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
