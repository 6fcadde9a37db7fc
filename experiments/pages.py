"""Pages that commands keep up to date: text between `<!-- NAME -->` and `<!-- /NAME -->` is replaced, the rest is written by hand."""

from __future__ import annotations

from pathlib import Path

__all__ = ["replace_section", "section"]


def replace_section(name: str, text: str, page: Path) -> None:
    """Put a text between the marks of that name on the page; raises `ValueError` where it has no such marks."""
    head, _, tail = _parts(name, page)
    page.write_text(f"{head}<!-- {name} -->\n\n{text}\n\n<!-- /{name} -->{tail}", encoding="utf-8")


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
