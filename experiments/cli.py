"""The command line: `edgewright run quickstart`, `edgewright --help`.

Results go to stdout, talk and errors to stderr. Exit code 2: the input is bad, and nothing was written. The commands live in
the modules `cli_*.py`; none of them imports more than click until it is used.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from edgewright.experiments.cli_calibrate import calibrate
from edgewright.experiments.cli_catalogue import devices, policies, schema
from edgewright.experiments.cli_compare import compare
from edgewright.experiments.cli_conform import conform
from edgewright.experiments.cli_explain import explain
from edgewright.experiments.cli_kernels import kernels
from edgewright.experiments.cli_new import completion, new
from edgewright.experiments.cli_reproduce import reproduce
from edgewright.experiments.cli_run import check, report, run
from edgewright.experiments.cli_search import search
from edgewright.experiments.cli_sweep import sweep
from edgewright.experiments.cli_validate import validate

__all__ = ["BadInput", "Edgewright", "main"]


class BadInput(click.ClickException):
    """An error of the user's input: its message on stderr, exit code 2."""

    exit_code = 2


class Edgewright(click.Group):
    """A click group that turns errors of input into one message."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; input errors of any house, files and missing extras end it with exit code 2."""
        try:
            with _rarely_collecting():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise BadInput(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)) from None
        except ImportError as error:
            if error.name is not None:  # what is missing is a part of this package, not an extra that somebody could install
                raise
            raise BadInput(str(error)) from None
        except ValueError as error:
            from edgewright.experiments.sweeps.spec import SweepError
            from edgewright.policies.plugins import PluginError
            from edgewright.simulator.errors import ScenarioError
            from edgewright.simulator.result_meta import MetaError
            from edgewright.simulator.tables import TableError

            if not isinstance(error, ScenarioError | SweepError | PluginError | MetaError | TableError):
                raise
            raise BadInput(str(error)) from None


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Fewer searches for garbage: what a command loads stays, and looking through it a thousand times is a tenth of a short run."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@click.group(cls=Edgewright, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="edgewright", prog_name="edgewright")
def main() -> None:
    """Simulate clusters of edge machines that run neural networks.

    A SCENARIO is the path of a YAML file, or the name of a shipped one: `edgewright run quickstart`.
    """


for command in (
    *(new, run, sweep, search, compare, check, explain, report),
    *(validate, conform, reproduce, calibrate),
    *(devices, kernels, policies, schema, completion),
):
    main.add_command(command)
