"""A scatter plot of predictions over measurements, both axes logarithmic, one colour per file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log10
from pathlib import Path
from typing import Any

from edgewright.experiments.validation.report import Judged
from edgewright.simulator.errors import ScenarioError

__all__ = ["plotter"]

_SIZE, _MARGIN = 640.0, 60.0
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


def plotter(path: Path) -> Callable[[Sequence[Judged], Path], None]:
    """What draws a plot of the kind that the name of a file ends with; raises `ScenarioError` for one that nothing here draws."""
    found = {".svg": _svg, ".html": _html, ".png": _png}.get(path.suffix.lower())
    if found is None:
        raise ScenarioError(str(path), "", f"{path.suffix!r} is no kind of plot", ".svg, .html or .png")
    if found is _png:
        _matplotlib(path)
    return found


def _points(judged: Sequence[Judged]) -> dict[str, list[tuple[float, float]]]:
    """Measured and predicted value by file, in the order of the files."""
    found: dict[str, list[tuple[float, float]]] = {}
    for each in judged:
        if each.answer is not None:
            found.setdefault(each.row.file, []).append((each.row.value, each.answer.value))
    return found


def _svg(judged: Sequence[Judged], path: Path) -> None:
    points = _points(judged)
    values = [log10(value) for group in points.values() for pair in group for value in pair] or [0.0, 1.0]
    low, high = min(values) - 0.1, max(values) + 0.1
    scale = (_SIZE - 2 * _MARGIN) / (high - low)

    def at(measured: float, predicted: float) -> tuple[float, float]:
        return _MARGIN + (log10(measured) - low) * scale, _SIZE - _MARGIN - (log10(predicted) - low) * scale

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIZE + 260:.0f}" height="{_SIZE:.0f}" font-family="sans-serif" font-size="11">'
    ]
    lines.append(f'<line x1="{_MARGIN}" y1="{_SIZE - _MARGIN}" x2="{_SIZE - _MARGIN}" y2="{_MARGIN}" stroke="#999"/>')
    for decade in range(int(low), int(high) + 1):
        if low <= decade <= high:
            x, y = at(10.0**decade, 10.0**decade)
            lines.append(f'<text x="{x:.1f}" y="{_SIZE - _MARGIN + 15}" text-anchor="middle">1e{decade}</text>')
            lines.append(f'<text x="{_MARGIN - 5}" y="{y:.1f}" text-anchor="end">1e{decade}</text>')
    lines.append(f'<text x="{_SIZE / 2}" y="{_SIZE - 15}" text-anchor="middle">measured, in the unit of each row</text>')
    lines.append(f'<text x="15" y="{_SIZE / 2}" transform="rotate(-90 15 {_SIZE / 2})" text-anchor="middle">predicted</text>')
    for index, (name, group) in enumerate(points.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        lines.append(f'<text x="{_SIZE - _MARGIN + 15}" y="{_MARGIN + 15 * index}" fill="{colour}">{_escaped(name)} ({len(group)})</text>')
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}" fill-opacity="0.5"/>' for x, y in (at(*pair) for pair in group)]
    path.write_text("\n".join([*lines, "</svg>", ""]), encoding="utf-8")


def _escaped(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(text)


def _html(judged: Sequence[Judged], path: Path) -> None:
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, group in _points(judged).items():
        figure.add_trace(go.Scattergl(x=[x for x, _ in group], y=[y for _, y in group], mode="markers", name=name, marker={"size": 4}))
    figure.update_xaxes(type="log", title="measured, in the unit of each row")
    figure.update_yaxes(type="log", title="predicted")
    figure.write_html(path, include_plotlyjs=True)


def _png(judged: Sequence[Judged], path: Path) -> None:
    pyplot = _matplotlib(path)
    figure, axes = pyplot.subplots(figsize=(9, 7))
    for name, group in _points(judged).items():
        axes.loglog([x for x, _ in group], [y for _, y in group], ".", markersize=3, label=name)
    axes.set(xlabel="measured, in the unit of each row", ylabel="predicted")
    axes.legend(fontsize=6)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _matplotlib(path: Path) -> Any:
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as pyplot
    except ImportError:
        raise ScenarioError(str(path), "", "a PNG plot needs matplotlib, which is not installed", ".svg or .html") from None
    return pyplot
