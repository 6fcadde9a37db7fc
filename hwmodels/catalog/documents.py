"""The catalogue's YAML files, cut into entries by their layout and parsed entry by entry, when one is asked for.

To parse them whole takes longer than a small run takes to simulate. An entry begins at an indent of two under its section, which begins at
the margin; a test holds the entries to what the files say when they are read whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["entry", "names", "value"]

_SECTION = re.compile(r"^(?=\w)", re.MULTILINE)
_ENTRY = re.compile(r"^(?=  \w)", re.MULTILINE)


def names(stem: str, section: str) -> tuple[str, ...]:
    """The names of a section's entries, as they stand in the file `stem`; `()` if the file has no such section."""
    return tuple(_entries(stem, section))


@cache
def entry(stem: str, section: str, name: str) -> Any:
    """What a section holds under a name; raises KeyError if it holds nothing there."""
    return _parsed(_entries(stem, section)[name])[name]


@cache
def value(stem: str, section: str) -> Any:
    """A whole section; raises KeyError if the file has none of that name."""
    return _parsed(_sections(stem)[section])[section]


@cache
def _sections(stem: str) -> Mapping[str, str]:
    text = files(__package__).joinpath(f"{stem}.yaml").read_text(encoding="utf-8")
    return _by_key(_SECTION.split(text)[1:])


@cache
def _entries(stem: str, section: str) -> Mapping[str, str]:
    return _by_key(_ENTRY.split(_sections(stem).get(section, ""))[1:])


def _by_key(texts: list[str]) -> dict[str, str]:
    return {text.partition(":")[0].strip(): text for text in texts}


def _parsed(text: str) -> Any:
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
