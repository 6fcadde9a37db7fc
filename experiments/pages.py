"""Pages that commands keep up to date: text between `<!-- NAME -->` and `<!-- /NAME -->` is replaced, the rest is written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["replace_section", "save_picture", "section"]


def replace_section(name: str, text: str, page: Path) -> None:
    """Put a text between the marks of that name on the page; raises `ValueError` where it has no such marks."""
    head, _, tail = _parts(name, page)
    page.write_text(f"{head}<!-- {name} -->\n\n{text}\n\n<!-- /{name} -->{tail}", encoding="utf-8")


def save_picture(figure: Figure, path: Path) -> None:
    """Store a page's figure as SVG, the same bytes whenever the same is drawn."""
    from edgewright.simulator.plots import picture_style

    with picture_style():
        figure.savefig(path, format="svg", metadata={"Date": None})


def section(name: str, page: Path) -> str:
    """What stands between the marks of that name on the page; raises `ValueError` where it has no such marks."""
    return _parts(name, page)[1].strip()


def _parts(name: str, page: Path) -> tuple[str, str, str]:
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = page.read_text(encoding="utf-8").partition(begin)
    inside, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no marks {begin} and {end}")
    return head, inside, tail
