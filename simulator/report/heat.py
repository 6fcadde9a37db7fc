"""Heat: how hot dies became, and how far their governors slowed them down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.simulator.report.figure import Drawing, colour, held, line, marked, numbers, panels
from edgewright.simulator.report.reading import chosen, peaks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgewright.simulator.result_meta import Recorded

__all__ = ["heat"]

_MOST, _SINKS, _EVENTS = 8, 3, 400
_MARKS = {"overheated": ("switched off", "x"), "cooled": ("on again", "circle-open")}


def heat(run: Recorded) -> Iterator[Drawing]:
    """Temperatures of the hottest devices, and below them the clocks that they were allowed, if any was slowed down."""
    hottest = peaks(run.tables["thermal"], "device", "max_die_C")
    names = sorted(hottest, key=lambda name: -hottest[name])[:_MOST]
    if not names:
        return
    bins = chosen(run.tables["thermal"], "device", names, ("start_s", "end_s", "max_die_C", "sink_C", "clock_limit"))
    traces = [trace for index, name in enumerate(names) for trace in _temperatures(index, name, bins[name], len(names) <= _SINKS)]
    slowed = [index for index, name in enumerate(names) if (bins[name]["clock_limit"] < 1).any()]
    traces += [_clock(index, names[index], bins[names[index]]) for index in slowed]
    traces += [trace for index, name in enumerate(names) for trace in _events(run, index, name)]
    layout = panels(run, {"y": "°C", "y2": "clock allowed, %"} if slowed else {"y": "°C"})
    layout["yaxis"] |= {"rangemode": "normal"}
    if slowed:
        layout["yaxis2"] |= {"range": [0, 104]}
    layout = marked(layout, "y", _trips(run, max(hottest.values())))
    left_out = f" The {len(names)} hottest of {len(hottest)} devices." if len(hottest) > len(names) else ""
    caption = f"The highest that the governor saw of the die in each period{', dotted: the heat sink' if len(names) <= _SINKS else ''}."
    caption += f" Hottest: {names[0]}, {hottest[names[0]]:.1f} °C.{left_out}"
    yield Drawing("heat", "Temperatures", caption, traces, layout, 420 if slowed else 320, wide=True)


def _temperatures(index: int, name: str, bins: Mapping[str, NDArray[Any]], sink: bool) -> Iterator[dict[str, Any]]:
    own = {"name": name, "legendgroup": name}
    end = float(bins["end_s"][-1])
    yield held(bins["start_s"], bins["max_die_C"], end) | own | {"line": line(index, 1.8) | {"shape": "hv"}}
    if sink:
        dotted = {"color": colour(index), "width": 1.2, "dash": "dot"}
        yield held(bins["end_s"], bins["sink_C"], end) | own | {"name": f"{name}, sink", "showlegend": False, "line": dotted}


def _clock(index: int, name: str, bins: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The clock at the end of each period, which the governor may have changed several times in it."""
    own = {"name": f"{name}, clock", "legendgroup": name, "showlegend": False, "yaxis": "y2", "line": line(index, 1.8) | {"shape": "hv"}}
    return held(bins["start_s"], 100 * bins["clock_limit"], float(bins["end_s"][-1])) | own


def _events(run: Recorded, index: int, name: str) -> Iterator[dict[str, Any]]:
    """Marks where the governor switched a device off, and on again."""
    events = run.tables["power_events"]
    for event, (said, symbol) in _MARKS.items():
        rows = np.flatnonzero((events["name"] == name) & (events["event"] == event))[:_EVENTS]
        if len(rows):
            marker = {"symbol": symbol, "size": 10, "color": colour(index)}
            shape = {"type": "scatter", "mode": "markers", "name": f"{name}: {said}", "marker": marker, "legendgroup": name}
            yield shape | {"x": numbers(events["time_s"][rows]), "y": numbers(events["value"][rows])}


def _trips(run: Recorded, hottest: float) -> dict[float, str]:
    """Temperatures at which governors of this run act, and how, unless they are far above the hottest die."""
    found: dict[float, str] = {}
    for group in run.meta["scenario"].get("cluster", {}).get("devices", {}).values():
        table = group.get("heat") or {}
        for key, said in (("trip", "slowed down"), ("critical", "switched off")):
            if table.get(key) is not None and table[key] < hottest + 25:
                found[float(table[key])] = f"{said} at {table[key]:g} °C"
    return found
