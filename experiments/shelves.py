"""Shelves of experiments: folders of one kind beside each other, each of which is found by the name of its folder with hyphens."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Shelf"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folders of a package that have a certain module.

    Attributes:
        folder: where they are.
        package: how it is imported.
        module: the name of the module that makes a folder one of them.
        kind: what an error calls one of them.
    """

    folder: Path
    package: str
    module: str
    kind: str

    def names(self) -> list[str]:
        """All of them, in alphabetical order."""
        return sorted(path.parent.name.replace("_", "-") for path in self.folder.glob(f"*/{self.module}.py"))

    def find(self, name: str) -> Any:
        """What the module calls by its own name in capitals; raises `ValueError`, naming the nearest and all, for no such folder."""
        known = self.names()
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ";"
            raise ValueError(f"no {self.kind} {name!r}{hint} There are {', '.join(known)}")
        module = import_module(f"{self.package}.{self.folder_of(name).name}.{self.module}")
        return getattr(module, self.module.upper())

    def folder_of(self, name: str) -> Path:
        """The folder of that name, whether there is one or not."""
        return self.folder / name.replace("-", "_")
