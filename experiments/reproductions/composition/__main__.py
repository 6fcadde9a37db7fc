"""`python -m edgewright.experiments.reproductions.composition`: the ablation, its table and its picture."""

from __future__ import annotations

import click

from edgewright.experiments.reproductions.composition.mechanisms import renew


@click.command()
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--json", "machine", is_flag=True, help="Print the rows as JSON, and write nothing.")
def main(jobs: int, machine: bool) -> None:
    """Run Keyformer, ExFlow, TPI-LLM's window and POLCA's controller together, each alone, each left out, and none."""
    from edgewright.experiments.cli_output import print_json

    rows = renew(jobs, write=not machine)
    if machine:
        print_json({"rows": rows})


if __name__ == "__main__":
    main()
