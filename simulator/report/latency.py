"""Distributions of latency by service, on a logarithmic axis, with the objectives that they are held to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.report.figure import INK, Drawing, colour, line, numbers
from edgewright.simulator.stored import KEPT, groups, rows_of
from edgewright.simulator.summary_quantiles import coarse_distribution, distribution
from edgewright.simulator.summary_text import readable
from edgewright.simulator.tables import Codes, rows_by

if TYPE_CHECKING:
    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded
    from edgewright.simulator.tables import Columns

__all__ = ["latencies"]

_KINDS = (
    ("ttft_s", "Time to first token", "From arrival to the first token, measured requests."),
    ("tpot_s", "Time per output token", "Per request, its mean time per token after the first."),
    ("gap_s", "Gaps between tokens", "Every gap between two tokens of a measured request counts once."),
    ("e2e_s", "End to end", "From arrival to the last token or the result, completed measured requests."),
)

Curve = tuple[int, str, "Floats", "Floats"]
"""A service with its number, its sorted values, and the share of them at or below each."""

_LEVELS = np.concatenate([np.linspace(0, 0.98, 99), np.linspace(0.98, 1, 41)])


def latencies(run: Recorded) -> Iterator[Drawing]:
    """One figure per kind of latency of which there are any; a service has the same colour in all."""
    services = _services(run.tables["jobs"]) or _services(run.tables["itl"])
    for column, title, caption in _KINDS:
        curves = _by_service(run, column)
        found = [(index, name, *curves[name]) for index, name in enumerate(services) if name in curves and len(curves[name][0])]
        if found:
            yield Drawing(f"cdf-{column}", title, caption, [_trace(*curve) for curve in found], _layout(run, column, found))


def _by_service(run: Recorded, column: str) -> dict[str, tuple[Floats, Floats]]:
    """Every value, of a large table (which is gone through and never held) to 1 part in 1024."""
    name, counted = ("itl", "tokens") if column == "gap_s" else ("jobs", "measured")
    table = run.tables[name]
    if rows_of(table) > KEPT:
        return {service: coarse_distribution(_groups(table, service, column, counted)) for service in _services(table)}
    values, weights = table[column], table[counted]
    return {service: distribution(values[rows], weights[rows]) for service, rows in rows_by(table["service"]).items()}


def _services(table: Columns) -> list[str]:
    """Those of a table, in order of appearance."""
    codes = Codes()
    for group in groups(table, ["service"], KEPT):
        codes.of(group["service"])
    return codes.names


def _groups(table: Columns, service: str, column: str, counted: str) -> Iterator[tuple[Floats, Floats]]:
    for group in groups(table, ("service", column, counted), KEPT):
        mine = group["service"] == service
        yield group[column][mine], group[counted][mine].astype(np.float64)


def _trace(index: int, service: str, values: Floats, shares: Floats) -> dict[str, Any]:
    """Steps of the distribution at fixed levels, dense in the tail: every value where there are few."""
    kept = np.unique(np.searchsorted(shares, _LEVELS).clip(max=len(values) - 1)) if len(values) > len(_LEVELS) else np.arange(len(values))
    shape = {"type": "scatter", "mode": "lines", "name": service, "line": line(index) | {"shape": "hv"}}
    return shape | {"x": numbers(values[kept]), "y": numbers(100 * shares[kept])}


def _layout(run: Recorded, column: str, found: list[Curve]) -> dict[str, Any]:
    """A logarithmic axis with the objectives as dotted lines, each in its service's colour, or in black if several share it."""
    limits: dict[float, list[int]] = {}
    for index, service, *_ in found:
        if column in run.meta["slo"].get(service, {}):
            limits.setdefault(run.meta["slo"][service][column], []).append(index)
    low = min([float(values[0]) for _, _, values, _ in found] + list(limits))
    high = max([float(values[-1]) for _, _, values, _ in found] + list(limits))
    marks = [_objective(limit, colour(own[0]) if len(own) == 1 else INK) for limit, own in limits.items()]
    y = {"title": {"text": "% of them at or below"}, "range": [0, 101]}
    return {"xaxis": _axis(low, high), "yaxis": y, "shapes": [shape for shape, _ in marks], "annotations": [note for _, note in marks]}


def _objective(limit: float, shade: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dotted line at the limit, and the word beside it."""
    shape = {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": limit,
        "x1": limit,
        "y0": 0,
        "y1": 1,
        "line": {"color": shade, "dash": "dot"},
    }
    note = {"xref": "x", "yref": "paper", "x": float(np.log10(limit)), "y": 0.02, "text": "objective", "showarrow": False, "textangle": -90}
    return shape, note | {"xanchor": "right", "yanchor": "bottom", "font": {"color": shade, "size": 12}}


def _axis(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis of seconds from `low` to `high`, with about five round ticks that say their unit."""
    low = max(low, high * 1e-6)
    low, high = low / 1.1, high * 1.1
    ticks = [tick for tick in _round_numbers(low, high) if low <= tick <= high]
    style = {"type": "log", "title": {"text": "logarithmic"}, "range": numbers(np.log10([low, high]))}
    return style | {"tickmode": "array", "tickvals": numbers(ticks), "ticktext": [readable(tick, "s") for tick in ticks]}


def _round_numbers(low: float, high: float) -> list[float]:
    """Powers of ten, or 1-2-5 steps, or even steps, whichever gives no more than six."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    if high / low >= 1e3:
        return [10.0**power for power in decades[:: max(1, len(decades) // 6)]]
    if high / low >= 8:
        return [digit * 10.0**power for power in decades for digit in (1, 2, 5)][:: 1 if high / low < 50 else 2]
    rough = (high - low) / 5
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(multiple * size for multiple in (1, 2, 5, 10) if multiple * size >= rough)
    return [float(step * count) for count in range(int(low / step), int(high / step) + 2)]
