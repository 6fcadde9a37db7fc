"""What every page has: one file that needs nothing else, the looks of `style.css`, and figures drawn by `draw.js`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgewright.simulator.report.figure import Drawing

__all__ = ["framed"]

_HERE = Path(__file__).parent


def framed(template: Path, drawings: Iterable[Drawing], **values: Any) -> str:
    """A page as HTML: a template that extends `base.html`, and the figures that it places. The same values give the same text, with one
    version of plotly."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(
        **values,
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        script=(_HERE / "draw.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        drawings=_json({each.key: {"data": each.data, "layout": each.layout} for each in drawings}),
    )


def _json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return (
        json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    )
