"""README.md of this folder: tables between marks that commands write, among them the errors of every group of measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright.experiments.pages import replace_section
from edgewright.experiments.validation.report import Group, groups_of, judge, quantile
from edgewright.experiments.validation.rows import Row

__all__ = ["README", "table_of", "write_readme"]

README = Path(__file__).with_name("README.md")
"""The page."""


def table_of(
    groups: Sequence[Group], devices: Mapping[tuple[str, str, str], list[float]], models: Mapping[tuple[str, str, str], list[float]]
) -> str:
    """The table in Markdown."""
    lines = [
        "| file | phase, metric | n | median | p90 | bias | in interval | LODO | LOMO | not predicted |",
        "|---|---|" + "---:|" * 7 + "---|",
    ]
    for group in groups:
        file, phase, metric = group.key
        why = "; ".join(f"{count}: {reason}" for reason, count in group.reasons.most_common(2))
        more = sum(group.reasons.values()) - sum(count for _, count in group.reasons.most_common(2))
        figures = [_figure(each) for each in (group.median, group.p90)]
        bias = "" if group.bias is None else f"{group.bias:+.2f}"
        inside = "" if group.coverage is None else f"{group.coverage:.0%}"
        left = [_figure(quantile([abs(each) for each in found.get(group.key, [])], 0.5)) for found in (devices, models)]
        why += f"; {more}: other reasons" if more else ""
        lines.append(f"| {file} | {phase}, {metric} | {len(group.errors)} | " + " | ".join([*figures, bias, inside, *left, why]) + " |")
    return "\n".join(lines)


def write_readme(
    rows: Sequence[Row], devices: Mapping[tuple[str, str, str], list[float]], models: Mapping[tuple[str, str, str], list[float]]
) -> None:
    """Replace the table of all groups."""
    replace_section("groups", table_of(groups_of(judge(rows)), devices, models), README)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
