"""Which systems there are: every folder here with a module `system` is one."""

from __future__ import annotations

from pathlib import Path

from edgewright.experiments.reproductions.claims import System
from edgewright.experiments.shelves import Shelf

__all__ = ["FOLDER", "find", "folder_of", "names"]

FOLDER = Path(__file__).parent
"""Where the systems are."""

_SHELF = Shelf(FOLDER, "edgewright.experiments.reproductions", "system", "published system")


def names() -> list[str]:
    """The systems by name, in alphabetical order."""
    return _SHELF.names()


def find(name: str) -> System:
    """The system of that name; raises `ValueError`, naming the nearest and all, where there is none."""
    system: System = _SHELF.find(name)
    return system


def folder_of(name: str) -> Path:
    """The folder of a system."""
    return _SHELF.folder_of(name)
