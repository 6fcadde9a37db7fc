"""Where the energy came from: sun, grid and battery of each domain, its charge, and what acted between the plug and the boards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgewright.simulator.report.figure import BINS, INK, PALETTE, Drawing, bars, held, marked, numbers, over_time, panels
from edgewright.simulator.report.reading import chosen
from edgewright.simulator.summary_text import readable
from edgewright.simulator.tables import rows_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.intervals import Floats
    from edgewright.simulator.result_meta import Recorded

    Bins = Mapping[str, NDArray[Any]]

__all__ = ["sources"]

_DOMAINS, _ROWS = 6, 24
_GIVEN = (
    ("from the sun", "sun_J", PALETTE[5]),
    ("from the grid", "grid_J", PALETTE[3]),
    ("from the battery, net", "battery_J", PALETTE[2]),
    ("unmet: drawn before anybody noticed", "unmet_J", PALETTE[1]),
)
_COLUMNS = ("start_s", "end_s", "charge", "load_J", "sun_J", "curtailed_J", "grid_J", "unmet_J")
_SPANS = {
    "power_lost": ("power_back", "without power", PALETTE[1]),
    "breaker_tripped": ("breaker_closed", "breaker open", PALETTE[6]),
    "port_overloaded": ("port_on", "port off: overloaded", PALETTE[3]),
    "port_shed": ("port_on", "port off: over the switch's budget", PALETTE[4]),
}
"""What begins with an event: the event that ends it, what it is called, its colour."""


def sources(run: Recorded) -> Iterator[Drawing]:
    """A figure per domain whose sources are modelled, and one of all interruptions of its feeding."""
    domains = list(dict.fromkeys(run.tables["sources"]["domain"]))
    shown = chosen(run.tables["sources"], "domain", domains[:_DOMAINS], _COLUMNS)
    for number, (domain, bins) in enumerate(shown.items()):
        left_out = f" The first {_DOMAINS} of {len(domains)} domains are shown." if number == 0 and len(domains) > _DOMAINS else ""
        yield _balance(run, f"sources-{number}", domain, bins, left_out)
    yield from _interrupted(run)


def _balance(run: Recorded, key: str, domain: str, bins: Bins, left_out: str) -> Drawing:
    """Stacked watts of what gave energy under the line of what was drawn; below it the charge of the battery."""
    battery = bool(np.isfinite(bins["charge"]).any())
    means = _spread(bins)
    traces = [trace for given in _GIVEN for trace in _area(means, *given)]
    traces.append(_step(means, "drawn at the plug", means["load_J"], {"color": INK, "width": 2}))
    if bins["curtailed_J"].any():
        offered = means["sun_J"] + means["curtailed_J"]
        traces.append(_step(means, "the sun could give", offered, {"color": PALETTE[5], "width": 1.5, "dash": "dot"}))
    layout = panels(run, {"y": "W", "y2": "charge, %"} if battery else {"y": "W"})
    caption = f"Means over periods of {means['end_s'][0] - means['start_s'][0]:.4g} s."
    if battery:
        traces.append(held(bins["end_s"], 100 * bins["charge"], run.meta["end_s"]) | _CHARGE)
        layout["yaxis2"] |= {"range": [0, 103]}
        layout = marked(layout, "y2", _thresholds(run, domain))
        caption += " Where the sources stand above what is drawn, the rest charged the battery (less its losses)."
        caption += f" Least charge {readable(float(np.nanmin(bins['charge'])), '%')}."
    return Drawing(key, f"Sources of {domain}", caption + left_out, traces, layout, 420 if battery else 320, wide=True)


_CHARGE: dict[str, Any] = {"name": "charge", "yaxis": "y2", "line": {"color": PALETTE[0], "width": 2}}


def _spread(bins: Bins) -> dict[str, Floats]:
    """Joules of at most `BINS` equal spans; what the battery gave, or took (negative), closes the balance."""
    counts = -(-len(bins["start_s"]) // BINS)
    first = np.arange(0, len(bins["start_s"]), counts)
    summed = {name: np.add.reduceat(bins[name], first) for name in ("load_J", "sun_J", "curtailed_J", "grid_J", "unmet_J")}
    ends = np.append(bins["start_s"][first[1:]], bins["end_s"][-1])
    given = summed["sun_J"] + summed["grid_J"] + summed["unmet_J"]
    return summed | {"start_s": bins["start_s"][first], "end_s": ends, "battery_J": summed["load_J"] - given}


def _area(means: Mapping[str, Floats], name: str, column: str, shade: str) -> Iterator[dict[str, Any]]:
    """One part of the stack; none where nothing came from there."""
    watts = np.maximum(means[column], 0.0)
    if (watts > 1e-9 * means["load_J"].max(initial=1e-12)).any():
        yield _step(means, name, watts, {"color": shade, "width": 0.5}) | {"stackgroup": "given", "fillcolor": shade}


def _step(means: Mapping[str, Floats], name: str, joules: Floats, style: dict[str, Any]) -> dict[str, Any]:
    watts = joules / (means["end_s"] - means["start_s"])
    shape = {"type": "scatter", "mode": "lines", "name": name, "line": style | {"shape": "hv"}}
    return shape | {"x": numbers([*means["start_s"], means["end_s"][-1]]), "y": numbers([*watts, watts[-1]])}


def _thresholds(run: Recorded, domain: str) -> dict[float, str]:
    """Charges, in percent, at which the battery is cut off and gives again."""
    table = run.meta["scenario"].get("power", {}).get(domain, {}).get("battery") or {}
    known = {said: 100.0 * table[key] for key, said in (("cutoff", "cut off"), ("recover", "on again")) if table.get(key)}
    return {level: f"{said} at {level:g} %" for said, level in known.items()}


class _Cut(NamedTuple):
    """Something was without power: what, by which event, from when to when, and the value noted at the start."""

    name: str
    event: str
    start: float
    end: float
    value: float


def _interrupted(run: Recorded) -> Iterator[Drawing]:
    """Bars over time of what was without power or cut off, a row per domain or device; nothing if nothing was."""
    cuts = [cut for name, rows in rows_by(run.tables["power_events"]["name"]).items() for cut in _cuts(run, name, rows)]
    names = list(dict.fromkeys(cut.name for cut in cuts))
    if not names:
        return
    traces = [trace for event in _SPANS for trace in _rows(event, [cut for cut in cuts if cut.event == event], names[:_ROWS])]
    layout = over_time(run, "") | {"yaxis": {"type": "category", "autorange": "reversed"}, "barmode": "overlay", "hovermode": "closest"}
    left_out = f" The first {_ROWS} of {len(names)} rows." if len(names) > _ROWS else ""
    caption = f"Domains and devices, from when power went to when it was back; up to the end of the run if it never was.{left_out}"
    yield Drawing("feeding", "Power cut off", caption, traces, layout, 110 + 30 * min(len(names), _ROWS), wide=True)


def _cuts(run: Recorded, name: str, rows: NDArray[np.intp]) -> Iterator[_Cut]:
    """Of one domain or device, in the order of time."""
    events = run.tables["power_events"]
    for place, row in enumerate(rows):
        event = str(events["event"][row])
        if event in _SPANS:
            over = (float(events["time_s"][later]) for later in rows[place + 1 :] if events["event"][later] == _SPANS[event][0])
            yield _Cut(name, event, float(events["time_s"][row]), next(over, run.meta["end_s"]), float(events["value"][row]))


def _rows(event: str, cuts: Sequence[_Cut], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What one kind of event began, a trace per row."""
    _, said, shade = _SPANS[event]
    own = {name: [cut for cut in cuts if cut.name == name] for name in names}
    for index, (name, found) in enumerate((name, found) for name, found in own.items() if found):
        start, end = np.array([cut.start for cut in found]), np.array([cut.end for cut in found])
        texts = [f"{name}: {said}, {readable(cut.end - cut.start, 's')}{_noted(cut)}" for cut in found]
        yield bars(name, start, end, shade, texts) | {"name": said, "legendgroup": event, "showlegend": index == 0}


def _noted(cut: _Cut) -> str:
    """What was noted when it began."""
    if np.isnan(cut.value):
        return ""
    if cut.event == "power_lost":
        return f", at a charge of {cut.value:.1%}"
    return f", at {cut.value:.3g} times its rating" if cut.event == "breaker_tripped" else f", at {readable(cut.value, 'W')}"
