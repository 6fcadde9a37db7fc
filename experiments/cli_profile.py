"""A calibrated profile on the disk and on the screen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgewright.experiments.cli_output import print_table

__all__ = ["print_profile", "write_profile"]


def write_profile(path: Path, found: Mapping[str, Any]) -> None:
    """Write it in one go: whoever reads the file meets a whole one."""
    import yaml

    fresh = path.with_name(path.name + ".part")
    fresh.write_text(yaml.safe_dump(dict(found), sort_keys=False, width=140), encoding="utf-8")
    os.replace(fresh, path)


def print_profile(found: Mapping[str, Any], out: Path) -> None:
    """The rates on stdout, and how far prices are off by kernel class; what to do with the file on stderr."""
    report, (name, entry) = found["calibration"], next(iter(found["devices"].items()))
    core = report["one_core"]
    rates = {f"peak {dtype}": f"{rate / 1e9:.0f} Gop/s" for dtype, rate in core["peaks"].items()}
    rates |= {f"bandwidth {level}": f"{rate / 1e9:.1f} GB/s" for level, rate in core["bandwidth"].items()}
    print_table(("one core", name), [[key, value] for key, value in rates.items()])
    click.echo()
    rows = [[key, str(each["timings"]), each["implementation"], *map(_shown, _errors(each))] for key, each in report["errors"].items()]
    print_table(("kernel class", "timings", "form", "error", "held out", "as priced"), rows)
    for warning in report["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{report['trusted']:.0%} of {report['timings']} timings are trusted by the harness; {entry['notes']}", err=True)
    click.echo(f"written to {out}: name it under device_files, and the device {name}", err=True)


def _errors(each: Mapping[str, Any]) -> list[Mapping[str, float] | None]:
    return [each["fitted"], each["held_out"], each["as_priced"]]


def _shown(error: Mapping[str, float] | None) -> str:
    return "unavailable" if error is None else f"{error['median']:.1%} (p90 {error['p90']:.1%})"
