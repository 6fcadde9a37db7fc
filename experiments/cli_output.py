"""What commands print: aligned tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from typing import Any

import click

__all__ = ["OneOf", "as_json", "print_json", "print_table", "quantity"]

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


class OneOf(click.Choice[str]):
    """A choice of names, whose error says which is the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What click says, and the name that was perhaps meant."""
        near = get_close_matches(str(value), list(self.choices), n=1)
        return super().get_invalid_choice_message(value, ctx) + (f" Did you mean {near[0]!r}?" if near else "")


def as_json(value: object) -> object:
    """The value with infinities and NaN as null, which JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(as_json(value), indent=1, ensure_ascii=False, default=str))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns aligned under their header, on stdout; the last one as long as it is."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    widths[-1] = 0
    for row in (header, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def quantity(value: float | None, unit: str) -> str:
    """`1.32 TB/s`: three figures and an SI prefix; `unknown` for None."""
    if value is None:
        return "unknown"
    if value == 0:
        return f"0 {unit}"
    scale, prefix = next((pair for pair in _PREFIXES if abs(value) >= pair[0] * 0.9995), _PREFIXES[-1])
    return f"{value / scale:.3g} {prefix}{unit}"
