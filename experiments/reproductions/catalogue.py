"""Which systems there are: every folder here with a module `system` is one."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from edgewright.experiments.reproductions.claims import System

__all__ = ["FOLDER", "find", "folder_of", "names"]

FOLDER = Path(__file__).parent
"""Where the systems are."""


def names() -> list[str]:
    """The systems by name, in alphabetical order."""
    return sorted(path.parent.name.replace("_", "-") for path in FOLDER.glob("*/system.py"))


def find(name: str) -> System:
    """The system of that name; raises `ValueError`, naming the nearest and all, where there is none."""
    known = names()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ";"
        raise ValueError(f"no published system {name!r}{hint} There are {', '.join(known)}")
    system: System = import_module(f"edgewright.experiments.reproductions.{name.replace('-', '_')}").SYSTEM
    return system


def folder_of(name: str) -> Path:
    """The folder of a system."""
    return FOLDER / name.replace("-", "_")
