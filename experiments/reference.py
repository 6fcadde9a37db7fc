"""Reference pages from docstrings: `python -m edgewright.experiments.reference --out reference` writes one Markdown page per house."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import click

__all__ = ["HOUSES", "main", "page"]

HOUSES = ("simulator", "policies", "workloads", "hwmodels", "kernels", "experiments")
"""In the order in which a reader meets them."""


def page(house: str) -> str:
    """The page of a house: its reading guide, then every module with its public names, their signatures and docstrings."""
    package = import_module(f"edgewright.{house}")
    parts = [f"# {house}", inspect.getdoc(package) or ""]
    for module in _modules(package):
        parts += [f"## {module.__name__}", inspect.getdoc(module) or ""]
        for name in getattr(module, "__all__", ()):
            parts += _entry(module, name)
    return "\n\n".join(parts) + "\n"


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """Modules of Python that can be imported here; those of extras that are not installed, and libraries of machine code, are left out."""
    for found in sorted(walk_packages(package.__path__, f"{package.__name__}."), key=lambda each: each.name):
        if not found.name.endswith("__main__") and not found.ispkg:
            try:
                yield import_module(found.name)
            except ImportError:
                continue


def _entry(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    if getattr(value, "__module__", module.__name__) != module.__name__:
        return []
    if not inspect.isclass(value) and not inspect.isroutine(value):
        return [f"### {name}", f"`{name} = {_short(value)}`", _below(module).get(name, "")]
    parts = [f"### {name}", f"```text\n{name}{_signature(value)}\n```", inspect.getdoc(value) or ""]
    if inspect.isclass(value):
        for method, function in inspect.getmembers(value, inspect.isfunction):
            if not method.startswith("_") and method in vars(value):
                parts += [f"**{method}**`{_signature(function)}`", inspect.getdoc(function) or ""]
    return parts


@cache
def _below(module: ModuleType) -> dict[str, str]:
    """The strings that stand below a module's constants: their docstrings, which Python itself forgets."""
    body = ast.parse(inspect.getsource(module)).body
    found: dict[str, str] = {}
    for assigned, said in pairwise(body):
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str):
            targets = (
                assigned.targets if isinstance(assigned, ast.Assign) else [assigned.target] if isinstance(assigned, ast.AnnAssign) else []
            )
            found |= {target.id: inspect.cleandoc(said.value.value) for target in targets if isinstance(target, ast.Name)}
    return found


def _signature(value: Any) -> str:
    try:
        return re.sub(r"PosixPath\('[^']*/([^'/]*)'\)", r"'\1'", str(inspect.signature(value)))
    except (TypeError, ValueError):
        return "(...)"


def _short(value: object) -> str:
    text = value.name if isinstance(value, Path) else " ".join(repr(value).split())
    return text if len(text) <= 100 else text[:97] + "..."


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory for the pages; made if absent.")
def main(out: Path) -> None:
    """Write the pages."""
    out.mkdir(parents=True, exist_ok=True)
    for house in HOUSES:
        target = out / f"{house}.md"
        target.write_text(page(house), encoding="utf-8")
        click.echo(str(target))


if __name__ == "__main__":
    main()
