"""The page: what is shown, in which order, put into the template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.simulator.report.faults import failures
from edgewright.simulator.report.figure import Drawing
from edgewright.simulator.report.frame import framed
from edgewright.simulator.report.heat import heat
from edgewright.simulator.report.latency import latencies
from edgewright.simulator.report.machine import machine
from edgewright.simulator.report.power import powers
from edgewright.simulator.report.series import queues
from edgewright.simulator.report.sources import sources
from edgewright.simulator.report.timeline import timelines
from edgewright.simulator.summary_text import Grid, grids, headline, readable

if TYPE_CHECKING:
    from edgewright.simulator.result_meta import ProvenanceEntry, Recorded
    from edgewright.simulator.summary import Metric

__all__ = ["render", "write_report"]

_MOST_ROWS, _MOST_LETTERS = 200, 200_000
_TILES = (
    ("Within objectives", "slo_met", "%"),
    ("Goodput", "goodput_per_s", "1/s"),
    ("TTFT, median", "ttft_p50_s", "s"),
    ("TTFT, p99", "ttft_p99_s", "s"),
    ("TPOT, median", "tpot_p50_s", "s"),
    ("Tokens per second", "tokens_per_s", "1/s"),
    ("Energy per token", "joules_per_token", "J"),
    ("Mean power", "mean_power_W", "W"),
    ("Peak power", "peak_power_W", "W"),
    ("Deadline misses", "deadline_misses", ""),
)


def write_report(run: Recorded, path: Path) -> None:
    """Write the report of a run as one HTML file that needs nothing else."""
    path.write_text(render(run), encoding="utf-8")


def render(run: Recorded) -> str:
    """The report as HTML. The same run gives the same text, with one version of plotly."""
    found = run.metrics
    sections = _sections(run, found)
    return framed(
        Path(__file__).parent / "run.html",
        [each for _, drawn in sections for each in drawn],
        meta=run.meta,
        headline=headline(run),
        tiles=_tiles(found),
        sections=sections,
        grids=[_shortened(grid) for grid in grids(found, run)],
        provenance=_provenance(run.meta["provenance"]),
        scenario=_yaml(run.meta["scenario"]),
    )


def _shortened(grid: Grid) -> Grid:
    """The first rows of a long table; a line at its end says how many there are."""
    if len(grid.rows) <= _MOST_ROWS:
        return grid
    left_out = [f"... {len(grid.rows) - _MOST_ROWS} more rows", *[""] * (len(grid.head) - 1)]
    return replace(grid, rows=[*grid.rows[:_MOST_ROWS], left_out])


def _sections(run: Recorded, found: Sequence[Metric]) -> list[tuple[str, list[Drawing]]]:
    """Titles and figures, without empty sections."""
    sections = [
        ("Cluster", [*machine(run, found)]),
        ("Requests", [*timelines(run)]),
        ("Latencies", [*latencies(run)]),
        ("Queues and KV caches", [*queues(run)]),
        ("Power", [*powers(run)]),
        ("Sources and feeding", [*sources(run)]),
        ("Heat", [*heat(run)]),
        ("Faults", [*failures(run)]),
    ]
    return [(title, drawn) for title, drawn in sections if drawn]


def _tiles(found: Sequence[Metric]) -> list[tuple[str, str]]:
    """Labels and values of the key figures that are available; the worst service beside the whole, if there are several."""
    total = {each.metric: each.value for each in found if each.scope == "total"}
    tiles = [(label, readable(total.get(metric, float("nan")), unit) + (" /s" if unit == "1/s" else "")) for label, metric, unit in _TILES]
    worst = sorted(
        (each.value, each.name) for each in found if each.scope == "service" and each.metric == "slo_met" and not isnan(each.value)
    )
    least = [(f"Within objectives, {name}", readable(value, "%")) for value, name in worst[:1] if len(worst) > 1]
    known = [(label, said) for label, said in tiles if not said.startswith("-")]
    return [*known[:1], *least, *known[1:]]


def _provenance(entries: Sequence[ProvenanceEntry]) -> list[dict[str, Any]]:
    """By subject: how many figures are of which kind, and the figures as texts."""
    grouped: dict[str, list[ProvenanceEntry]] = {}
    for entry in entries:
        grouped.setdefault(entry["subject"], []).append(entry)
    return [
        {
            "subject": subject,
            "kinds": ", ".join(f"{count} {kind}" for kind, count in sorted(_kinds(mine).items())),
            "rows": [_texts(entry) for entry in mine],
        }
        for subject, mine in grouped.items()
    ]


def _kinds(entries: Sequence[ProvenanceEntry]) -> Counter[str]:
    return Counter(entry["kind"] for entry in entries)


def _texts(entry: ProvenanceEntry) -> tuple[str, str, str, str]:
    value = entry["value"]
    said = "unknown" if value is None else f"{value:.6g}" if isinstance(value, int | float) else value
    return entry["figure"], f"{said} {entry['unit']}".strip(), entry["kind"], entry["source"]


def _yaml(scenario: Mapping[str, Any]) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(dict(scenario), Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    whole = len(text) <= _MOST_LETTERS
    return text if whole else text[:_MOST_LETTERS].rpartition("\n")[0] + f"\n... {len(text)} letters in all: the whole is in run.json\n"
