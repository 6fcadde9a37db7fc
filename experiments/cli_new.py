"""`edgewright new` and `edgewright completion`: the first minutes of a new user."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgewright.experiments.cli_output import OneOf, print_json

__all__ = ["completion", "new", "starters"]

_STARTERS = Path(__file__).with_name("starters")
_SCHEMA = "edgewright.schema.json"


def starters() -> tuple[str, ...]:
    """Names of the starter scenarios, sorted."""
    return tuple(sorted(path.stem for path in _STARTERS.glob("*.yaml")))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--like", type=OneOf(starters()), default="board", show_default=True, help="What it starts from.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.option("--json", "machine", is_flag=True, help="Print what was written as JSON.")
def new(file: Path, like: str, force: bool, machine: bool) -> None:
    """Write a commented starter scenario to FILE, and beside it the JSON schema with which editors complete and check it.

    `board`: one board answers questions. `cluster`: four boards hold one model together, beside a server. `camera`: frames with deadlines.
    """
    from edgewright.simulator.scenario import Scenario

    if file.suffix not in (".yaml", ".yml"):
        raise click.UsageError(f"{file} is no name of a scenario file; accepted: a name that ends in .yaml")
    if file.exists() and not force:
        raise FileExistsError(f"{file} exists; accepted: a new name, or --force to replace it")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{file.parent} is no directory; accepted: a file in an existing one")
    text = (_STARTERS / f"{like}.yaml").read_text(encoding="utf-8").replace("name: starter\n", f"name: {_name(file)}\n", 1)
    schema = file.with_name(_SCHEMA)
    schema.write_text(json.dumps(Scenario.file_schema(), indent=1) + "\n", encoding="utf-8")
    file.write_text(f"# yaml-language-server: $schema={_SCHEMA}\n{text}", encoding="utf-8")
    if machine:
        print_json({"scenario": str(file), "schema": str(schema), "like": like})
    else:
        click.echo(f"{file}: now `edgewright check {file}`, then `edgewright run {file}`")


@click.command()
@click.argument("shell", type=OneOf(["bash", "fish", "zsh"]))
@click.option("--json", "machine", is_flag=True, help="Print the script as a JSON string.")
def completion(shell: str, machine: bool) -> None:
    """Print the script that completes commands, options and names in SHELL; for bash: eval "$(edgewright completion bash)"."""
    from click.shell_completion import get_completion_class

    from edgewright.experiments.cli import main

    found = get_completion_class(shell)
    assert found is not None
    source = found(main, {}, "edgewright", "_EDGEWRIGHT_COMPLETE").source()
    if machine:
        print_json({"shell": shell, "script": source})
    else:
        click.echo(source)


def _name(file: Path) -> str:
    """A scenario's name of a file's."""
    kept = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in file.stem).strip("-_")
    return kept or "scenario"
