"""Running systems: at the defaults of their assumptions, and once per alternative; in one process or several, with the same outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from edgewright.experiments.reproductions.catalogue import find
from edgewright.experiments.reproductions.claims import Value

__all__ = ["Outcomes", "reproduce"]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was simulated of one system: a value per claim at the defaults, and at every alternative `(assumption, value, values per
    claim)`."""

    system: str
    default: dict[str, Value]
    variants: list[tuple[str, Any, dict[str, Value]]]

    def values(self, claim: str) -> list[Value]:
        """The claim's value at the defaults, then at every alternative."""
        return [self.default[claim], *(found[claim] for _, _, found in self.variants)]


def reproduce(systems: Sequence[str], jobs: int = 1) -> Iterator[Outcomes]:
    """Simulate systems by name, in the order given; raises `ValueError` for one that does not exist before anything runs."""
    found = [find(name) for name in systems]
    tasks = [(system.name, change) for system in found for change in [{}, *({name: value} for name, value in system.variants())]]
    if jobs == 1:
        yield from _grouped(systems, tasks, map(_simulate, tasks))
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from _grouped(systems, tasks, pool.map(_simulate, tasks))


def _simulate(task: tuple[str, dict[str, Any]]) -> dict[str, Value]:
    name, change = task
    return find(name).simulate(**change)


def _grouped(
    systems: Sequence[str], tasks: Sequence[tuple[str, dict[str, Any]]], results: Iterator[dict[str, Value]]
) -> Iterator[Outcomes]:
    for name in systems:
        default = next(results)
        changes = [next(iter(change.items())) for owner, change in tasks if owner == name and change]
        yield Outcomes(name, default, [(assumption, value, next(results)) for assumption, value in changes])
