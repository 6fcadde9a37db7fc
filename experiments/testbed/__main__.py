"""`python -m edgewright.experiments.testbed`: the committed comparison; `--measure` runs for real first, `--write` makes the document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from edgewright.experiments.cli_output import print_table, quantity
from edgewright.experiments.testbed.cases import all_cases
from edgewright.experiments.testbed.compare import Compared, compare, summary
from edgewright.experiments.testbed.measure import measure_cases
from edgewright.experiments.testbed.namespaces import why_unavailable
from edgewright.experiments.testbed.records import RECORDS, load_records, save_records
from edgewright.experiments.testbed.report import README, document, draw


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--measure", is_flag=True, help="Run what was not measured yet, or measured badly. Needs root and iproute2.")
@click.option("--again", is_flag=True, help="With --measure: run everything again.")
@click.option("--seconds", type=float, default=280.0, show_default=True, help="With --measure: stop after so long; a later call goes on.")
@click.option("--write", is_flag=True, help="Write README.md and errors.svg beside the committed measurements (needs matplotlib).")
@click.option("--only", default="", help="Cases whose name or group contains this.")
@click.option("--records", "path", type=click.Path(path_type=Path, dir_okay=False), default=RECORDS, help="Where measurements are kept.")
def main(measure: bool, again: bool, seconds: float, write: bool, only: str, path: Path) -> None:
    """Plans run by host processes over shaped links, beside the simulator's prediction."""
    records = load_records(path)
    cases = [case for case in all_cases() if only in case.name or only in case.group]
    if measure:
        reason = why_unavailable()
        if reason is not None:
            raise click.ClickException(f"skipped: no testbed here: {reason}")
        left = measure_cases(cases, records, lambda: save_records(records, path), seconds=seconds, again=again)
        click.echo(f"{left} cases are left" if left else "all cases are measured", err=True)
    rows = compare(cases, records)
    if not rows:
        raise click.ClickException("nothing is measured yet: use --measure")
    if measure or write:
        for row in rows:
            records.cases[row.case.name] = replace(records.cases[row.case.name], simulated=row.simulated)
        save_records(records, path)
    if write:
        README.write_text(document(rows, records), encoding="utf-8")
        draw(rows)
    print_table(("case", "measured", "", "simulated", "error", "computing", "doubts"), [_cells(row) for row in rows])
    for line in summary(rows):
        click.echo(line)


def _cells(row: Compared) -> list[str]:
    spread = f"± {(row.high - row.low) / 2 / row.measured:.1%}"
    simulated, measured = quantity(row.simulated, "s"), quantity(row.measured, "s")
    return [row.case.name, measured, spread, simulated, f"{row.error:+.1%}", f"{row.computing:.0%}", "; ".join(row.reasons)]


if __name__ == "__main__":
    main()
