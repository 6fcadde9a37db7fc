"""Power against its budget, and the caps that controllers set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.intervals import envelope
from edgewright.simulator.report.figure import BINS, Drawing, colour, line, numbers, over_time
from edgewright.simulator.tables import rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.result_meta import Recorded

__all__ = ["powers"]

_DOMAINS, _GROUPS, _EVENTS = 6, 8, 400
_SYMBOLS = {"clock": "circle", "watts": "diamond", "brake": "triangle-down", "sleep": "square", "wake": "triangle-up"}


def powers(run: Recorded) -> Iterator[Drawing]:
    """For each domain its power, and below it the caps in force if any were set."""
    power, actuations = run.tables["power"], run.tables["actuations"]
    domains = rows_by(power["domain"])
    for number, (domain, rows) in enumerate(list(domains.items())[:_DOMAINS]):
        left_out = f" The first {_DOMAINS} of {len(domains)} domains are shown." if number == 0 and len(domains) > _DOMAINS else ""
        yield _against_budget(run, f"power-{number}", domain, rows, left_out)
        effective = np.flatnonzero((actuations["domain"] == domain) & np.isfinite(actuations["effective_s"]))
        if len(effective):
            yield _caps(run, f"caps-{number}", domain, effective[np.argsort(actuations["effective_s"][effective], kind="stable")])


def _against_budget(run: Recorded, key: str, domain: str, rows: NDArray[np.intp], left_out: str) -> Drawing:
    power = run.tables["power"]
    time = power["start_s"][rows]
    styles = (
        ("peak in the bin", "peak_W", line(4, 1)),
        ("mean", "mean_W", line(0, 2)),
        ("budget", "budget_W", line(1, 2) | {"dash": "dash"}),
    )
    traces = []
    for name, column, style in styles:
        known = np.isfinite(power[column][rows])
        if known.any():
            x, y = envelope(time[known], power[column][rows][known], BINS)
            x, y = np.append(x, power["end_s"][rows[-1]]), np.append(y, y[-1])
            traces.append(
                {"type": "scatter", "mode": "lines", "name": name, "line": style | {"shape": "hv"}, "x": numbers(x), "y": numbers(y)}
            )
    budget = "" if np.isfinite(power["budget_W"][rows]).any() else " It has no budget."
    thinned = f" Thinned to {BINS} spans of time, extremes kept." if len(rows) > 4 * BINS else ""
    caption = f"At the plug, per sampling period of {power['end_s'][rows[0]] - time[0]:g} s.{budget}{thinned}{left_out}"
    return Drawing(key, f"Power of {domain}", caption, traces, over_time(run, "W"), wide=True)


def _caps(run: Recorded, key: str, domain: str, rows: NDArray[np.intp]) -> Drawing:
    """Steps of clock and watt caps by device, devices with the same commands together; brakes, sleep and waking as marks."""
    actuations = run.tables["actuations"]
    groups: dict[tuple[Any, ...], list[str]] = {}
    for target, mine in rows_by(actuations["target"][rows]).items():
        same = tuple(
            (float(actuations["effective_s"][row]), actuations["kind"][row], _known(actuations["value"][row])) for row in rows[mine]
        )
        groups.setdefault(same, []).append(target)
    shown = sorted(groups.items(), key=lambda item: -len(item[0]) * len(item[1]))[:_GROUPS]
    traces = [trace for index, (commands, targets) in enumerate(shown) for trace in _steps(run, index, commands, targets)]
    kinds = {trace["yaxis"] for trace in traces}
    caption = "When commands took effect; a cap holds until the next of its kind."
    caption += f" The {_GROUPS} groups of devices with most commands, of {len(groups)}." if len(groups) > _GROUPS else ""
    return Drawing(key, f"Caps set in {domain}", caption, traces, _panels(run, kinds), 320, wide=True)


def _steps(run: Recorded, index: int, commands: tuple[Any, ...], targets: list[str]) -> Iterator[dict[str, Any]]:
    name = targets[0] if len(targets) == 1 else f"{targets[0]} and {len(targets) - 1} like it"
    for kind, axis, scale in (("clock", "y", 100.0), ("watts", "y2", 1.0)):
        points = [(at, scale * value) for at, each, value in commands if each == kind and value is not None]
        if points:
            x, y = envelope(np.array([at for at, _ in points]), np.array([value for _, value in points]), BINS)
            x, y = np.append(x, run.meta["end_s"]), np.append(y, y[-1])
            shape = {
                "type": "scatter",
                "mode": "lines+markers",
                "line": line(index) | {"shape": "hv"},
                "marker": {"symbol": _SYMBOLS[kind]},
            }
            yield shape | {"name": f"{name}: {kind}", "yaxis": axis, "x": numbers(x), "y": numbers(y)}
    for kind in ("brake", "sleep", "wake"):
        times = [at for at, each, _ in commands if each == kind][:_EVENTS]
        if times:
            marker = {"symbol": _SYMBOLS[kind], "size": 10, "color": colour(index)}
            shape = {"type": "scatter", "mode": "markers", "name": f"{name}: {kind}", "marker": marker, "hoverinfo": "x+name"}
            yield shape | {"yaxis": "y", "x": numbers(times), "y": [0.0] * len(times)}


def _panels(run: Recorded, kinds: set[str]) -> dict[str, Any]:
    """One panel, or clocks above and watts below."""
    layout = over_time(run, "clock, % of max")
    clock = layout.pop("yaxis") | {"range": [-4, 108]}
    watts = {"title": {"text": "cap, W"}, "rangemode": "tozero", "anchor": "x"}
    if "y2" not in kinds:
        return layout | {"yaxis": clock}
    layout["xaxis"] |= {"anchor": "y2"}
    shares = ([0.56, 1], [0, 0.46]) if "y" in kinds else ([0, 0], [0, 1])
    return layout | {"yaxis": clock | {"domain": shares[0], "visible": "y" in kinds}, "yaxis2": watts | {"domain": shares[1]}}


def _known(value: float) -> float | None:
    """The value, None if there is none: unlike NaN, that equals itself."""
    return float(value) if np.isfinite(value) else None
