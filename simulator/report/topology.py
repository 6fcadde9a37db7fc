"""The topology of the cluster, its nodes and links coloured by how busy they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.hwmodels.topology import groups
from edgewright.simulator.report.figure import INK, Drawing, numbers
from edgewright.simulator.summary_text import readable

if TYPE_CHECKING:
    from edgewright.simulator.result_meta import LinkEntry, NodeEntry, Recorded

__all__ = ["Utilisation", "topology"]

_LABELLED, _MOST = 24, 400
_CROWDING = 0.8  # radius of a ring: hops to this power, so that inner rings have room for their names
_SYMBOLS = {"device": "circle", "storage": "square", "switch": "diamond", "client": "triangle-up"}
_SHADES = tuple(f"var(--busy-{step})" for step in range(5))
_UNKNOWN = "var(--unknown)"

Utilisation = Mapping[str, float]
"""Mean share of capacity used, by resource."""


def topology(run: Recorded, mean: Utilisation) -> Drawing:
    """Nodes and links where hops put them; a legend explains the shades."""
    nodes, links = _busiest(run.meta["topology"]["nodes"], run.meta["topology"]["links"], mean)
    place = _placed(nodes, links)
    labelled = len(nodes) <= _LABELLED
    caption = "Mean utilisation in the measurement window: of a device its busiest engine, of a link its busier direction."
    caption += "" if labelled else f" {len(nodes)} nodes: names on pointing."
    of = len(run.meta["topology"]["nodes"])
    caption += f" The {len(nodes)} busiest of {of}, by themselves or by their links." if of > len(nodes) else ""
    traces = [trace for link in links for trace in _wire(link, place, mean)]
    kinds = dict.fromkeys(node["kind"] for node in nodes)
    traces += [_symbols(kind, [node for node in nodes if node["kind"] == kind], place, mean) for kind in kinds]
    traces += _legend()
    bare = {"visible": False, "fixedrange": True}
    layout: dict[str, Any] = {"xaxis": bare | {"range": [-1.25, 1.25]}, "yaxis": bare | {"range": [-1.25, 1.25]}, "hovermode": "closest"}
    layout["annotations"] = [_label(node, place, mean) for node in nodes] if labelled else []
    return Drawing("topology", "Cluster and utilisation", caption, traces, layout, 520, wide=True)


def _busiest(nodes: Sequence[NodeEntry], links: Sequence[LinkEntry], mean: Utilisation) -> tuple[Sequence[NodeEntry], Sequence[LinkEntry]]:
    """Nodes of a large cluster by how busy they or their links are, and the links between those that are kept."""
    if len(nodes) <= _MOST:
        return nodes, links
    busy = {node["name"]: float(np.nan_to_num(_busy(node["resources"], mean))) for node in nodes}
    for link in links:
        for end in link["ends"]:
            busy[end] = max(busy[end], float(np.nan_to_num(_busy(link["resources"], mean))))
    kept = set(sorted(busy, key=lambda name: -busy[name])[:_MOST])
    return [node for node in nodes if node["name"] in kept], [link for link in links if set(link["ends"]) <= kept]


def _placed(nodes: Sequence[NodeEntry], links: Sequence[LinkEntry]) -> dict[str, tuple[float, float]]:
    """Positions in [-1, 1]: rings around the best connected node by hops, each subtree in a sector as wide as it has leaves."""
    near: dict[str, dict[str, None]] = {node["name"]: {} for node in nodes}
    for a, b in (link["ends"] for link in links):
        near[a][b] = near[b][a] = None
    hubs = [max(part, key=lambda name: (len(near[name]), name)) for part in groups(near)]
    root = hubs[0] if len(hubs) == 1 else ""
    below = _tree(near if root else {"": dict.fromkeys(hubs), **near}, root)
    depth = {root: 0}
    for name, children in below.items():
        depth |= dict.fromkeys(children, depth[name] + 1)
    turn = _turns(below, root)
    points = {name: (depth[name] ** _CROWDING * cos(turn[name]), depth[name] ** _CROWDING * sin(turn[name])) for name in below if name}
    width, height = (max([abs(point[axis]) for point in points.values()] + [1e-9]) for axis in (0, 1))
    return {name: (x / width, y / height) for name, (x, y) in points.items()}


def _tree(near: Mapping[str, Iterable[str]], root: str) -> dict[str, list[str]]:
    """Every node's children in the tree that a search from the root finds, the nearer nodes first."""
    below: dict[str, list[str]] = {root: []}
    waiting = [root]
    for name in waiting:
        below[name] += [each for each in near[name] if each not in below]
        below |= {each: [] for each in below[name]}
        waiting += below[name]
    return below


def _turns(below: Mapping[str, Sequence[str]], root: str) -> dict[str, float]:
    """The angle of each node: leaves evenly around, every other node in the middle of its leaves."""
    order, waiting = [], [root]
    while waiting:
        order.append(waiting.pop())
        waiting += reversed(below[order[-1]])
    leaves = [name for name in order if not below[name]]
    angle = {name: 2 * pi * (index + 0.5) / len(leaves) for index, name in enumerate(leaves)}
    for name in reversed(order):
        if below[name]:
            angle[name] = (min(angle[child] for child in below[name]) + max(angle[child] for child in below[name])) / 2
    return angle


def _wire(link: LinkEntry, place: Mapping[str, tuple[float, float]], mean: Utilisation) -> Iterator[dict[str, Any]]:
    """A link: a line, and a point in its middle that tells about it when pointed at."""
    (x0, y0), (x1, y1) = (place[end] for end in link["ends"])
    busy = _busy(link["resources"], mean)
    each = ", ".join(f"{name} {readable(mean[name], '%')}" for name in link["resources"] if name in mean)
    shape = {"type": "scatter", "showlegend": False, "hoverinfo": "text"}
    style = {"color": _shade(busy), "width": 2.0 if np.isnan(busy) else 2 + 6 * min(busy, 1)}
    yield shape | {"mode": "lines", "x": numbers([x0, x1]), "y": numbers([y0, y1]), "line": style, "hoverinfo": "skip"}
    text = [f"{link['name']} ({link['title']}): {each or 'utilisation unknown'}"]
    middle = {"x": numbers([(x0 + x1) / 2]), "y": numbers([(y0 + y1) / 2])}
    yield shape | {"mode": "markers", "marker": {"size": 14, "opacity": 0}, "text": text} | middle


def _symbols(kind: str, nodes: Sequence[NodeEntry], place: Mapping[str, tuple[float, float]], mean: Utilisation) -> dict[str, Any]:
    """The nodes of one kind, as one trace."""
    busy = [_busy(node["resources"], mean) for node in nodes]
    said = ["no engine" if np.isnan(share) else readable(share, "%") for share in busy]
    about = [f"{node['name']}: {node['title']}, {share}" for node, share in zip(nodes, said, strict=True)]
    marker = {"symbol": _SYMBOLS[kind], "size": 20, "color": [_shade(share) for share in busy], "line": {"color": INK, "width": 1}}
    x, y = (numbers(place[node["name"]][axis] for node in nodes) for axis in (0, 1))
    shape = {"type": "scatter", "mode": "markers", "name": kind, "showlegend": False, "marker": marker}
    return shape | {"x": x, "y": y, "text": about, "hoverinfo": "text"}


def _label(node: NodeEntry, place: Mapping[str, tuple[float, float]], mean: Utilisation) -> dict[str, Any]:
    """Name and utilisation on a light ground, above nodes of the upper half and below the others; a storage without its device's name."""
    x, y = place[node["name"]]
    busy = _busy(node["resources"], mean)
    share = "" if np.isnan(busy) else f"{100 * busy:.0f} %"
    text = f"{node['name'].rpartition('.')[2]} {share}" if node["kind"] == "storage" else f"{node['name']}<br>{share}"
    side = {"yanchor": "bottom", "yshift": 10} if y > 0.1 else {"yanchor": "top", "yshift": -10}
    ground = {"bgcolor": "var(--veil)", "borderpad": 1, "font": {"size": 12}, "showarrow": False}
    return {"x": x, "y": y, "text": text, **side, **ground}


def _legend() -> list[dict[str, Any]]:
    """Traces without points that explain the shades."""
    shape = {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "hoverinfo": "skip"}
    steps = 100 // len(_SHADES)
    named = [(f"{index * steps}–{(index + 1) * steps} %", shade) for index, shade in enumerate(_SHADES)]
    return [
        shape | {"name": name, "marker": {"symbol": "square", "size": 12, "color": shade}}
        for name, shade in [*named, ("no figure", _UNKNOWN)]
    ]


def _busy(resources: Sequence[str], mean: Utilisation) -> float:
    """The greatest utilisation of the resources, NaN if none is known."""
    return max((mean[name] for name in resources if name in mean), default=float("nan"))


def _shade(busy: float) -> str:
    return _UNKNOWN if np.isnan(busy) else _SHADES[min(int(busy * len(_SHADES)), len(_SHADES) - 1)]
