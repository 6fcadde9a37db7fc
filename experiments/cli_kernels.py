"""`edgewright kernels`: what can be timed here, and in which implementation."""

from __future__ import annotations

import click

from edgewright.experiments.cli_output import print_json, print_table

__all__ = ["kernels"]


@click.command()
@click.option("--json", "machine", is_flag=True, help="Print as JSON.")
def kernels(machine: bool) -> None:
    """List the kernels that can be timed on this machine, and say whether they are native or Numba's, and why."""
    from edgewright.kernels import kernel, kernel_names, native_status

    status = native_status()
    found = [kernel(name) for name in kernel_names()]
    if machine:
        listed = [
            {"kernel": k.name, "axes": k.axes, "formats": k.dtypes, "class": k.kernel_class, "implementation": k.implementation}
            for k in found
        ]
        print_json({"native": status.available, "path": status.path, "reason": status.reason, "kernels": listed})
        return
    rows = [[k.name, " x ".join(k.axes), " ".join(k.dtypes), k.kernel_class or "(probe)", k.implementation] for k in found]
    print_table(("kernel", "shape", "formats", "calibrates", "runs as"), rows)
    click.echo(status.reason, err=True)
