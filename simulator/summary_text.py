"""The summary as a terminal shows it: aligned tables, one per kind of question. What is unknown reads `-`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from edgewright.simulator.energy import PARTS
from edgewright.simulator.summary import Metric
from edgewright.simulator.summary_jobs import LEVELS

if TYPE_CHECKING:
    from edgewright.simulator.result_meta import Recorded

__all__ = ["Grid", "aligned", "grids", "headline", "readable", "summary_text"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts: title, column headings, rows, and which columns hold words (aligned to the left) instead of figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: tuple[int, ...] = (0,)


_BINARY = (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))
_DECIMAL = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9))
_BUSIEST = 16


def summary_text(run: Recorded) -> str:
    """Headline and tables, ready to print."""
    return "\n\n".join([headline(run), *(aligned(grid) for grid in grids(run.metrics, run)), *_notes(run)])


def headline(run: Recorded) -> str:
    """One line: which run this is, and over which window it is measured."""
    meta = run.meta
    start, stop = meta["window"]
    parts = [f"{meta['name']}, seed {meta['seed']}", f"measured {start:g} s to {stop:g} s of {meta['end_s']:g} s"]
    parts += [f"{name} thinned to {kept:.4g} of its arrivals" for name, kept in meta["thin"].items()]
    parts += ["OVERLOAD RUN"] if meta["overload"] else []
    parts += [f"clairvoyant: {', '.join(meta['clairvoyant'])}"] if meta["clairvoyant"] else []
    return "; ".join(parts)


def grids(found: Sequence[Metric], run: Recorded) -> list[Grid]:
    """The figures as tables of texts, from requests to replicas; tables without rows are left out."""
    by: dict[tuple[str, str], dict[str, Metric]] = {}
    for metric in found:
        by.setdefault((metric.scope, metric.name), {})[metric.metric] = metric
    services = [name for scope, name in by if scope == "service"]
    served = {"all": by[("total", "")]} | {name: by[("service", name)] for name in services if len(services) > 1}
    scopes = ("domain", "device", "resource", "replica")
    kinds = {kind: {name: each for (scope, name), each in by.items() if scope == kind} for kind in scopes}
    made = (_requests(served), _latencies(served), _throughput(served), _power(kinds["domain"]), _energy(by[("total", "")]))
    fed = (_sources(kinds["domain"]), _heat(kinds["device"]))
    rest = (
        _intervals(by[("total", "")], run),
        _utilisation(kinds["resource"]),
        _memory(run),
        _replicas(kinds["replica"], run),
        *_failures(by),
    )
    return [grid for grid in (*made, *fed, *rest) if grid.rows]


def aligned(grid: Grid) -> str:
    """The table with its columns aligned, indented below its title."""
    lines = [grid.head, *grid.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = ["<" if column in grid.words else ">" for column in range(len(widths))]
    texts = ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)) for line in lines]
    return "\n".join([grid.title, *(f"  {text.rstrip()}" for text in texts)])


def readable(value: float, unit: str) -> str:
    """A figure with four significant digits at most and its unit: `182.5 ms`, `3.2 GiB`, `41.2 W`; `-` for NaN."""
    if isnan(value):
        return "-"
    if unit == "B":
        name, size = next(((name, size) for name, size in _BINARY if abs(value) >= size), ("B", 1.0))
        return f"{value / size:.4g} {name}"
    if unit == "%":
        return f"{100 * value:.3g} %"
    if unit in ("", "1/s"):
        return f"{value:.0f}" if value == round(value) or abs(value) >= 1e4 else f"{value:.4g}"
    scales = [(name, size) for name, size in _DECIMAL if unit != "s" or size <= 1]
    name, size = next(((name, size) for name, size in scales if abs(value) >= size), ("", 1.0))
    return f"{value / size:.4g} {name}{unit}"


def _cells(figures: Mapping[str, Metric], names: Sequence[str], unit: str | None = None) -> list[str]:
    """The named figures as texts; `unit` replaces their own (`%` for fractions)."""
    return [readable(figures[name].value, figures[name].unit if unit is None else unit) if name in figures else "-" for name in names]


def _requests(served: Mapping[str, Mapping[str, Metric]]) -> Grid:
    counts = ("jobs", "completed", "rejected", "failed", "in_flight")
    head = ["service", "measured", "completed", "rejected", "failed", "in flight", "SLO met", "goodput /s", "deadline misses"]
    rows = [
        [name, *_cells(each, counts), *_cells(each, ["slo_met"], "%"), *_cells(each, ["goodput_per_s", "deadline_misses"])]
        for name, each in served.items()
    ]
    return Grid("Requests", head, rows)


def _latencies(served: Mapping[str, Mapping[str, Metric]]) -> Grid:
    names = {
        "ttft": "time to first token",
        "tpot": "time per output token",
        "itl": "gap between tokens",
        "e2e": "end to end",
        "queue": "in the queue",
    }
    cells = [
        (name, said, _cells(each, [f"{metric}_{q}_s" for q in LEVELS])) for name, each in served.items() for metric, said in names.items()
    ]
    rows = [[name, said, *figures] for name, said, figures in cells if set(figures) != {"-"}]
    return Grid("Latencies", ["service", "of measured jobs", *LEVELS], rows, words=(0, 1))


def _throughput(served: Mapping[str, Mapping[str, Metric]]) -> Grid:
    rows = [
        [name, *_cells(each, ["tokens_per_s", "prompt_tokens_per_s", "mean_batch", "joules_per_token"])] for name, each in served.items()
    ]
    return Grid("Throughput", ["service", "tokens /s", "prompt tokens /s", "mean batch", "energy per token"], rows)


def _power(domains: Mapping[str, Mapping[str, Metric]]) -> Grid:
    names = ["mean_power_W", "peak_power_W", "budget_W", "energy_J"]
    rows = [[name, *_cells(each, names), *_cells(each, ["over_budget"], "%")] for name, each in domains.items()]
    return Grid("Power in the window, at the plug", ["domain", "mean", "peak", "budget", "energy", "time over budget"], rows)


def _energy(total: Mapping[str, Metric]) -> Grid:
    found = [(part, total[f"run_{part}_J"]) for part in PARTS if f"run_{part}_J" in total]
    whole = sum(metric.value for _, metric in found)
    rows = [[part, readable(each.value, "J"), readable(each.value / whole if whole else float("nan"), "%")] for part, each in found]
    return Grid("Energy over the whole run", ["part", "energy", "share"], rows)


def _sources(domains: Mapping[str, Mapping[str, Metric]]) -> Grid:
    names = ("load", "sun", "curtailed", "grid", "lost", "unmet")
    rows = [
        [name, *_cells(each, [f"run_{column}_J" for column in names]), *_cells(each, ["min_charge"], "%"), *_cells(each, ["power_losses"])]
        for name, each in domains.items()
        if "power_losses" in each
    ]
    head = ["domain", "load", "of the sun", "curtailed", "of the grid", "lost in the battery", "unmet", "least charge", "losses of power"]
    return Grid("Sources over the whole run", head, rows)


def _heat(devices: Mapping[str, Mapping[str, Metric]]) -> Grid:
    rows = [
        [name, f"{each['max_die_C'].value:.1f} °C", *_cells(each, ["throttles"])] for name, each in devices.items() if "max_die_C" in each
    ]
    return Grid("Heat over the whole run", ["device", "hottest die", "times throttled"], rows)


def _intervals(total: Mapping[str, Metric], run: Recorded) -> Grid:
    """Figures of the whole run whose intervals are known and are more than a point."""
    table = run.tables["intervals"]
    rows = []
    for scope, metric, low, high in zip(*(table[column] for column in ("scope", "metric", "low", "high")), strict=True):
        if scope == "total" and low < high:
            unit = total[metric].unit
            rows.append([metric, readable(total[metric].value, unit), readable(float(low), unit), readable(float(high), unit)])
    level = float(table["level"][0]) if len(table["level"]) else 0.0
    return Grid(
        f"As far as the devices are known: {level:.0%} of further draws lie between", ["figure", "as stated", "least", "greatest"], rows
    )


def _utilisation(resources: Mapping[str, Mapping[str, Metric]]) -> Grid:
    names = ["utilisation", "peak_utilisation", "run_utilisation"]
    busiest = sorted(resources, key=lambda name: -resources[name]["run_utilisation"].value)[:_BUSIEST]
    rows = [[name, *_cells(resources[name], names, "%")] for name in busiest]
    title = "Utilisation" if len(busiest) == len(resources) else f"Utilisation, the {_BUSIEST} busiest of {len(resources)} resources"
    return Grid(title, ["resource", "window", "busiest bin", "whole run"], rows)


def _memory(run: Recorded) -> Grid:
    memory = run.tables["memory"]
    rows = [
        [
            pool,
            allocation,
            readable(peak, "B"),
            "" if isnan(capacity) else readable(peak / capacity, "%") + (f" of {readable(capacity, 'B')}" if allocation == "total" else ""),
        ]
        for pool, allocation, capacity, peak in zip(*(memory[column] for column in memory), strict=True)
    ]
    return Grid("Memory, peaks", ["pool", "held by", "peak", "of the pool"], rows, words=(0, 1, 3))


def _replicas(replicas: Mapping[str, Mapping[str, Metric]], run: Recorded) -> Grid:
    """Each replica's KV capacity with its derivation, and what happened to its caches."""
    derivation = dict(zip(run.tables["replicas"]["replica"], run.tables["replicas"]["derivation"], strict=True))
    counts = ["preemptions", "swapped_B", "kv_evictions"]
    shares = ["peak_kv_occupancy", "cache_hit_rate", "expert_hit_rate"]
    rows = [
        [name, *_cells(each, ["kv_capacity_tokens"]), *_cells(each, shares, "%"), *_cells(each, counts), derivation[name]]
        for name, each in replicas.items()
    ]
    return Grid(
        "Replicas",
        ["replica", "KV tokens", "peak KV", "prompt hits", "expert hits", "preempted", "swapped", "evicted", "KV capacity derived from"],
        rows,
        words=(0, 8),
    )


def _failures(by: Mapping[tuple[str, str], Mapping[str, Metric]]) -> Iterator[Grid]:
    """What was down, and what that cost; nothing if nothing was."""
    counts = ["interruptions", "retries", "resumes", "lost_tokens", "wasted_tokens", "lost_J"]
    total = by[("total", "")]
    if total["interruptions"].value:
        head = ["interruptions", "tried again", "resumed", "context tokens lost", "tokens taken back", "energy lost, about"]
        yield Grid("Failures over the whole run", head, [_cells(total, counts)], words=())
    rows = [
        [what, name, *_cells(each, ["up"], "%"), *_cells(each, ["outages", "repair_s"])]
        for (what, name), each in by.items()
        if "outages" in each and each["outages"].value
    ]
    yield Grid("Availability over the whole run", ["what", "name", "up", "outages", "mean repair"], rows, words=(0, 1))


def _notes(run: Recorded) -> Iterator[str]:
    yield from (f"Note: {note}" for note in run.meta["notes"])
